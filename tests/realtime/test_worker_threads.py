"""A few threads for many items, and engines that may be shared by them."""

import threading
import time
from dataclasses import replace

import pytest

from engines.load import for_threads
from engines.runtime.shared import SharedEngine
from realtime.worker_threads import Stopped, several, until
from tests.support.networks import random_tensors, small_engine


def test_results_come_in_order_whatever_is_done_first() -> None:
    def work(item: int, stopping: threading.Event) -> int:
        time.sleep(0.02 * (3 - item))
        if item == 2:
            raise ValueError(item)
        return 10 * item

    with several(work, [0, 1, 2, 3], 4) as results:
        assert (results[0](), results[1](), results[3]()) == (0, 10, 30)
        with pytest.raises(ValueError, match="2"):
            results[2]()


def test_leaving_early_stops_what_runs_and_begins_nothing_more() -> None:
    begun: list[int] = []
    gate = threading.Event()

    def work(item: int, stopping: threading.Event) -> None:
        begun.append(item)
        gate.set()
        for _ in until(stopping, iter(int, 1)):
            time.sleep(0.001)

    def interrupted() -> None:
        with several(work, list(range(10)), 1):
            gate.wait()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert begun == [0]


def test_a_stopped_iteration_says_so() -> None:
    stopping = threading.Event()
    items = until(stopping, range(5))
    assert [next(items), next(items)] == [0, 1]
    stopping.set()
    with pytest.raises(Stopped):
        next(items)


def test_engines_that_cannot_serve_several_threads_run_one_step_at_a_time() -> None:
    one = small_engine(random_tensors(3), "continual")
    assert isinstance(for_threads(one), SharedEngine)
    serves = replace(one, backend="openvino")
    assert for_threads(serves) is serves
