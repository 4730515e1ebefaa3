"""Nothing is computed while nothing moves."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from engines.spec import StreamSpec
from realtime.clock import StageName, Timer
from realtime.stages.motion import Motion
from realtime.stages.where import Part
from realtime.types import Frame, Gap, Idle, Image, Tick
from realtime.zones import Zone

LEAST_S = 3.0
"""Shortest time without motion before a rest: more than a window of 64 ticks, so that each section between two rests
has a prediction."""


class IdleGate:
    """Stage: ticks pass until nothing has moved for a while; then they are held back until something moves.

        moves    x x x . . . . . . . . . . . . . . x x      rests after 3 ticks; a window of 4
        passes   0 1 2 3 4 5 Idle                  Idle 14 15 16 17 18 ...

    An `Idle` marks where a rest begins, which ends a section of predictions, and where it ends. Behind that come the
    last 64 ticks, as many as a window has, so that the beginning of an action is not lost. No tick passes twice: those
    are all that is held back, and older ones are dropped. A gap, a new own zone and the end of the video end a rest,
    too; then what was held back is dropped, and it takes as long as at the beginning until the next rest.

    The picture rests as a whole: what moves in one part of it, such as an own zone, wakes all.
    """

    def __init__(
        self,
        after_s: float | None,
        spec: StreamSpec,
        views: Callable[[Tick], Mapping[Part, Sequence[Image]]],
        timer: Timer,
    ) -> None:
        """`after_s`: seconds without motion before a rest; None: everything passes. `views`: of a tick's frame,
        resized, by the part of the picture."""
        self._after_ticks = None if after_s is None else round(Fraction(after_s) * spec.fps)
        self._spec, self._views, self._timer = spec, views, timer
        self.idle_ticks = 0
        """Ticks that were dropped, and"""
        self.idle_frames = 0
        """frames that no other tick shows."""
        self.reset()

    def reset(self) -> None:
        """Forget all ticks; the counts continue."""
        self._motions: dict[Part, Motion] = {}
        self._held: deque[Tick] = deque()
        self._still_from: int | None = None
        self.rest: Idle | None = None
        """The rest that goes on."""

    def push(self, item: Any) -> list[Any]:
        if isinstance(item, Tick):
            return [item] if self._after_ticks is None else self._push_tick(item, self._after_ticks)
        if isinstance(item, Gap) or (isinstance(item, Zone) and item.own):
            return [*self.flush(), item]
        return [item]

    def flush(self) -> list[Any]:
        """A section ends: the ticks that are held back are dropped."""
        out: list[Any] = []
        if self._held:
            end = (self._held[-1].index + 1) / self._spec.fps
            out = [Idle(False, end, end)]
        while self._held:
            self._drop()
        self.reset()
        return out

    def _push_tick(self, tick: Tick, after_ticks: int) -> list[Any]:
        views = self._views(tick)
        with self._timer(StageName.MOTION):
            moves = self._moves(views)
        if moves or self._still_from is None:
            self._still_from = tick.index + moves
        resting = self.rest is not None
        if not resting and tick.index - self._still_from < after_ticks:
            return [tick]
        self._hold(tick, views)
        if resting:
            return self._release(tick) if moves else []
        self.rest = Idle(True, self._still_from / self._spec.fps, tick.index / self._spec.fps)
        return [self.rest]

    def _moves(self, views: Mapping[Part, Sequence[Image]]) -> bool:
        self._motions = {part: self._motions.get(part) or Motion(self._spec) for part in views}
        return max(self._motions[part].push(images) for part, images in views.items()) > 1

    def _release(self, moved: Tick) -> list[Any]:
        """The ticks that were held back; for the stages behind, a video begins with them."""
        first = replace(self._held.popleft(), repeated=False)
        out = [Idle(False, first.index / self._spec.fps, moved.index / self._spec.fps), first, *self._held]
        self._held.clear()
        self.rest = None
        return out

    def _hold(self, tick: Tick, views: Mapping[Part, Sequence[Image]]) -> None:
        """Keep a tick without the pixels of its frame, which would be up to a hundred times as many."""
        last = self._held[-1] if self._held else None
        if last and tick.repeated:
            self._held.append(replace(last, index=tick.index, repeated=True))
        else:
            copied = {part: [image.copy() for image in images] for part, images in views.items()}
            self._held.append(Tick(tick.index, _blank(tick.frame), tick.repeated, copied))
        if len(self._held) > self._spec.window_ticks:
            self._drop()

    def _drop(self) -> None:
        """The oldest tick that is held back. If the next one shows the same frame, that may be seen yet."""
        dropped = self._held.popleft()
        self.idle_ticks += 1
        if not dropped.repeated and self._held and self._held[0].repeated:
            self._held[0] = replace(self._held[0], repeated=False)
        else:
            self.idle_frames += not dropped.repeated


def _blank(frame: Frame) -> Frame:
    """The same frame with one pixel for all: its times and size are what is still needed."""
    return replace(frame, pixels=np.broadcast_to(np.uint8(0), (*frame.size_px, 3)))
