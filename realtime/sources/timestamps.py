"""The media time of each frame of a source. Independent of FFmpeg and of the wall clock.

A stamp is the time that the container states for a frame, in seconds; it may be missing or wrong. A place is the time
that this program uses: seconds from the first frame, in the decoder's order, never decreasing. Both classes here are
stages: `push` one frame, get back those that can be placed.
"""

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")

LOOK_AHEAD_FRAMES = 12
"""Frames of a file to examine before the first is placed: any disorder from B-frames shows within these."""
JITTER_S = Fraction(1, 10)
"""A live stamp may be this much earlier than the one before without meaning a change of the camera's clock."""
JUMP_S = Fraction(5)
"""A live stamp further ahead than this means a change of the camera's clock, not a pause."""
FALLBACK_STEP_S = Fraction(1, 25)
"""Step between frames if neither a rate nor two stamps determine it."""


class Stamped(NamedTuple, Generic[T]):
    """A frame as it arrived; times in seconds."""

    stamp: Fraction | None
    """Presentation time."""
    decoded: Fraction | None
    """Decoding time of the packet that completed it."""
    duration: Fraction | None
    """None or 0 if not stated."""
    item: T


class Placed(NamedTuple, Generic[T]):
    """A frame and its place; see `realtime.types.Frame` for the fields."""

    item: T
    pts: Fraction
    duration: Fraction
    after_gap: bool = False


class _Ruler:
    """The last place, and those that follow it at a constant step. Multiplies rather than adds, so that errors do not
    accumulate.

    Before the first place `last` is one step before zero.
    """

    def __init__(self, step: Fraction) -> None:
        self.step = step
        self._base = Fraction(0)
        self._steps = -1

    @property
    def started(self) -> bool:
        return self._steps >= 0

    @property
    def last(self) -> Fraction:
        return self._base + self._steps * self.step

    def advance(self) -> Fraction:
        self._steps += 1
        return self.last

    def put(self, pts: Fraction) -> Fraction:
        self._base, self._steps = pts, 0
        return pts


class FileTimes(Generic[T]):
    """Places the frames of a file.

    Increasing stamps are used as they are. Frames without a stamp, or with the stamp of the frame before, are spaced
    evenly between their neighbours. If stamps run backwards, the decoder's order is right and the stamps are wrong
    (AVI stores them in decoding order): from there on, or from the start if it shows within `LOOK_AHEAD_FRAMES`,
    frames follow one another at the average rate.
    """

    def __init__(self, rate: Fraction | None) -> None:
        self._rate = rate
        self._head: list[Stamped[T]] | None = []
        self._ruler = _Ruler(FALLBACK_STEP_S)
        self._trusted = True
        self._origin: Fraction | None = None
        self._stamp: Fraction | None = None
        self._held: list[Stamped[T]] = []

    def push(self, frame: Stamped[T]) -> list[Placed[T]]:
        if self._head is None:
            return self._place(frame)
        self._head.append(frame)
        return self._start(self._head) if len(self._head) == LOOK_AHEAD_FRAMES else []

    def flush(self) -> list[Placed[T]]:
        placed = self._start(self._head) if self._head is not None else []
        return placed + self._follow()

    def _start(self, head: Sequence[Stamped[T]]) -> list[Placed[T]]:
        self._head = None
        stamps = [frame.stamp for frame in head if frame.stamp is not None]
        self._trusted = all(a <= b for a, b in pairwise(stamps))
        self._ruler = _Ruler(1 / self._rate if self._rate else _usual_step(stamps))
        return [placed for frame in head for placed in self._place(frame)]

    def _place(self, frame: Stamped[T]) -> list[Placed[T]]:
        stamp = frame.stamp if self._trusted and frame.stamp != self._stamp else None
        if stamp is None:
            self._held.append(frame)
            waits = self._trusted and self._origin is not None and len(self._held) < LOOK_AHEAD_FRAMES
            return [] if waits else self._follow()
        if self._origin is None:
            self._origin = stamp - (self._ruler.last + self._ruler.step)
        pts = stamp - self._origin
        if self._ruler.started and pts <= self._ruler.last:
            self._trusted = False
            self._held.append(frame)
            return self._follow()
        self._stamp = stamp
        placed = self._spread(pts)
        placed.append(self._placed(frame, self._ruler.put(pts)))
        return placed

    def _spread(self, end: Fraction) -> list[Placed[T]]:
        """The frames without a stamp, evenly between the last place and `end`."""
        held, self._held = self._held, []
        start = self._ruler.last
        gap = (end - start) / (len(held) + 1)
        return [self._placed(frame, start + (i + 1) * gap) for i, frame in enumerate(held)]

    def _follow(self) -> list[Placed[T]]:
        """The frames without a stamp, each one step after the last place."""
        held, self._held = self._held, []
        return [self._placed(frame, self._ruler.advance()) for frame in held]

    def _placed(self, frame: Stamped[T], pts: Fraction) -> Placed[T]:
        return Placed(frame.item, pts, frame.duration or self._ruler.step)


class LiveTimes(Generic[T]):
    """Places the frames of a live source, each immediately.

    Stamps jump when a camera sets its clock or a stream was cut and joined: places then continue one step after the
    last, with `after_gap`. A frame without a stamp is put one step after the last. If presentation times run backwards
    more often than decoding times, decoding times are used: some servers stamp B-frames in the order in which they
    send them.
    """

    def __init__(self, rate: Fraction | None) -> None:
        self._rate = rate
        self._ruler = _Ruler(1 / rate if rate else FALLBACK_STEP_S)
        self._origin: Fraction | None = None
        self._latest: list[Fraction | None] = [None, None]
        self._faults = [0, 0]
        self._by_decoding = False

    def push(self, frame: Stamped[T]) -> list[Placed[T]]:
        stamp = self._better_stamp(frame)
        first, last = not self._ruler.started, self._ruler.last
        place = self._ruler.advance()
        jumped = False
        if stamp is not None:
            if self._origin is None:
                self._origin = stamp - place
            ahead = stamp - self._origin - last
            jumped = not (first or -JITTER_S <= ahead <= JUMP_S)
            if jumped:
                self._origin = stamp - place
            place = self._ruler.put(max(last, stamp - self._origin))
            if self._rate is None and 0 < ahead <= 1:
                self._ruler.step = ahead
        return [Placed(frame.item, place, frame.duration or self._ruler.step, jumped)]

    def flush(self) -> list[Placed[T]]:
        return []

    def _better_stamp(self, frame: Stamped[T]) -> Fraction | None:
        """Follows FFmpeg's guess_correct_pts; counts over the whole stream, so that a single slip changes nothing."""
        stamps = frame.stamp, frame.decoded
        for i, (stamp, latest) in enumerate(zip(stamps, self._latest, strict=True)):
            if stamp is not None:
                self._faults[i] += latest is not None and stamp <= latest
                self._latest[i] = stamp
        by_decoding = self._latest[1] is not None and self._faults[0] > self._faults[1]
        if by_decoding != self._by_decoding:
            self._by_decoding, self._origin = by_decoding, None
        return frame.decoded if by_decoding else frame.stamp


def plausible_rate(rate: Fraction | None) -> Fraction | None:
    """`rate` in frames per second if it is plausible, else None: a container may state a time base instead, or
    nothing."""
    return Fraction(rate) if rate and 0 < rate <= 1000 else None


def _usual_step(stamps: Sequence[Fraction]) -> Fraction:
    """Mean distance of increasing stamps, for sources that state no rate."""
    if len(stamps) < 2 or stamps[-1] <= stamps[0]:
        return FALLBACK_STEP_S
    return (stamps[-1] - stamps[0]) / (len(stamps) - 1)
