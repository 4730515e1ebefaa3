"""Streams on their way through their engines: ticks in, logits of any span of ticks out. Used by the recogniser alone."""

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from engines.engine import POSITION_TICKS, Engine, Positions
from engines.runtime.whole_clip import clip_logits, repeat_to
from realtime.pictures import resize_short_side
from realtime.stages.inputs import Feed, Input, feed_for
from realtime.stages.region import Region, views
from realtime.stages.ring import Ring
from realtime.types import Beside, FlowRegion, Frame, Image, Tick

if TYPE_CHECKING:
    from realtime.flow.stage import FlowHealth

T = TypeVar("T")
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
    paused: bool = False

    def has(self, start: int, stop: int) -> bool:
        """Whether it can answer for the ticks [start, stop); a lane that was paused begins in between."""
        return not self.paused and self.ring.start <= start and stop <= self.ring.stop

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
        self,
        engines: Mapping[str, Engine],
        region: Region,
        flow: str,
        flow_region: FlowRegion,
        max_gap: Fraction,
        timer: Timer,
        beside: Beside | None,
    ) -> None:
        self._region, self._timer = region, timer
        # Engines that were loaded to run at the same time do; others in turn.
        shared = len(engines) > 1 and all(engine.at_once > 1 for engine in engines.values())
        self._engines_beside = beside if shared else None
        self._spec = next(iter(engines.values())).spec
        # RGB waits in its ring until the flow of the same ticks is known, which takes at most two distinct frames.
        capacity = self._spec.window_ticks + 2 * (math.ceil(max_gap * self._spec.fps) + 1)

        def lane(stream: str, view: int, engine: Engine) -> Lane:
            ring = Ring(capacity, engine.spec.tick_shape, engine.spec.dtype)
            feed = feed_for(engine.spec, flow, flow_region, beside)
            return Lane(stream, view, engine, feed, ring, engine.start())

        count = 3 if region == "full" else 1
        self._lanes = [lane(name, view, engine) for name, engine in engines.items() for view in range(count)]
        self._resized: tuple[Frame, list[Image]] | None = None
        self._start: int | None = None
        self.flow_wanted = True
        """Without, flow is not computed, and answers come from the other streams. It joins again, as new, when the next
        chunk begins. No effect where there is flow alone."""

    @property
    def stop(self) -> int:
        """Tick before which all lanes that are not paused have their input."""
        return min(lane.ring.stop for lane in self._lanes if not lane.paused)

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
        feeds = [lane.feed for lane in self._lanes if lane.engine.spec.modality == "flow"]
        return feeds[len(feeds) // 2] if feeds else None

    def reset(self) -> None:
        for lane in self._lanes:
            lane.reset()
        self._resized = self._start = None

    def push(self, tick: Tick) -> None:
        if self._start is None:
            self._start = tick.index
        self._pause_or_resume(begins_chunk=(tick.index - self._start) % POSITION_TICKS == 0)
        if self._resized is None or self._resized[0] is not tick.frame:
            with self._timer("resize"):
                cut = views(tick.frame.rgb, self._region)
                self._resized = tick.frame, [resize_short_side(v, self._spec.short_side_px) for v in cut]
        for lane in self._lanes:
            if lane.paused:
                continue
            with self._timer(f"{lane.stream} input"):
                lane.append(lane.feed.push(tick, self._resized[1][lane.view]))

    def flush(self) -> None:
        """No tick follows: the inputs that feeds still owe."""
        for lane in self._lanes:
            if not lane.paused:
                lane.append(lane.feed.flush())

    def step(self, start: int, stop: int, *, preview: bool = True) -> dict[str, Positions]:
        """By stream, what the engines say of the next span.

        The positions of a stream that was paused are counted from where it joined: those below zero do not exist.
        """

        def step_one(lane: Lane) -> Positions:
            chunk = lane.ring.read(start, stop)[None]
            positions, lane.state = lane.engine.step(chunk, lane.state, preview=preview)
            return positions

        found = self._of_each(self._ready(start, stop), step_one)
        return {stream: _mean(of_views) for stream, of_views in found.items()}

    def finish(self, start: int, stop: int) -> dict[str, Positions]:
        """By stream, what the engines still have to say, given the last ticks [start, stop)."""

        def finish_one(lane: Lane) -> Positions:
            return lane.engine.flush(lane.ring.read(start, stop)[None], lane.state)

        found = self._of_each(self._ready(start, stop), finish_one)
        return {stream: _mean(of_views) for stream, of_views in found.items()}

    def repeat(self, start: int, stop: int) -> tuple[dict[str, NDArray[np.float32]], int]:
        """By stream, the logits (classes,) of a clip shorter than the window, repeated; and the steps that it took."""
        lanes = self._ready(start, stop)

        def repeat_one(lane: Lane) -> NDArray[np.float32]:
            ticks = repeat_to(lane.ring.read(start, stop), self._spec.window_ticks)
            logits: NDArray[np.float32] = clip_logits(lane.engine, ticks, len(ticks)).mean(axis=0)
            return logits

        length = max(stop - start, self._spec.window_ticks)
        steps = max((length // lane.engine.chunk_ticks for lane in lanes), default=0)
        found = self._of_each(lanes, repeat_one)
        return {stream: np.mean(logits, axis=0) for stream, logits in found.items()}, steps

    def _of_each(self, lanes: list[Lane], work: Callable[[Lane], T]) -> dict[str, list[T]]:
        """What `work` gives of each lane, by stream; those of one stream use one engine and are in turn."""
        streams: dict[str, list[Lane]] = {}
        for lane in lanes:
            streams.setdefault(lane.stream, []).append(lane)

        def of(stream: str) -> list[T]:
            return [work(lane) for lane in streams[stream]]

        if self._engines_beside is None or len(streams) < 2:
            found = {}
            for stream in streams:
                with self._timer(f"{stream} engine"):
                    found[stream] = of(stream)
            return found
        first, *others = streams
        with self._timer(f"{' and '.join(streams)} engine"):
            begun = {stream: self._engines_beside(of, stream) for stream in others}
            try:
                found = {first: of(first)}
            finally:  # no engine is left running
                rest = {stream: wait() for stream, wait in begun.items()}
            return found | rest

    def _ready(self, start: int, stop: int) -> list[Lane]:
        return [lane for lane in self._lanes if lane.has(start, stop)]

    def _pause_or_resume(self, *, begins_chunk: bool) -> None:
        """An engine may begin only where all of them begin a chunk, so that their positions lie alike."""
        flow = [lane for lane in self._lanes if lane.stream == "flow"]
        if len(flow) == len(self._lanes):
            return
        for lane in flow:
            if not self.flow_wanted and not lane.paused:
                lane.reset()
                lane.paused = True
            elif self.flow_wanted and begins_chunk:
                lane.paused = False


def _mean(group: list[Positions]) -> Positions:
    if len(group) == 1:
        return group[0]
    logits = np.mean([positions.logits for positions in group], axis=0)
    return Positions(logits, group[0].first, group[0].settled)
