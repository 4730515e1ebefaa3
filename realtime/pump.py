"""The only file with threads: a reader fills a mailbox, the recogniser empties it in the caller's thread.

    reader thread                 mailbox                       caller's thread
    for frame in video: put ───→ [ . . . . ] ───→ get, recognizer.push ───→ outputs

A file waits while the mailbox is full, so nothing of it is lost. A live source does not wait: the oldest frame in the
mailbox makes room, and is counted.
"""

import threading
from collections import deque
from collections.abc import Iterator
from typing import Literal

from realtime.recognizer import Output, Recognizer
from realtime.source import Video
from realtime.types import Frame, Prediction

WhenFull = Literal["wait", "drop oldest"]

FILE_MAILBOX = 8
LIVE_MAILBOX = 30
"""Frames: about one second of a camera, which is as late as an answer may become by waiting."""


class Mailbox:
    """Bounded queue of frames between two threads; ends by itself when the reader is done or failed."""

    def __init__(self, capacity: int, when_full: WhenFull) -> None:
        self._capacity, self._when_full = capacity, when_full
        self._frames: deque[Frame] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._error: BaseException | None = None
        self.dropped = 0
        """Frames that made room for newer ones."""

    def put(self, frame: Frame) -> bool:
        """Add a frame; False when nobody takes frames any more."""
        with self._changed:
            while len(self._frames) >= self._capacity and not self._closed:
                if self._when_full == "drop oldest":
                    self._frames.popleft()
                    self.dropped += 1
                else:
                    self._changed.wait()
            if self._closed:
                return False
            self._frames.append(frame)
            self._changed.notify_all()
            return True

    def close(self, error: BaseException | None = None) -> None:
        """No more frames. `error` is raised to whoever takes frames, after those that are still there."""
        with self._changed:
            self._closed, self._error = True, self._error or error
            self._changed.notify_all()

    def __iter__(self) -> Iterator[Frame]:
        while (frame := self._take()) is not None:
            yield frame

    def __len__(self) -> int:
        return len(self._frames)

    def _take(self) -> Frame | None:
        with self._changed:
            while not self._frames and not self._closed:
                self._changed.wait()
            if self._frames:
                frame = self._frames.popleft()
                self._changed.notify_all()
                return frame
            if self._error is not None:
                raise self._error
            return None


class Reader:
    """Reads a video in a thread of its own. A context manager: leaving it stops the thread and waits for it."""

    def __init__(self, video: Video, capacity: int | None = None) -> None:
        self._video = video
        live = video.live
        self.mailbox = Mailbox(
            capacity or (LIVE_MAILBOX if live else FILE_MAILBOX), "drop oldest" if live else "wait"
        )
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

    def __iter__(self) -> Iterator[Frame]:
        return iter(self.mailbox)


def pump(reader: Reader, recognizer: Recognizer) -> Iterator[tuple[Frame | None, list[Output]]]:
    """Each frame with what became certain by it; last, with no frame, what the end of the video made certain."""
    for frame in reader:
        yield frame, recognizer.push(frame)
    yield None, recognizer.flush()


def stream(video: Video, recognizer: Recognizer) -> Iterator[Prediction]:
    """Predictions of a video as they become certain. Files wait for the recogniser; live sources drop the oldest frames."""
    with Reader(video) as reader:
        for _, outputs in pump(reader, recognizer):
            yield from (item for item in outputs if isinstance(item, Prediction))
