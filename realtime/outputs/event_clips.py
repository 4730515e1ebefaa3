"""Each event as a separate video, with two seconds before and after.

An event is known only some seconds after it began, so frames wait in a row until it would be known. A frame that leaves
the row is written to the clips of the events that it belongs to:

    event [10.2, 14.8) s, known to have begun at 13.1 s        row of 6 s
    at 14.2 s the frame of 8.2 s leaves the row: the clip begins with it
    at 22.8 s the frame of 16.8 s leaves the row: the clip ends with it

Where the source's packets are kept, the frames in the row are places in them, and the clip is made of the packets, from
the last key frame at or before its beginning. Other frames wait as JPEG, and are encoded.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from realtime.outputs.clip_files import Clip, MakeWriter, PacketClip, Passed, PictureClip, Waiting
from realtime.outputs.clip_folder import ClipFolder
from realtime.outputs.queued import Limit
from realtime.outputs.queued import Sink as AnySink
from realtime.pictures import to_jpeg
from realtime.recognizer import Output
from realtime.sources.packets import Kept
from realtime.stages.events import OpenEvent
from realtime.types import Event, Frame, Image

BEFORE_S = AFTER_S = 2
WIDEST_PX = 1280
"""Larger pictures are scaled down, so that the row of waiting frames stays small."""
JPEG_QUALITY = 90
CHECK_EVERY_SHARE = 0.01
"""Of the limit: after this much was written, room is made for it. (Looking at a folder of a thousand clips takes some
ms.)"""
FEW_FRAMES = 50
"""After more frames in a row whose packet is not kept, they are encoded."""
NEAR_S = 0.2
"""By how much the first frame of an event may be later than its start."""


Key = tuple[str | None, float]
"""Of an event that is open or has ended: its zone and when it began."""


@dataclass(frozen=True)
class GoingOn:
    """From the next frame on these actions are going on: one of the whole picture at most, and of each zone."""

    events: tuple[OpenEvent, ...]


def key_of(event: Event | OpenEvent) -> Key:
    return event.zone, event.start_s


def without_pictures() -> Callable[[Frame], Frame | Passed | None]:
    """Of a frame whose packet is kept, passes on no more than its place. Between such frames a few may be without: they
    are in the packets, too."""
    missing = FEW_FRAMES

    def passed(frame: Frame) -> Frame | Passed | None:
        nonlocal missing
        if isinstance(frame.packet, Kept):
            missing = 0
            return Passed(frame.pts, frame.packet, frame.turn)
        missing += 1
        return frame if missing > FEW_FRAMES else None

    return passed


PASSED = Limit(lambda item: isinstance(item, Passed), 1000)


class WithOpenEvents:
    """Sink: passes everything on, and before a frame what is going on with it, where that has changed."""

    def __init__(
        self,
        sink: AnySink,
        going_on: Callable[[], tuple[OpenEvent, ...]],
        passed: Callable[[Frame], Frame | Passed | None] | None = None,
    ) -> None:
        """`going_on`: `Recognizer.open_events`, asked in the recogniser's own thread. `passed`: what is passed on of a
        frame, by default what a clip needs."""
        self._sink, self._going_on, self._passed = sink, going_on, passed or without_pictures()
        self._told: tuple[OpenEvent, ...] = ()

    def push(self, item: Frame | Output) -> None:
        if not isinstance(item, Frame):
            self._sink.push(item)
            return
        if (events := self._going_on()) != self._told:
            self._told = events
            self._sink.push(GoingOn(events))
        if (passed := self._passed(item)) is not None:
            self._sink.push(passed)

    def close(self) -> None:
        self._sink.close()


class EventClips:
    """Sink for frames, what goes on with each (`GoingOn`), and the events that became final with them; writes MP4 files
    into a folder."""

    def __init__(self, folder: ClipFolder, make_writer: MakeWriter, delay_s: Fraction) -> None:
        """`folder`: of `CLIP`s. `delay_s`: `Recognizer.delay_s`."""
        self._folder, self._make_writer, self._row_s = folder, make_writer, delay_s + BEFORE_S
        self.row: deque[Waiting] = deque()
        """The frames that may still belong to an event: where their packets are, or time and JPEG."""
        self._going: tuple[OpenEvent, ...] = ()
        self._next: tuple[OpenEvent, ...] = ()
        self._ended: list[Event] = []
        self._clips: dict[Key, Clip] = {}
        self._writing_before = 0
        """Bytes of what was being written when room was made."""

    def push(self, item: Frame | Output | Passed | GoingOn) -> None:
        """The next frame or event."""
        if isinstance(item, GoingOn):
            self._next = item.events
        elif isinstance(item, Event):
            self._ended.append(item)
        elif isinstance(item, Frame | Passed):
            # All outputs that became final with the frame before this one have arrived by now.
            while self.row and _pts(self.row[0]) + self._row_s < item.pts:
                self._leave(self.row.popleft())
            if isinstance(item, Frame):
                self.row.append((item.pts, to_jpeg(item.rgb, WIDEST_PX, JPEG_QUALITY)))
            else:
                self.row.append(item)
            self._going = self._next

    def close(self) -> None:
        """No frame follows: the rest of the row belongs to the events known now."""
        self._going = ()
        while self.row:
            self._leave(self.row.popleft())
        self._finish(lambda event: True)

    def _leave(self, frame: Waiting) -> None:
        """The oldest frame leaves the row: by now it is known to which events it belongs."""
        pts = _pts(frame)
        pts_s = float(pts)
        self._finish(lambda event: pts_s > event.end_s + AFTER_S)
        known: list[Event | OpenEvent] = [*self._ended, *self._going]
        for key in self._clips.keys() - {key_of(event) for event in known}:
            self._clips.pop(key).discard()  # too short to count as an event
        wanted = [event for event in known if pts_s >= event.start_s - BEFORE_S]
        rgb = _from_jpeg(frame[1]) if wanted and not isinstance(frame, Passed) else None
        for event in wanted:
            clip = self._clip(event, frame, rgb)
            if isinstance(clip, PacketClip) and isinstance(frame, Passed):
                clip.write(frame)
            elif isinstance(clip, PictureClip) and rgb is not None:
                clip.write(rgb, pts)
        if isinstance(frame, Passed):
            _forget(frame)
        if wanted:
            self._make_room(self._folder.largest_bytes * CHECK_EVERY_SHARE)

    def _clip(self, event: Event | OpenEvent, frame: Waiting, rgb: Image | None) -> Clip | None:
        """The clip of an event for this frame, which may begin with it; None if it has ended before."""
        clip = self._clips.get(key_of(event))
        if clip is not None and clip.takes(frame):
            return clip
        if clip is not None:
            if event.start_s + NEAR_S < _pts(frame):
                clip.cut_off()
                return None
            clip.discard()  # the event begins with what comes now, and this was before it
        path, begin = self._folder.path(event), Fraction(event.start_s) - BEFORE_S
        if isinstance(frame, Passed):
            clip = PacketClip(self._folder, path, frame, begin)
        else:
            assert rgb is not None
            clip = PictureClip(self._folder, path, self._make_writer, rgb, frame[0])
        self._clips[key_of(event)] = clip
        return clip

    def _finish(self, over: Callable[[Event], bool]) -> None:
        """Keep the clips of the events that are over."""
        for event in [each for each in self._ended if over(each)]:
            self._ended.remove(event)
            clip = self._clips.pop(key_of(event), None)
            if clip is not None:
                clip.keep()
                self._make_room(0)

    def _make_room(self, grown_by: float) -> None:
        """If what is being written has changed by that many bytes since the last time."""
        writing = sum(clip.bytes for clip in self._clips.values())
        if abs(writing - self._writing_before) >= grown_by:
            self._writing_before = writing
            self._folder.make_room(self._clips.values())


def _pts(frame: Waiting) -> Fraction:
    return frame.pts if isinstance(frame, Passed) else frame[0]


def _forget(frame: Passed) -> None:
    """No clip that is still to come begins before the frame that has left the row."""
    here = frame.kept.packets.place_of(frame.kept.number)
    if here is not None:
        frame.kept.packets.forget(here)


def _from_jpeg(jpeg: bytes) -> Image:
    import cv2

    return np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB), np.uint8)
