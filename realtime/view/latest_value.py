"""The newest value of something, published by one thread and awaited by any number of asyncio tasks."""

import asyncio
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class Latest(Generic[T]):
    """Values are numbered from 1. Only the newest is kept: a slow reader misses those in between."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._value: T | None = None
        self._number = 0
        self._waiting: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}
        self._watchers = 0

    @property
    def newest(self) -> T | None:
        """The value that was published last; None before the first."""
        return self._value

    @property
    def number(self) -> int:
        """Number of the newest value; 0 before the first."""
        return self._number

    @property
    def waiting(self) -> int:
        """Number of tasks that wait for the next value."""
        return len(self._waiting)

    @property
    def watched(self) -> bool:
        """Whether a new value would be read by any task."""
        return self._watchers > 0

    def publish(self, value: T) -> int:
        """From any thread. Returns the number of the value."""
        with self._lock:
            self._value, self._number = value, self._number + 1
            for event, loop in self._waiting.items():
                loop.call_soon_threadsafe(event.set)
            self._waiting.clear()
            return self._number

    def watch(self) -> "Watcher[T]":
        """A context manager that keeps track of which values it has seen."""
        return Watcher(self)

    async def _after(self, number: int) -> tuple[T, int]:
        while True:
            event = asyncio.Event()
            with self._lock:
                if self._value is not None and self._number > number:
                    return self._value, self._number
                self._waiting[event] = asyncio.get_running_loop()
            try:
                await event.wait()
            finally:
                with self._lock:
                    self._waiting.pop(event, None)


class Watcher(Generic[T]):
    """Iterates over values as they come: `async for value in watcher`, within `with`."""

    def __init__(self, latest: Latest[T]) -> None:
        self._latest, self.number = latest, 0

    def __enter__(self) -> "Watcher[T]":
        self._latest._watchers += 1
        return self

    def __exit__(self, *exception: object) -> None:
        self._latest._watchers -= 1

    def __aiter__(self) -> "Watcher[T]":
        return self

    async def __anext__(self) -> T:
        value, self.number = await self._latest._after(self.number)
        return value
