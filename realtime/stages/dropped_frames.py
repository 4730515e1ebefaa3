"""Where frames were dropped, so that each prediction can tell whether it saw such a place."""

import math
from collections import deque
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Dropped:
    """Frames that were dropped between two that came without a gap between them, so predictions may span the place."""

    first: int
    stop: int
    """The ticks [first, stop) show the frame before them in place of what was dropped. Empty if no tick is between."""
    count: int
    """Frames."""


def dropped_between(before: Fraction, after: Fraction, count: int, fps: Fraction) -> Dropped:
    """`count` frames between one at `before` and one at `after`, in seconds."""
    return Dropped(math.floor(before * fps) + 1, math.ceil(after * fps), count)


class DroppedFrames:
    """Told of them in order; says how many were dropped within a span of ticks."""

    def __init__(self) -> None:
        self._places: deque[Dropped] = deque()

    def clear(self) -> None:
        """Forget all."""
        self._places.clear()

    def push(self, dropped: Dropped) -> None:
        """The next place."""
        self._places.append(dropped)

    def forget_before(self, tick: int) -> None:
        """Nothing before this tick will be asked for."""
        while self._places and self._places[0].stop <= tick:
            self._places.popleft()

    def count(self, start: int, stop: int) -> int:
        """Frames dropped where the ticks [start, stop) see both sides, or the frame before the place in its stead."""
        return sum(place.count for place in self._places if start < place.stop and place.first < stop)
