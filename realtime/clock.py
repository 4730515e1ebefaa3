"""Wall time: asked for here and by what is handed one of these, so that tests can own it."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from enum import StrEnum


class Clock:
    """Seconds of a clock that never runs back, and waiting by it."""

    def now_s(self) -> float:
        """The same clock as that of `Frame.taken_s`."""
        return time.monotonic()

    def wait(self, flag: threading.Event, seconds: float) -> bool:
        """Until `flag` is set, at most so long; True if it is set."""
        return flag.wait(seconds)


class StageName(StrEnum):
    """What wall time is spent on, by the names that the log and Prometheus have for it."""

    DECODE = "decode"
    RESIZE = "resize"
    RGB_INPUT = "rgb input"
    FLOW_INPUT = "flow input"
    RGB_ENGINE = "rgb engine"
    FLOW_ENGINE = "flow engine"
    BOTH_ENGINES = "rgb and flow engine"
    OUTPUTS = "outputs"


INPUT_STAGES = {"rgb": StageName.RGB_INPUT, "flow": StageName.FLOW_INPUT}
"""By stream."""
ENGINE_STAGES = {
    "rgb": StageName.RGB_ENGINE,
    "flow": StageName.FLOW_ENGINE,
    "rgb and flow": StageName.BOTH_ENGINES,
}
"""By the streams whose engines run in it."""
Timer = Callable[[StageName], AbstractContextManager[None]]
"""Entered around each stage."""


class Stopwatch:
    """Adds up the seconds that each named stage takes."""

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self._now = now
        self.seconds: dict[str, float] = defaultdict(float)
        """Seconds by stage."""

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        start = self._now()
        try:
            yield
        finally:
            self.seconds[stage] += self._now() - start
