"""A picture of a whole run: the leading classes over media time, the events under them, gaps hatched.

Memory is bounded, whatever the length of the run: neighbouring predictions share a bin that keeps each class's highest
probability, and when there are too many bins, they are joined in pairs. Over a day of video a bin covers about a
minute, and an action of a few seconds still shows as a peak.
"""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from realtime.errors import OutputError
from realtime.outputs.timeline_chart import Chart, save_chart
from realtime.types import Event, Gap, Prediction

CLASSES = 6
"""Maximum number of classes with a line and a row."""
WORTH_SHOWING = 0.1
"""A class without an event is shown if it reached this probability."""
MAX_BINS = 2048
MAX_STRETCHES = 2000
"""Maximum number of separate events, and of gaps; the picture is 1200 px wide."""


class Timeline:
    """Sink: collects the recogniser's output; `save` draws it."""

    def __init__(self, labels: Sequence[str]) -> None:
        """`labels`: names of the classes, in the order of `Prediction.probabilities`."""
        self._labels = tuple(labels)
        self._spans_s = np.zeros((MAX_BINS, 2))
        self._highest = np.zeros((MAX_BINS, len(self._labels)), np.float32)
        self._bins = 0
        self._per_bin = 1
        self._in_last_bin = 0
        self._events: list[Event] = []
        self._gaps: list[Event] = []

    def push(self, item: Prediction | Event | Gap) -> None:
        """The next output. Provisional predictions are ignored: settled ones follow for the same time."""
        if isinstance(item, Event):
            self._events.append(item)
            self._events = _thinned(self._events)
        elif isinstance(item, Gap):
            self._gaps.append(Event("no frames", float(item.start), float(item.end), 0.0))
            self._gaps = _thinned(self._gaps)
        elif item.settled:
            self._add(item)

    def save(self, path: Path | str, *, title: str, caption: str = "") -> None:
        """Write a PNG, 1200 px wide. `title`: name of the source. `caption`: streams and name of the weights.

        Raises OutputError if the file cannot be written.
        """
        bins, shown = slice(self._bins), self._leading()
        chart = Chart(
            names=[self._labels[index] for index in shown],
            spans_s=self._spans_s[bins],
            probabilities=self._highest[bins, shown],
            unit="probability" if self._per_bin == 1 else f"highest probability\nof {self._per_bin} answers",
            events=self._events,
            gaps=self._gaps,
            title=title,
            caption=caption + (" · hatched: no frames" if self._gaps else ""),
        )
        try:
            save_chart(path, chart)
        except OSError as error:
            reason = error.strerror or str(error)
            raise OutputError(
                f"cannot write the timeline {path}: {reason}; name a path that can be written"
            ) from error

    def _add(self, prediction: Prediction) -> None:
        if self._in_last_bin == 0:
            if self._bins == MAX_BINS:
                self._halve()
            self._spans_s[self._bins, 0] = prediction.start_s
            self._highest[self._bins] = 0
            self._bins += 1
        last = self._bins - 1
        self._spans_s[last, 1] = prediction.end_s
        np.maximum(self._highest[last], prediction.probabilities, out=self._highest[last])
        self._in_last_bin = (self._in_last_bin + 1) % self._per_bin

    def _halve(self) -> None:
        half = MAX_BINS // 2
        self._spans_s[:half, 0], self._spans_s[:half, 1] = self._spans_s[::2, 0], self._spans_s[1::2, 1]
        self._highest[:half] = np.maximum(self._highest[::2], self._highest[1::2])
        self._bins, self._per_bin = half, 2 * self._per_bin

    def _leading(self) -> list[int]:
        """Classes to show: those with the longest events, then the likeliest overall."""
        if not self._bins:
            return []
        highest = self._highest[: self._bins]
        peak, mean = highest.max(axis=0), highest.mean(axis=0)
        event_s: dict[str, float] = defaultdict(float)
        for event in self._events:
            event_s[event.label] += event.end_s - event.start_s
        order = sorted(range(len(self._labels)), key=lambda i: (-event_s[self._labels[i]], -mean[i]))
        worth = [i for i in order if event_s[self._labels[i]] or peak[i] >= WORTH_SHOWING]
        return (worth or order[:1])[:CLASSES]


def _thinned(stretches: list[Event]) -> list[Event]:
    """The same list, or, if it has grown too long, one in which nearby stretches of the same label are joined."""
    if len(stretches) <= 2 * MAX_STRETCHES:
        return stretches
    span_s = max(s.end_s for s in stretches) - min(s.start_s for s in stretches)
    apart_s = span_s / MAX_STRETCHES
    while len(stretches) > MAX_STRETCHES and apart_s < 2 * span_s:
        stretches = _joined(stretches, apart_s)
        apart_s *= 2
    return stretches


def _joined(stretches: list[Event], apart_s: float) -> list[Event]:
    """Joins stretches of the same label that are at most `apart_s` apart; the result has the mean of their
    probabilities."""
    out: list[Event] = []
    for new in sorted(stretches, key=lambda s: (s.label, s.start_s)):
        old = out[-1] if out else None
        if old is None or old.label != new.label or new.start_s - old.end_s > apart_s:
            out.append(new)
            continue
        old_s, new_s = old.end_s - old.start_s, new.end_s - new.start_s
        mean = (old.probability * old_s + new.probability * new_s) / ((old_s + new_s) or 1)
        out[-1] = Event(old.label, old.start_s, max(old.end_s, new.end_s), mean)
    return out
