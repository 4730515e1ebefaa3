"""An engine that several threads share runs in one of them at a time."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from engines.engine import Engine, Positions
from engines.runtime.shared import SharedEngine
from tests.support.doubles import PositionTicks

CHUNK, TAIL = np.zeros((1, 8, 224, 224, 3), np.uint8), np.zeros((1, 3, 224, 224, 3), np.uint8)


class Met(PositionTicks):
    """Double of an engine that waits a moment for a second thread to come in."""

    def __init__(self) -> None:
        super().__init__()
        self.met = False
        self._barrier = threading.Barrier(2, timeout=0.2)

    def step(self, chunk: NDArray[Any], state: Any, *, preview: bool = True) -> tuple[Positions, Any]:
        self._wait()
        return super().step(chunk, state, preview=preview)

    def flush(self, tail: NDArray[Any], state: Any) -> Positions:
        self._wait()
        return super().flush(tail, state)

    def _wait(self) -> None:
        try:
            self._barrier.wait()
            self.met = True
        except threading.BrokenBarrierError:
            self._barrier.reset()


@pytest.mark.parametrize(
    "use", [lambda e: e.step(CHUNK, e.start()), lambda e: e.flush(TAIL, e.start())], ids=["step", "flush"]
)
def test_two_threads_never_run_it_at_the_same_time(use: Callable[[Engine], object]) -> None:
    inside = Met()
    engine = SharedEngine(inside)
    with ThreadPoolExecutor(2) as threads:
        assert len(list(threads.map(use, [engine, engine]))) == 2
    assert not inside.met


def test_it_gives_what_the_engine_gives() -> None:
    plain = PositionTicks("preview")
    shared = SharedEngine(plain)
    names = (
        "spec",
        "weights",
        "head",
        "mode",
        "backend",
        "precision",
        "device",
        "chunk_ticks",
        "engines_at_a_time",
    )
    assert [getattr(shared, name) for name in names] == [getattr(plain, name) for name in names]
    state, other = plain.start(), shared.start()
    for preview in (True, False):
        expected, state = plain.step(CHUNK, state, preview=preview)
        found, other = shared.step(CHUNK, other, preview=preview)
        assert np.array_equal(found.logits, expected.logits, equal_nan=True)
    assert np.array_equal(shared.flush(TAIL, other).logits, plain.flush(TAIL, state).logits, equal_nan=True)
