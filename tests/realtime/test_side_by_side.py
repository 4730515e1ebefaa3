"""Two engines that share the processor are stepped concurrently, but no engine concurrently with itself."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import pytest

from engines.engine import Positions
from engines.spec import FLOW, RGB, StreamSpec
from realtime.clock import ENGINE_STAGES, StageName
from realtime.recognizer import Recognizer
from realtime.types import Prediction
from realtime.worker_threads import submit
from tests.support.doubles import SawTicks, constant_rate

TICKS = 100


class Shared(SawTicks):
    """Double of an engine that counts its concurrent uses."""

    engines_at_a_time = 2

    def __init__(self, spec: StreamSpec = RGB) -> None:
        super().__init__(spec)
        self.inside = self.most_inside = 0

    def step(self, chunk: Any, state: None, *, preview: bool = True) -> tuple[Positions, None]:
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        try:
            self.work()
            return super().step(chunk, state)
        finally:
            self.inside -= 1

    def work(self) -> None:
        time.sleep(0.01)


class Meeting(Shared):
    """Waits until the other engine is at work too."""

    barrier = threading.Barrier(2, timeout=10)

    def work(self) -> None:
        self.barrier.wait()


def answers(recognizer: Recognizer) -> list[Prediction]:
    made = [out for frame in constant_rate(TICKS, Fraction(25)) for out in recognizer.push(frame)]
    return [out for out in made + recognizer.flush() if isinstance(out, Prediction)]


def test_engines_that_share_the_processor_work_at_the_same_time() -> None:
    stages: list[StageName] = []

    @contextmanager
    def timer(stage: StageName) -> Iterator[None]:
        stages.append(stage)
        yield

    engines = {"rgb": Meeting(), "flow": Meeting(FLOW)}
    said = answers(Recognizer(engines, flow="dis", stopwatch=timer, submit=submit))
    assert set(stages) & set(ENGINE_STAGES.values()) == {StageName.BOTH_ENGINES}
    in_turn = {"rgb": SawTicks(), "flow": SawTicks(FLOW)}
    expected = answers(Recognizer(in_turn, flow="dis"))
    assert [(p.start_tick, p.top) for p in said] == [(p.start_tick, p.top) for p in expected]


@pytest.mark.parametrize("side_by_side", [True, False])
def test_engines_of_a_whole_processor_work_in_turn(side_by_side: bool) -> None:
    """So do all engines where there are no threads to run them in."""
    inside: list[str] = []

    class Alone(Shared):
        engines_at_a_time = 2 if not side_by_side else 1

        def work(self) -> None:
            inside.append(self.spec.modality)
            time.sleep(0.01)
            assert inside.pop() == self.spec.modality
            assert inside == []

    engines = {"rgb": Alone(), "flow": Alone(FLOW)}
    assert answers(Recognizer(engines, flow="dis", submit=submit if side_by_side else None))


def test_the_views_of_a_stream_run_in_turn() -> None:
    engines = {"rgb": Shared(), "flow": Shared(FLOW)}
    assert answers(Recognizer(engines, flow="dis", region="full", submit=submit))
    assert [engine.most_inside for engine in engines.values()] == [1, 1]


def test_where_one_fails_the_other_is_not_left_running() -> None:
    class Fails(Shared):
        def work(self) -> None:
            raise RuntimeError("this one fails")

    class Slow(Shared):
        def work(self) -> None:
            time.sleep(0.3)

    slow = Slow(FLOW)
    with pytest.raises(RuntimeError, match="this one fails"):
        answers(Recognizer({"rgb": Fails(), "flow": slow}, flow="dis", submit=submit))
    assert (slow.most_inside, slow.inside) == (1, 0)
