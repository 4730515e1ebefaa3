"""The annotated video: each frame with what was known at its time."""

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Protocol

from engines.head import Floats
from realtime.outputs.marks import glow_weights
from realtime.outputs.overlay import STRIP_S, draw
from realtime.outputs.places import marks_of
from realtime.stages.inputs import picture_of
from realtime.types import Box, Event, Frame, Gap, Idle, Image, Picture, Prediction, of_whole
from realtime.zones import Zone


class Recent:
    """What a viewer knows so far: the newest prediction, and the last `keep_s` seconds."""

    def __init__(self, keep_s: float = STRIP_S) -> None:
        self._keep_s = keep_s
        self.prediction: Prediction | None = None
        """Of the whole picture."""
        self.of_zones: dict[str, Prediction] = {}
        """The newest prediction of each zone."""
        self.events: deque[Event] = deque()
        self.trail: deque[Event] = deque()
        """Stretches and the label that led in them: like events, but from the first prediction on and however
        uncertain."""
        self._in_section = False

    def push(self, item: Prediction | Event | Gap | Idle) -> None:
        """The recogniser's next output. A gap or a rest clears the prediction from the screen, since what it
        describes is over."""
        if isinstance(item, Gap) and item.zone is not None:
            self.of_zones.pop(item.zone, None)
        elif isinstance(item, Gap | Idle):
            self.prediction, self._in_section = None, False
            self.of_zones.clear()
        elif isinstance(item, Prediction) and item.zone is not None:
            self.of_zones[item.zone] = item
        elif not of_whole(item):
            pass  # the strip has room for the events of the whole picture alone
        elif isinstance(item, Event):
            self.events.append(item)
        else:
            self.prediction = item
            if item.settled:
                self._extend_trail(item)

    def forget(self, now_s: float) -> None:
        """Drop what ended more than `keep_s` before `now_s`."""
        for stretches in (self.events, self.trail):
            while stretches and stretches[0].end_s <= now_s - self._keep_s:
                stretches.popleft()

    def _extend_trail(self, prediction: Prediction) -> None:
        """As in `realtime.stages.events`, a change counts from the middle of the span in which it appears."""
        start_s = prediction.start_s
        if self._in_section and self.trail:
            start_s = (prediction.start_s + prediction.end_s) / 2
            last = self.trail.pop()
            self.trail.append(replace(last, end_s=min(last.end_s, start_s)))
        self.trail.append(Event(prediction.label, start_s, prediction.end_s, prediction.probability))
        self._in_section = True


class Writer(Protocol):
    """Takes the finished pictures: `realtime.outputs.video_file.VideoWriter`."""

    def write(self, rgb: Image, pts: Fraction) -> None:
        """uint8 (H, W, 3) and its time in seconds."""

    def close(self) -> None:
        """Finish the file."""


class Annotator:
    """Sink for frames, each followed by the recogniser's output for it; writes each frame with what was known at its
    time.

    A prediction is shown from the first frame at or after the end of its span, as somebody watching live would have
    seen it. So each frame is held until the next one arrives. The last frame shows everything known at the end.
    """

    def __init__(
        self,
        writer: Writer,
        *,
        caption: str = "",
        zones: Callable[[], Sequence[Zone]] = tuple,
        squares: Callable[[Picture], Sequence[Box]] | None = None,
    ) -> None:
        """`caption`: streams and name of the weights; shown in every frame. `zones`: those in force. `squares`:
        `Recognizer.seen_squares`, without which there is no glow."""
        self._writer, self._caption, self._zones, self._squares = writer, caption, zones, squares
        self._recent = Recent()
        self._glow: Floats | None = None
        self._glow_of: tuple[Prediction, Picture] | None = None
        """Of which prediction and frame."""
        self._waiting: deque[Prediction | Event | Gap | Idle] = deque()
        self._held: Frame | None = None

    def push(self, item: Frame | Prediction | Event | Gap | Idle) -> None:
        """Raises what the writer raises."""
        if not isinstance(item, Frame):
            self._waiting.append(item)
            return
        held, self._held = self._held, item
        if held is not None:
            self._write(held, float(held.pts))

    def close(self) -> None:
        """Write the held frame, and close the file even if that fails. Closing again does nothing."""
        held, self._held = self._held, None
        try:
            if held is not None:
                self._write(held, math.inf)
        finally:
            self._writer.close()

    def _write(self, frame: Frame, known_s: float) -> None:
        while self._waiting and _end_s(self._waiting[0]) <= known_s:
            self._recent.push(self._waiting.popleft())
        now_s = float(frame.pts)
        recent = self._recent
        recent.forget(now_s)
        picture = draw(
            frame.rgb,
            now_s=now_s,
            prediction=recent.prediction,
            events=recent.events,
            trail=recent.trail,
            caption=self._caption,
            marks=marks_of(recent.prediction, recent.of_zones, self._zones(), picture_of(frame)),
            glow=self._glow_in(recent.prediction, picture_of(frame)),
        )
        self._writer.write(picture, frame.pts)

    def _glow_in(self, prediction: Prediction | None, picture: Picture) -> Floats | None:
        """Computed once for each prediction."""
        if prediction is None or prediction.heat is None or self._squares is None:
            return None
        if self._glow_of != (prediction, picture):
            self._glow = glow_weights(prediction.heat, self._squares(picture), picture.size_px)
            self._glow_of = (prediction, picture)
        return self._glow


def _end_s(item: Prediction | Event | Gap | Idle) -> float:
    if isinstance(item, Idle):
        return float(item.at)
    return float(item.end) if isinstance(item, Gap) else item.end_s
