"""The recogniser: frames in, predictions, events and gaps out. Synchronous, deterministic, no threads, no wall clock."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engines.engine import POSITION_BEHIND_TICKS, POSITION_SPAN_TICKS, POSITION_TICKS, Engine, Positions
from realtime.events import EventOptions, Events, OpenEvent
from realtime.fuse import fuse, softmax, top_labels, watched_classes
from realtime.holes import Holes
from realtime.lanes import Lanes, Timer
from realtime.overload import LONGEST_STRIDE_FACTOR, Level
from realtime.preprocess import Region
from realtime.resample import MAX_GAP, Resample
from realtime.schedule import Schedule
from realtime.smooth import Logits, Smooth
from realtime.types import Event, Frame, Gap, Prediction, Tick

if TYPE_CHECKING:
    from realtime.flow.stage import FlowHealth

Output = Prediction | Event | Gap
Answer = tuple[int, int, Logits]
"""First tick, tick after the last, logits of the classes that are watched."""

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
        region: Region = None,
        watch: Sequence[str] | None = None,
        stopwatch: Timer = lambda stage: nullcontext(),
    ) -> None:
        """`engines`: by stream, "rgb" or "flow" or both; all of one mode, with the same labels.

        `smooth`: answers that are averaged, by default 1 in `window` mode and 3 in the others. `region`: part of each frame
        to look at, see `realtime.preprocess.views`; "full" costs three times as much. `watch`: labels to choose from,
        probabilities sum to 1 over these; by default all. `stopwatch`: entered around each stage with its name.

        Raises UsageError for labels to watch that are not in the model.
        """
        first = next(iter(engines.values()))
        self._classes = watched_classes(first.weights.labels, watch)
        self.labels = tuple(first.weights.labels[i] for i in self._classes)
        self.model = first.weights.name
        self.mode, spec = first.mode, first.spec
        self.streams = tuple(engines)
        self.counts = Counts()
        self._weights = fusion_weights or dict.fromkeys(engines, 1.0)
        self._spec = spec
        self._resample = Resample(spec.fps, max_gap=max_gap)
        self._lanes = Lanes(engines, region, flow, max_gap, stopwatch)
        self.stride_ticks = stride_ticks if self.mode == "window" else first.chunk_ticks
        self.smooth = smooth or DEFAULT_SMOOTH[self.mode]
        self._schedule = Schedule(first.chunk_ticks, self.stride_ticks)
        self._smooth = Smooth(self.smooth)
        self._events = Events(events or EventOptions())
        self._section_start: int | None = None
        self._section_stop: int | None = None
        self._ready = 0
        self._answered = False
        self._level = Level("all")
        self._holes = Holes(spec.fps)

    @property
    def level(self) -> Level:
        """What it may do; set it between two frames when it is late, see `realtime.overload`. Holds from the next step on."""
        return self._level

    @level.setter
    def level(self, level: Level) -> None:
        self._level = level
        self._lanes.flow_wanted = level.flow
        self._schedule.stride_ticks = self.stride_ticks * (
            level.stride_factor if self.mode == "window" else 1
        )

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
    def current_event(self) -> str | None:
        """Label of the action that is going on."""
        return None if self._events.current is None else self._events.current.label

    @property
    def open_event(self) -> OpenEvent | None:
        """The action that is going on."""
        return self._events.current

    @property
    def delay_s(self) -> Fraction:
        """Media time after which it is known at the latest that an action has begun or ended: that of a window, or of the
        look-ahead, of the answers that are averaged, and a second for flow that waits for its frame."""
        apart = self.stride_ticks * (LONGEST_STRIDE_FACTOR if self.mode == "window" else 1)
        return (self._spec.window_ticks + (self.smooth - 1) * apart) / self._spec.fps + 1

    def push(self, frame: Frame) -> list[Output]:
        """The next frame -> what has become certain with it."""
        self.counts.frames += 1
        items = self._resample.push(frame)
        self._holes.push(frame, joined=not any(isinstance(item, Gap) for item in items))
        return self._run(items)

    def flush(self) -> list[Output]:
        """End of the video: what is still to come. Afterwards the recogniser is as new, but for its counts."""
        out = self._run(self._resample.flush())
        out += self._end_section(repeat_short=True)
        self._holes.clear()
        return out

    def reset(self) -> None:
        """Forget the video so far, without an answer."""
        self._resample.reset()
        self._reset_section()
        self._holes.clear()

    def _run(self, items: list[Tick | Gap]) -> list[Output]:
        out: list[Output] = []
        for item in items:
            if isinstance(item, Gap):
                self.counts.gaps += 1
                out += [*self._end_section(repeat_short=False), item]
            else:
                out += self._push_tick(item)
        return out

    def _push_tick(self, tick: Tick) -> list[Output]:
        self.counts.ticks += 1
        self.counts.repeated_ticks += tick.repeated
        if self._section_start is None:
            self._section_start = self._ready = tick.index
        self._lanes.push(tick)
        return self._answer_ready()

    def _answer_ready(self) -> list[Output]:
        """Run the engines over each span that all streams have come to the end of."""
        out: list[Output] = []
        stop = self._lanes.stop
        for index in range(self._ready, stop):
            for span in self._schedule.push(index):
                out += self._step(*span)
        self._ready = max(self._ready, stop)
        return out

    def _step(self, start: int, stop: int) -> list[Output]:
        every = self._level.preview_every
        preview = every > 0 and self.counts.steps % every == 0
        self.counts.steps += 1
        positions = self._lanes.step(start, stop, preview=preview)
        if self.mode == "window":
            logits = self._watched({name: p.logits[0].mean(axis=0) for name, p in positions.items()})
            return self._settle((start, stop, logits), stop)
        return self._answers(positions, stop)

    def _answers(self, positions: Mapping[str, Positions], seen_stop: int) -> list[Output]:
        """Settled positions one by one, then one provisional answer for all that are not."""
        oldest = max(positions.values(), key=lambda p: int(p.first[0]))
        out: list[Output] = []
        provisional: list[Answer] = []
        assert self._section_start is not None
        for i in range(oldest.logits.shape[1]):
            position = int(oldest.first[0]) + i
            if position < 0:
                continue
            start = self._section_start + POSITION_TICKS * position
            there = {name: p.logits[0, i] for name, p in positions.items() if int(p.first[0]) + i >= 0}
            answer = (start, start + POSITION_SPAN_TICKS, self._watched(there))
            if i < oldest.settled:
                out += self._settle(answer, seen_stop)
            else:
                provisional.append(answer)
        if provisional:
            start, logits = self._smooth.peek([(s, logits) for s, _, logits in provisional])
            out.append(self._predict((start, provisional[-1][1], logits), seen_stop, settled=False))
        return out

    def _watched(self, logits: Logits) -> Logits:
        """Of the classes that are watched."""
        return {name: logits[name][self._classes] for name in self.streams if name in logits}

    def _settle(self, answer: Answer, seen_stop: int) -> list[Output]:
        """`seen_stop`: tick before which the engines have seen all."""
        start, logits = self._smooth.push(answer[0], answer[2])
        prediction = self._predict((start, answer[1], logits), seen_stop, settled=True)
        self._answered = True
        events = self._events.push(prediction, self.labels)
        self.counts.events += len(events)
        return [prediction, *events]

    def _predict(self, answer: Answer, seen_stop: int, *, settled: bool) -> Prediction:
        start, stop, logits = answer
        stop = stop if self._section_stop is None else min(stop, self._section_stop)
        self.counts.predictions += 1
        probabilities = softmax(fuse(logits, self._weights))
        return Prediction(
            start_tick=start,
            stop_tick=stop,
            start_s=float(start / self._spec.fps),
            end_s=float(stop / self._spec.fps),
            probabilities=probabilities,
            top=top_labels(probabilities, self.labels),
            by_stream={name: top_labels(softmax(own), self.labels) for name, own in logits.items()},
            streams=tuple(logits),
            mode=self.mode,
            settled=settled,
            dropped_frames=self._dropped(start, seen_stop, settled),
        )

    def _dropped(self, start: int, seen_stop: int, settled: bool) -> int:
        start -= 0 if self.mode == "window" else POSITION_BEHIND_TICKS
        if settled:  # these begin ever later; a provisional one lies ahead of settled ones to come
            self._holes.forget_before(start)
        return self._holes.count(start, seen_stop)

    def _end_section(self, *, repeat_short: bool) -> list[Output]:
        """The ticks end here, at a gap or for good: answer what can be answered, and start afresh."""
        if self._section_start is None:
            return []
        self._lanes.flush()
        out = self._answer_ready()
        length, self._section_stop = self._ready - self._section_start, self._ready
        if length >= self._spec.window_ticks:
            out += self._flush_engines()
        elif repeat_short and not self._answered:
            out += self._repeat_section(length)
        events = self._events.flush()
        self.counts.events += len(events)
        self._reset_section()
        return [*out, *events]

    def _flush_engines(self) -> list[Output]:
        if self.mode == "window":
            return []
        start = self._schedule.next_start
        assert start is not None
        return self._answers(self._lanes.finish(start, self._ready), self._ready)

    def _repeat_section(self, length: int) -> list[Output]:
        """A clip shorter than the window is repeated from its start until it fills one, and gets one answer."""
        start = self._section_start
        assert start is not None
        mean, steps = self._lanes.repeat(start, start + length)
        self.counts.steps += steps
        self._smooth.reset()
        return self._settle((start, start + length, self._watched(mean)), start + length)

    def _reset_section(self) -> None:
        self._lanes.reset()
        self._schedule.reset()
        self._smooth.reset()
        self._events.reset()
        self._section_start = self._section_stop = None
        self._answered = False
