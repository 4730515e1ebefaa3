"""From the engines' logits to predictions."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from realtime.stages.dropped_frames import Dropped, DroppedFrames
from realtime.stages.fuse import fuse, softmax, top_labels
from realtime.stages.run_engines import Scores
from realtime.stages.smooth import Logits, Smooth
from realtime.types import Prediction


class Predictions:
    """Stage: `Scores` in, smoothed and fused into a `Prediction` each, which counts the `Dropped` frames in it."""

    def __init__(
        self,
        fps: Fraction,
        classes: Sequence[int],
        labels: tuple[str, ...],
        mode: str,
        weights: Mapping[str, float],
        smooth: int,
    ) -> None:
        """`classes`, `labels`: numbers and names of those to choose from. `weights`: by stream, in the order in which
        they are named."""
        self._fps, self._classes, self._labels, self._mode = fps, list(classes), labels, mode
        self._weights = weights
        self._smooth = Smooth(smooth)
        self._dropped = DroppedFrames()

    def reset(self) -> None:
        """Forget earlier logits and dropped frames."""
        self._smooth.reset()
        self._dropped.clear()

    def push(self, item: Any) -> list[Any]:
        if isinstance(item, Dropped):
            self._dropped.push(item)
            return []
        return [self._predict(item)] if isinstance(item, Scores) else [item]

    def flush(self) -> list[Prediction]:
        """Nothing is pending; the next prediction is not averaged with earlier ones."""
        self._smooth.reset()
        return []

    def _predict(self, scores: Scores) -> Prediction:
        start, logits = self._mean(scores)
        probabilities = softmax(fuse(logits, self._weights))
        return Prediction(
            start_tick=start,
            stop_tick=scores.stop,
            start_s=float(start / self._fps),
            end_s=float(scores.stop / self._fps),
            probabilities=probabilities,
            top=top_labels(probabilities, self._labels),
            by_stream={name: top_labels(softmax(own), self._labels) for name, own in logits.items()},
            streams=tuple(logits),
            mode=self._mode,
            settled=scores.settled,
            dropped_frames=self._dropped_from(start - scores.behind_ticks, scores),
        )

    def _mean(self, scores: Scores) -> tuple[int, Logits]:
        """First tick that the mean covers, and the mean logits of the classes to choose from."""
        positions = [(start, self._watched(logits)) for start, logits in scores.positions]
        return self._smooth.push(*positions[0]) if scores.settled else self._smooth.peek(positions)

    def _watched(self, logits: Logits) -> Logits:
        return {name: logits[name][self._classes] for name in self._weights if name in logits}

    def _dropped_from(self, start: int, scores: Scores) -> int:
        if (
            scores.settled
        ):  # their first ticks only increase; a provisional one is ahead of settled ones to come
            self._dropped.forget_before(start)
        return self._dropped.count(start, scores.seen_stop)
