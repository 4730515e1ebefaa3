"""The recogniser: frames in, predictions, events and gaps out. Synchronous, deterministic, no threads, no wall clock."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engines.engine import (
    POSITION_BEHIND_TICKS,
    POSITION_SPAN_TICKS,
    POSITION_TICKS,
    Engine,
    Positions,
)
from realtime.pace import LONGEST_STRIDE_FACTOR, Level
from realtime.stages.events import EventOptions, OpenEvent
from realtime.stages.fuse import watched_classes
from realtime.stages.predictions import Answers, Span
from realtime.stages.region import Region
from realtime.stages.resample import MAX_GAP, Resample
from realtime.stages.run_engines import Lanes, Timer
from realtime.stages.schedule import Schedule
from realtime.types import Beside, Event, FlowRegion, Frame, Gap, Prediction, Tick

if TYPE_CHECKING:
    from realtime.flow.stage import FlowHealth

Output = Prediction | Event | Gap

DEFAULT_STRIDE_TICKS = 8
DEFAULT_SMOOTH = {"window": 1, "continual": 3, "preview": 3}
"""Answers that are averaged: a window is a mean over 2.56 s already, a position is not."""


@dataclass
class Counts:
    """What has gone through so far."""

    frames: int = 0
    ticks: int = 0
    repeated_ticks: int = 0
    gaps: int = 0
    steps: int = 0
    """Times that the engines ran."""
    predictions: int = 0
    events: int = 0


class Recognizer:
    """`push` frames in order of pts, `flush` at the end; any number of frames at a time gives the same answers."""

    def __init__(
        self,
        engines: Mapping[str, Engine],
        *,
        stride_ticks: int = DEFAULT_STRIDE_TICKS,
        smooth: int | None = None,
        events: EventOptions | None = None,
        max_gap: Fraction = MAX_GAP,
        fusion_weights: Mapping[str, float] | None = None,
        flow: str = "tvl1",
        flow_region: FlowRegion = "square",
        region: Region = None,
        watch: Sequence[str] | None = None,
        stopwatch: Timer = lambda stage: nullcontext(),
        beside: Beside | None = None,
    ) -> None:
        """`engines`: by stream, "rgb" or "flow" or both; all of one mode, with the same labels.

        `smooth`: answers that are averaged, by default 1 in `window` mode and 3 in the others. `region`: part of each frame
        to look at, see `realtime.stages.region.views`; "full" costs three times as much. `watch`: labels to choose from,
        probabilities sum to 1 over these; by default all. `flow` names a method of
        `realtime.flow.methods` and `flow_region` the part of a resized frame that it takes. `stopwatch`: entered around each stage with its name.
        `beside`: where flow is computed, by default in the caller's thread; the answers are the same.

        Raises UsageError for labels to watch that are not in the model.
        """
        first = next(iter(engines.values()))
        classes = watched_classes(first.weights.labels, watch)
        self.labels = tuple(first.weights.labels[i] for i in classes)
        self.model = first.weights.name
        self.mode, spec = first.mode, first.spec
        self.streams = tuple(engines)
        self._counts = Counts()
        self._spec = spec
        self._resample = Resample(spec.fps, max_gap=max_gap)
        self._lanes = Lanes(engines, region, flow, flow_region, max_gap, stopwatch, beside)
        self.stride_ticks = stride_ticks if self.mode == "window" else first.chunk_ticks
        self.smooth = smooth or DEFAULT_SMOOTH[self.mode]
        self._steps = Schedule(first.chunk_ticks, self.stride_ticks)
        self._pieces = Schedule(spec.window_ticks, spec.window_ticks)
        weights = dict.fromkeys(engines, 1.0) | dict(fusion_weights or {})
        self._answers = Answers(
            spec.fps, classes, self.labels, self.mode, weights, self.smooth, events or EventOptions()
        )
        self._section_start: int | None = None
        self._ready = 0
        self.level = self._level = Level("all")
        """What it may do; set it between two frames when it is late, see `realtime.pace`."""

    @property
    def counts(self) -> Counts:
        """What has gone through so far."""
        self._counts.predictions, self._counts.events = self._answers.predictions, self._answers.ended_events
        return self._counts

    @property
    def unseen_frames(self) -> int:
        """Frames that no tick showed because the source is faster than the model's rate."""
        return self._resample.unseen_frames

    @property
    def flow_health(self) -> "FlowHealth | None":
        """What the flow looks like so far; None without a flow stream."""
        return self._lanes.flow_health

    @property
    def flow_field(self) -> NDArray[np.float32] | None:
        """The newest flow field (2, H, W), px a tick; None without a flow stream, or before its first field."""
        return self._lanes.flow_field

    @property
    def open_event(self) -> OpenEvent | None:
        """The action that is going on."""
        return self._answers.events.current

    @property
    def delay_s(self) -> Fraction:
        """Media time after which it is known at the latest that an action has begun or ended: that of a window, or of the
        look-ahead, of the answers that are averaged, and two seconds for flow that waits for its frames."""
        apart = self.stride_ticks * LONGEST_STRIDE_FACTOR
        return (self._spec.window_ticks + (self.smooth - 1) * apart) / self._spec.fps + 2

    def push(self, frame: Frame) -> list[Output]:
        """The next frame -> what has become certain with it."""
        self._counts.frames += 1
        out = self._change_level() if self._level != self.level else []
        items = self._resample.push(frame)
        self._answers.holes.push(frame, joined=not any(isinstance(item, Gap) for item in items))
        return out + self._run(items)

    def flush(self, *, whole: bool = True) -> list[Output]:
        """End of the video: what is still to come. Afterwards the recogniser is as new, but for its counts and level.

        `whole`: that was all of it, and not just what was seen when somebody stopped it; only then a clip shorter than the
        window gets its answer, which takes as long as that of a whole window.
        """
        out = self._run(self._resample.flush())
        out += self._end_section(repeat_short=whole)
        self._answers.holes.clear()
        return out

    def reset(self) -> None:
        """Forget the video so far, without an answer."""
        self._resample.reset()
        self._reset_section()
        self._answers.holes.clear()

    def _change_level(self) -> list[Output]:
        """Engines that go over to pieces, or back, begin anew."""
        out = self._end_section(repeat_short=False) if self._level.pieces != self.level.pieces else []
        self._level = level = self.level
        self._lanes.flow_wanted = level.flow
        self._steps.stride_ticks = self.stride_ticks * level.stride_factor
        self._answers.behind_ticks = 0 if self.mode == "window" or level.pieces else POSITION_BEHIND_TICKS
        return out

    def _run(self, items: list[Tick | Gap]) -> list[Output]:
        out: list[Output] = []
        for item in items:
            if isinstance(item, Gap):
                self._counts.gaps += 1
                out += [*self._end_section(repeat_short=False), item]
            else:
                out += self._push_tick(item)
        return out

    def _push_tick(self, tick: Tick) -> list[Output]:
        self._counts.ticks += 1
        self._counts.repeated_ticks += tick.repeated
        if self._section_start is None:
            self._section_start = self._ready = tick.index
        self._lanes.push(tick)
        return self._answer_ready()

    def _answer_ready(self) -> list[Output]:
        """Run the engines over each span that all streams have come to the end of."""
        out: list[Output] = []
        stop = self._lanes.stop
        for index in range(self._ready, stop):
            for span in (self._pieces if self._level.pieces else self._steps).push(index):
                out += self._repeat(*span) if self._level.pieces else self._step(*span)
        self._ready = max(self._ready, stop)
        return out

    def _step(self, start: int, stop: int) -> list[Output]:
        every = self._level.preview_every
        preview = every > 0 and self._counts.steps % every == 0
        self._counts.steps += 1
        positions = self._lanes.step(start, stop, preview=preview)
        if self.mode == "window":
            logits = {name: p.logits[0].mean(axis=0) for name, p in positions.items()}
            return [*self._answers.settle(Span(start, stop, logits), stop)]
        return self._tell(positions, stop)

    def _tell(self, positions: Mapping[str, Positions], seen_stop: int) -> list[Output]:
        """Settled positions one by one, then one provisional answer for all that are not."""
        assert self._section_start is not None
        oldest = max(positions.values(), key=lambda p: int(p.first[0]))
        out: list[Output] = []
        provisional: list[Span] = []
        for i in range(oldest.logits.shape[1]):
            position = int(oldest.first[0]) + i
            if position < 0:
                continue
            start = self._section_start + POSITION_TICKS * position
            logits = {name: p.logits[0, i] for name, p in positions.items() if int(p.first[0]) + i >= 0}
            span = Span(start, start + POSITION_SPAN_TICKS, logits)
            if i < oldest.settled:
                out += self._answers.settle(span, seen_stop)
            else:
                provisional.append(span)
        if provisional:
            out.append(self._answers.preview(provisional, seen_stop))
        return out

    def _end_section(self, *, repeat_short: bool) -> list[Output]:
        """The ticks end here, at a gap or for good: answer what can be answered, and start afresh."""
        if self._section_start is None:
            return []
        self._lanes.flush()
        out = self._answer_ready()
        length, self._answers.section_stop = self._ready - self._section_start, self._ready
        if length >= self._spec.window_ticks:
            out += self._flush_engines()
        elif repeat_short and not self._answers.any_settled:
            self._answers.restart_mean()
            out += self._repeat(self._section_start, self._ready)
        out += self._answers.flush()
        self._reset_section()
        return out

    def _flush_engines(self) -> list[Output]:
        start = self._steps.next_start
        if self.mode == "window" or start is None:  # or it works in pieces
            return []
        return self._tell(self._lanes.finish(start, self._ready), self._ready)

    def _repeat(self, start: int, stop: int) -> list[Output]:
        """A piece of a window's length stands for itself; a shorter one is repeated from its start until it fills one."""
        logits, steps = self._lanes.repeat(start, stop)
        self._counts.steps += steps
        return [*self._answers.settle(Span(start, stop, logits), stop)]

    def _reset_section(self) -> None:
        self._lanes.reset()
        self._steps.reset()
        self._pieces.reset()
        self._answers.reset()
        self._section_start = None
