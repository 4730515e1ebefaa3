"""What a recogniser leaves out, step by step, when it falls behind, and later resumes. No threads, no clock.

Dropping frames does not help an engine that costs more than the ticks it serves: each prediction costs as much
as before. So it gives fewer predictions first, in an order that keeps every prediction true to its description.
"""

import math
from collections.abc import Callable, Sequence
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
PAUSE_S = 10.0
"""How long one of several recognisers is left out where nothing else helps: far longer than the start after it, which
costs twice the usual work for 2.6 s."""
PAUSE_SETTLES_S = 3.0
"""Seconds for a pause to take effect: what waits has to be worked off first."""
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
    pauses: bool = False
    """Whenever it is late it is left out for `PAUSE_S`."""


def levels_of(mode: str, streams: Sequence[str], *, shared: bool = False) -> tuple[Level, ...]:
    """From everything that was asked for down to the least that still gives predictions. `shared`: by several
    recognisers on the same cores. A piece is twice the work of the same ticks in a stream, and leaves the others
    without a core for a second: so they take turns to pause instead."""
    levels = [Level("all")]
    if mode == "preview":
        levels += [Level("fewer previews", FEWER_PREVIEWS), Level("no previews", 0)]
    if set(streams) == {"rgb", "flow"}:
        levels.append(replace(levels[-1], name="rgb alone", flow=False))
    if mode == "window":
        levels += [
            replace(levels[-1], name=f"stride x {factor}", stride_factor=factor) for factor in STRIDE_FACTORS
        ]
    elif not shared:
        levels.append(replace(levels[-1], name="pieces", pieces=True))
    if shared:
        levels.append(replace(levels[-1], name="pauses", pauses=True))
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

    @property
    def at_bottom(self) -> bool:
        """Whether nothing more can be left out."""
        return self.place + 1 == len(self._levels)

    def settling(self, now_s: float) -> bool:
        """Whether the last step has yet to show its effect."""
        return now_s - self._changed_s < SETTLE_S

    def update(
        self, lag_s: float, now_s: float, gives_way: Callable[[float], bool] = lambda now_s: True
    ) -> Level | None:
        """The new level, or None if it stays. `lag_s`: how long the next frame waited. `now_s`: of a monotonic
        clock. `gives_way`: asked before a step down that is due, whether it is taken now."""
        if self._tried_s is not None and now_s - self._tried_s >= self._patience_s:
            self._tried_s, self._patience_s = None, CALM_S
        if lag_s > LATE_S and not self.at_bottom:
            self._late_s = now_s
            if self.settling(now_s) or not gives_way(now_s):
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
