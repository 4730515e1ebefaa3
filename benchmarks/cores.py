"""Do the two cores that a benchmark runs on share a cache? A virtual machine's cores move about on its host.

If they share none, data written by one thread takes longer to reach the other, and a step of an engine on both takes up
to 1.5 times as long. So each figure says on which kind of cores it was taken.

    python -m benchmarks.cores      once a second for a minute, how long a number takes from one to the other
"""

import os
import threading
import time
from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import types
from numba.extending import intrinsic

from benchmarks import card
from realtime.flow.numba_loops import INT, compiled

TRIPS = 2000
FAR_NS = 150.0
"""On our virtual EPYC a number takes 30 to 100 ns or 200 to 300, and hardly ever anything between (docs/log.md,
2026-11-27)."""
WORD = 8


def _loading(_: Any, address: Any) -> Any:
    """The current value at an address: an ordinary load would be hoisted out of the loop that waits."""

    def emit(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.load_atomic(builder.inttoptr(args[0], ir.IntType(64).as_pointer()), "acquire", WORD)

    return types.int64(types.int64), emit


def _storing(_: Any, address: Any, value: Any) -> Any:
    def emit(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        place = builder.inttoptr(args[0], ir.IntType(64).as_pointer())
        builder.store_atomic(args[1], place, "release", WORD)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), emit


_load: Any = intrinsic(_loading)
_store: Any = intrinsic(_storing)


@compiled(INT, INT, INT, INT)
def _ask(question: int, answer: int, first: int, last: int) -> None:
    for trip in range(first, last):
        _store(question, trip)
        while _load(answer) != trip:
            pass


@compiled(INT, INT, INT, INT)
def _reply(question: int, answer: int, first: int, last: int) -> None:
    for trip in range(first, last):
        while _load(question) != trip:
            pass
        _store(answer, trip)


def one_way_ns() -> float:
    """Time that a number takes from the first core that this process may use to the second. Needs two cores."""
    cells = np.zeros(64, np.int64)
    question, answer = int(cells.ctypes.data), int(cells[32:].ctypes.data)  # in separate cache lines
    there = sorted(os.sched_getaffinity(0))[1]

    def reply() -> None:
        os.sched_setaffinity(0, {there})  # of this thread only
        _reply(question, answer, 1, TRIPS)

    thread = threading.Thread(target=reply)
    with card.cores(1):
        thread.start()
        _ask(question, answer, 1, 2)  # both threads run now
        start_ns = time.perf_counter_ns()
        _ask(question, answer, 2, TRIPS)
        took_ns = time.perf_counter_ns() - start_ns
        thread.join()
    return took_ns / (TRIPS - 2) / 2


def near() -> bool:
    return len(os.sched_getaffinity(0)) < 2 or one_way_ns() < FAR_NS


def main() -> None:
    if len(os.sched_getaffinity(0)) < 2:
        raise SystemExit("this process may use only one core: allow it another, as `taskset -c 0,1` does")
    for _ in range(60):
        ns = one_way_ns()
        print(f"{ns:.0f} ns, {'near' if ns < FAR_NS else 'far'}", flush=True)
        time.sleep(1)


if __name__ == "__main__":
    main()
