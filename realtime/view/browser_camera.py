"""Sources of a live view's frames: a video at its own pace, or a browser that sends its camera's pictures."""

import io
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from queue import Empty, Full, Queue
from threading import Event

import numpy as np

from realtime.clock import Clock
from realtime.errors import UsageError
from realtime.reader_threads import Source
from realtime.sources.timestamps import LiveTimes, Stamped
from realtime.types import Frame, Image

CATCH_UP_S = 0.5
"""A file that has fallen this far behind its own pace continues from there instead of catching up."""
LARGEST_SIDE_PX = 4096
"""Limit for a browser's picture: a few bytes of JPEG can claim to be gigapixels."""
WAITING_PICTURES = 30
LATEST_MS = 1e14
"""The year 5138."""


class Shown:
    """A source whose frames are shown as they are read, before the mailbox. Files are read at their own pace."""

    def __init__(self, source: Source, show: Callable[[Frame], None], clock: Clock | None = None) -> None:
        self._source, self._show, self._clock = source, show, clock or Clock()
        self.name, self.live = source.name, source.live
        self._closed = Event()

    @property
    def corrupt_packets(self) -> int:
        return self._source.corrupt_packets

    def __iter__(self) -> Iterator[Frame]:
        start_s = self._clock.now_s()
        for frame in self._source:
            if not self.live:
                due_s = start_s + float(frame.pts)
                if self._clock.wait(self._closed, max(0.0, due_s - self._clock.now_s())):
                    return
                taken_s = self._clock.now_s()
                if taken_s - due_s > CATCH_UP_S:
                    start_s = taken_s - float(frame.pts)
                frame = replace(frame, taken_s=taken_s)
            self._show(frame)
            yield frame

    def close(self) -> None:
        self._closed.set()
        self._source.close()


class BrowserCamera:
    """Source: pictures that a page sends, each with its capture time by the page's own clock.

    Frames are placed by that time, so it does not matter how late or how evenly pictures arrive. For latencies it is
    converted to the clock of this machine by the fastest of the last pictures.
    """

    name, live, corrupt_packets = "webcam of the browser", True, 0

    def __init__(self) -> None:
        self._pictures: Queue[tuple[bytes, float, float]] = Queue(WAITING_PICTURES)
        self._closed = Event()
        self._times: LiveTimes[Image] = LiveTimes(None)
        self._transits_s: deque[float] = deque(maxlen=250)
        self._first_ms: Fraction | None = None
        self.late = 0
        """Pictures that arrived while too many waited, or that are older than an earlier one."""

    def put(self, jpeg: bytes, taken_ms: float) -> None:
        """Add a picture with its capture time by the page's clock, in milliseconds since 1970. Raises UsageError for an
        invalid time."""
        if not 0 <= taken_ms < LATEST_MS:
            raise UsageError(f"a picture taken at {taken_ms} ms; give milliseconds since 1970")
        try:
            self._pictures.put_nowait((jpeg, taken_ms, time.monotonic()))
        except Full:
            self.late += 1

    def __iter__(self) -> Iterator[Frame]:
        last_ms = -1.0
        while not self._closed.is_set():
            try:
                jpeg, taken_ms, arrived_s = self._pictures.get(timeout=0.2)
            except Empty:
                continue
            if taken_ms <= last_ms and last_ms - taken_ms < 1000:
                self.late += taken_ms < last_ms
                continue
            last_ms = taken_ms
            self._transits_s.append(arrived_s - taken_ms / 1000)
            stamp = Fraction(round(taken_ms * 1000), 1_000_000)
            (placed,) = self._times.push(Stamped(stamp, None, None, decode_picture(jpeg)))
            if self._first_ms is None:
                self._first_ms = stamp * 1000
            taken_s = taken_ms / 1000 + min(self._transits_s)
            yield Frame(placed.item, placed.pts, placed.duration, placed.after_gap, taken_s)

    def taken_ms(self, media_s: float) -> float | None:
        """Capture time, by the page's clock, of the frame at `media_s`."""
        return None if self._first_ms is None else float(self._first_ms) + 1000 * media_s

    def close(self) -> None:
        self._closed.set()


def decode_picture(jpeg: bytes) -> Image:
    """JPEG -> uint8 (H, W, 3). Raises UsageError if it is not a JPEG, or too large."""
    from PIL import Image as Pillow
    from PIL import UnidentifiedImageError

    too_large = f"a picture that is too large; send at most {LARGEST_SIDE_PX} px a side"
    try:
        with Pillow.open(io.BytesIO(jpeg), formats=["JPEG"]) as picture:
            if max(picture.size) > LARGEST_SIDE_PX:
                raise UsageError(too_large)
            return np.asarray(picture.convert("RGB"), dtype=np.uint8)
    except Pillow.DecompressionBombError as error:
        raise UsageError(too_large) from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise UsageError("a picture that is no JPEG; send what the browser's camera gives") from error
