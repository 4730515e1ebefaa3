"""An open source: frames in order, from a feed that decodes them."""

import time
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from threading import Event, Lock
from typing import Any, NamedTuple, Protocol, Self

from realtime.errors import SourceError
from realtime.pixels import Orientation, Pixels
from realtime.sources.address import Address
from realtime.sources.packets import Kept
from realtime.sources.timestamps import (
    LONGEST_PAUSE_JOINED_S,
    LONGEST_PAUSE_S,
    FileTimes,
    LiveTimes,
    Placed,
    RatedTimes,
    Stamped,
)
from realtime.types import Frame, Picture


class Decoded(NamedTuple):
    """A decoded picture."""

    picture: Any
    kept: Kept | None = None
    """Where its packet is."""


class Feed(Protocol):
    """Decoded pictures of one source with their stamps, in the decoder's order."""

    address: Address
    live: bool
    stamped: bool
    """False where stamps are missing, or made up by FFmpeg."""
    joined: bool
    """True where files are commonly made of pieces whose stamps have nothing to do with one another."""
    average_fps: Fraction | None
    duration_s: float | None
    corrupt_packets: int
    decoding: str
    """Where, in a line, if it was to be elsewhere than on the CPU; else empty."""
    stopping: Event
    """Set by `Video.close`, in any thread; `frames` ends soon after."""

    def frames(self) -> Iterator[Stamped[Decoded]]:
        """All frames; may be iterated once."""

    def shut(self) -> None:
        """Close files and sockets; calling it again does nothing."""


class Converter(Protocol):
    """From a feed's pictures to upright RGB."""

    def size_px(self, picture: Any) -> tuple[int, int]:
        """(width, height) of what a call returns."""

    def __call__(self, picture: Any) -> Pixels:
        """What RGB is made of when it is asked for."""

    def turn(self, picture: Any) -> Orientation:
        """What puts it upright."""

    def pixel_aspect(self, picture: Any) -> Fraction:
        """By how much its width is scaled."""


class Video:
    """Frames of one source, once and in order; made by `realtime.sources.open.open_video`.

    Iteration ends at the end of a file, and after `close()`; a live source never ends, it is lost (`SourceLost`).
    A file that is cut off ends with its last readable frame.
    """

    def __init__(self, feed: Feed, to_rgb: Converter) -> None:
        self.name: str = feed.address.name
        """Safe to print: without credentials."""
        self.live: bool = feed.live
        """True for a camera, RTSP, and HTTP without a known end: frames that are not read in time are lost."""
        self.average_fps: Fraction | None = feed.average_fps
        """As stated or probed; it may be wrong."""
        self.duration_s: float | None = feed.duration_s
        """As stated; None if no end is known."""
        self.decoding: str = feed.decoding
        """Where it is decoded, in a line, if that was to be elsewhere than on the CPU; else empty."""
        self._feed, self._to_rgb = feed, to_rgb
        self._lock = Lock()
        self._placed = _place(feed)
        first = self._next()
        if first is None:
            self.close()
            raise SourceError(f"{self.name}: no readable picture in it; check that it plays elsewhere")
        self._placed = chain([first], self._placed)
        self.size_px: tuple[int, int] = to_rgb.size_px(first.item.picture)
        """(width, height) of the first frame; later ones may differ."""
        width, height = self.size_px
        self.picture = Picture(
            (height, width), to_rgb.turn(first.item.picture), to_rgb.pixel_aspect(first.item.picture)
        )
        """Of the first frame."""

    @property
    def corrupt_packets(self) -> int:
        """Damaged packets and images so far; their pictures are left out."""
        return self._feed.corrupt_packets

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Frame:
        placed = self._next()
        if placed is None:
            raise StopIteration
        taken_s = time.monotonic()
        picture, kept = placed.item
        if kept is not None:
            kept.packets.place(kept.number, placed.pts)
        return Frame(
            self._to_rgb(picture),
            placed.pts,
            placed.duration,
            placed.after_gap,
            taken_s,
            stamps_jump=placed.stamps_jump,
            turn=self._to_rgb.turn(picture),
            pixel_aspect=self._to_rgb.pixel_aspect(picture),
            packet=kept,
        )

    def times(self) -> Iterator[tuple[Fraction, Fraction]]:
        """(pts, duration) in seconds of the remaining frames, decoded but not converted."""
        while (placed := self._next()) is not None:
            yield placed.pts, placed.duration

    def close(self) -> None:
        """Release the source. A thread that iterates over it reaches the end.

        If that thread is waiting for the network, it notices when data arrives, or at the latest when the source
        counts as lost (`realtime.sources.address.STALL_LIMIT_S`). This call itself never waits.
        """
        self._feed.stopping.set()
        if self._lock.acquire(blocking=False):
            try:
                self._feed.shut()
            finally:
                self._lock.release()

    def _next(self) -> Placed[Decoded] | None:
        """The lock is held while FFmpeg works: reader or `close`, the one that finishes last shuts the feed."""
        try:
            with self._lock:
                return None if self._feed.stopping.is_set() else next(self._placed, None)
        except BaseException:
            self._feed.stopping.set()
            raise
        finally:
            if self._feed.stopping.is_set():
                self.close()


def _place(feed: Feed) -> Iterator[Placed[Decoded]]:
    times = _times(feed)
    for frame in feed.frames():
        yield from times.push(frame)
    yield from times.flush()


def _times(feed: Feed) -> LiveTimes[Decoded] | FileTimes[Decoded] | RatedTimes[Decoded]:
    if feed.live:
        return LiveTimes(feed.average_fps, by_arrival=not feed.stamped)
    if not feed.stamped and feed.average_fps:
        return RatedTimes(feed.average_fps)
    return FileTimes(feed.average_fps, LONGEST_PAUSE_JOINED_S if feed.joined else LONGEST_PAUSE_S)
