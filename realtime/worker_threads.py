"""A thread for one task, and a pool of worker threads that everything shares."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")


class Worker:
    """Runs `work` once in a new thread. `work` handles its own errors."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._thread = threading.Thread(target=work, name="i3d-live worker", daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def join(self, timeout_s: float | None) -> bool:
        """Wait until it ends; False if it still runs after `timeout_s`. None: however long it takes."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="i3d-live pool")


def submit(call: Callable[..., T], /, *arguments: Any) -> Callable[[], T]:
    """See `realtime.types.Submit`. One thread a core, for the life of the process."""
    return _pool().submit(call, *arguments).result


def immediately(call: Callable[..., T], /, *arguments: Any) -> Callable[[], T]:
    """A `Submit` that computes in the caller's thread, before it returns."""
    done = call(*arguments)
    return lambda: done
