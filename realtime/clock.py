"""Wall time: asked for here and by what is handed one of these, so that tests can own it."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Clock:
    """Seconds of a clock that never runs back, and waiting by it."""

    def now_s(self) -> float:
        """The same clock as that of `Frame.taken_s`."""
        return time.monotonic()

    def wait(self, flag: threading.Event, seconds: float) -> bool:
        """Until `flag` is set, at most so long; True if it is set."""
        return flag.wait(seconds)


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
