"""From the engines' logits to predictions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from engines.head import Head
from engines.spec import StreamSpec
from realtime.stages.cells import Cells, Reading
from realtime.stages.dropped_frames import Dropped, DroppedFrames
from realtime.stages.fuse import fuse, softmax, top_labels
from realtime.stages.run_engines import Scores
from realtime.stages.smooth import Logits, Smooth
from realtime.stages.where import Part, box_in_source
from realtime.types import Picture, Prediction


@dataclass(frozen=True, eq=False)
class Choice:
    """What predictions choose from, and what they say of themselves."""

    classes: list[int]
    """Numbers of the classes to choose from."""
    labels: tuple[str, ...]
    """Their names."""
    heads: Mapping[str, Head]
    """By stream, of all classes."""
    weights: Mapping[str, float]
    """By stream, in the order in which they are named."""
    mode: str


class Predictions:
    """Stage: `Scores` in, smoothed and fused into a `Reading` each, which counts the `Dropped` frames in it; `Dropped`
    is passed on to `ZonePredictions`."""

    def __init__(
        self,
        choice: Choice,
        spec: StreamSpec,
        smooth: int,
        region: Part = None,
        *,
        heat: bool = False,
        zone: str | None = None,
    ) -> None:
        """`region`: the part of each frame that was looked at. `heat`: whether predictions have it. `zone`: the name in
        them."""
        self._choice, self._spec, self._region = choice, spec, region
        self._heat, self._zone = heat, zone
        self._classes = np.array(choice.classes)
        self._heads = {name: head.of(choice.classes) for name, head in choice.heads.items()}
        self._logits, self._cells = Smooth(smooth), Smooth(smooth)
        self._dropped = DroppedFrames()
        self.newest: Reading | None = None
        """The last one; like a count, it outlasts `reset`."""

    def reset(self) -> None:
        """Forget earlier logits and dropped frames."""
        self.flush()
        self._dropped.clear()

    def push(self, item: Any) -> list[Any]:
        if isinstance(item, Dropped):
            self._dropped.push(item)
            return [item]
        if not isinstance(item, Scores):
            return [item]
        self.newest = self._read(item)
        return [self.newest]

    def flush(self) -> list[Reading]:
        """Nothing is pending; the next prediction is not averaged with earlier ones."""
        self._logits.reset()
        self._cells.reset()
        return []

    def _read(self, scores: Scores) -> Reading:
        fps, choice = self._spec.fps, self._choice
        start, logits, cells = self._mean(scores)
        probabilities = softmax(fuse(logits, choice.weights))
        heat = cells.scores(int(probabilities.argmax()))
        picture = scores.picture or Picture((self._spec.crop_px, self._spec.crop_px))
        prediction = Prediction(
            start_tick=start,
            stop_tick=scores.stop,
            start_s=float(start / fps),
            end_s=float(scores.stop / fps),
            probabilities=probabilities,
            top=top_labels(probabilities, choice.labels),
            by_stream={name: top_labels(softmax(own), choice.labels) for name, own in logits.items()},
            streams=tuple(logits),
            mode=choice.mode,
            settled=scores.settled,
            dropped_frames=self._dropped_from(start - scores.behind_ticks, scores),
            where=box_in_source(heat, picture, self._region, self._spec),
            heat=heat if self._heat else None,
            zone=self._zone,
        )
        return Reading(prediction, cells, picture, scores)

    def _mean(self, scores: Scores) -> tuple[int, Logits, Cells]:
        """First tick of what the prediction is a mean of, the mean logits of the classes to choose from, and the mean
        features of the cells."""
        logits = [(p.start, self._watched(p.logits)) for p in scores.positions]
        cells = [(p.start, p.cells) for p in scores.positions]
        if scores.settled:
            (start, mean), (_, features) = self._logits.push(*logits[0]), self._cells.push(*cells[0])
        else:
            (start, mean), (_, features) = self._logits.peek(logits), self._cells.peek(cells)
        return start, mean, Cells(features, self._heads, self._choice.weights)

    def _watched(self, logits: Logits) -> Logits:
        return {name: logits[name][self._classes] for name in self._choice.weights if name in logits}

    def _dropped_from(self, start: int, scores: Scores) -> int:
        if (
            scores.settled
        ):  # their first ticks only increase; a provisional one is ahead of settled ones to come
            self._dropped.forget_before(start)
        return self._dropped.count(start, scores.seen_stop)
