"""Latency from the capture of a frame to its label on the page, and its parts.

A frame is labelled by the first prediction that covers its time. The time until a page confirms that it shows the
prediction is split into

    look-ahead   media time that the network saw beyond the end of what the prediction covers; depends on the mode
    waiting      for the rest of the stride, and in the mailbox
    flow         computing the flow of the last tick
    engine       computing the prediction
    page         from the prediction to the page, and back with the page's confirmation
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

PARTS = ("look-ahead", "waiting", "flow", "engine", "page")
KEPT_FRAMES = 1500
"""A minute at 25 frames a second."""
LONGEST_UNSHOWN = 64
"""Predictions that wait for a page's confirmation; without a page nothing is shown, and nothing is measured."""


@dataclass(frozen=True)
class _Answer:
    frames: tuple[tuple[float, float], ...]
    """(pts, monotonic capture time) in seconds of each frame that this prediction was the first to cover."""
    look_ahead_s: float
    flow_s: float
    engine_s: float
    published_s: float


class Latencies:
    """All times in seconds: `pts_s` and `end_s` are media time, `taken_s` and `at_s` are of the monotonic clock."""

    def __init__(self) -> None:
        self._unlabelled: deque[tuple[float, float]] = deque(maxlen=KEPT_FRAMES)
        self._unshown: dict[int, _Answer] = {}
        self._samples: deque[tuple[float, ...]] = deque(maxlen=KEPT_FRAMES)
        """Total and PARTS for each frame that was shown with a label."""

    @property
    def unshown(self) -> int:
        """Number of predictions that no page has shown yet."""
        return len(self._unshown)

    def take(self, pts_s: float, taken_s: float) -> None:
        """A frame goes in."""
        self._unlabelled.append((pts_s, taken_s))

    def answer(
        self, number: int, end_s: float, newest_s: float, flow_s: float, engine_s: float, at_s: float
    ) -> None:
        """A prediction covering everything before `end_s` was sent; `newest_s`: pts of the frame that completed it."""
        frames = []
        while self._unlabelled and self._unlabelled[0][0] < end_s:
            frames.append(self._unlabelled.popleft())
        look_ahead_s = max(0.0, newest_s - end_s)
        self._unshown[number] = _Answer(tuple(frames), look_ahead_s, flow_s, engine_s, at_s)
        while len(self._unshown) > LONGEST_UNSHOWN:
            del self._unshown[min(self._unshown)]

    def shown(self, number: int, at_s: float) -> None:
        """A page shows prediction `number`, which has replaced all earlier ones."""
        for seen in sorted(n for n in self._unshown if n <= number):
            answer = self._unshown.pop(seen)
            page_s = at_s - answer.published_s
            known_s = answer.look_ahead_s + answer.flow_s + answer.engine_s + page_s
            for _, taken_s in answer.frames:
                total_s = at_s - taken_s
                waiting_s = max(0.0, total_s - known_s)
                parts = (answer.look_ahead_s, waiting_s, answer.flow_s, answer.engine_s, page_s)
                self._samples.append((total_s, *parts))

    def report(self) -> Mapping[str, float] | None:
        """Seconds: p50 and p95 of the total, and the mean of each part. None before anything was shown."""
        if not self._samples:
            return None
        totals = sorted(sample[0] for sample in self._samples)
        count = len(totals)
        means = [sum(column) / count for column in zip(*self._samples, strict=True)]
        figures = {"p50": totals[count // 2], "p95": totals[int(0.95 * (count - 1))]}
        return figures | dict(zip(PARTS, means[1:], strict=True))
