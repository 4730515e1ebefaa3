"""Several actions in one picture: each is found in a part of it, tracked while it lasts, and reported as an event.

A part is a square of 4 x 4 of the 7 x 7 cells; each possible square has its own probabilities. Smaller parts would
find actions where there are none. The logits of a part are averaged over the whole picture, as if the other cells
scored zero (`realtime.stages.cells.calibrated`): otherwise a few cells would be surer than all of them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np

from engines.head import Floats
from engines.spec import StreamSpec
from realtime.stages.cells import Cells, Reading, calibrated
from realtime.stages.events import EventOptions
from realtime.stages.fuse import fuse
from realtime.stages.region import Region
from realtime.stages.where import MeanBox, box_in_source
from realtime.types import Action, Box, Event, Prediction

SIDE = 4
"""Width and height of a part, in cells."""
MOST_SHARED = 0.5
"""Of two parts that share more of their cells than this, only the likelier one counts."""
LEAST = 0.01
"""Classes less likely than this are never reported, whatever `off` is."""
REACH = 2
"""How many cells an action may move in each direction from one prediction to the next."""


@dataclass(frozen=True)
class Spot:
    """A class that is likely in a part."""

    number: int
    """Number of the class."""
    row: int
    column: int
    """Row and column of the part's first cell."""
    probability: float

    def shared(self, other: "Spot") -> float:
        """Share of a part's cells that both contain."""
        down = SIDE - abs(self.row - other.row)
        across = SIDE - abs(self.column - other.column)
        return max(0, down) * max(0, across) / SIDE**2

    def excludes(self, other: "Spot") -> bool:
        """Whether the two cannot be told apart, so that only one of them counts."""
        shared = self.shared(other)
        return shared > MOST_SHARED or (self.number == other.number and shared > 0)


@dataclass(eq=False)
class Track:
    """An action in progress."""

    id: int
    start_s: float
    spot: Spot
    """The newest one."""
    total: float = 0.0
    count: int = 0
    """Sum and number of its probabilities."""
    where: MeanBox = field(default_factory=MeanBox)


class Several:
    """Stage: `Reading`s in; each is passed on with its actions, followed, if settled, by the events that it ends.

    An action begins with a probability of at least `on` and continues while the same class has at least `off` near
    its last place. Its start and end are placed in time as `realtime.stages.events` does.
    """

    def __init__(
        self, options: EventOptions, labels: Sequence[str], spec: StreamSpec, region: Region = None
    ) -> None:
        """`labels`: names of the classes to choose from. `region`: the part of each frame that was looked at."""
        self._options, self._labels, self._spec, self._region = options, labels, spec, region
        self.reset()

    def reset(self) -> None:
        """Forget all actions; numbers begin again."""
        self._tracks: list[Track] = []
        self._last: Prediction | None = None
        self._next_id = 1

    def push(self, item: Any) -> list[Any]:
        if not isinstance(item, Reading):
            return [item]
        prediction = item.prediction
        matched = self._matched(spots(item.cells, self._options.off))
        boxes = [self._box(item, spot) for spot, _ in matched]
        ended: list[Event] = []
        ids = [None if track is None else track.id for _, track in matched]
        if prediction.settled:
            boundary_s = prediction.start_s
            if self._last is not None:
                boundary_s = (prediction.start_s + prediction.end_s) / 2
            self._last = prediction
            going = [track or self._begun(spot, boundary_s) for spot, track in matched]
            ended = self._ended((t for t in self._tracks if t not in going), boundary_s)
            for track, (spot, _), box in zip(going, matched, boxes, strict=True):
                track.spot, track.total, track.count = spot, track.total + spot.probability, track.count + 1
                track.where.add(box)
            self._tracks = going
            ids = [track.id for track in going]
        actions = tuple(
            Action(self._labels[spot.number], spot.probability, box, number)
            for (spot, _), box, number in zip(matched, boxes, ids, strict=True)
        )
        return [replace(item, prediction=replace(prediction, actions=actions)), *ended]

    def flush(self) -> list[Event]:
        """End of the stream or of a section: all current actions last to the end of the last prediction."""
        ended = [] if self._last is None else self._ended(self._tracks, self._last.end_s)
        self._tracks, self._last = [], None
        return ended

    def _matched(self, found: Iterable[Spot]) -> list[tuple[Spot, Track | None]]:
        """The actions of a reading, likeliest first, each with the track that it continues."""
        free, matched = list(self._tracks), list[tuple[Spot, Track | None]]()
        for spot in found:
            if any(spot.excludes(other) for other, _ in matched):
                continue
            track = _nearest(spot, free)
            if track is not None:
                free.remove(track)
            elif spot.probability < self._options.on:
                continue
            matched.append((spot, track))
        return matched

    def _begun(self, spot: Spot, start_s: float) -> Track:
        self._next_id += 1
        return Track(self._next_id - 1, start_s, spot)

    def _ended(self, tracks: Iterable[Track], end_s: float) -> list[Event]:
        return [
            Event(
                self._labels[track.spot.number],
                track.start_s,
                end_s,
                track.total / track.count,
                track.where.box,
                id=track.id,
            )
            for track in sorted(tracks, key=lambda track: track.id)
            if end_s - track.start_s >= self._options.min_length_s
        ]

    def _box(self, reading: Reading, spot: Spot) -> Box | None:
        """The box around the scores of its class inside its part."""
        scores = reading.cells.scores(spot.number)
        inside = np.zeros(scores.shape, np.bool_)
        inside[spot.row : spot.row + SIDE, spot.column : spot.column + SIDE] = True
        masked = np.where(inside, scores, np.minimum(scores, 0))
        return box_in_source(masked, reading.picture, self._region, self._spec)


def spots(cells: Cells, least: float) -> list[Spot]:
    """All classes with at least this probability in a part whose logit for them is above zero, likeliest first.

    Without that condition, one of a few labels would always be fairly likely, even with no evidence for any.
    """
    rows, columns = cells.shape
    down, across = rows - SIDE + 1, columns - SIDE + 1
    logits = fuse(cells.logits(parts(rows, columns)), cells.weights)
    probabilities = np.where(logits > 0, calibrated(logits, SIDE**2), 0).reshape(down, across, -1)
    found = [
        Spot(int(number), int(row), int(column), float(probabilities[row, column, number]))
        for row, column, number in np.argwhere(probabilities >= max(least, LEAST))
    ]
    return sorted(found, key=lambda spot: -spot.probability)


@cache
def parts(rows: int, columns: int) -> Floats:
    """Weight of each cell in each part, row by row: float32 (parts, rows, columns). Not to be changed: it is kept."""
    places = [(row, column) for row in range(rows - SIDE + 1) for column in range(columns - SIDE + 1)]
    found = np.zeros((len(places), rows, columns), np.float32)
    for part, (row, column) in zip(found, places, strict=True):
        part[row : row + SIDE, column : column + SIDE] = 1 / SIDE**2
    return found


def _nearest(spot: Spot, tracks: Iterable[Track]) -> Track | None:
    """The nearest track of the same class within reach."""

    def away(track: Track) -> int:
        return max(abs(spot.row - track.spot.row), abs(spot.column - track.spot.column))

    same = [t for t in tracks if t.spot.number == spot.number and away(t) <= REACH]
    return min(same, key=away, default=None)
