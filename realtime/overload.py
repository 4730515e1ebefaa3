"""What a recogniser leaves out when it is late, step by step, and takes up again. No threads, no clock.

Dropping frames does not help an engine that costs more than the ticks it serves: each prediction costs as much
as before. So it gives fewer predictions first, in an order that leaves every prediction right for what it claims.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

LATE_S = 0.75
"""A frame that waited longer than this makes the recogniser step down: before it has waited for a second, when frames
are dropped (`realtime.reader_threads.LIVE_WAIT_S`)."""
SETTLE_S = 1.0
"""Seconds that a step has to show its effect before the next one down."""
CALM_S = 10.0
"""Seconds without a late frame after which it tries a step up."""
LONGEST_CALM_S = 300.0
"""A try that fails doubles the time to the next one, up to this."""
FEWER_PREVIEWS = 2
STRIDE_FACTORS = (2, 4, 8)
LONGEST_STRIDE_FACTOR = STRIDE_FACTORS[-1]


@dataclass(frozen=True)
class Level:
    """What the recogniser may do."""

    name: str
    preview_every: int = 1
    """In `preview` mode every so-many-th step has a preview; 0: none has."""
    flow: bool = True
    """Without, the predictions come from RGB alone and no flow is computed."""
    stride_factor: int = 1
    """In `window` mode windows are so many times as far apart."""
    pieces: bool = False
    """In the other modes the stream is cut into pieces of a window's length, each a clip by itself: frames can be
    dropped between pieces without anything else being seen in their place."""


def levels_of(mode: str, streams: Sequence[str]) -> tuple[Level, ...]:
    """From all that was asked for down to the least that still gives predictions."""
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
    """How long frames waited goes in, the level to work at comes out.

    Down immediately, up after a while without a late frame; from the bottom, where frames may always be late, after a
    while in any case.
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
        """The next frame waited for `lag_s`, and it is `now_s`, on a clock that never runs back -> the level, if it is
        new."""
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
