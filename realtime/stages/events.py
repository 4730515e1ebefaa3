"""From predictions to actions with a start and an end."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from realtime.stages.cells import Reading
from realtime.stages.where import MeanBox
from realtime.types import Event, Prediction


@dataclass(frozen=True)
class EventOptions:
    """When an action begins and ends. The metadata describe the flags of the command line."""

    on: float = field(
        default=0.5, metadata={"min": 0, "max": 1, "help": "Probability at which an event begins."}
    )
    """It begins when it leads with at least this probability."""
    off: float = field(default=0.3, metadata={"min": 0, "max": 1, "help": "Probability below which it ends."})
    """It ends when its probability falls below this, or another one leads with at least `on`."""
    min_length_s: float = field(
        default=0.5, metadata={"flag": "--min-event", "min": 0, "help": "Shortest event, in seconds."}
    )
    """Shorter events are discarded."""


@dataclass(frozen=True)
class OpenEvent:
    """An action that has begun and goes on. It is not an event yet: it may turn out to be too short."""

    label: str
    start_s: float
    """As `Event.start_s` will be."""
    zone: str | None = None
    """As `Event.zone` will be."""


class Events:
    """Stage: predictions or `Reading`s in; each prediction passes through, and the events that it ends follow it if it
    is settled.

    A prediction covers a span; a change is placed in the middle of the first span that shows it, where half of what was
    seen is new. The first prediction after a start or gap counts from its beginning, the last one to its end.
    """

    def __init__(self, options: EventOptions, labels: Sequence[str], zone: str | None = None) -> None:
        """`labels`: names of the classes of `Prediction.probabilities`. `zone`: whose events they are; predictions of
        others pass through."""
        self._options, self._labels, self._zone = options, labels, zone
        self.reset()

    def reset(self) -> None:
        """Forget everything, the open event included."""
        self._label: str | None = None
        self._start_s = 0.0
        self._probabilities: list[float] = []
        self._where = MeanBox()
        self._last: Prediction | None = None

    @property
    def current(self) -> OpenEvent | None:
        """The action that is going on."""
        return None if self._label is None else OpenEvent(self._label, self._start_s, self._zone)

    def push(self, item: Any) -> list[Any]:
        prediction = item.prediction if isinstance(item, Reading) else item
        if not isinstance(prediction, Prediction) or prediction.zone != self._zone:
            return [item]
        return [prediction, *(self._settle(prediction) if prediction.settled else [])]

    def flush(self) -> list[Event]:
        """End of the stream or of a section before a gap: the open event lasts to the end of the last prediction."""
        ended = self._end(self._last.end_s) if self._last and self._label is not None else []
        self.reset()
        return ended

    def _settle(self, prediction: Prediction) -> list[Event]:
        boundary_s = prediction.start_s if self._last is None else (prediction.start_s + prediction.end_s) / 2
        self._last = prediction
        ended: list[Event] = []
        leads = prediction.probability >= self._options.on
        if self._label is not None:
            probability = float(prediction.probabilities[self._labels.index(self._label)])
            replaced = leads and prediction.label != self._label
            if probability >= self._options.off and not replaced:
                self._probabilities.append(probability)
                if prediction.label == self._label:
                    self._where.add(prediction.where)
                return []
            ended = self._end(boundary_s)
        if leads:
            self._label, self._start_s = prediction.label, boundary_s
            self._probabilities, self._where = [prediction.probability], MeanBox()
            self._where.add(prediction.where)
        return ended

    def _end(self, end_s: float) -> list[Event]:
        label, self._label = self._label, None
        if label is None or end_s - self._start_s < self._options.min_length_s:
            return []
        mean = sum(self._probabilities) / len(self._probabilities)
        return [Event(label, self._start_s, end_s, mean, self._where.box, zone=self._zone)]
