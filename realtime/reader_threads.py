"""Reader threads and their mailboxes: a reader fills a mailbox, the recogniser empties it in the caller's thread.

    reader thread, one a source     mailbox                      caller's thread
    for frame in video: put ──────→ [ . . . . ] ───┬─→ take, recognizer.push ───→ outputs
    for frame in video: put ──────→ [ . . . . ] ───┘

A file waits while its mailbox is full, so none of its frames are lost. A live source does not wait: the oldest frames
in the mailbox are dropped and counted, and the frame after them says how many there were. A few worker threads, shared
by all recognisers, compute the flow of two pairs of frames at a time; see `worker_threads`.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from typing import Literal, Protocol

from realtime.overload import LATE_S, PAUSE_SETTLES_S, SETTLE_S, Ladder, levels_of
from realtime.recognizer import Recognizer
from realtime.types import Frame

WhenFull = Literal["wait", "drop oldest"]

FILE_MAILBOX = 4
LIVE_MAILBOX = 64
"""Frames: at least a second of any common camera."""
LIVE_WAIT_S = 1.0
"""How long a frame of a live source may wait; a slower recogniser gets newer ones."""


class Source(Protocol):
    """Frames, once and in order. `realtime.sources.video.Video` is one."""

    name: str
    """Safe to print."""
    live: bool
    """Frames that are not read in time are lost."""

    @property
    def corrupt_packets(self) -> int:
        """Damaged packets and pictures so far."""

    def __iter__(self) -> Iterator[Frame]: ...

    def close(self) -> None:
        """End the iteration; may be called from any thread."""


class End:
    """Comes after the last frame of a source. `error`: why it ended early, or None. `stopped`: whether it was asked to
    end."""

    def __init__(self, error: BaseException | None = None, *, stopped: bool = False) -> None:
        self.error, self.stopped = error, stopped


class Mailbox:
    """Bounded queue of frames between two threads."""

    def __init__(
        self, capacity: int, when_full: WhenFull, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        """`now_s`: the clock of `Frame.taken_s`."""
        self._capacity, self._when_full, self._now_s = capacity, when_full, now_s
        self.changed = threading.Condition()
        """May be replaced before the first use, to wait for several mailboxes together."""
        self._frames: deque[Frame] = deque()
        self._end: End | None = None
        self._dropped_before = 0
        self._after_gap = False
        self._skips_until_s = -math.inf
        self.received = 0
        """Frames that were put into it."""
        self.dropped = 0
        """Frames that made room for newer ones, or waited too long."""

    def put(self, frame: Frame) -> bool:
        """Add a frame; False once frames are no longer taken."""
        with self.changed:
            while len(self._frames) >= self._capacity and self._end is None:
                if self._when_full == "drop oldest":
                    self._drop_oldest()
                else:
                    self.changed.wait()
            if self._end is not None:
                return False
            self._frames.append(frame)
            self.received += 1
            self._drop_late()
            self.changed.notify_all()
            return True

    def skip(self, seconds: float) -> None:
        """Drop the frames that wait, and those of a live source that come within so many seconds."""
        with self.changed:
            self._skips_until_s = self._now_s() + seconds
            self._drop_late()

    def close(self, error: BaseException | None = None) -> None:
        """No more frames will come; those in the mailbox can still be taken."""
        with self.changed:
            self._end = self._end or End(error)
            self.changed.notify_all()

    def stop(self) -> None:
        """Take no more frames: the next item is the end. May be called from a signal handler and from any thread."""
        with self.changed:
            if self._end is None or self._end.error is None:
                self._end = End(stopped=True)
            self._frames.clear()
            self.changed.notify_all()

    def take(self) -> Frame | End | None:
        """The next frame, the end after the last one, or None if there is nothing yet. Does not wait."""
        with self.changed:
            self._drop_late()
            if not self._frames:
                return self._end
            frame = self._frames.popleft()
            if self._dropped_before:
                after_gap = frame.after_gap or self._after_gap
                frame = replace(frame, dropped_before=self._dropped_before, after_gap=after_gap)
                self._dropped_before, self._after_gap = 0, False
            self.changed.notify_all()
            return frame

    @property
    def ready(self) -> bool:
        """Whether `take` would return something."""
        return bool(self._frames) or self._end is not None

    @property
    def since_s(self) -> float:
        """When the next frame was taken; an end, and a frame of which that is not known, cannot wait."""
        first = next(iter(self._frames), None)
        return -math.inf if first is None or first.taken_s is None else first.taken_s

    def __len__(self) -> int:
        return len(self._frames)

    def _drop_oldest(self) -> None:
        """The next frame carries the count of those dropped before it."""
        self._after_gap = self._frames.popleft().after_gap or self._after_gap
        self._dropped_before += 1
        self.dropped += 1

    def _drop_late(self) -> None:
        if self._when_full == "drop oldest":
            earliest_s = max(self._now_s() - LIVE_WAIT_S, self._skips_until_s)
            while self._frames and _taken_before(self._frames[0], earliest_s):
                self._drop_oldest()


def _taken_before(frame: Frame, seconds: float) -> bool:
    return frame.taken_s is not None and frame.taken_s < seconds


def mailbox_for(video: Source, now_s: Callable[[], float] = time.monotonic) -> Mailbox:
    """A mailbox suited to this video. `now_s`: the clock of `Frame.taken_s`."""
    if video.live:
        return Mailbox(LIVE_MAILBOX, "drop oldest", now_s)
    return Mailbox(FILE_MAILBOX, "wait", now_s)


class Reader:
    """Reads a video in a separate thread. A context manager: leaving it stops the thread and waits for it."""

    def __init__(self, video: Source, mailbox: Mailbox) -> None:
        self._video, self.mailbox = video, mailbox
        self._thread = threading.Thread(target=self._read, name="i3d-live reader", daemon=True)

    def _read(self) -> None:
        try:
            for frame in self._video:
                if not self.mailbox.put(frame):
                    return
        except BaseException as error:  # crosses to the caller's thread with its traceback
            self.mailbox.close(error)
        else:
            self.mailbox.close()

    def __enter__(self) -> "Reader":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.mailbox.close()
        self._video.close()
        self._thread.join()


def read_ahead(video: Source) -> Generator[Frame]:
    """The frames of a video, decoded in a thread of its own a few frames ahead; re-raises what ends it. To be closed
    where it is not read to its end."""
    mailbox = mailbox_for(video)
    with Reader(video, mailbox):
        while True:
            with mailbox.changed:
                mailbox.changed.wait_for(lambda: mailbox.ready)
            item = mailbox.take()
            if isinstance(item, Frame):
                yield item
            elif isinstance(item, End):
                if item.error is not None:
                    raise item.error
                return


class Pace:
    """Keeps a recogniser at a level that it can sustain. Only for live sources: files wait."""

    def __init__(
        self,
        recognizer: Recognizer,
        now_s: Callable[[], float] = time.monotonic,
        gives_way: Callable[[float], bool] | None = None,
    ) -> None:
        """`gives_way`: of several that share the cores and are late, whether it is this one that leaves out work
        next."""
        self._recognizer, self._now_s = recognizer, now_s
        self._gives_way = gives_way or (lambda now_s: True)
        self.ladder = Ladder(levels_of(recognizer.mode, recognizer.streams, shared=gives_way is not None))
        self.lag_s = 0.0
        """How long the last frame waited."""
        self.paused_s = -math.inf
        """When it was last left out."""
        self._seen_s = -math.inf

    def late(self, now_s: float) -> bool:
        """Whether it is late and could leave out work."""
        can = self.ladder.level.pauses or not self.ladder.at_bottom
        return can and self.lag_s > LATE_S and now_s - self._seen_s < SETTLE_S

    def settling(self, now_s: float) -> bool:
        """Whether what it left out last has yet to show its effect."""
        return self.ladder.settling(now_s) or now_s - self.paused_s < PAUSE_SETTLES_S

    def before(self, frame: Frame) -> bool:
        """Call before each frame is pushed: whether the recogniser changed its level."""
        now_s = self._seen_s = self._now_s()
        self.lag_s = 0.0 if frame.taken_s is None else now_s - frame.taken_s
        level = self.ladder.update(self.lag_s, now_s, self._gives_way)
        if level is not None:
            self._recognizer.level = level
        return level is not None

    def pause(self) -> bool:
        """Call after `before`: whether it is to be left out for `PAUSE_S` from now on."""
        now_s = self._now_s()
        may = self.ladder.level.pauses and self.late(now_s) and not self.settling(now_s)
        due = may and self._gives_way(now_s)
        if due:
            self.paused_s = now_s
        return due
