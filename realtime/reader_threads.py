"""Reader threads and their mailboxes: a reader fills a mailbox, the recogniser empties it in the caller's thread.

    reader thread, one a source     mailbox                      caller's thread
    for frame in video: put ──────→ [ . . . . ] ───┬─→ take, recognizer.push ───→ outputs
    for frame in video: put ──────→ [ . . . . ] ───┘

A file waits while its mailbox is full, so none of its frames are lost. A live source does not wait: the oldest frames
in the mailbox are dropped and counted, and the frame after them says how many there were. A few worker threads, shared
by all recognisers, compute the flow of two pairs of frames at a time; see `worker_threads`.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Literal, Protocol, TypeVar

from realtime.overload import Ladder, levels_of
from realtime.recognizer import Recognizer
from realtime.types import Frame

T = TypeVar("T")
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


class Idle:
    """Nothing came for a while."""


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

    def __len__(self) -> int:
        return len(self._frames)

    def _drop_oldest(self) -> None:
        """The next frame carries the count of those dropped before it."""
        self._after_gap = self._frames.popleft().after_gap or self._after_gap
        self._dropped_before += 1
        self.dropped += 1

    def _drop_late(self) -> None:
        if self._when_full == "drop oldest":
            earliest_s = self._now_s() - LIVE_WAIT_S
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


def read_or_idle(
    videos: Sequence[Source],
    mailboxes: Sequence[Mailbox],
    idle_s: float | None,
    joining: Callable[[], Iterable[tuple[Source, Mailbox]]] = tuple,
) -> Generator[tuple[int, Frame | End | Idle, Mailbox]]:
    """Frames of several videos as they come, each with the video's index in the list and its mailbox; finally an `End`
    for each.

    Videos take turns, so that one with many waiting frames does not hold up the others. An `Idle`, with an arbitrary
    index, comes whenever none of them delivered anything for `idle_s`. `joining` is called before each round for more
    videos, which get the indices behind the others.
    """
    changed = threading.Condition()
    every: list[Mailbox] = []
    open_places: list[int] = []
    with ExitStack() as stack:

        def begin(video: Source, mailbox: Mailbox) -> None:
            mailbox.changed = changed
            stack.enter_context(Reader(video, mailbox))
            open_places.append(len(every))
            every.append(mailbox)

        for video, mailbox in zip(videos, mailboxes, strict=True):
            begin(video, mailbox)
        while True:
            for video, mailbox in joining():
                begin(video, mailbox)
            if not open_places:
                return
            with changed:
                came = any(every[i].ready for i in open_places) or changed.wait(idle_s)
            if not came:
                yield open_places[0], Idle(), every[open_places[0]]
            for i in tuple(open_places):
                item = every[i].take()
                if item is not None:
                    yield i, item, every[i]
                if isinstance(item, End):
                    open_places.remove(i)


class Pace:
    """Keeps a recogniser at a level that it can sustain. Only for live sources: files wait."""

    def __init__(self, recognizer: Recognizer, now_s: Callable[[], float] = time.monotonic) -> None:
        self._recognizer, self._now_s = recognizer, now_s
        self.ladder = Ladder(levels_of(recognizer.mode, recognizer.streams))
        self.lag_s = 0.0
        """How long the last frame waited."""

    def before(self, frame: Frame) -> bool:
        """Call before each frame is pushed: whether the recogniser changed its level."""
        now_s = self._now_s()
        self.lag_s = 0.0 if frame.taken_s is None else now_s - frame.taken_s
        level = self.ladder.update(self.lag_s, now_s)
        if level is not None:
            self._recognizer.level = level
        return level is not None
