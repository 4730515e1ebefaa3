"""Outputs on threads of their own: what a slow one leaves out, what never, and that a file's wait."""

import json
import os
import sys
import threading
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from realtime.commands.outputs import OutputOptions
from realtime.commands.sinks import SourceOutputs
from realtime.errors import OutputError
from realtime.outputs.log import SCHEMA, Line
from realtime.outputs.queued import DRAIN_S, Limit, Queued
from realtime.recognizer import Recognizer
from realtime.session import Session
from realtime.turns import run_sessions
from realtime.types import Event, Frame, Prediction
from tests.realtime.test_many import Made
from tests.support.doubles import SawTicks, constant_rate, frame

EVENT = Event("a", 1.0, 2.0, 0.9)


def prediction(number: int) -> Prediction:
    return Prediction(
        number, number + 64, 0.0, 2.56, np.ones(1, np.float32), (("a", 1.0),), ("rgb",), "window"
    )


class Held:
    """A sink that takes nothing until it may, as a disk or a broker that hangs."""

    def __init__(self) -> None:
        self.may, self.took, self.got = threading.Event(), threading.Event(), []  # type: ignore[var-annotated]
        self.closed = False

    def push(self, item: Any) -> None:
        self.took.set()
        if not self.may.wait(10):
            self.may.set()
        self.got.append(item)

    def close(self) -> None:
        self.closed = True


def numbered(count: int) -> list[Frame]:
    return [frame(i, Fraction(i, 25), size_px=8) for i in range(count)]


def test_everything_arrives_in_order_on_another_thread() -> None:
    threads = set()

    class Noted(Held):
        def push(self, item: Any) -> None:
            threads.add(threading.get_ident())
            super().push(item)

    sink = Noted()
    sink.may.set()
    items = [*numbered(50), EVENT, *numbered(50), prediction(1)]
    queue = Queued("--annotate", lambda: sink, wait=True)
    for item in items:
        queue.push(item)
    queue.close()
    queue.close()
    assert sink.got == items
    assert sink.closed
    assert len(threads) == 1 != {threading.get_ident()}
    assert queue.left_out.total() == 0


def test_a_full_queue_of_a_live_source_leaves_out_the_oldest_frames_and_no_event() -> None:
    sink = Held()
    queue = Queued("--annotate", lambda: sink, wait=False)
    items = numbered(200)
    queue.push(items[0])
    assert sink.took.wait(10)  # the first is being written
    for place, item in enumerate(items[1:]):
        queue.push(item)
        if place % 20 == 0:
            queue.push(EVENT)
    assert queue.left_out.total() == 200 - 1 - 64
    sink.may.set()
    queue.close()
    assert [item for item in sink.got if isinstance(item, Frame)] == [items[0], *items[-64:]]
    assert sink.got.count(EVENT) == 10


def test_large_frames_are_held_by_their_bytes() -> None:
    sink = Held()
    queue = Queued("--annotate", lambda: sink, wait=False)
    large = np.zeros((1080, 1920, 3), np.uint8)
    for i in range(30):
        queue.push(Frame(large, Fraction(i, 25), Fraction(1, 25)))
        if i == 0:
            assert sink.took.wait(10)
    sink.may.set()
    queue.close()
    assert len(sink.got) == 1 + 11  # 64 MB are reached by the eleventh
    assert queue.left_out.total() == 30 - 12


def test_predictions_are_held_by_their_number_and_counted_by_source() -> None:
    sink = Held()
    limits = (Limit(lambda line: line["kind"] == "prediction", 3),)
    queue = Queued("--mqtt", lambda: sink, wait=False, limits=limits, source_of=lambda line: line["name"])
    lines: list[Line] = [{"kind": "prediction", "name": "ab"[i % 2], "n": i} for i in range(10)]
    for line in lines:
        queue.push(line)
        if line is lines[0]:
            assert sink.took.wait(10)
            queue.push({"kind": "event", "name": "a"})
    sink.may.set()
    queue.close()
    assert [line.get("n") for line in sink.got] == [0, None, 7, 8, 9]
    assert queue.left_out == {"a": 3, "b": 3}


def test_for_a_file_the_pusher_waits_and_nothing_is_left_out() -> None:
    sink = Held()
    queue = Queued("--annotate", lambda: sink, wait=True)
    items = numbered(200)
    pushed: list[Frame] = []

    def push() -> None:
        for item in items:
            queue.push(item)
            pushed.append(item)

    pusher = threading.Thread(target=push)
    pusher.start()
    assert sink.took.wait(10)
    time.sleep(0.2)
    assert len(pushed) <= 65
    sink.may.set()
    pusher.join()
    queue.close()
    assert sink.got == items


def push_all(queue: Queued, count: int) -> None:
    for item in numbered(count):
        queue.push(item)


def push_for_a_while(queue: Queued, seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        push_all(queue, 1)


class Broken(Held):
    def __init__(self, when: str) -> None:
        super().__init__()
        self.when = when
        self.may.set()
        self._fail("make")

    def push(self, item: Any) -> None:
        super().push(item)
        self._fail("push")

    def close(self) -> None:
        super().close()
        self._fail("close")

    def _fail(self, now: str) -> None:
        if now == self.when:
            raise OutputError(f"cannot write: {now}")


@pytest.mark.parametrize("wait", [True, False])
def test_an_error_of_the_sink_is_raised_once(wait: bool) -> None:
    made: list[Broken] = []

    def make(when: str) -> Queued:
        return Queued("--annotate", lambda: made.append(Broken(when)) or made[-1], wait=wait)  # type: ignore[func-returns-value]

    with pytest.raises(OutputError, match="make"):
        make("make")
    failing = make("close")
    with pytest.raises(OutputError, match="close"):
        failing.close()
    failing.close()
    failing = make("push")
    with pytest.raises(OutputError, match="push"):
        push_for_a_while(failing)
    push_all(failing, 100)  # it takes no more, and nobody waits for it
    failing.close()
    assert made[-1].closed
    assert len(made[-1].got) == 1


def test_one_that_hangs_at_the_end_of_a_live_source_is_given_up_in_one_line() -> None:
    sink = Held()
    queue = Queued("--annotate", lambda: sink, wait=False, drain_s=0.2)
    for item in numbered(10):
        queue.push(item)
    with pytest.raises(
        OutputError, match=r"^--annotate: what is written there is not taken; given up after 0 s"
    ):
        queue.close()
    assert queue.left_out.total() in (9, 10)
    sink.may.set()


FEW = (Limit(lambda item: isinstance(item, Frame), 8),)


def watching(queue: Queued, lines: list[Line], *others: Any) -> Session:
    """A camera of 60 frames, fewer than its mailbox holds, whose clock stands still: what is late is so because
    somebody waited."""
    return Session(
        Made(constant_rate(60, Fraction(25)), live=True),  # type: ignore[arg-type]
        Recognizer({"rgb": SawTicks()}),
        write=lines.append,
        sinks=[queue, *others],
        now_s=lambda: 0.0,
        left_out=lambda: {queue.name: queue.left_out.total()},
    )


def test_an_output_that_is_abandoned_is_not_closed(tmp_path: Path) -> None:
    sink = Held()
    sink.may.set()
    queue = Queued("--annotate", lambda: sink, wait=True)
    queue.abandon()
    queue.close()
    assert not sink.closed

    wanted = OutputOptions(timeline=tmp_path / "t.png", save_snapshots=tmp_path / "file" / "s")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file/s"):
        SourceOutputs(wanted, Made([]), Recognizer({"rgb": SawTicks()}), None)  # type: ignore[arg-type]
    assert not (tmp_path / "t.png").exists()


def test_no_frame_of_a_live_source_waits_for_an_output_that_hangs() -> None:
    """The output takes nothing until the camera has ended; the recogniser sees all of its frames in time."""
    lines: list[Line] = []
    sink = Held()
    queue = Queued("--annotate", lambda: sink, wait=False, limits=FEW)

    class Ended:
        """What comes before it: it lets go of the output that hangs."""

        def push(self, item: Any) -> None:
            pass

        def close(self) -> None:
            sink.may.set()

    assert run_sessions([watching(queue, lines, Ended())]) == []
    summary = lines[-1]
    jsonschema.validate(summary, json.loads(SCHEMA.read_text()))
    assert summary["frames"] == {"decoded": 60, "used": 60, "dropped": {}, "corrupt_packets": 0}
    assert summary["left_out"]["--annotate"] in (60 - 8, 60 - 9)
    assert sum(isinstance(item, Frame) for item in sink.got) == 60 - summary["left_out"]["--annotate"]


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priorities of their own")
def test_its_thread_comes_after_the_others() -> None:
    found: list[int] = []

    def make() -> Held:
        found.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        return Held()

    Queued("--annotate", make, wait=False).close()
    here = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    assert found == [min(19, here + 5)]
    assert DRAIN_S > 0


def test_a_pipe_that_nobody_reads_holds_up_no_frame(tmp_path: Path) -> None:
    """A real file that blocks: a FIFO whose reader does not read."""
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)

    class Written:
        def __init__(self) -> None:
            self._file = os.open(fifo, os.O_WRONLY)

        def push(self, item: Any) -> None:
            if isinstance(item, Frame):
                os.write(self._file, item.rgb.tobytes())

        def close(self) -> None:
            os.close(self._file)

    lines: list[Line] = []
    queue = Queued("--annotate", Written, wait=False, limits=FEW, drain_s=0.5)
    try:
        with pytest.raises(OutputError, match="--annotate"):
            run_sessions([watching(queue, lines)])
    finally:
        os.close(reader)
    assert lines[-1]["frames"]["used"] == 60
    assert lines[-1]["left_out"]["--annotate"] >= 58
