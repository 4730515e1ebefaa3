"""The page's messages: the newest prediction, the last minute, and what it costs. No thread, no clock."""

from collections import deque
from collections.abc import Mapping
from dataclasses import asdict
from itertools import pairwise
from typing import Any

from realtime.clock import StageName
from realtime.outputs.annotated_video import Recent
from realtime.outputs.overlay import label_colour
from realtime.recognizer import Output
from realtime.stages.events import OpenEvent
from realtime.stages.where import upright
from realtime.types import Box, Event, Figures, Frame, Gap, Idle, Picture, Prediction, of_whole
from realtime.view.latency import Latencies
from realtime.view.settings import Settings

SHOWN_S = 60.0
LOAD_OVER_S = 10.0
CAME_LATE = "came late"
CAUSES = {"late": "too slow here", CAME_LATE: CAME_LATE, "faster than the model's rate": "above 25 fps"}
"""The page's words for the causes of dropped frames in `Figures`."""

State = dict[str, Any]
"""One message to the page, of JSON types only."""
Ranking = list[tuple[str, float]]


class Board:
    """The page as a session's sink; makes the message for the page."""

    def __init__(self) -> None:
        self.latencies = Latencies()
        self._recent = Recent(SHOWN_S)
        self._gaps: deque[Gap] = deque(maxlen=32)
        self._settled: Prediction | None = None
        self._arrivals_s: deque[float] = deque(maxlen=50)
        self.busy: deque[tuple[float, float]] = deque()
        """(time, seconds that the recogniser had worked by then) over the last `LOAD_OVER_S`."""
        self._now_s = 0.0
        self.in_zones: dict[str, Prediction] = {}
        """The newest prediction of each zone, by its name; of zones that are gone, too."""
        self.picture = Picture((0, 0))
        """Of the newest frame; no px before the first."""
        self._news = self._predicted = False

    def push(self, item: Frame | Output) -> None:
        """A frame that has gone through the recogniser, or an output of it."""
        if isinstance(item, Frame):
            self._take(item)
            return
        if isinstance(item, Prediction) and item.zone is not None:
            self.in_zones[item.zone] = item
        if not of_whole(item):
            return
        self._news = True
        self._recent.push(item)
        if isinstance(item, Gap | Idle):
            self._settled = None
            self.in_zones.clear()
        if isinstance(item, Gap):
            self._gaps.append(item)
        elif isinstance(item, Prediction):
            self._predicted = True
            if item.settled:
                self._settled = item

    def close(self) -> None:
        """What is shown stays."""

    def take_news(self) -> tuple[bool, bool]:
        """Whether there has been any output since the last call, and whether there has been a prediction."""
        news, self._news, self._predicted = (self._news, self._predicted), False, False
        return news

    def expect_shown(self, number: int, flow_s: float, engine_s: float, at_s: float) -> None:
        """State `number` with the newest prediction was sent at `at_s`; flow and engine took these seconds for it."""
        if self.answer is not None:
            self.latencies.answer(number, self.answer.end_s, self._now_s, flow_s, engine_s, at_s)

    def _take(self, frame: Frame) -> None:
        self._now_s = float(frame.pts)
        self.picture = Picture(frame.size_px, frame.turn, frame.pixel_aspect)
        if frame.taken_s is not None:
            self._arrivals_s.append(frame.taken_s)
            self.latencies.take(self._now_s, frame.taken_s)
        self._recent.forget(self._now_s)

    @property
    def answer(self) -> Prediction | None:
        """The newest prediction."""
        return self._recent.prediction

    def state(self, current: OpenEvent | None, settings: Settings) -> State:
        """Everything that the page shows, except the source's phase. `current`: the action that is going on."""
        answer = self.answer
        return {
            "media_s": round(self._now_s, 3),
            "size_px": self.picture.size_px[::-1],
            "turn": _turn(self.picture),
            "answer": None if answer is None else _answer(answer, self.picture),
            "settled": None if self._settled is None else _answer(self._settled, self.picture),
            "by_stream": _by_stream(answer),
            "current": None
            if current is None
            else [current.label, round(current.start_s, 2), hex_colour(current.label)],
            "events": [_stretch(event) for event in self._recent.events],
            "trail": runs(list(self._recent.trail)),
            "gaps": [[round(float(gap.start), 2), round(float(gap.end), 2), gap.cause] for gap in self._gaps],
            "settings": asdict(settings),
        }

    def cost(self, figures: Figures, at_s: float) -> State:
        """Cost according to the figures at `at_s` of the monotonic clock."""
        dropped = {CAUSES[cause]: count for cause, count in figures.dropped.items() if cause in CAUSES}
        span_s = self._arrivals_s[-1] - self._arrivals_s[0] if self._arrivals_s else 0.0
        return {
            "frames": figures.frames,
            "used": figures.used,
            "dropped": {cause: count for cause, count in dropped.items() if count},
            "gaps": figures.gaps,
            "steps": figures.steps,
            "fps": round((len(self._arrivals_s) - 1) / span_s, 1) if span_s > 0 else None,
            "load": self._load(figures.busy_s, at_s),
            "latency_s": self.latencies.report(),
            "flow": figures.flow,
        }

    def _load(self, busy_s: float, at_s: float) -> float | None:
        """Share of the last seconds in which the recogniser worked; above 1 it cannot keep up."""
        self.busy.append((at_s, busy_s))
        while self.busy[0][0] < at_s - LOAD_OVER_S:
            self.busy.popleft()
        span_s = at_s - self.busy[0][0]
        return round((busy_s - self.busy[0][1]) / span_s, 3) if span_s > 0 else None


def step_seconds(before: Mapping[str, float], after: Mapping[str, float]) -> tuple[float, float]:
    """Seconds of flow and of everything else but outputs, between two states of `Figures.stage_s`."""
    spent = {stage: seconds - before.get(stage, 0.0) for stage, seconds in after.items()}
    flow_s = spent.get(StageName.FLOW_INPUT, 0.0)
    return flow_s, sum(spent.values()) - flow_s - spent.get(StageName.OUTPUTS, 0.0)


def _turn(picture: Picture) -> State:
    """How the stored picture became the one that is shown."""
    turn = picture.turn
    return {
        "transposed": turn is not None and turn.transposed,
        "flip_x": turn is not None and turn.flip_x,
        "flip_y": turn is not None and turn.flip_y,
        "pixel_aspect": float(picture.pixel_aspect),
    }


def _answer(prediction: Prediction, picture: Picture) -> State:
    return {
        "top": _ranking(prediction.top),
        "settled": prediction.settled,
        "dropped_frames": prediction.dropped_frames,
        "start_s": round(prediction.start_s, 2),
        "end_s": round(prediction.end_s, 2),
        "actions": [
            {
                "id": action.id,
                "label": action.label,
                "p": round(action.probability, 6),
                "box": shown_box(action.where, picture),
                "colour": hex_colour(action.label),
            }
            for action in prediction.actions or ()
        ],
        "colours": {label: hex_colour(label) for label, _ in prediction.top},
    }


def shown_box(box: Box | None, picture: Picture) -> list[float] | None:
    """x, y, width and height in px of the picture that the page shows, which is upright."""
    return None if box is None else [round(edge, 1) for edge in upright(box, picture)]


def _by_stream(prediction: Prediction | None) -> dict[str, Ranking]:
    if prediction is None:
        return {}
    both = {"both": _ranking(prediction.top)[:3]} if len(prediction.by_stream) > 1 else {}
    return {stream: _ranking(top)[:3] for stream, top in prediction.by_stream.items()} | both


def _ranking(top: tuple[tuple[str, float], ...]) -> Ranking:
    return [(label, round(probability, 6)) for label, probability in top]


def _stretch(event: Event) -> list[Any]:
    span = [round(event.start_s, 2), round(event.end_s, 2)]
    return [event.label, *span, round(event.probability, 3), hex_colour(event.label)]


def runs(trail: list[Event]) -> list[list[Any]]:
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


def hex_colour(label: str) -> str:
    """Colour of a label, as in all pictures: "#e69f00"."""
    return "#{:02x}{:02x}{:02x}".format(*label_colour(label))
