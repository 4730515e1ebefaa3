"""The media time of each frame of a source. Independent of FFmpeg and of the wall clock.

A stamp is the time that the container gives a frame, in seconds; it may be missing or wrong. A place is the time that
this program uses: seconds from the first frame, in the decoder's order, never decreasing. The classes here are stages:
`push` one frame, get those that could be placed.
"""

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any, Generic, NamedTuple, TypeVar

T = TypeVar("T")

LOOK_AHEAD_FRAMES = 12
"""Frames of a file to examine before the first is placed: any disorder from B-frames shows within these."""
JITTER_S = Fraction(1, 10)
"""A live stamp may be this much earlier than the one before without meaning a change of the camera's clock."""
JUMP_S = Fraction(5)
"""A live stamp further ahead than this means a change of the camera's clock, not a pause."""
LONGEST_PAUSE_S = Fraction(30 * 3600)
"""A stamp of a file further ahead than this is not a pause: the stamps restart there."""
LONGEST_PAUSE_JOINED_S = Fraction(10)
"""The same for formats whose pieces are often joined unchanged (MPEG-TS, HLS). Both limits are those of `ffmpeg`."""
LONGEST_LOSS_S = Fraction(600)
"""The same if the file is damaged between the two frames: the lost part took time, too."""
LOSS_FRAMES = 60
"""Frames within which a loss shows: demuxer and decoder still give some that came before it."""
RESTART_S = Fraction(1)
RESTART_STEPS = 16
"""Stamps that run back by more than both of these have restarted; by less, they are shuffled, like B-frames in AVI."""
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
    arrived: Fraction | None = None
    """When its packet arrived, in seconds on the reader's clock; None for files."""
    after_loss: bool = False
    """Data near this frame could not be read."""


class Placed(NamedTuple, Generic[T]):
    """A frame and its place; see `realtime.types.Frame` for the fields."""

    item: T
    pts: Fraction
    duration: Fraction
    after_gap: bool = False
    stamps_jump: bool = False


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


class _Losses:
    """Finds the first frame after a loss: the next one more than two steps after its predecessor."""

    def __init__(self) -> None:
        self._left = 0

    def near(self, frame: Stamped[Any]) -> bool:
        """Whether frames may be missing before this one. To be asked once for each."""
        self._left = LOSS_FRAMES if frame.after_loss else max(0, self._left - 1)
        return self._left > 0

    def over(self, ahead: Fraction, step: Fraction) -> bool:
        """Whether a frame `ahead` of the last one ends the loss."""
        found = self._left > 0 and ahead > 2 * step
        self._left = 0 if found else self._left
        return found


class FileTimes(Generic[T]):
    """Places the frames of a file.

    Increasing stamps are kept. A frame without a stamp, or with that of the frame before it, is put midway between
    its neighbours. Where stamps run backwards the decoder's order is right and the stamps are not (AVI
    stores them in the order of decoding): from there on, or from the start if it shows within
    `LOOK_AHEAD_FRAMES`, frames follow one another at the average rate. Where stamps restart, because recordings were
    joined, the second continues a step after the first, with `stamps_jump`.
    """

    def __init__(self, rate: Fraction | None, longest_pause_s: Fraction = LONGEST_PAUSE_S) -> None:
        self._rate, self._longest_pause_s = rate, longest_pause_s
        self._head: list[Stamped[T]] | None = []
        self._ruler = _Ruler(FALLBACK_STEP_S)
        self._trusted = True
        self._origin: Fraction | None = None
        self._stamp: Fraction | None = None
        self._held: list[Stamped[T]] = []
        self._losses = _Losses()

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
        self._ruler = _Ruler(1 / self._rate if self._rate else _usual_step(stamps))
        self._trusted = all(a <= b or self._restarts(b - a) for a, b in pairwise(stamps))
        return [placed for frame in head for placed in self._place(frame)]

    def _place(self, frame: Stamped[T]) -> list[Placed[T]]:
        limit_s = LONGEST_LOSS_S if self._losses.near(frame) else self._longest_pause_s
        stamp = frame.stamp if self._trusted and frame.stamp != self._stamp else None
        if stamp is None:
            self._held.append(frame)
            waits = self._trusted and self._origin is not None and len(self._held) < LOOK_AHEAD_FRAMES
            return [] if waits else self._follow()
        if self._origin is None:
            self._origin = stamp - (self._ruler.last + self._ruler.step)
        pts = stamp - self._origin
        ahead = pts - self._ruler.last
        if self._ruler.started and (ahead > limit_s or self._restarts(ahead)):
            return self._join(frame, stamp)
        if self._ruler.started and ahead <= 0:
            self._trusted = False
            self._held.append(frame)
            return self._follow()
        self._stamp = stamp
        placed = self._spread(pts)
        after_gap = self._losses.over(ahead, self._ruler.step)
        placed.append(self._placed(frame, self._ruler.put(pts))._replace(after_gap=after_gap))
        return placed

    def _restarts(self, ahead: Fraction) -> bool:
        return ahead < -max(RESTART_S, RESTART_STEPS * self._ruler.step)

    def _join(self, frame: Stamped[T], stamp: Fraction) -> list[Placed[T]]:
        """A frame whose stamp has nothing to do with those before it."""
        placed = self._follow()
        pts = self._ruler.advance()
        self._origin, self._stamp = stamp - pts, stamp
        joint = self._placed(frame, self._ruler.put(pts))
        return [*placed, joint._replace(after_gap=True, stamps_jump=True)]

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


class RatedTimes(Generic[T]):
    """Places for the frames of a file without stamps: one after another, each for its own duration.

    Joined raw streams may have different rates, which show in the durations of their frames.
    """

    def __init__(self, rate: Fraction) -> None:
        self._step, self._next = 1 / rate, Fraction(0)

    def push(self, frame: Stamped[T]) -> list[Placed[T]]:
        pts, duration = self._next, frame.duration or self._step
        self._next += duration
        return [Placed(frame.item, pts, duration, frame.after_loss)]

    def flush(self) -> list[Placed[T]]:
        return []


class LiveTimes(Generic[T]):
    """Places each frame of a live source immediately.

    A camera that sets its clock, or a stream that was cut and joined, makes stamps jump: places continue a step after
    the last one, with `stamps_jump`, unless nothing arrived for most of that time: then it was a pause. A frame
    without a stamp is put a step after the last one. If stamps run backwards more often than decoding
    times do, the latter are used: some servers stamp B-frames in the order in which they send them.
    """

    def __init__(self, rate: Fraction | None, *, by_arrival: bool = False) -> None:
        """`by_arrival`: the source has no stamps (MJPEG over HTTP, raw H.264); times of arrival stand in for them."""
        self._rate = None if by_arrival else rate
        self._by_arrival = by_arrival
        self._arrived: Fraction | None = None
        self._losses = _Losses()
        self._ruler = _Ruler(1 / self._rate if self._rate else FALLBACK_STEP_S)
        self._origin: Fraction | None = None
        self._latest: list[Fraction | None] = [None, None]
        self._faults = [0, 0]
        self._by_decoding = False

    def push(self, frame: Stamped[T]) -> list[Placed[T]]:
        stamp = frame.arrived if self._by_arrival else self._better_stamp(frame)
        silent_s = (frame.arrived or 0) - (self._arrived or 0) if self._arrived is not None else 0
        self._arrived = frame.arrived
        first, last = not self._ruler.started, self._ruler.last
        place = self._ruler.advance()
        jumped = after_gap = False
        self._losses.near(frame)
        if stamp is not None:
            if self._origin is None:
                self._origin = stamp - place
            ahead = stamp - self._origin - last
            jumped = not (first or -JITTER_S <= ahead <= max(JUMP_S, 2 * silent_s))
            after_gap = jumped or (not first and self._losses.over(ahead, self._ruler.step))
            if jumped:
                self._origin = stamp - place
            place = self._ruler.put(max(last, stamp - self._origin))
            if self._rate is None and 0 < ahead <= 1:
                self._ruler.step = ahead
        duration = None if self._by_arrival else frame.duration
        return [Placed(frame.item, place, duration or self._ruler.step, after_gap, jumped)]

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
    """Mean distance between increasing stamps, for sources that state no rate."""
    if len(stamps) < 2 or stamps[-1] <= stamps[0]:
        return FALLBACK_STEP_S
    return (stamps[-1] - stamps[0]) / (len(stamps) - 1)
