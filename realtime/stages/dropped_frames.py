"""Where frames were dropped, so that each prediction can count those it should have seen."""

import math
from collections import deque
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Dropped:
    """Frames dropped between two others without a gap, so that predictions may span the place."""

    first: int
    stop: int
    """The ticks [first, stop) repeat the frame before them in place of the dropped ones. Empty if no tick lies
    between."""
    count: int
    """Number of frames."""


def dropped_between(before: Fraction, after: Fraction, count: int, fps: Fraction) -> Dropped:
    """`count` frames between one at `before` and one at `after`, in seconds."""
    return Dropped(math.floor(before * fps) + 1, math.ceil(after * fps), count)


class DroppedFrames:
    """Takes them in order, and counts those within a span of ticks."""

    def __init__(self) -> None:
        self._places: deque[Dropped] = deque()

    def clear(self) -> None:
        """Forget all places."""
        self._places.clear()

    def push(self, dropped: Dropped) -> None:
        """The next place."""
        self._places.append(dropped)

    def forget_before(self, tick: int) -> None:
        """Forget what lies before this tick."""
        while self._places and self._places[0].stop <= tick:
            self._places.popleft()

    def count(self, start: int, stop: int) -> int:
        """Dropped frames where the ticks [start, stop) cover both sides of the place, or the repeated frame in it."""
        return sum(place.count for place in self._places if start < place.stop and place.first < stop)
