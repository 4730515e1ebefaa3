"""The recogniser: frames in, predictions, events and gaps out. Synchronous, deterministic, no threads, no wall clock.

    Frame → Resample → Tick ─→ IdleGate ─┬→ Inputs → Spans → RunEngines → Predictions → Events ─→ Prediction, Event
                     │          │        └→ OwnZones: the same row for each own zone ───────────→ Prediction, Event
                     └ Gap ─────┴ Idle: flush the rows behind them ─────────────────────────────→ Gap, Idle

Messages to a later stage travel the same way: `Level` and `EndOfClip` to `Spans`, `Dropped` to `Predictions`, zones
that have changed to `ZonePredictions` and `OwnZones`.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engines.engine import Engine
from engines.spec import StreamSpec
from realtime.clock import Timer
from realtime.overload import LONGEST_STRIDE_FACTOR, Level
from realtime.stages.events import EventOptions, OpenEvent
from realtime.stages.feature_tap import FeatureTap
from realtime.stages.idle import IdleGate
from realtime.stages.inputs import Feed, NewFeed, feed_for, picture_of
from realtime.stages.live_zones import LiveZones, Sight
from realtime.stages.looks import Looks, Terms
from realtime.stages.own_zones import OwnZones
from realtime.stages.region import Region
from realtime.stages.resample import MAX_GAP, Resample, Resampled
from realtime.stages.row import Beside, Row, Stage
from realtime.stages.several import Several
from realtime.stages.spans import EndOfClip
from realtime.stages.where import Heat, Part, seen_squares
from realtime.stages.zone_predictions import ZonePredictions
from realtime.types import Box, Event, FlowRegion, Frame, Gap, Idle, Image, Picture, Prediction, Submit, Tick
from realtime.zones import Zone

if TYPE_CHECKING:
    from realtime.flow.stage import FlowHealth

Output = Prediction | Event | Gap | Idle

DEFAULT_STRIDE_TICKS = 8
DEFAULT_SMOOTH = {"window": 1, "continual": 3, "preview": 3}
"""Predictions that are averaged: a window is already a mean over 2.56 s, a position is not."""


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
    idle_ticks: int = 0
    """Ticks that were not looked at because nothing moved."""
    idle_frames: int = 0
    """Frames that only such ticks show."""


class Recognizer:
    """`push` frames in order of pts, `flush` at the end."""

    def __init__(
        self,
        engines: Mapping[str, Engine],
        *,
        stride_ticks: int = DEFAULT_STRIDE_TICKS,
        smooth: int | None = None,
        events: EventOptions | None = None,
        max_gap: Fraction = MAX_GAP,
        idle_s: float | None = None,
        fusion_weights: Mapping[str, float] | None = None,
        flow: str = "tvl1",
        flow_region: FlowRegion = "square",
        region: Region = None,
        watch: Sequence[str] | None = None,
        heat: bool = False,
        several: bool = False,
        zones: Sequence[Zone] | LiveZones = (),
        models: Mapping[str, Mapping[str, Engine]] | None = None,
        stopwatch: Timer = lambda stage: nullcontext(),
        submit: Submit | None = None,
        new_feed: NewFeed | None = None,
    ) -> None:
        """`engines`: by stream, "rgb" or "flow" or both; all of one mode, with the same labels.

        `smooth`: predictions that are averaged, by default 1 in `window` mode and 3 in the others. `region`: part of
        each frame to look at, see `realtime.stages.region.views`; "full" costs three times as much. `watch`: labels to
        choose from, by default all; probabilities sum to 1 over these. `heat`, `several`: predictions
        have `heat`, and `actions` with their own events. `zones`: parts of the picture with their own predictions and
        events, sixteen at about 3 % of an engine step; own zones cost as much as another source; `Recognizer.zones`
        changes them while it runs. `models`: by name, engines of other models that own zones name, all in one mode.
        `idle_s`: rest when nothing has moved for so many seconds, at least `realtime.stages.idle.LEAST_S`; None: never.
        `flow`: a method of `realtime.flow.methods`, and `flow_region` the part of a resized frame that it takes.
        `stopwatch`: entered around each stage with its name. `submit`: where flow is computed, by default in the
        caller's thread; the predictions are the same.
        `new_feed`: makes what feeds the network of a stream, by default the centre of RGB and of flow as named.

        Raises UsageError for labels to watch that are not in the model, and for a model that is not among `models`.
        """
        first = next(iter(engines.values()))
        self.model = first.weights.name
        self.event_options = events or EventOptions()
        self.mode, self._spec = first.mode, first.spec
        self.streams = tuple(engines)
        self.stride_ticks = stride_ticks if self.mode == "window" else first.chunk_ticks
        self.smooth = smooth or DEFAULT_SMOOTH[self.mode]
        self.level = self._level = Level("all")
        """How much work it may do; set it between two frames when it is late, see `realtime.overload`."""
        self._counts = Counts()

        def feed_of(spec: StreamSpec) -> Feed:
            return feed_for(spec, flow, flow_region, submit)

        terms = Terms(self.smooth, self.event_options, None if watch is None else tuple(watch))
        self._looks = Looks(
            {None: engines} | dict(models or {}),
            terms,
            dict(fusion_weights or {}),
            self.stride_ticks,
            heat,
            new_feed or feed_of,
            stopwatch,
            submit,
        )
        self.labels = self._looks.choice(terms).labels
        self.watch = list(self.labels) if watch else None
        """The labels to choose from; None: all of the model's."""
        self._resample = Resample(self._spec.fps, max_gap=max_gap)
        whole = self._whole = self._looks.at(region, terms)
        parts: list[Stage] = [Several(terms.events, self.labels, self._spec, region)] if several else []
        self._in_cells = ZonePredictions(self._looks, self._spec, region)
        parts.append(self._in_cells)
        self.features = FeatureTap(engines)
        """Of the whole picture, for an output that takes them."""
        row = Row(
            whole.inputs, whole.spans, whole.engines, self.features, whole.predictions, *parts, whole.events
        )
        self._own = OwnZones(self._looks, self._spec.fps, self._spec.window_ticks)
        self._gate = IdleGate(idle_s, self._spec, self._views, stopwatch)
        self._row = Beside(row, self._own)
        self.zones = zones if isinstance(zones, LiveZones) else LiveZones(zones)
        """Parts of the picture with their own predictions; they may be changed from any thread."""
        self._region = region
        self._picture: Picture | None = None
        self._see(None)
        for zone in self.zones.now:
            self._looks.check(zone)

    @property
    def counts(self) -> Counts:
        """What has gone through so far."""
        self._counts.steps = self._whole.engines.steps + self._own.steps
        self._counts.idle_ticks, self._counts.idle_frames = self._gate.idle_ticks, self._gate.idle_frames
        return self._counts

    @property
    def rest(self) -> Idle | None:
        """The rest that goes on because nothing moves; None while there is work."""
        return self._gate.rest

    @property
    def unseen_frames(self) -> int:
        """Frames that no tick showed because the source is faster than the model's rate."""
        return self._resample.unseen_frames

    @property
    def flow_health(self) -> "FlowHealth | None":
        """What the flow looks like so far; None without a flow stream."""
        return self._whole.inputs.flow_health

    @property
    def flow_field(self) -> NDArray[np.float32] | None:
        """The newest flow field (2, H, W), px a tick; None without a flow stream, or before its first field."""
        return self._whole.inputs.flow_field

    def heat_of(self, label: str) -> Heat | None:
        """What a label scores where, in the newest prediction of the whole picture; None before the first one and for
        labels that are not among `labels`."""
        # Kept at the end of a video, too: what is shown then is its last prediction.
        reading = self._whole.predictions.newest
        if reading is None or label not in self.labels:
            return None
        number = self.labels.index(label)
        squares = seen_squares(reading.picture, self._region, self._spec)
        return Heat(reading.cells.scores(number), squares, float(reading.prediction.probabilities[number]))

    @property
    def current_event(self) -> str | None:
        """Label of the action that is going on."""
        event = self.open_event
        return None if event is None else event.label

    @property
    def open_event(self) -> OpenEvent | None:
        """The action that is going on."""
        return self._whole.events.current

    @property
    def open_events(self) -> tuple[OpenEvent, ...]:
        """The actions that are going on: of the whole picture, and of each zone."""
        whole = self.open_event
        zones = (*self._in_cells.open_events, *self._own.open_events)
        return zones if whole is None else (whole, *zones)

    @property
    def delay_s(self) -> Fraction:
        """Longest media time until it is known that an action has begun or ended: that of a window, or of the
        look-ahead, and of the predictions that are averaged, plus two seconds for flow that waits for its frames."""
        apart = self.stride_ticks * LONGEST_STRIDE_FACTOR
        return (self._spec.window_ticks + (self.smooth - 1) * apart) / self._spec.fps + 2

    def terms_of_zones(self) -> dict[str, Terms]:
        """The terms of each zone that is in force, by its name."""
        return {zone.name: self._looks.terms.of(zone) for zone in self.zones.now}

    def seen_squares(self, picture: Picture) -> list[Box]:
        """The squares of a frame that the network sees, in its px: `Prediction.heat` is of these, side by side."""
        return seen_squares(picture, self._region, self._spec)

    def push(self, frame: Frame) -> list[Output]:
        """The next frame -> the outputs that it completes."""
        self._counts.frames += 1
        out = self._change_level() if self._level != self.level else []
        out += self._change_zones(picture_of(frame))
        return self._count(out + self._run(self._resample.push(frame)))

    def flush(self, *, whole: bool = True) -> list[Output]:
        """End of the video: the remaining outputs. Afterwards the recogniser is as new, except for its counts and
        level.

        `whole`: the video was seen to its end and not stopped earlier; only then does a clip shorter than the window
        get a prediction, which costs as much as that of a whole window.
        """
        out = self._run(self._resample.flush()) + self._behind(self._gate.flush())
        if whole:
            out += self._row.push(EndOfClip())
        out += self._row.flush()
        self._row.reset()
        return self._count(out)

    def reset(self) -> None:
        """Forget the video so far, without a prediction."""
        self._resample.reset()
        self._gate.reset()
        self._row.reset()

    def _change_level(self) -> list[Output]:
        """Engines that change to pieces, or back, start over."""
        out = self._row.flush() if self._level.pieces != self.level.pieces else []
        self._level = self.level
        return out + self._row.push(self._level)

    def _change_zones(self, picture: Picture) -> list[Output]:
        changes = self.zones.begin() if self._picture is None else self.zones.take()
        if picture != self._picture:
            self._see(picture)
        return [out for change in changes for out in self._behind(self._gate.push(change))]

    def _see(self, picture: Picture | None) -> None:
        """Zones to come are checked against this picture."""
        self._picture = picture
        self.zones.seen_in(Sight(picture, self._region, self._spec, self._looks))

    def _run(self, items: list[Resampled]) -> list[Output]:
        out: list[Output] = []
        for item in items:
            if isinstance(item, Tick):
                self._counts.ticks += 1
                self._counts.repeated_ticks += item.repeated
            out += self._behind(self._gate.push(item))
        return out

    def _views(self, tick: Tick) -> Mapping[Part, Sequence[Image]]:
        """Of each part of the picture that the network looks at."""
        return {self._region: self._whole.inputs.views(tick)} | self._own.views(tick)

    def _behind(self, items: Sequence[Any]) -> list[Output]:
        """Through the stages behind the gate."""
        out: list[Output] = []
        for item in items:
            out += [*self._row.flush(), item] if isinstance(item, Gap | Idle) else self._row.push(item)
        return out

    def _count(self, out: list[Output]) -> list[Output]:
        for item in out:
            self._counts.predictions += isinstance(item, Prediction)
            self._counts.events += isinstance(item, Event)
            self._counts.gaps += isinstance(item, Gap) and item.zone is None
        return out
