"""Streams on their way through their engines: ticks in, logits of any span of ticks out. Used by the recogniser alone."""

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engines.clips import clip_logits, repeat_to
from engines.engine import Engine, Positions
from realtime.preprocess import Region, resize_short_side, views
from realtime.ring import Ring
from realtime.streams import Feed, Input, feed_for
from realtime.types import Frame, Image, Tick

if TYPE_CHECKING:
    from realtime.flow.stage import FlowHealth

Timer = Callable[[str], AbstractContextManager[None]]


@dataclass
class Lane:
    """One stream of one view on its way through its engine."""

    stream: str
    view: int
    engine: Engine
    feed: Feed
    ring: Ring
    state: Any

    def append(self, inputs: list[Input]) -> None:
        for index, value in inputs:
            self.ring.append(index, value)

    def reset(self) -> None:
        self.feed.reset()
        self.ring.clear()
        self.state = self.engine.start()


class Lanes:
    """A lane for each stream and view; what several views of a stream say is averaged."""

    def __init__(
        self, engines: Mapping[str, Engine], region: Region, flow: str, max_gap: Fraction, timer: Timer
    ) -> None:
        self._region, self._timer = region, timer
        self._spec = next(iter(engines.values())).spec
        # RGB waits in its ring until the flow of the same ticks is known, which takes at most one gap.
        capacity = self._spec.window_ticks + math.ceil(max_gap * self._spec.fps) + 1

        def lane(stream: str, view: int, engine: Engine) -> Lane:
            ring = Ring(capacity, engine.spec.tick_shape, engine.spec.dtype)
            return Lane(stream, view, engine, feed_for(engine.spec, flow), ring, engine.start())

        count = 3 if region == "full" else 1
        self._lanes = [lane(name, view, engine) for name, engine in engines.items() for view in range(count)]
        self._resized: tuple[Frame, list[Image]] | None = None

    @property
    def stop(self) -> int:
        """Tick before which all lanes have their input."""
        return min(lane.ring.stop for lane in self._lanes)

    @property
    def flow_health(self) -> "FlowHealth | None":
        """What the flow looks like so far; None without a flow stream."""
        return getattr(self._flow_feed, "health", None)

    @property
    def flow_field(self) -> NDArray[np.float32] | None:
        """The newest field (2, H, W), px a tick; None without a flow stream, or before its first field."""
        return getattr(self._flow_feed, "field", None)

    @property
    def _flow_feed(self) -> Feed | None:
        """Of the view in the middle."""
        feeds = [lane.feed for lane in self._lanes if lane.stream == "flow"]
        return feeds[len(feeds) // 2] if feeds else None

    def reset(self) -> None:
        for lane in self._lanes:
            lane.reset()
        self._resized = None

    def push(self, tick: Tick) -> None:
        if self._resized is None or self._resized[0] is not tick.frame:
            with self._timer("resize"):
                cut = views(tick.frame.rgb, self._region)
                self._resized = tick.frame, [resize_short_side(v, self._spec.short_side_px) for v in cut]
        for lane in self._lanes:
            with self._timer(f"{lane.stream} input"):
                lane.append(lane.feed.push(tick, self._resized[1][lane.view]))

    def flush(self) -> None:
        """No tick follows: the inputs that feeds still owe."""
        for lane in self._lanes:
            lane.append(lane.feed.flush())

    def step(self, start: int, stop: int) -> dict[str, Positions]:
        """By stream, what the engines say of the next span."""
        found = []
        for lane in self._lanes:
            with self._timer(f"{lane.stream} engine"):
                positions, lane.state = lane.engine.step(lane.ring.read(start, stop)[None], lane.state)
            found.append(positions)
        return self._by_stream(found)

    def finish(self, start: int, stop: int) -> dict[str, Positions]:
        """By stream, what the engines still have to say, given the last ticks [start, stop)."""
        found = []
        for lane in self._lanes:
            with self._timer(f"{lane.stream} engine"):
                found.append(lane.engine.flush(lane.ring.read(start, stop)[None], lane.state))
        return self._by_stream(found)

    def repeat(self, start: int, stop: int) -> tuple[dict[str, NDArray[np.float32]], int]:
        """By stream, the logits (classes,) of a clip shorter than the window, repeated; and the steps that it took."""
        found: dict[str, list[NDArray[np.float32]]] = {}
        steps = 0
        for lane in self._lanes:
            ticks = repeat_to(lane.ring.read(start, stop), self._spec.window_ticks)
            steps = max(steps, len(ticks) // lane.engine.chunk_ticks)
            with self._timer(f"{lane.stream} engine"):
                logits = clip_logits(lane.engine, ticks, len(ticks)).mean(axis=0)
            found.setdefault(lane.stream, []).append(logits)
        return {stream: np.mean(logits, axis=0) for stream, logits in found.items()}, steps

    def _by_stream(self, found: list[Positions]) -> dict[str, Positions]:
        grouped: dict[str, list[Positions]] = {}
        for lane, positions in zip(self._lanes, found, strict=True):
            grouped.setdefault(lane.stream, []).append(positions)
        return {stream: _mean(group) for stream, group in grouped.items()}


def _mean(group: list[Positions]) -> Positions:
    if len(group) == 1:
        return group[0]
    logits = np.mean([positions.logits for positions in group], axis=0)
    return Positions(logits, group[0].first, group[0].settled)
