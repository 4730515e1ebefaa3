"""What a recogniser leaves out, step by step, when it falls behind, and later resumes. No threads, no clock.

Dropping frames does not help an engine that costs more than the ticks it serves: each prediction costs as much
as before. So it gives fewer predictions first, in an order that keeps every prediction true to its description.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

LATE_S = 0.75
"""A frame that waited longer than this makes the recogniser step down: before it has waited for a second, when frames
are dropped (`realtime.reader_threads.LIVE_WAIT_S`)."""
SETTLE_S = 1.0
"""Seconds for a step down to take effect before the next one."""
CALM_S = 10.0
"""Seconds without a late frame before it tries a step up."""
LONGEST_CALM_S = 300.0
"""A failed try doubles the time to the next one, up to this."""
FEWER_PREVIEWS = 2
STRIDE_FACTORS = (2, 4, 8)
LONGEST_STRIDE_FACTOR = STRIDE_FACTORS[-1]


@dataclass(frozen=True)
class Level:
    """How much work the recogniser may do."""

    name: str
    preview_every: int = 1
    """In `preview` mode every n-th step has a preview; 0: none has."""
    flow: bool = True
    """If False, predictions come from RGB alone and no flow is computed."""
    stride_factor: int = 1
    """In `window` mode the stride is multiplied by this."""
    pieces: bool = False
    """In the other modes the stream is cut into pieces of a window's length, each a separate clip: frames dropped
    between pieces are not replaced by repeated ones in any prediction."""


def levels_of(mode: str, streams: Sequence[str]) -> tuple[Level, ...]:
    """From everything that was asked for down to the least that still gives predictions."""
    levels = [Level("all")]
    if mode == "preview":
        levels += [Level("fewer previews", FEWER_PREVIEWS), Level("no previews", 0)]
    if set(streams) == {"rgb", "flow"}:
        levels.append(replace(levels[-1], name="rgb alone", flow=False))
    if mode == "window":
        levels += [
            replace(levels[-1], name=f"stride x {factor}", stride_factor=factor) for factor in STRIDE_FACTORS
        ]
    else:
        levels.append(replace(levels[-1], name="pieces", pieces=True))
    return tuple(levels)


class Ladder:
    """Chooses the level to work at from how long frames waited.

    It steps down immediately, and up after some time without a late frame; from the bottom, where frames may always be
    late, it tries a step up after that time in any case.
    """

    def __init__(self, levels: Sequence[Level]) -> None:
        """`levels`: see `levels_of`."""
        self._levels = tuple(levels)
        self.place = 0
        """Steps down from the top."""
        self._changed_s = self._late_s = -math.inf
        self._patience_s = CALM_S
        self._tried_s: float | None = None

    @property
    def level(self) -> Level:
        return self._levels[self.place]

    def update(self, lag_s: float, now_s: float) -> Level | None:
        """The new level, or None if it stays. `lag_s`: how long the next frame waited. `now_s`: of a monotonic
        clock."""
        if self._tried_s is not None and now_s - self._tried_s >= self._patience_s:
            self._tried_s, self._patience_s = None, CALM_S
        if lag_s > LATE_S and self.place + 1 < len(self._levels):
            self._late_s = now_s
            if now_s - self._changed_s < SETTLE_S:
                return None
            if self._tried_s is not None:
                self._tried_s, self._patience_s = None, min(2 * self._patience_s, LONGEST_CALM_S)
            return self._move(1, now_s)
        if self.place > 0 and now_s - max(self._late_s, self._changed_s) >= self._patience_s:
            self._tried_s = now_s
            return self._move(-1, now_s)
        return None

    def _move(self, steps: int, now_s: float) -> Level:
        self.place += steps
        self._changed_s = now_s
        return self.level
