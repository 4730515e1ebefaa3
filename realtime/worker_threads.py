"""A thread for one task, a pool of worker threads that everything shares, and a few threads for many items."""

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")
Item = TypeVar("Item")


class Stopped(Exception):
    """Work was asked to end before it was done."""


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


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def until(stopping: threading.Event, items: Iterable[Item]) -> Iterator[Item]:
    """The items; raises Stopped once the event is set."""
    for item in items:
        if stopping.is_set():
            raise Stopped
        yield item


@contextmanager
def several(
    work: Callable[[Item, threading.Event], T], items: Sequence[Item], threads: int
) -> Iterator[list[Callable[[], T]]]:
    """Works on a few items at a time. Yields a function for each, in order, that waits for its result or re-raises.

    `work` is also given an event that is set where the block is left early: it should then end soon.
    """
    stopping = threading.Event()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="i3d-live several")
    try:
        yield [pool.submit(work, item, stopping).result for item in items]
    finally:
        stopping.set()
        pool.shutdown(cancel_futures=True)
