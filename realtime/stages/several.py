"""Several actions in one picture: each is found in a part of it, tracked while it lasts, and reported as an event.

A picture has one action, that of the whole, unless two or more of its parts are surer of theirs (`realtime.stages.
parts`). Their evidence is averaged over about three seconds, longer than that of the whole picture.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from engines.head import Floats
from engines.spec import StreamSpec
from realtime.stages.cells import Reading, calibrated
from realtime.stages.events import EventOptions
from realtime.stages.parts import SIDE, Parts, parts_of, together
from realtime.stages.region import Region
from realtime.stages.where import MeanBox, boxes_in_source, seen_squares
from realtime.types import Action, Box, Event, Prediction

BEGINS, WHOLE_BEGINS = 0.9, 0.7
"""Least probabilities with which an action begins in a part and in the whole picture; `on` can only raise them. They
were chosen by `benchmarks.where`, so that scenes without an action have no more events than predictions of the whole
picture give."""
MEMORY_TICKS = 72
"""Readings within so many ticks are averaged."""
LEAST_TICKS = 48
"""Parts are not looked at before this much has been seen: first impressions are often wrong."""
REACH = 3
"""How many cells the best cell of an action may move in each direction from one prediction to the next."""


@dataclass(eq=False)
class Track:
    """An action in progress."""

    number: int
    """Of its class."""
    start_s: float
    id: int
    cell: tuple[int, int]
    """Row and column where it scored most."""
    in_part: bool = False
    """Whether it was found in a part, and not in the whole picture."""
    total: float = 0.0
    count: int = 0
    """Sum and number of its probabilities."""
    where: MeanBox = field(default_factory=MeanBox)


@dataclass(frozen=True)
class Found:
    """An action that a reading shows."""

    number: int
    """Of its class."""
    cell: tuple[int, int]
    """Row and column where it scores most."""
    part: int | None
    """None: the whole picture."""
    probability: float
    track: Track | None
    """What it continues; None if it begins."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """The mean of the newest readings."""

    scores: Floats
    """Of each class in each cell, float32 (rows, columns, classes)."""
    start_tick: int
    stop_tick: int
    """It covers the ticks from start_tick up to, but not including, this one."""

    @property
    def ticks(self) -> int:
        """How many it covers."""
        return self.stop_tick - self.start_tick


class Several:
    """Stage: `Reading`s in; each is passed on with its actions, followed, if settled, by the events that it ends.

    An action continues while the same class has at least `off` near its last place. It begins and ends in the middle
    of the span that first shows it, or no longer: that of the prediction, or the longer one that parts are read from.
    """

    def __init__(
        self, options: EventOptions, labels: Sequence[str], spec: StreamSpec, region: Region = None
    ) -> None:
        """`labels`: names of the classes to choose from. `region`: the part of each frame that was looked at."""
        self._options, self._labels, self._spec, self._region = options, labels, spec, region
        self._begins = max(BEGINS, options.on)
        self.reset()

    def reset(self) -> None:
        """Forget all actions; numbers begin again."""
        self._tracks: list[Track] = []
        self._seen: deque[tuple[int, Floats]] = deque()
        self._first: Prediction | None = None
        self._last: Prediction | None = None
        self._next_id = 1

    def push(self, item: Any) -> list[Any]:
        if not isinstance(item, Reading):
            return [item]
        evidence, parts = self._evidence(item), self._parts(item)
        found = self._found(item, evidence, parts)
        boxes = self._boxes(item, found, parts)
        numbers = [None if each.track is None else each.track.id for each in found]
        ended: list[Event] = []
        if item.prediction.settled:
            ended = self._settle(item.prediction, evidence, found, boxes)
            numbers = [track.id for track in self._tracks]
        actions = tuple(
            Action(self._labels[each.number], each.probability, box, number)
            for each, box, number in zip(found, boxes, numbers, strict=True)
        )
        return [replace(item, prediction=replace(item.prediction, actions=actions)), *ended]

    def flush(self) -> list[Event]:
        """End of the stream or of a section: all current actions last to the end of the last prediction."""
        ended = (
            [] if self._last is None else [e for t in self._tracks for e in self._event(t, self._last.end_s)]
        )
        self._tracks, self._first, self._last = [], None, None
        self._seen.clear()
        return ended

    def _evidence(self, item: Reading) -> Evidence:
        prediction = item.prediction
        newest = (prediction.start_tick, item.cells.fused)
        oldest_tick = min(prediction.stop_tick - MEMORY_TICKS, prediction.start_tick)
        seen = deque(each for each in (*self._seen, newest) if each[0] >= oldest_tick)
        if prediction.settled:
            self._seen = seen
        mean = np.mean([scores for _, scores in seen], axis=0)
        return Evidence(np.asarray(mean, np.float32), seen[0][0], prediction.stop_tick)

    def _parts(self, item: Reading) -> Parts:
        squares = seen_squares(item.picture, self._region, self._spec)
        left, top, width, height = squares[0]
        places = [((y - top) / height, (x - left) / width) for x, y, *_ in squares]
        return parts_of(tuple((round(SIDE * row, 2), round(SIDE * column, 2)) for row, column in places))

    def _found(self, item: Reading, evidence: Evidence, parts: Parts) -> list[Found]:
        """The actions of a reading, likeliest first."""
        whole, surplus = self._in_whole(item, parts)
        if evidence.ticks < LEAST_TICKS:
            return whole
        return self._in_parts(evidence, parts, surplus) or whole

    def _in_whole(self, item: Reading, parts: Parts) -> tuple[list[Found], float]:
        """The action of the whole picture, none or one, and its surplus."""
        best, found = float("-inf"), list[Found]()
        probabilities = item.prediction.probabilities
        for number in {int(probabilities.argmax()), *(track.number for track in self._tracks)}:
            probability, cell = float(probabilities[number]), best_cell(item.cells.fused[..., number])
            track = _nearest(
                number, cell, [t for t in self._tracks if parts.away(t.cell, cell) <= REACH], parts
            )
            needed = self._begins if track is None else self._options.off
            if probability - needed > best:
                best = probability - needed
                least = max(WHOLE_BEGINS, self._options.on) if track is None else self._options.off
                found = [Found(number, cell, None, probability, track)] if probability >= least else []
        return found, best

    def _in_parts(self, evidence: Evidence, parts: Parts, least: float) -> list[Found]:
        """The actions of parts, likeliest first, if their surplus together is larger than `least`."""
        logits = np.einsum("prc,rck->pk", parts.weights, evidence.scores)
        likely = calibrated(logits, parts.cells[:, None])
        likely = np.where(
            logits > 0, likely, 0
        )  # or one label would be fairly likely with no evidence for any
        numbers = np.flatnonzero(likely.max(axis=0) >= self._options.off)
        surplus = {int(number): self._surplus(int(number), likely[:, number], parts) for number in numbers}
        chosen = together(surplus, parts)
        if sum(surplus[number][part] for number, part in chosen) <= least:
            return []
        found, free = list[Found](), list(self._tracks)
        for number, part in chosen:
            own = evidence.scores[..., number]
            cell = best_cell(np.where(parts.weights[part] > 0, own, -np.inf))
            track = _nearest(number, cell, [t for t in free if parts.grown[part][t.cell]], parts)
            free = [other for other in free if other is not track]
            found.append(Found(number, cell, part, float(likely[part, number]), track))
        return sorted(found, key=lambda each: -each.probability)

    def _surplus(self, number: int, likely: Floats, parts: Parts) -> Floats:
        """By how much a class is likelier in each part than it needs to be, (parts,)."""
        continues = np.zeros(len(likely), np.bool_)
        for track in self._tracks:
            if track.number == number:
                continues |= parts.grown[:, track.cell[0], track.cell[1]]
        return np.where(continues, likely - self._options.off, likely - self._begins)

    def _settle(
        self, prediction: Prediction, evidence: Evidence, found: Sequence[Found], boxes: Sequence[Box | None]
    ) -> list[Event]:
        """Begin, continue and end tracks."""
        first = self._first is None
        self._first, self._last = self._first or prediction, prediction
        of_whole_s = prediction.start_s if first else (prediction.start_s + prediction.end_s) / 2
        of_parts_s = float((evidence.start_tick + evidence.stop_tick) / 2 / self._spec.fps)
        going = []
        for each, box in zip(found, boxes, strict=True):
            track = each.track
            if track is None:
                start_s = of_whole_s if each.part is None else of_parts_s
                if (
                    evidence.start_tick == self._first.start_tick
                ):  # it is in all that was seen since the start
                    start_s = self._first.start_s
                track = Track(each.number, start_s, self._next_id, each.cell)
                self._next_id += 1
            track.cell, track.in_part = each.cell, each.part is not None
            track.total, track.count = track.total + each.probability, track.count + 1
            track.where.add(box)
            going.append(track)
        over = [track for track in self._tracks if track not in going]
        self._tracks = going
        return [e for t in over for e in self._event(t, of_parts_s if t.in_part else of_whole_s)]

    def _event(self, track: Track, end_s: float) -> list[Event]:
        """The event of a track that ends, unless it is too short."""
        if end_s - track.start_s < self._options.min_length_s:
            return []
        mean = track.total / track.count
        return [Event(self._labels[track.number], track.start_s, end_s, mean, track.where.box, id=track.id)]

    def _boxes(self, reading: Reading, found: Sequence[Found], parts: Parts) -> list[Box | None]:
        """The boxes around the scores of their classes. A cell counts for the one that scores most there; where there
        are parts, only those of the part and next to it."""
        maps = [reading.cells.fused[..., each.number] for each in found]
        counted = []
        for each, scores in zip(found, maps, strict=True):
            own = scores >= np.max(maps, axis=0)
            if each.part is not None:
                own &= parts.grown[each.part]
            counted.append(np.where(own, scores, np.minimum(scores, 0)))
        return boxes_in_source(counted, reading.picture, self._region, self._spec)


def best_cell(scores: Floats) -> tuple[int, int]:
    """Row and column of the highest of scores (rows, columns)."""
    row, column = divmod(int(scores.argmax()), scores.shape[1])
    return row, column


def _nearest(number: int, cell: tuple[int, int], tracks: Iterable[Track], parts: Parts) -> Track | None:
    """The track of this class that is nearest to a cell."""
    same = [track for track in tracks if track.number == number]
    return min(same, key=lambda track: parts.away(track.cell, cell), default=None)
