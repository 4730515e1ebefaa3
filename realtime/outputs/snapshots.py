"""A picture of each event, of its most probable moment.

Which prediction is surest of an event, and which frame it speaks of, is known seconds after that frame. So about three
frames a second wait as JPEG, and the one nearest to the middle of the surest prediction so far is kept until the event
has ended.
"""

from collections import deque
from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

from realtime.outputs.clip_folder import ClipFolder, translated
from realtime.outputs.event_clips import GoingOn, Key, key_of
from realtime.pictures import to_jpeg
from realtime.recognizer import Output
from realtime.stages.events import OpenEvent
from realtime.types import Event, Frame, Prediction

EVERY_S = Fraction(8, 25)
"""From one waiting frame to the next: as far apart as predictions are."""
WIDEST_PX = 3840
JPEG_QUALITY = 90


class Moment(NamedTuple):
    """What one prediction says."""

    probability: float
    zone: str | None
    label: str
    middle_s: float
    """Middle of its span."""


def sparse() -> Callable[[Frame], Frame | None]:
    """Passes on a frame every `EVERY_S`."""
    due: Fraction | None = None

    def passed(frame: Frame) -> Frame | None:
        nonlocal due
        if due is not None and frame.pts < due:
            return None
        due = frame.pts + EVERY_S
        return frame

    return passed


class Snapshots:
    """Sink for frames, what goes on with each (`GoingOn`), and the outputs that became final with them; writes JPEG
    files into a folder."""

    def __init__(self, folder: ClipFolder, delay_s: Fraction) -> None:
        """`folder`: of `SNAPSHOT`s. `delay_s`: `Recognizer.delay_s`."""
        self._folder, self._row_s = folder, float(delay_s) + 1
        self.row: deque[tuple[float, bytes]] = deque()
        """Time and JPEG of each frame that a prediction may still speak of."""
        self._moments: deque[Moment] = deque()
        """What the predictions about the frames in the row say."""
        self._going: tuple[OpenEvent, ...] = ()
        self._best: dict[Key, tuple[Moment, bytes]] = {}
        """Of an event: its surest moment so far, and the picture of it."""

    def push(self, item: Frame | Output | GoingOn) -> None:
        """The next frame or output."""
        if isinstance(item, Frame):
            self._wait(item)
        elif isinstance(item, Prediction):
            if item.settled:
                moment = Moment(item.probability, item.zone, item.label, (item.start_s + item.end_s) / 2)
                self._moments.append(moment)
                for event in self._going:
                    self._consider(event, moment)
        elif isinstance(item, Event):
            self._save(item)
        elif isinstance(item, GoingOn):
            before = {key_of(event) for event in self._going}
            self._best = {key: best for key, best in self._best.items() if key in before}
            self._going = item.events

    def close(self) -> None:
        """Nothing follows: all events are saved by now."""

    def _wait(self, frame: Frame) -> None:
        pts = float(frame.pts)
        while self.row and self.row[0][0] + self._row_s < pts:
            self.row.popleft()
        while self._moments and self._moments[0].middle_s + self._row_s < pts:
            self._moments.popleft()
        self.row.append((pts, to_jpeg(frame.rgb, WIDEST_PX, JPEG_QUALITY)))

    def _consider(self, event: Event | OpenEvent, moment: Moment) -> None:
        other = (moment.zone, moment.label) != (event.zone, event.label)
        if other or moment.middle_s < event.start_s or not self.row:
            return
        best = self._best.get(key_of(event))
        if best is None or moment.probability > best[0].probability:
            self._best[key_of(event)] = moment, self._nearest(moment.middle_s)

    def _nearest(self, at_s: float) -> bytes:
        return min(self.row, key=lambda each: abs(each[0] - at_s))[1]

    def _save(self, event: Event) -> None:
        for moment in self._moments:
            if moment.middle_s <= event.end_s:
                self._consider(event, moment)
        best = self._best.pop(key_of(event), None)
        if best is None and not self.row:
            return
        jpeg = self._nearest((event.start_s + event.end_s) / 2) if best is None else best[1]
        path = self._folder.path(event)
        with translated(path):
            self._folder.unfinished(path).write_bytes(jpeg)
        self._folder.keep(self._folder.unfinished(path), path)
        self._folder.make_room()
