"""Predictions and events of named parts of the picture, from the same cells as those of the whole picture."""

from dataclasses import replace
from typing import Any

import numpy as np

from engines.head import Floats
from engines.spec import StreamSpec
from realtime.errors import UsageError
from realtime.stages.cells import Reading, calibrated
from realtime.stages.events import EventOptions, Events
from realtime.stages.fuse import fuse, top_labels
from realtime.stages.region import Region
from realtime.stages.where import box_in_source, cell_boxes, upright
from realtime.types import Event, Picture, Prediction
from realtime.zones import Zone, ZoneRemoved


class ZonePredictions:
    """Stage: `Reading`s in; each is passed on, followed by the prediction of each zone and the events that it ends.

    A `Zone` that comes in is added, or replaces the one of its name; `ZoneRemoved` removes one. Out comes the event
    that ends with it.

    A cell is weighted by the share of it that lies inside the zone. A zone that contains no part of a cell, such as
    after a camera has changed the size of its pictures, has no predictions.
    """

    def __init__(
        self,
        options: EventOptions,
        labels: tuple[str, ...],
        spec: StreamSpec,
        region: Region = None,
    ) -> None:
        """`labels`: names of the classes to choose from. `region`: the part of each frame that was looked at."""
        self._options, self._labels, self._spec, self._region = options, labels, spec, region
        self._zones: dict[str, tuple[Zone, Events]] = {}
        self._picture: Picture | None = None
        self._parts: Floats = np.zeros((0, 7, 7), np.float32)
        self._seen: list[tuple[Zone, Events]] = []

    def reset(self) -> None:
        """Forget all predictions and open events; the zones stay."""
        for _, events in self._zones.values():
            events.reset()

    def push(self, item: Any) -> list[Any]:
        if isinstance(item, Zone):
            return self._put(item)
        if isinstance(item, ZoneRemoved):
            return self._remove(item.name)
        if not isinstance(item, Reading):
            return [item]
        if item.picture != self._picture:
            self._place(item.picture)
        out: list[Any] = [item]
        logits = item.cells.logits(self._parts) if self._seen else {}
        for number, (zone, events) in enumerate(self._seen):
            own = {name: values[number] for name, values in logits.items()}
            out += events.push(self._predict(item, zone, self._parts[number], own))
        return out

    def flush(self) -> list[Event]:
        """End of the stream or of a section: open events last to the end of the last prediction."""
        return [event for _, events in self._zones.values() for event in events.flush()]

    def _put(self, zone: Zone) -> list[Event]:
        before = self._zones.get(zone.name)
        if before is not None and before[0] == zone:
            return []
        self._zones[zone.name] = zone, Events(self._options, self._labels, zone.name)
        self._picture = None  # all are placed again
        return [] if before is None else before[1].flush()

    def _remove(self, name: str) -> list[Event]:
        self._picture = None
        removed = self._zones.pop(name, None)
        return [] if removed is None else removed[1].flush()

    def _place(self, picture: Picture) -> None:
        self._picture = picture
        zones = list(self._zones.values())
        shares = [shares_of_cells(zone, picture, self._region, self._spec) for zone, _ in zones]
        seen = [number for number, share in enumerate(shares) if share.sum() > 0]
        self._seen = [zones[number] for number in seen]
        if seen:
            self._parts = np.stack([shares[number] / shares[number].sum() for number in seen])

    def _predict(self, reading: Reading, zone: Zone, part: Floats, logits: dict[str, Floats]) -> Prediction:
        cells = float(1 / np.square(part).sum())
        probabilities = calibrated(fuse(logits, reading.cells.weights), cells)
        scores = reading.cells.scores(int(probabilities.argmax()))
        inside = np.where(part > 0, scores, np.minimum(scores, 0))
        return replace(
            reading.prediction,
            probabilities=probabilities,
            top=top_labels(probabilities, self._labels),
            by_stream={
                name: top_labels(calibrated(own, cells), self._labels) for name, own in logits.items()
            },
            where=box_in_source(inside, reading.picture, self._region, self._spec),
            heat=None,
            actions=None,
            zone=zone.name,
        )


def shares_of_cells(zone: Zone, picture: Picture, region: Region, spec: StreamSpec) -> Floats:
    """The share of each cell that lies in a zone: float32 (7, columns)."""
    boxes = cell_boxes(picture, region, spec)
    try:
        x, y, width, height = upright(zone.in_px(picture.stored_px), picture)
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
    if not shares_of_cells(zone, picture, region, spec).any():
        raise UsageError(
            f"zone {zone.name}: the network sees nothing of it, but the middle square or the region that was given; "
            "move it there, or give --region full"
        )
