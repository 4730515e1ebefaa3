"""Each event as a separate video, with two seconds before and after.

An event is known only some seconds after it began, so frames wait in a queue, as JPEG, until it would be known. A
frame that leaves the queue is written to the clips of the events that it belongs to:

    event [10.2, 14.8) s, known to have begun at 13.1 s        queue of 6 s
    at 14.2 s the frame of 8.2 s leaves the queue: the clip begins with it
    at 22.8 s the frame of 16.8 s leaves the queue: the clip ends with it

The folder has a limit. The oldest clips are deleted to make room for the one being written. A clip that reaches
the limit alone is cut off there, and kept. Clips are ordered by when they were finished: each gets a later
modification time than the existing ones, whatever the clock says.
"""

import os
import re
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import numpy as np

from realtime.errors import OutputError
from realtime.outputs.queued import Sink as AnySink
from realtime.outputs.why import why
from realtime.pictures import to_jpeg
from realtime.recognizer import Output
from realtime.stages.events import OpenEvent
from realtime.types import Event, Frame, Image

BEFORE_S = AFTER_S = Fraction(2)
WIDEST_PX = 1280
"""Larger pictures are scaled down, so that the queue of waiting frames stays small."""
JPEG_QUALITY = 90
CHECK_EVERY_FRAMES = 25
OURS = re.compile(r"\d{8}-\d{6}-.*\d\.\ds-.+\.mp4")
"""Names of finished clips; nothing else is ever deleted to make room."""
UNFINISHED = ".unfinished.mp4"
LEFT_BEHIND_S = 60.0
"""An unfinished clip not written to for this long belongs to a program that was killed; it is playable, and kept."""
APART_NS = 2_000_000_000
"""Difference between modification times that every file system can tell apart."""


class Writer(Protocol):
    """`realtime.outputs.video_file.VideoWriter`."""

    @property
    def largest_bytes(self) -> int:
        """Upper bound of the file's size if it were closed now."""

    def write(self, rgb: Image, pts: Fraction) -> None:
        """uint8 (H, W, 3) and its time in seconds."""

    def close(self) -> None:
        """Finish the file."""


MakeWriter = Callable[[Path, tuple[int, int]], Writer]
"""Path and (width, height) in px -> writer."""


@dataclass(frozen=True)
class GoingOn:
    """From the next frame on this action is going on, or none."""

    event: OpenEvent | None


class WithOpenEvent:
    """Sink: passes everything on, and before a frame what is going on with it, where that has changed."""

    def __init__(self, sink: AnySink, going_on: Callable[[], OpenEvent | None]) -> None:
        """`going_on`: `Recognizer.open_event`, asked in the recogniser's own thread."""
        self._sink, self._going_on = sink, going_on
        self._told: OpenEvent | None = None

    def push(self, item: Frame | Output) -> None:
        if isinstance(item, Frame) and (event := self._going_on()) != self._told:
            self._told = event
            self._sink.push(GoingOn(event))
        self._sink.push(item)

    def close(self) -> None:
        self._sink.close()


class EventClips:
    """Sink for frames, what goes on with each (`GoingOn`), and the outputs that became final with them; writes MP4
    files into a folder."""

    def __init__(
        self,
        folder: Path,
        make_writer: MakeWriter,
        *,
        delay_s: Fraction,
        largest_bytes: float,
        name: str | None = None,
        started: datetime | None = None,
    ) -> None:
        """`delay_s`: `Recognizer.delay_s`. `largest_bytes`: limit for all clips in the
        folder, including those of other programs. `name`: the source's.

        Raises OutputError if the folder cannot be made.
        """
        self._folder, self._make_writer = folder, make_writer
        self._row_s, self._largest_bytes = delay_s + BEFORE_S, largest_bytes
        stamp = f"{started or datetime.now():%Y%m%d-%H%M%S}"
        self._prefix = f"{stamp}-{_safe(name)}-" if name else f"{stamp}-"
        self.row: deque[tuple[Fraction, bytes]] = deque()
        """Time and JPEG of each frame that may still belong to an event."""
        self._going: OpenEvent | None = None
        self._next: OpenEvent | None = None
        self._ended: deque[Event] = deque()
        self._clips: dict[float, _Clip] = {}
        self._written = 0
        with _translated(folder):
            folder.mkdir(parents=True, exist_ok=True)
            for path in folder.glob(f".*{UNFINISHED}"):
                # A time in the future dates from before the clock was set back.
                if abs(time.time() - path.stat().st_mtime) > LEFT_BEHIND_S:
                    path.rename(_free(path.with_name(_finished_name(path))))

    def push(self, item: Frame | Output | GoingOn) -> None:
        """The next frame or output."""
        if isinstance(item, GoingOn):
            self._next = item.event
        elif isinstance(item, Event):
            self._ended.append(item)
        elif isinstance(item, Frame):
            # All outputs that became final with the frame before this one have arrived by now.
            while self.row and self.row[0][0] + self._row_s < item.pts:
                self._leave(*self.row.popleft())
            self.row.append((item.pts, to_jpeg(item.rgb, WIDEST_PX, JPEG_QUALITY)))
            self._going = self._next

    def close(self) -> None:
        """No frame follows: the rest of the queue belongs to the events known now."""
        self._going = None
        while self.row:
            self._leave(*self.row.popleft())
        self._finish(lambda event: True)

    def _leave(self, pts: Fraction, jpeg: bytes) -> None:
        """The oldest frame leaves the queue: by now it is known to which events it belongs."""
        self._finish(lambda event: pts > Fraction(event.end_s) + AFTER_S)
        known: list[Event | OpenEvent] = [*self._ended, *([self._going] if self._going else [])]
        for start_s in self._clips.keys() - {event.start_s for event in known}:
            self._clips.pop(start_s).discard()  # too short to count as an event
        wanted = [event for event in known if pts >= Fraction(event.start_s) - BEFORE_S]
        if not wanted:
            return
        rgb = _from_jpeg(jpeg)
        for event in wanted:
            if event.start_s not in self._clips:
                path = self._folder / f"{self._prefix}{event.start_s:08.1f}s-{_safe(event.label)}.mp4"
                self._clips[event.start_s] = _Clip(path, self._make_writer, rgb, pts)
            self._clips[event.start_s].write(rgb, pts, self._largest_bytes)
        self._written += 1
        if self._written % CHECK_EVERY_FRAMES == 0:
            self._make_room()

    def _finish(self, over: Callable[[Event], bool]) -> None:
        """Events end in the order in which they are given."""
        while self._ended and over(self._ended[0]):
            clip = self._clips.pop(self._ended.popleft().start_s, None)
            if clip is not None:
                clip.keep()
                self._make_room()

    def _make_room(self) -> None:
        """Delete the oldest clips until the folder is within the limit. The newest one is deleted only for one that is
        being written; if that is not enough, those being written are cut off."""
        with _translated(self._folder):
            total = sum(clip.bytes for clip in self._clips.values())
            mine = {clip.unfinished for clip in self._clips.values()}
            finished = []
            for path in self._folder.glob("*.mp4"):
                if path not in mine and is_clip(_finished_name(path)):
                    facts = path.stat()
                    total += facts.st_size
                    if not path.name.endswith(UNFINISHED):
                        finished.append((facts.st_mtime_ns, path.name, facts.st_size))
            finished.sort()
            for _, name, size in finished if self._clips else finished[:-1]:
                if total > self._largest_bytes:
                    (self._folder / name).unlink(missing_ok=True)
                    total -= size
        if total > self._largest_bytes:
            for clip in self._clips.values():
                clip.cut_off()


class _Clip:
    """The file of one event. It has a hidden name until it is kept."""

    def __init__(self, path: Path, make_writer: MakeWriter, rgb: Image, begin: Fraction) -> None:
        self._path, self._begin = path, begin
        self.unfinished = path.with_name(f".{path.stem}{UNFINISHED}")
        self._writer: Writer | None = make_writer(self.unfinished, (rgb.shape[1], rgb.shape[0]))
        self._largest_frame = self._cut_bytes = 0

    @property
    def bytes(self) -> int:
        """Upper bound of the size of the finished file."""
        return self._cut_bytes if self._writer is None else self._writer.largest_bytes

    def write(self, rgb: Image, pts: Fraction, most_bytes: float) -> None:
        """Stops for good when another frame of the largest size so far would not fit."""
        if self._writer is None:
            return
        before = self.bytes
        self._writer.write(rgb, pts - self._begin)
        self._largest_frame = max(self._largest_frame, self.bytes - before)
        if self.bytes + self._largest_frame > most_bytes:
            self.cut_off()

    def cut_off(self) -> None:
        """Write nothing more."""
        if self._writer is not None:
            self._cut_bytes = self.bytes
            self._writer.close()
            self._writer = None

    def keep(self) -> None:
        self.cut_off()
        with _translated(self._path):
            self.unfinished.replace(kept := _free(self._path))
            self._make_newest(kept)

    def discard(self) -> None:
        self.cut_off()
        with _translated(self._path):
            self.unfinished.unlink()

    def _make_newest(self, kept: Path) -> None:
        """Its modification time puts it after all other clips, even if the clock was set back."""
        others = [path.stat().st_mtime_ns for path in kept.parent.glob("*.mp4") if is_clip(path.name)]
        newest_ns = max([*others, time.time_ns()]) + APART_NS
        with suppress(OSError):  # a folder in which times cannot be set
            os.utime(kept, ns=(newest_ns, newest_ns))


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        pass  # another program deleted a clip
    except OSError as error:
        raise OutputError(
            f"cannot save clips at {path}: {why(error, path)}; name a folder that can be written"
        ) from error


def is_clip(name: str) -> bool:
    """Whether a file with this name counts as a clip, and may be deleted to make room."""
    return OURS.fullmatch(name) is not None


def _free(path: Path) -> Path:
    """The path, numbered if a clip with this name exists: a clock that was reset gives the same name again."""
    number, free = 1, path
    while os.path.lexists(free):
        number += 1
        free = path.with_name(f"{path.stem}.{number}{path.suffix}")
    return free


def _finished_name(path: Path) -> str:
    return path.name.removeprefix(".").replace(UNFINISHED, ".mp4")


def _safe(text: str) -> str:
    """Part of a file name."""
    return re.sub(r"[^\w.-]+", "_", text).strip("_.")[:80] or "_"


def _from_jpeg(jpeg: bytes) -> Image:
    import cv2

    return np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB), np.uint8)
