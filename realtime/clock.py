"""Wall-clock time behind an object, so that tests can supply their own."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from enum import StrEnum


class Clock:
    """A monotonic clock in seconds, and waiting on it."""

    def now_s(self) -> float:
        """The same clock as that of `Frame.taken_s`."""
        return time.monotonic()

    def wait(self, flag: threading.Event, seconds: float) -> bool:
        """Wait until `flag` is set, for at most `seconds`; True if it is set."""
        return flag.wait(seconds)


class StageName(StrEnum):
    """What wall-clock time is spent on, named as in the log and in Prometheus."""

    DECODE = "decode"
    RESIZE = "resize"
    MOTION = "motion"
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
