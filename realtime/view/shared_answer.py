"""An answer that is fetched for all who ask, so that ten open pages cost no more than one."""

import asyncio
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from starlette.concurrency import run_in_threadpool

T = TypeVar("T")


class SharedAnswer(Generic[T]):
    """Fetched when somebody asks and the last one is old; never twice at the same time, however long it takes."""

    def __init__(
        self,
        fetch: Callable[[], T],
        fresh_s: Callable[[T], float],
        *,
        turns: asyncio.Semaphore | None = None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`fetch`: blocks. `fresh_s`: for how long an answer serves. `turns`: shared with others that are fetched from
        the same place."""
        self._fetch, self._fresh_s, self._now_s = fetch, fresh_s, now_s
        self._turns = turns or asyncio.Semaphore(1)
        self._task: asyncio.Task[T] | None = None
        self._old_at_s = 0.0

    async def get(self, within_s: float) -> T:
        """Raises TimeoutError if it takes longer; it is still fetched then, and the next one who asks may get it."""
        if self._task is None or (self._task.done() and self._now_s() >= self._old_at_s):
            self._task = asyncio.create_task(self._take())
        return await asyncio.wait_for(asyncio.shield(self._task), within_s)

    async def _take(self) -> T:
        self._old_at_s = 0.0  # one that raises is old
        async with self._turns:
            answer = await run_in_threadpool(self._fetch)
        self._old_at_s = self._now_s() + self._fresh_s(answer)
        return answer
