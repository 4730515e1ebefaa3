"""The process through which the page of a fleet reaches the cluster: it may end at any time, and the page goes on."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import Pipe
from typing import Any

import pytest

from realtime.commands.fleet_connection import FleetConnection, answer_all
from realtime.errors import EngineError
from tests.support.view_doubles import until


class OfOneProcess:
    """A double of a fleet, whose status is the number of its process."""

    def status(self) -> dict[str, Any]:
        return {"process": os.getpid()}

    def thumbnail(self, name: str) -> bytes | None:
        if name == "end":
            os._exit(3)
        if name == "hang":
            threading.Event().wait()
        if name == "fail":
            raise ValueError("of this program's\nmaking")
        return name.encode()


def serve(pipe: Any) -> None:
    answer_all(pipe, OfOneProcess())
    os._exit(0)


def serve_nothing(pipe: Any) -> None:
    pipe.send((None, EngineError("no fleet runs on this cluster")))


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@contextmanager
def opened(what: Any, clock: Clock) -> Iterator[FleetConnection]:
    connection = FleetConnection(what, clock)
    try:
        yield connection
    finally:
        connection.close()


def test_another_process_answers_and_ends_with_the_connection() -> None:
    with opened(serve, Clock()) as fleet:
        process = fleet.status(60.0)["process"]
        assert process != os.getpid()
        assert fleet.thumbnail("door") == b"door"
        assert fleet.thumbnail("fail") is None
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_when_it_ends_that_is_said_and_soon_there_is_another() -> None:
    clock = Clock()
    with opened(serve, clock) as fleet:
        before = fleet.status(60.0)["process"]
        assert fleet.thumbnail("end") is None
        with pytest.raises(EngineError, match="the connection to the cluster has ended"):
            fleet.status(60.0)
        assert fleet.thumbnail("door") is None
        clock.now_s += 6.0
        assert fleet.status(60.0)["process"] != before
        assert fleet.thumbnail("door") == b"door"


def test_its_last_words_are_the_answer() -> None:
    clock = Clock()
    with opened(serve_nothing, clock) as fleet:
        for _ in range(2):
            with pytest.raises(EngineError, match="no fleet runs on this cluster"):
                fleet.status(60.0)
            clock.now_s += 6.0


def test_several_questions_are_answered_at_the_same_time() -> None:
    going_on, all_asked = threading.Event(), threading.Barrier(4)

    class Slow:
        def status(self) -> dict[str, Any]:
            all_asked.wait(60)
            going_on.wait(60)
            return {}

    ours, theirs = Pipe()
    thread = threading.Thread(target=answer_all, args=(theirs, Slow()))
    thread.start()
    for number in range(3):
        ours.send((number, None))
    all_asked.wait(60)
    going_on.set()
    assert {ours.recv()[0] for _ in range(3)} == {0, 1, 2}
    ours.send(None)
    thread.join(20)


def count_questions(pipe: Any) -> None:
    """Never answers the status; gives the number of questions before as a picture."""
    count = 0
    while (asked := pipe.recv()) is not None:
        if asked[1] is not None:
            pipe.send((asked[0], count))
        count += 1


def test_a_status_that_is_late_is_not_asked_for_again() -> None:
    with opened(count_questions, Clock()) as fleet:
        for _ in range(3):
            with pytest.raises(EngineError, match="has not answered for 0 s"):
                fleet.status(0.1)
        until(lambda: fleet.thumbnail("count") == 1)
