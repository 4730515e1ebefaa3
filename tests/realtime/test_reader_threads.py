"""The reader threads: no frame of a file is lost, a live source never waits, errors and ends reach the caller."""

import threading
import time
from contextlib import closing
from dataclasses import replace
from fractions import Fraction

import pytest

from realtime.errors import SourceError
from realtime.library import stream
from realtime.reader_threads import End, Mailbox, Reader, read_ahead
from realtime.recognizer import Recognizer
from realtime.types import Frame, Prediction
from tests.realtime.test_many import Made
from tests.support.clocks import ManualClock
from tests.support.doubles import SawTicks, constant_rate, exact, frame


def reader_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "i3d-live reader"]


def small(count: int) -> list[Frame]:
    return [frame(i, Fraction(i, 25), size_px=2) for i in range(count)]


def test_through_a_reader_thread_a_file_gives_what_it_gives_frame_by_frame() -> None:
    items = constant_rate(150, Fraction(30))
    direct = Recognizer({"rgb": SawTicks()})
    expected = [out for f in items for out in direct.push(f)] + direct.flush()
    got = list(stream(Made(items), Recognizer({"rgb": SawTicks()})))
    assert exact(got) == exact(o for o in expected if isinstance(o, Prediction))


def test_a_slow_consumer_loses_nothing_of_a_file_and_holds_few_frames() -> None:
    mailbox = Mailbox(3, "wait")
    numbers, most = [], 0
    with Reader(Made(small(60)), mailbox):
        while not isinstance(item := mailbox.take(), End):
            if item is not None:
                numbers.append(int(item.rgb[0, 0, 0]))
            most = max(most, len(mailbox))
            time.sleep(0.001)
    assert numbers == list(range(60))
    assert most <= 3
    assert mailbox.dropped == 0


def test_a_live_source_drops_the_oldest_and_counts_them() -> None:
    mailbox = Mailbox(3, "drop oldest")
    for f in small(10):
        assert mailbox.put(f)
    mailbox.close()
    taken = [mailbox.take() for _ in range(4)]
    assert [int(f.rgb[0, 0, 0]) for f in taken if isinstance(f, Frame)] == [7, 8, 9]
    assert isinstance(taken[3], End)
    assert mailbox.dropped == 7


def test_a_live_source_that_pauses_drops_what_waits_and_what_comes_meanwhile() -> None:
    clock = ManualClock()
    mailbox = Mailbox(64, "drop oldest", clock.now_s)

    def put(count: int) -> None:
        for each in small(count):
            mailbox.put(replace(each, taken_s=clock.now_s()))
            clock.pass_s(0.04)

    put(5)
    mailbox.skip(1.0)
    assert mailbox.take() is None
    put(20)
    assert mailbox.take() is None
    clock.pass_s(0.3)
    put(1)
    after = mailbox.take()
    assert isinstance(after, Frame)
    assert (after.dropped_before, mailbox.dropped, len(mailbox)) == (25, 25, 0)


def test_an_error_of_the_source_is_raised_after_the_predictions_before_it() -> None:
    video = Made(constant_rate(70, Fraction(25)), error=SourceError("cable cut"))
    found = []
    with pytest.raises(SourceError, match="cable cut"):
        found.extend(stream(video, Recognizer({"rgb": SawTicks()})))
    assert not reader_threads()


def test_read_ahead_gives_all_frames_then_what_ended_them() -> None:
    numbers = []

    def consume() -> None:
        video = Made(small(9), error=SourceError("cable cut"))
        with closing(read_ahead(video)) as items:
            for each in items:
                numbers.append(int(each.rgb[0, 0, 0]))

    with pytest.raises(SourceError, match="cable cut"):
        consume()
    assert numbers == list(range(9))
    assert not reader_threads()


def test_a_consumer_that_fails_does_not_leave_the_thread_behind() -> None:
    video = Made(small(100))

    def consume() -> None:
        with closing(read_ahead(video)) as items:
            for _ in items:
                raise RuntimeError("consumer")

    with pytest.raises(RuntimeError, match="consumer"):
        consume()
    assert video.closed.is_set()
    assert not reader_threads()


def test_stream_gives_predictions() -> None:
    found = list(stream(Made(constant_rate(80, Fraction(25))), Recognizer({"rgb": SawTicks()})))
    assert [(p.start_tick, p.stop_tick) for p in found] == [(0, 64), (8, 72), (16, 80)]
    assert not reader_threads()


def test_leaving_the_loop_early_leaves_no_thread_behind() -> None:
    video = Made(constant_rate(200, Fraction(25)))
    for found in stream(video, Recognizer({"rgb": SawTicks()})):
        assert (found.start_tick, found.stop_tick) == (0, 64)
        break
    assert video.closed.is_set()
    assert not reader_threads()
