"""The only file with threads: a reader fills a mailbox, the recogniser empties it in the caller's thread.

    reader thread, one a source     mailbox                      caller's thread
    for frame in video: put ──────→ [ . . . . ] ───┬─→ take, recognizer.push ───→ outputs
    for frame in video: put ──────→ [ . . . . ] ───┘

A file waits while its mailbox is full, so nothing of it is lost. A live source does not wait: the oldest frame in the
mailbox makes room, and is counted.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Literal, Protocol

from realtime.recognizer import Recognizer
from realtime.types import Frame, Prediction

WhenFull = Literal["wait", "drop oldest"]

FILE_MAILBOX = 8
LIVE_MAILBOX = 30
"""Frames: about one second of a camera, which is as late as an answer may become by waiting."""


class Source(Protocol):
    """Frames, once and in order. `realtime.video.Video` is one."""

    name: str
    """Safe to print."""
    live: bool
    """What is not read in time is lost."""

    def __iter__(self) -> Iterator[Frame]: ...

    def close(self) -> None:
        """From any thread: the iteration ends."""


class End:
    """Comes after the last frame of a source. `error`: why it ended early, or None."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class Mailbox:
    """Bounded queue of frames between two threads. `changed` may be shared, to wait for several mailboxes at once."""

    def __init__(
        self, capacity: int, when_full: WhenFull, changed: threading.Condition | None = None
    ) -> None:
        self._capacity, self._when_full = capacity, when_full
        self._changed = changed or threading.Condition()
        self._frames: deque[Frame] = deque()
        self._end: End | None = None
        self.dropped = 0
        """Frames that made room for newer ones."""

    def put(self, frame: Frame) -> bool:
        """Add a frame; False when nobody takes frames any more."""
        with self._changed:
            while len(self._frames) >= self._capacity and self._end is None:
                if self._when_full == "drop oldest":
                    self._frames.popleft()
                    self.dropped += 1
                else:
                    self._changed.wait()
            if self._end is not None:
                return False
            self._frames.append(frame)
            self._changed.notify_all()
            return True

    def close(self, error: BaseException | None = None) -> None:
        """No more frames come; those that are there can still be taken."""
        with self._changed:
            self._end = self._end or End(error)
            self._changed.notify_all()

    def take(self) -> Frame | End | None:
        """The next frame, the end after the last one, or None if there is nothing yet. Does not wait."""
        with self._changed:
            if not self._frames:
                return self._end
            frame = self._frames.popleft()
            self._changed.notify_all()
            return frame

    def __len__(self) -> int:
        return len(self._frames)


class Reader:
    """Reads a video in a thread of its own. A context manager: leaving it stops the thread and waits for it."""

    def __init__(
        self, video: Source, *, capacity: int | None = None, changed: threading.Condition | None = None
    ) -> None:
        self._video = video
        capacity = capacity or (LIVE_MAILBOX if video.live else FILE_MAILBOX)
        self.mailbox = Mailbox(capacity, "drop oldest" if video.live else "wait", changed)
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


class Worker:
    """Runs `work` in a thread of its own, once. What it raises is the work's own business."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._thread = threading.Thread(target=work, name="i3d-live worker", daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def join(self, timeout_s: float) -> bool:
        """Wait for its end; False if it has not come by then."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()


def read_all(
    videos: Sequence[Source], *, capacity: int | None = None
) -> Iterator[tuple[int, Frame | End, Mailbox]]:
    """Frames of several videos as they come, each with the video's place in the list and its mailbox; last an `End` each.

    They take turns, so that one with many frames waiting does not hold up the others.
    """
    changed = threading.Condition()
    with ExitStack() as stack:
        readers = [stack.enter_context(Reader(video, capacity=capacity, changed=changed)) for video in videos]
        open_places = list(range(len(videos)))
        while open_places:
            with changed:
                taken = [(i, item) for i in open_places if (item := readers[i].mailbox.take()) is not None]
                if not taken:
                    changed.wait()
            for i, item in taken:
                yield i, item, readers[i].mailbox
                if isinstance(item, End):
                    open_places.remove(i)


def stream(video: Source, recognizer: Recognizer) -> Iterator[Prediction]:
    """Predictions of a video as they become certain. Files wait for the recogniser; live sources drop the oldest frames.

    Raises what the video raises, after the predictions that its frames still give.
    """
    for _, item, _ in read_all([video]):
        outputs = recognizer.flush() if isinstance(item, End) else recognizer.push(item)
        yield from (output for output in outputs if isinstance(output, Prediction))
        if isinstance(item, End) and item.error is not None:
            raise item.error
