"""What the page is told: the newest answer, the last minute, and what it costs. No thread, no clock of its own."""

from collections import deque
from dataclasses import asdict
from itertools import pairwise
from typing import Any

from realtime.clock import Stopwatch
from realtime.outputs.annotated_video import Recent
from realtime.outputs.overlay import label_colour
from realtime.recognizer import Counts, Output, Recognizer
from realtime.types import Event, Frame, Gap, Prediction
from realtime.view.latency import Latencies
from realtime.view.settings import Settings

SHOWN_S = 60.0
LOAD_OVER_S = 10.0

State = dict[str, Any]
"""One message to the page; all of JSON's own types."""
Ranking = list[tuple[str, float]]


class Board:
    """Told of each frame, answer and step; gives the message for the page."""

    def __init__(self) -> None:
        self.latencies = Latencies()
        self._recent = Recent(SHOWN_S)
        self._gaps: deque[Gap] = deque(maxlen=32)
        self._settled: Prediction | None = None
        self._arrivals_s: deque[float] = deque(maxlen=50)
        self._work: deque[tuple[float, float]] = deque()
        self._now_s = 0.0
        self._size_px = (0, 0)
        self._retired = Counts()
        self._retired_unseen = 0

    def frame(self, frame: Frame, at_s: float) -> None:
        """A frame goes into the recogniser at `at_s` of the monotonic clock."""
        self._now_s = float(frame.pts)
        self._size_px = (frame.rgb.shape[1], frame.rgb.shape[0])
        taken_s = at_s if frame.taken_s is None else frame.taken_s
        self._arrivals_s.append(taken_s)
        self.latencies.take(self._now_s, taken_s)
        self._recent.forget(self._now_s)

    def outputs(self, outputs: list[Output]) -> None:
        """What came of it."""
        for item in outputs:
            self._recent.push(item)
            if isinstance(item, Gap):
                self._gaps.append(item)
                self._settled = None
            elif isinstance(item, Prediction) and item.settled:
                self._settled = item

    def worked(self, seconds: float, at_s: float) -> None:
        """The recogniser was busy for `seconds` up to `at_s`."""
        self._work.append((at_s, seconds))
        while self._work and self._work[0][0] < at_s - LOAD_OVER_S:
            self._work.popleft()

    @property
    def answer(self) -> Prediction | None:
        """The newest."""
        return self._recent.prediction

    def state(self, recognizer: Recognizer | None, settings: Settings) -> State:
        """All that the page shows, but for the source's phase."""
        answer, current = self.answer, recognizer.open_event if recognizer else None
        return {
            "media_s": round(self._now_s, 3),
            "size_px": self._size_px,
            "answer": None if answer is None else _answer(answer),
            "settled": None if self._settled is None else _answer(self._settled),
            "by_stream": _by_stream(answer),
            "current": None
            if current is None
            else [current.label, round(current.start_s, 2), _colour(current.label)],
            "events": [_stretch(event) for event in self._recent.events],
            "trail": _runs(list(self._recent.trail)),
            "gaps": [[round(float(gap.start), 2), round(float(gap.end), 2), gap.cause] for gap in self._gaps],
            "settings": asdict(settings),
        }

    def cost(self, recognizer: Recognizer | None, late: dict[str, int]) -> State:
        """What it costs. `late`: frames that never reached the recogniser, by cause."""
        counts, unseen = self._totals(recognizer)
        dropped = late | {"above 25 fps": unseen}
        span_s = self._arrivals_s[-1] - self._arrivals_s[0] if self._arrivals_s else 0.0
        flow = recognizer.flow_health if recognizer else None
        return {
            "frames": counts.frames + sum(late.values()),
            "used": counts.ticks - counts.repeated_ticks,
            "dropped": {cause: count for cause, count in dropped.items() if count},
            "gaps": counts.gaps,
            "steps": counts.steps,
            "fps": round((len(self._arrivals_s) - 1) / span_s, 1) if span_s > 0 else None,
            "load": self._load(),
            "latency_s": self.latencies.report(),
            "flow": None if flow is None else flow.report(),
        }

    def retire(self, recognizer: Recognizer) -> None:
        """Another recogniser takes over; what this one counted still counts."""
        self._retired, self._retired_unseen = self._totals(recognizer)

    def _totals(self, recognizer: Recognizer | None) -> tuple[Counts, int]:
        """Counts of all recognisers so far, and the frames that no tick showed."""
        if recognizer is None:
            return self._retired, self._retired_unseen
        both = {name: n + getattr(self._retired, name) for name, n in asdict(recognizer.counts).items()}
        return Counts(**both), self._retired_unseen + recognizer.unseen_frames

    def _load(self) -> float | None:
        """Share of the last seconds in which the recogniser worked; above 1 it cannot keep up."""
        if len(self._work) < 2:
            return None
        span_s = self._work[-1][0] - self._work[0][0]
        return round(sum(seconds for _, seconds in list(self._work)[1:]) / span_s, 3) if span_s > 0 else None


def step_seconds(stopwatch: Stopwatch, before: dict[str, float]) -> tuple[float, float]:
    """Seconds of flow and of all else since `before`."""
    spent = {stage: seconds - before.get(stage, 0.0) for stage, seconds in stopwatch.seconds.items()}
    flow_s = spent.get("flow input", 0.0)
    return flow_s, sum(spent.values()) - flow_s


def _answer(prediction: Prediction) -> State:
    return {
        "top": _ranking(prediction.top),
        "settled": prediction.settled,
        "dropped_frames": prediction.dropped_frames,
        "start_s": round(prediction.start_s, 2),
        "end_s": round(prediction.end_s, 2),
        "colours": {label: _colour(label) for label, _ in prediction.top},
    }


def _by_stream(prediction: Prediction | None) -> dict[str, Ranking]:
    if prediction is None:
        return {}
    both = {"both": _ranking(prediction.top)[:3]} if len(prediction.by_stream) > 1 else {}
    return {stream: _ranking(top)[:3] for stream, top in prediction.by_stream.items()} | both


def _ranking(top: tuple[tuple[str, float], ...]) -> Ranking:
    return [(label, round(probability, 4)) for label, probability in top]


def _stretch(event: Event) -> list[Any]:
    span = [round(event.start_s, 2), round(event.end_s, 2)]
    return [event.label, *span, round(event.probability, 3), _colour(event.label)]


def _runs(trail: list[Event]) -> list[list[Any]]:
    """Neighbouring stretches of one label as one, with their mean probability."""
    runs: list[list[Event]] = []
    for before, event in pairwise([None, *trail]):
        assert event is not None
        if before is not None and before.label == event.label and event.start_s - before.end_s < 0.05:
            runs[-1].append(event)
        else:
            runs.append([event])
    return [_stretch(_joined(run)) for run in runs]


def _joined(run: list[Event]) -> Event:
    mean = sum(event.probability for event in run) / len(run)
    return Event(run[0].label, run[0].start_s, run[-1].end_s, mean)


def _colour(label: str) -> str:
    return "#{:02x}{:02x}{:02x}".format(*label_colour(label))
