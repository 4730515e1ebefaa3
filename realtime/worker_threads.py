"""Threads of one's own, and those that all share."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")


class Worker:
    """Runs `work` in a thread of its own, once. What it raises is the work's own business."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._thread = threading.Thread(target=work, name="i3d-live worker", daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def join(self, timeout_s: float) -> bool:
        """Wait for its end; False if it has not come by then."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="i3d-live beside")


def beside(call: Callable[..., T], /, *arguments: Any) -> Callable[[], T]:
    """See `realtime.types.Beside`. One thread a core, for the whole process and to its end."""
    return _pool().submit(call, *arguments).result
