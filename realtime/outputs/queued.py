"""An output on a thread of its own, behind a bounded queue: whatever it encodes or sends, no frame waits for it.

    caller's thread            queue                     the output's thread
    push, never waits ──────→ [ . . . . ] ───────────→ the sink's push

A full queue of a live source leaves out the oldest frame or prediction and counts it; an event is never left out. For a
file `push` waits instead, so what is written is complete.
"""

import os
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from realtime.errors import OutputError
from realtime.types import Frame, Prediction
from realtime.worker_threads import Worker

DRAIN_S = 10.0
"""How long a live source's output may take for what waits when it is closed; then it is given up."""
GIVES_WAY_BY = 5
"""Steps of `nice` that these threads are below the engines."""


class Sink(Protocol):
    """`realtime.session.Sink`, of anything."""

    def push(self, item: Any) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Limit:
    """How many items of a kind may wait. Items of no kind are never left out."""

    of: Callable[[Any], bool]
    most: int
    most_bytes: float = float("inf")
    bytes_of: Callable[[Any], int] = lambda item: 0


def _is_frame(item: object) -> bool:
    return isinstance(item, Frame)


def _is_prediction(item: object) -> bool:
    return isinstance(item, Prediction)


def rgb_bytes(frame: Frame) -> int:
    height, width = frame.size_px
    return 3 * height * width


LIMITS = (Limit(_is_frame, 64, 64e6, rgb_bytes), Limit(_is_prediction, 1000))
"""Frames of about two seconds, or 23 of 1280 x 720 px."""


class _Waiting:
    """What waits of one kind."""

    def __init__(self, limit: Limit) -> None:
        self.limit, self.items, self.bytes = limit, 0, 0

    @property
    def full(self) -> bool:
        """One always fits, however large."""
        return self.items >= self.limit.most or (self.items > 0 and self.bytes >= self.limit.most_bytes)

    def count(self, item: Any, by: int) -> None:
        self.items += by
        self.bytes += by * self.limit.bytes_of(item)


class Calls:
    """Sink: calls a function. What it writes to is closed elsewhere."""

    def __init__(self, push: Callable[[Any], None]) -> None:
        self.push = push

    def close(self) -> None:
        """Nothing is left to do."""


class Queued:
    """Sink: passes everything to another one, in order, on that one's thread."""

    def __init__(
        self,
        name: str,
        make: Callable[[], Sink],
        *,
        wait: bool,
        limits: Sequence[Limit] = LIMITS,
        source_of: Callable[[Any], str] = lambda item: "",
        drain_s: float = DRAIN_S,
    ) -> None:
        """`name`: the option that asked for the output. `make`: makes the sink, on its thread; what it raises is raised
        here. `wait`: `push` waits for room (files). `source_of`: for whom an item is counted if it is left out."""
        self.name, self.left_out = name, Counter[str]()
        """Items left out, by source."""
        self._make, self._wait, self._source_of, self._drain_s = make, wait, source_of, drain_s
        self._changed = threading.Condition()
        self._items: deque[Any] = deque()
        self._waiting = [_Waiting(limit) for limit in limits]
        self._made = self._closing = self._over = self._abandoned = False
        self._error: BaseException | None = None
        self._worker = Worker(self._run)
        with self._changed:
            self._changed.wait_for(lambda: self._made or self._over)
            self._raise()

    def push(self, item: Any) -> None:
        """Raises what the sink raised since the last call, once; after that it takes nothing."""
        kind = self._kind(item)
        with self._changed:
            if self._wait and kind is not None:
                self._changed.wait_for(lambda: not kind.full or self._over)
            self._raise()
            if self._over:
                return
            while kind is not None and kind.full:
                self._leave_out(kind)
            self._items.append(item)
            if kind is not None:
                kind.count(item, 1)
            self._changed.notify_all()

    def close(self) -> None:
        """Wait until all is written and the sink is closed; for a live source `drain_s` at most, after which the rest
        is left out. Raises what the sink raised, and OutputError where it does not come to an end. Closing again does
        nothing."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._wait:
            self._worker.join(None)
        elif not self._worker.join(self._drain_s):
            self._give_up()
        with self._changed:
            self._raise()

    def abandon(self) -> None:
        """End without closing the sink: the output is not made after all."""
        with self._changed:
            self._abandoned = self._closing = True
            self._items.clear()
            self._changed.notify_all()

    def _give_up(self) -> None:
        with self._changed:
            for kind in self._waiting:
                while kind.items:
                    self._leave_out(kind)
            self._items.clear()
        if not self._worker.join(self._drain_s / 2):
            raise OutputError(
                f"{self.name}: what is written there is not taken; given up after {1.5 * self._drain_s:.0f} s: check the "
                "disk or the network"
            )

    def _kind(self, item: Any) -> _Waiting | None:
        return next((kind for kind in self._waiting if kind.limit.of(item)), None)

    def _leave_out(self, kind: _Waiting) -> None:
        place = next(place for place, item in enumerate(self._items) if self._kind(item) is kind)
        item = self._items[place]
        del self._items[place]
        kind.count(item, -1)
        self.left_out[self._source_of(item)] += 1

    def _raise(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _run(self) -> None:
        _give_way()
        try:
            sink = self._make()
            with self._changed:
                self._made = True
                self._changed.notify_all()
            self._pass_on(sink)
            with self._changed:
                self._over = True
        except BaseException as error:  # crosses to the caller's thread with its traceback
            with self._changed:
                self._error, self._over = error, True
                self._items.clear()
                self._changed.notify_all()

    def _pass_on(self, sink: Sink) -> None:
        try:
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: self._items or self._closing)
                    if not self._items:
                        break
                    item = self._items.popleft()
                    if (kind := self._kind(item)) is not None:
                        kind.count(item, -1)
                    self._changed.notify_all()
                sink.push(item)
        except BaseException:
            with suppress(Exception):  # the first error is the one to tell
                sink.close()
            raise
        if not self._abandoned:
            sink.close()


def _give_way() -> None:
    """Where threads have priorities of their own, this one and those that it starts come after the engines."""
    if sys.platform == "linux":
        with suppress(OSError):
            thread = threading.get_native_id()
            os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + GIVES_WAY_BY)
