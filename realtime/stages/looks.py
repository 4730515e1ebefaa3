"""The stages that look at a part of each picture: the whole row from ticks to predictions and events.

The whole picture has one, and each own zone (`realtime.stages.own_zones`); zones that are read from its cells share
that of the whole picture.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from engines.engine import Engine
from realtime.clock import Timer
from realtime.errors import UsageError
from realtime.stages.events import EventOptions, Events
from realtime.stages.fuse import watched_classes
from realtime.stages.inputs import Inputs, NewFeed
from realtime.stages.predictions import Choice, Predictions
from realtime.stages.region import view_count
from realtime.stages.run_engines import RunEngines
from realtime.stages.spans import Spans
from realtime.stages.where import Part
from realtime.types import Submit
from realtime.zones import Zone


@dataclass(frozen=True)
class Terms:
    """How predictions and events of a part of the picture are made."""

    smooth: int
    """Predictions that are averaged."""
    events: EventOptions
    watch: tuple[str, ...] | None
    """Labels to choose from; None for all."""
    model: str | None = None
    """None for that of the camera."""

    def of(self, zone: Zone) -> "Terms":
        """Those of a zone. What it leaves open is as here, but for labels, which another model may not have.

        Raises UsageError if an event would end above the probability at which it begins.
        """
        said = zone.terms
        on = self.events.on if said.on is None else said.on
        off = self.events.off if said.off is None else said.off
        if off > on:
            raise UsageError(f"zone {zone.name}: off {off} is above on {on}; it must be at most that")
        return Terms(
            self.smooth if said.smooth is None else said.smooth,
            EventOptions(on, off, self.events.min_length_s if said.min_event is None else said.min_event),
            self.watch if said.watch is None and zone.model is None else said.watch,
            zone.model,
        )


@dataclass(frozen=True)
class Stages:
    """In the order of the row."""

    inputs: Inputs
    spans: Spans
    engines: RunEngines
    predictions: Predictions
    events: Events


@dataclass(frozen=True)
class Looks:
    """Makes them."""

    models: Mapping[str | None, Mapping[str, Engine]]
    """Engines by stream, of the camera's model under None, and of others by name; all in one mode."""
    terms: Terms
    """Of the whole picture."""
    fusion_weights: Mapping[str, float]
    stride_ticks: int
    heat: bool
    new_feed: NewFeed
    timer: Timer
    submit: Submit | None

    def choice(self, terms: Terms) -> Choice:
        """Raises UsageError for a model that is not here, and for labels that it does not have."""
        if terms.model not in self.models:
            names = ", ".join(name for name in self.models if name is not None)
            raise UsageError(
                f"model {terms.model} is not loaded; "
                + (f"name one of {names}" if names else "name it in a zone when the program starts")
            )
        engines = self.models[terms.model]
        first = next(iter(engines.values()))
        classes = watched_classes(first.weights.labels, terms.watch)
        labels = tuple(first.weights.labels[i] for i in classes)
        heads = {stream: engine.head for stream, engine in engines.items()}
        weights = {stream: self.fusion_weights.get(stream, 1.0) for stream in engines}
        return Choice(classes, labels, heads, weights, first.mode)

    def check(self, zone: Zone) -> None:
        """Raises UsageError for a zone whose model, labels or probabilities cannot be."""
        terms = self.terms.of(zone)
        try:
            self.choice(terms)
        except UsageError as error:
            raise UsageError(f"zone {zone.name}: {error}") from error

    def predictions(self, part: Part, terms: Terms, zone: str | None = None) -> Predictions:
        """From scores to predictions, of the zone that is named."""
        spec = next(iter(self.models[terms.model].values())).spec
        return Predictions(self.choice(terms), spec, terms.smooth, part, heat=self.heat, zone=zone)

    def at(self, part: Part, terms: Terms, zone: str | None = None) -> Stages:
        """All stages for a part of the picture. `zone`: the name in its predictions and events."""
        engines = self.models[terms.model]
        specs = {stream: engine.spec for stream, engine in engines.items()}
        return Stages(
            Inputs(specs, part, self.new_feed, self.timer),
            Spans(engines, self.stride_ticks, view_count(part)),
            RunEngines(engines, self.timer, self.submit),
            self.predictions(part, terms, zone),
            Events(terms.events, self.choice(terms).labels, zone),
        )
