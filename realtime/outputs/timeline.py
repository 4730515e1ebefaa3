"""A picture of a whole run: small pictures of events, the leading classes over media time, the events under them, gaps
hatched.

Memory is bounded, whatever the length of the run: neighbouring predictions share a bin that keeps each class's highest
probability, and when there are too many bins, they are joined in pairs. Over a day of video a bin covers about a
minute, and an action of a few seconds still shows as a peak.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from realtime.errors import OutputError
from realtime.outputs.thumbnails import Thumbnails
from realtime.outputs.timeline_chart import Chart, save_chart
from realtime.outputs.why import why
from realtime.types import Event, Frame, Gap, Idle, Prediction, of_whole

CLASSES = 6
"""Maximum number of classes with a line and a row."""
WORTH_SHOWING = 0.1
"""A class without an event is shown if it reached this probability."""
MAX_BINS = 2048
MAX_STRETCHES = 2000
"""Maximum number of separate events, and of gaps; the picture is 1200 px wide."""


class Timeline:
    """Sink: collects the recogniser's output; `save` draws it."""

    def __init__(self, labels: Sequence[str], max_bins: int = MAX_BINS) -> None:
        """`labels`: names of the classes, in the order of `Prediction.probabilities`. `max_bins`: an even number."""
        self._labels = tuple(labels)
        self.spans_s = np.zeros((max_bins, 2))
        """Start and end of each bin, in seconds."""
        self.highest = np.zeros((max_bins, len(self._labels)), np.float32)
        """Highest probability of each class in each bin."""
        self.bins = 0
        """Number of bins in use."""
        self.per_bin = 1
        """Predictions that share a bin."""
        self._in_last_bin = 0
        self.events: list[Event] = []
        self._gaps: list[Event] = []
        self._rest: Idle | None = None
        self._thumbnails = Thumbnails()

    def push(self, item: Frame | Prediction | Event | Gap | Idle) -> None:
        """The next frame, or an output for it. Provisional predictions are ignored: settled ones follow for the same
        time. Without frames the picture has none of the events' own."""
        if not isinstance(item, Gap | Idle):
            self._thumbnails.push(item)
        if isinstance(item, Frame):
            return
        if isinstance(item, Event):
            self.events.append(item)
            self.events = thinned(self.events)
        elif isinstance(item, Gap) and item.zone is not None:
            pass  # a zone that moved: frames came all the same
        elif isinstance(item, Gap):
            self._add_gap("no frames", item.start, item.end)
        elif isinstance(item, Idle):
            if self._rest is not None and self._rest.at < item.since:
                self._add_gap("nothing moved", self._rest.at, item.since)
            self._rest = item if item.resting else None
        elif item.settled and of_whole(item):
            self._add(item)

    def save(self, path: Path | str, *, title: str, caption: str = "") -> None:
        """Write a PNG, 1200 px wide. `title`: name of the source. `caption`: streams and name of the weights.

        Raises OutputError if the file cannot be written.
        """
        bins, shown = slice(self.bins), self.leading()
        chart = Chart(
            names=[self._labels[index] for index in shown],
            spans_s=self.spans_s[bins],
            probabilities=self.highest[bins, shown],
            unit="probability" if self.per_bin == 1 else f"highest probability\nof {self.per_bin} answers",
            events=self.events,
            gaps=self._gaps,
            title=title,
            caption=caption + _hatched(self._gaps),
            thumbnails=self._thumbnails.of_events,
        )
        try:
            save_chart(path, chart)
        except OSError as error:
            raise OutputError(
                f"cannot write the timeline {path}: {why(error, path)}; name a path that can be written"
            ) from error

    def _add_gap(self, cause: str, start: Fraction, end: Fraction) -> None:
        self._gaps = thinned([*self._gaps, Event(cause, float(start), float(end), 0.0)])

    def _add(self, prediction: Prediction) -> None:
        if self._in_last_bin == 0:
            if self.bins == len(self.spans_s):
                self._halve()
            self.spans_s[self.bins, 0] = prediction.start_s
            self.highest[self.bins] = 0
            self.bins += 1
        last = self.bins - 1
        self.spans_s[last, 1] = prediction.end_s
        np.maximum(self.highest[last], prediction.probabilities, out=self.highest[last])
        self._in_last_bin = (self._in_last_bin + 1) % self.per_bin

    def _halve(self) -> None:
        half = len(self.spans_s) // 2
        self.spans_s[:half, 0], self.spans_s[:half, 1] = self.spans_s[::2, 0], self.spans_s[1::2, 1]
        self.highest[:half] = np.maximum(self.highest[::2], self.highest[1::2])
        self.bins, self.per_bin = half, 2 * self.per_bin

    def leading(self) -> list[int]:
        """Classes to show: those with the longest events, then the likeliest overall."""
        if not self.bins:
            return []
        highest = self.highest[: self.bins]
        peak, mean = highest.max(axis=0), highest.mean(axis=0)
        event_s: dict[str, float] = defaultdict(float)
        for event in filter(of_whole, self.events):
            event_s[event.label] += event.end_s - event.start_s
        order = sorted(range(len(self._labels)), key=lambda i: (-event_s[self._labels[i]], -mean[i]))
        worth = [i for i in order if event_s[self._labels[i]] or peak[i] >= WORTH_SHOWING]
        return (worth or order[:1])[:CLASSES]


def _hatched(gaps: list[Event]) -> str:
    causes = dict.fromkeys(gap.label for gap in gaps)
    return f" · hatched: {' or '.join(causes)}" if causes else ""


def thinned(stretches: list[Event], most: int = MAX_STRETCHES) -> list[Event]:
    """The same list, or, if it is longer than twice `most`, one in which nearby stretches of the same label are
    joined."""
    if len(stretches) <= 2 * most:
        return stretches
    span_s = max(s.end_s for s in stretches) - min(s.start_s for s in stretches)
    apart_s = span_s / most
    while len(stretches) > most and apart_s < 2 * span_s:
        stretches = joined(stretches, apart_s)
        apart_s *= 2
    return stretches


def joined(stretches: list[Event], apart_s: float) -> list[Event]:
    """Joins stretches of the same label and zone that are at most `apart_s` apart; the result has the mean of their
    probabilities."""
    out: list[Event] = []
    for new in sorted(stretches, key=lambda s: (*_kind(s), s.start_s)):
        old = out[-1] if out else None
        if old is None or _kind(old) != _kind(new) or new.start_s - old.end_s > apart_s:
            out.append(new)
            continue
        old_s, new_s = old.end_s - old.start_s, new.end_s - new.start_s
        mean = (old.probability * old_s + new.probability * new_s) / ((old_s + new_s) or 1)
        out[-1] = replace(old, end_s=max(old.end_s, new.end_s), probability=mean)
    return out


def _kind(event: Event) -> tuple[str, bool, str]:
    """Zone, whether it is one of several actions, and label."""
    return event.zone or "", event.id is not None, event.label
