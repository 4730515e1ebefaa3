"""Clocks that a test controls."""

import threading
from collections.abc import Callable

from realtime.clock import Clock


class Hurried(Clock):
    """Time passes as usual, but waits end immediately."""

    def wait(self, flag: threading.Event, seconds: float) -> bool:
        return flag.is_set()


class ManualClock(Clock):
    """Time passes only during waits and in `pass_s`. The length of each wait is kept."""

    def __init__(self, at_wait: Callable[[], None] = lambda: None) -> None:
        """`at_wait`: called after each wait."""
        self.seconds = 100.0
        self.waits_s: list[float] = []
        self._at_wait = at_wait

    def now_s(self) -> float:
        return self.seconds

    def wait(self, flag: threading.Event, seconds: float) -> bool:
        self.pass_s(seconds)
        self.waits_s.append(seconds)
        self._at_wait()
        return flag.is_set()

    def pass_s(self, seconds: float) -> None:
        self.seconds += seconds
