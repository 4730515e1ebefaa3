"""From frames at any rate to ticks at the model's rate, by time stamp."""

import math
from fractions import Fraction

from realtime.stages.dropped_frames import Dropped, dropped_between
from realtime.types import Frame, Gap, Tick

Resampled = Tick | Gap | Dropped

MAX_GAP = Fraction(1)
"""Seconds between two frames beyond which the time between them counts as missing."""


class Resample:
    """Stage: tick k shows the last frame with pts <= k / fps.

        fps = 25, frames at 30 a second
        frame   0    1    2    3    4    5    6    7
        tick    0     1     2     3     4     5     6      tick 5 (0.2 s) shows frame 6 (0.2 s); frame 5 is never shown

    A tick is emitted once a frame after it has arrived, so no later frame can change it. Where frames are more than
    `max_gap` seconds apart, or the source says that it lost some, a `Gap` takes the place of the ticks between them,
    and numbering follows time. Where frames were dropped without a gap, `Dropped` precedes the ticks that would have
    shown them. All arithmetic is exact and relative to zero: no error accumulates over days.
    """

    def __init__(self, fps: Fraction, *, max_gap: Fraction = MAX_GAP) -> None:
        self._fps, self._max_gap = fps, max_gap
        self.unseen_frames = 0
        """Frames that no tick showed, because the source is faster than the model's rate."""
        self.reset()

    def reset(self) -> None:
        """Back to the initial state; the count of unseen frames continues."""
        self._frame: Frame | None = None
        self._spacing: Fraction | None = None
        self._next_tick = 0
        self._frame_seen = False

    def push(self, frame: Frame) -> list[Resampled]:
        """The next frame in order of pts -> the ticks that are now certain, and what is missing between them."""
        last = self._frame
        if last is None:
            self._show(frame)
            return self._dropped(Fraction(0), frame)
        spacing = frame.pts - last.pts
        if spacing > self._max_gap or frame.after_gap:
            stop = min(self._section_end(), frame.pts)
            out = [*self._end_section(stop), Gap(stop, frame.pts, _cause(frame))]
            self._show(frame)
            return out
        out = [*self._dropped(last.pts, frame), *self._ticks_before(frame.pts)]
        self._count_unseen()
        self._frame, self._frame_seen = frame, False
        self._spacing = spacing or self._spacing
        return out

    def flush(self) -> list[Resampled]:
        """The ticks of the last frame, over its duration."""
        ticks = [] if self._frame is None else self._end_section(self._section_end())
        self.reset()
        return ticks

    def _dropped(self, before: Fraction, frame: Frame) -> list[Resampled]:
        """Frames dropped between `before` and `frame`."""
        count = frame.dropped_before
        return [dropped_between(before, frame.pts, count, self._fps)] if count else []

    def _show(self, frame: Frame) -> None:
        self._frame, self._frame_seen, self._spacing = frame, False, None
        self._next_tick = math.ceil(frame.pts * self._fps)

    def _end_section(self, stop: Fraction) -> list[Resampled]:
        ticks = self._ticks_before(stop)
        self._count_unseen()
        return ticks

    def _section_end(self) -> Fraction:
        """Containers write the length of a gap as the duration of the frame before it, hence the limit."""
        assert self._frame is not None
        usual = self._spacing or 1 / self._fps
        duration = self._frame.duration
        return self._frame.pts + (duration if duration <= max(2 * usual, 1 / self._fps) else usual)

    def _ticks_before(self, stop: Fraction) -> list[Resampled]:
        """Ticks of the current frame with k / fps < stop."""
        assert self._frame is not None
        ticks: list[Resampled] = []
        for k in range(self._next_tick, math.ceil(stop * self._fps)):
            ticks.append(Tick(k, self._frame, repeated=self._frame_seen))
            self._frame_seen = True
            self._next_tick = k + 1
        return ticks

    def _count_unseen(self) -> None:
        self.unseen_frames += not self._frame_seen


def _cause(frame: Frame) -> str:
    """The cause of a gap that ends with `frame`."""
    if frame.stamps_jump:
        return "time stamps jump"
    if frame.after_gap:
        return "frames lost"
    return "frames dropped" if frame.dropped_before else "no frames"
