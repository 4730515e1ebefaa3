"""Predictions and events of named parts of the picture, from the same cells as those of the whole picture."""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engines.head import Floats
from engines.spec import StreamSpec
from realtime.errors import UsageError
from realtime.stages.cells import Reading, calibrated
from realtime.stages.dropped_frames import Dropped
from realtime.stages.events import Events, OpenEvent
from realtime.stages.fuse import fuse, top_labels_of_each
from realtime.stages.looks import Looks
from realtime.stages.predictions import Predictions
from realtime.stages.region import Region
from realtime.stages.where import boxes_in_source, cell_boxes, zone_in_frame
from realtime.types import Box, Event, Picture, Prediction
from realtime.zones import Zone, ZoneRemoved

REST = 0.2
"""The scores of the rest of the picture count so much against a zone. What goes on elsewhere is seen by the cells of a
zone too; see "How zones are read" in docs/benchmarks.md."""


@dataclass(frozen=True, eq=False)
class CellZone:
    """A zone that is read from cells."""

    zone: Zone
    events: Events
    labels: tuple[str, ...]
    predictions: Predictions | None
    """Where the cells come from, if it does not choose from the same labels, or average the same stretches, as the
    whole picture."""


class Place(NamedTuple):
    """Where a zone is in the picture."""

    part: Floats
    """Weight of each cell inside it, float32 (7, columns); their sum is 1."""
    weights: Floats
    """Weight of each cell in its logits, float32 (7, columns): `part`, less `REST` of the mean of the other cells."""
    cells: float
    """How many cells it is as sure as."""


class ZonePredictions:
    """Stage: `Reading`s in; each is passed on, followed by the prediction of each zone and the events that it ends.

    A `Zone` that comes in is added, or replaces the one of its name; `ZoneRemoved` removes one. Out comes the event
    that ends with it. Own zones are not for this stage.

    A cell is weighted by the share of it that lies inside the zone, and a fifth of what the rest of the picture scores
    is taken off. A zone that contains no part of a cell, such as after a camera has changed the size of its pictures,
    has no predictions.
    """

    def __init__(self, looks: Looks, spec: StreamSpec, region: Region = None) -> None:
        """`region`: the part of each frame that was looked at."""
        self._looks, self._spec, self._region = looks, spec, region
        self._zones: dict[str, CellZone] = {}
        self._picture: Picture | None = None
        self._places: dict[str, Place] = {}
        """By name, of the zones that are seen."""

    @property
    def open_events(self) -> list[OpenEvent]:
        """What is going on in each zone."""
        going = (each.events.current for each in self._zones.values())
        return [event for event in going if event is not None]

    def reset(self) -> None:
        """Forget all predictions and open events; the zones stay."""
        for each in self._zones.values():
            each.events.reset()
            if each.predictions is not None:
                each.predictions.reset()

    def push(self, item: Any) -> list[Any]:
        if isinstance(item, Zone):
            return self._remove(item.name) if item.own else self._put(item)
        if isinstance(item, ZoneRemoved):
            return self._remove(item.name)
        if isinstance(item, Dropped):
            for predictions in self._others():
                predictions.push(item)
            return []
        return self._read(item) if isinstance(item, Reading) else [item]

    def flush(self) -> list[Event]:
        """End of the stream or of a section: open events last to the end of the last prediction."""
        for predictions in self._others():
            predictions.flush()
        return [event for each in self._zones.values() for event in each.events.flush()]

    def _others(self) -> list[Predictions]:
        return [each.predictions for each in self._zones.values() if each.predictions is not None]

    def _put(self, zone: Zone) -> list[Event]:
        before = self._zones.get(zone.name)
        if before is not None and before.zone == zone:
            return []
        terms, whole = self._looks.terms.of(zone), self._looks.terms
        same = (terms.smooth, terms.watch) == (whole.smooth, whole.watch)
        predictions = None if same else self._looks.predictions(self._region, terms)
        labels = self._looks.choice(terms).labels
        events = Events(terms.events, labels, zone.name)
        self._zones[zone.name] = CellZone(zone, events, labels, predictions)
        self._picture = None  # all are placed again
        return [] if before is None else before.events.flush()

    def _remove(self, name: str) -> list[Event]:
        self._picture = None
        removed = self._zones.pop(name, None)
        return [] if removed is None else removed.events.flush()

    def _place(self, picture: Picture) -> None:
        self._picture = picture
        shares = {
            name: shares_of_cells(each.zone, picture, self._region, self._spec)
            for name, each in self._zones.items()
        }
        self._places = {name: _placed(share) for name, share in shares.items() if share.any()}

    def _read(self, reading: Reading) -> list[Any]:
        if reading.picture != self._picture:
            self._place(reading.picture)
        out: list[Any] = [reading]
        common = [name for name in self._places if self._zones[name].predictions is None]
        predictions = self._predict(reading, common)
        for name, each in self._zones.items():
            if each.predictions is not None:  # also where it is not seen now: it may be again
                assert reading.scores is not None
                (own,) = each.predictions.push(reading.scores)
                if name in self._places:
                    predictions |= self._predict(own, [name])
            if name in predictions:
                out += each.events.push(predictions[name])
        return out

    def _predict(self, reading: Reading, names: list[str]) -> dict[str, Prediction]:
        """The predictions of zones that choose from the same labels, by name.

        All in one call each: sixteen small calls take several times as long as one that does the work of sixteen.
        """
        if not names:
            return {}
        cells, labels = reading.cells, self._zones[names[0]].labels
        places = [self._places[name] for name in names]
        parts = np.stack([place.part for place in places])
        sizes = np.array([[place.cells] for place in places], np.float32)
        logits = cells.logits(np.stack([place.weights for place in places]))
        probabilities = calibrated(fuse(logits, cells.weights), sizes)
        tops = top_labels_of_each(probabilities, labels)
        alone = {
            stream: tops
            if len(logits) == 1 and cells.weights[stream] == 1  # it is what was fused
            else top_labels_of_each(calibrated(values, sizes), labels)
            for stream, values in logits.items()
        }
        boxes = self._boxes(reading, parts, probabilities.argmax(axis=-1))
        return {
            name: replace(
                reading.prediction,
                probabilities=probabilities[i],
                top=tops[i],
                by_stream={stream: each[i] for stream, each in alone.items()},
                where=boxes[i],
                heat=None,
                actions=None,
                zone=name,
            )
            for i, name in enumerate(names)
        }

    def _boxes(self, reading: Reading, parts: Floats, leading: NDArray[np.intp]) -> list[Box | None]:
        """Of the class that leads in each part (parts,), its box in it."""
        classes, which = np.unique(leading, return_inverse=True)
        scores = np.moveaxis(reading.cells.scores_of(classes.tolist())[..., which], -1, 0)
        inside = np.where(parts > 0, scores, np.minimum(scores, 0))
        return boxes_in_source(inside, reading.picture, self._region, self._spec)


def _placed(shares: Floats) -> Place:
    part, outside = shares / shares.sum(), 1 - np.minimum(shares, 1)
    rest = outside / max(1, outside.sum())  # less than a cell outside counts for what it is
    return Place(part, part - REST * rest, float(1 / np.square(part).sum()))


def shares_of_cells(zone: Zone, picture: Picture, region: Region, spec: StreamSpec) -> Floats:
    """The share of each cell that lies in a zone: float32 (7, columns)."""
    boxes = cell_boxes(picture, region, spec)
    try:
        x, y, width, height = zone_in_frame(zone, picture)
    except UsageError:  # the camera now delivers smaller pictures
        return np.zeros(boxes.shape[:2], np.float32)
    left, top, wide, high = np.moveaxis(boxes, -1, 0)
    across = np.minimum(left + wide, x + width) - np.maximum(left, x)
    down = np.minimum(top + high, y + height) - np.maximum(top, y)
    shares = np.clip(across / wide, 0, None) * np.clip(down / high, 0, None)
    return np.asarray(shares, dtype=np.float32)


def check_seen(zone: Zone, picture: Picture, region: Region, spec: StreamSpec) -> None:
    """Raises UsageError for a zone that extends outside the picture, or that the network does not see."""
    zone.in_px(picture.stored_px)
    if not zone.own and not shares_of_cells(zone, picture, region, spec).any():
        raise UsageError(
            f"zone {zone.name}: the network sees nothing of it, but the middle square or the region that was given; "
            "move it there, or give --region full"
        )
