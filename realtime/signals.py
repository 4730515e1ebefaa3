"""Ctrl-C and SIGTERM: what runs comes to a good end first."""

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stop_on_signals(stops: Sequence[Callable[[], None]]) -> Iterator[list[int]]:
    """Inside, the first Ctrl-C or SIGTERM calls all `stops`, a second one interrupts at once. Yields the signals that
    came."""
    came: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        came.append(number)
        if len(came) > 1:
            raise KeyboardInterrupt
        for stop in stops:
            stop()

    if threading.current_thread() is not threading.main_thread():
        yield came  # elsewhere Python allows no handlers
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, handle) for number in numbers]
    try:
        yield came
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
