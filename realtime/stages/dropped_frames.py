"""Where frames were dropped, so that each answer can tell whether it saw such a place."""

import math
from collections import deque
from fractions import Fraction

from realtime.types import Frame


class Holes:
    """Frames go in, in order of pts; how many were dropped within a span of ticks comes out."""

    def __init__(self, fps: Fraction) -> None:
        self._fps = fps
        self.clear()

    def clear(self) -> None:
        """Forget all; the next frame is the first."""
        self._last_pts = Fraction(0)
        self._holes: deque[tuple[int, int, int]] = deque()

    def push(self, frame: Frame, *, joined: bool) -> None:
        """The next frame. `joined`: no gap lies between it and the one before, so that answers may span what was dropped."""
        if frame.dropped_before and joined:
            first, stop = math.floor(self._last_pts * self._fps) + 1, math.ceil(frame.pts * self._fps)
            self._holes.append((first, stop, frame.dropped_before))
        self._last_pts = frame.pts

    def forget_before(self, tick: int) -> None:
        """Nobody will ask for what lies before."""
        while self._holes and self._holes[0][1] <= tick:
            self._holes.popleft()

    def count(self, start: int, stop: int) -> int:
        """Frames dropped where the ticks [start, stop) see both sides, or the frame before the hole in place of others."""
        return sum(count for first, after, count in self._holes if start < after and first < stop)
