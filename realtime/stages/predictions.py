"""From what the engines say of spans of ticks to predictions and events. Used by the recogniser alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from engines.engine import POSITION_BEHIND_TICKS
from realtime.stages.dropped_frames import Holes
from realtime.stages.events import EventOptions, Events
from realtime.stages.fuse import fuse, softmax, top_labels
from realtime.stages.smooth import Logits, Smooth
from realtime.types import Event, Prediction


@dataclass(frozen=True)
class Span:
    """What the engines say of the ticks [start, stop)."""

    start: int
    stop: int
    logits: Logits
    """Of all classes; of the streams that were there."""


class Answers:
    """Stage: spans in order in, predictions and finished events out."""

    def __init__(
        self,
        fps: Fraction,
        classes: Sequence[int],
        labels: tuple[str, ...],
        mode: str,
        weights: Mapping[str, float],
        smooth: int,
        events: EventOptions,
    ) -> None:
        """`classes`, `labels`: numbers and names of those to choose from. `weights`: by stream, in the order in which they are
        named."""
        self._fps, self._classes, self._labels, self._mode = fps, list(classes), labels, mode
        self._weights = weights
        self.behind_ticks = 0 if mode == "window" else POSITION_BEHIND_TICKS
        """So far back from its first tick the engines see for an answer."""
        self._smooth = Smooth(smooth)
        self.events = Events(events)
        self.holes = Holes(fps)
        self.predictions = self.ended_events = 0
        """Given so far."""
        self.reset()

    def reset(self) -> None:
        """Nothing follows on what was before; the counts go on."""
        self._smooth.reset()
        self.events.reset()
        self.section_stop: int | None = None
        """No answer speaks of ticks from here on."""
        self.any_settled = False

    def settle(self, span: Span, seen_stop: int) -> list[Prediction | Event]:
        """A final answer. `seen_stop`: tick before which the engines have seen all."""
        start, logits = self._smooth.push(span.start, self._watched(span.logits))
        prediction = self._predict(Span(start, span.stop, logits), seen_stop, settled=True)
        self.any_settled = True
        events = self.events.push(prediction, self._labels)
        self.ended_events += len(events)
        return [prediction, *events]

    def preview(self, spans: Sequence[Span], seen_stop: int) -> Prediction:
        """One provisional answer for spans that will be settled later."""
        start, logits = self._smooth.peek([(span.start, self._watched(span.logits)) for span in spans])
        return self._predict(Span(start, spans[-1].stop, logits), seen_stop, settled=False)

    def restart_mean(self) -> None:
        """The next answer stands alone."""
        self._smooth.reset()

    def flush(self) -> list[Event]:
        """The event that is going on ends here."""
        events = self.events.flush()
        self.ended_events += len(events)
        return events

    def _watched(self, logits: Logits) -> Logits:
        return {name: logits[name][self._classes] for name in self._weights if name in logits}

    def _predict(self, span: Span, seen_stop: int, *, settled: bool) -> Prediction:
        stop = span.stop if self.section_stop is None else min(span.stop, self.section_stop)
        self.predictions += 1
        probabilities = softmax(fuse(span.logits, self._weights))
        return Prediction(
            start_tick=span.start,
            stop_tick=stop,
            start_s=float(span.start / self._fps),
            end_s=float(stop / self._fps),
            probabilities=probabilities,
            top=top_labels(probabilities, self._labels),
            by_stream={name: top_labels(softmax(own), self._labels) for name, own in span.logits.items()},
            streams=tuple(span.logits),
            mode=self._mode,
            settled=settled,
            dropped_frames=self._dropped(span.start, seen_stop, settled),
        )

    def _dropped(self, start: int, seen_stop: int, settled: bool) -> int:
        start -= self.behind_ticks
        if settled:  # these begin ever later; a provisional one lies ahead of settled ones to come
            self.holes.forget_before(start)
        return self.holes.count(start, seen_stop)
