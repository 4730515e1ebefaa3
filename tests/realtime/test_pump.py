"""The threads: nothing of a file is lost, a live source never waits, errors and endings cross over."""

import threading
import time
from collections.abc import Iterator
from fractions import Fraction

import pytest

from realtime.errors import SourceError
from realtime.pump import Mailbox, Reader, pump, stream
from realtime.recognizer import Recognizer
from realtime.types import Frame
from tests.realtime.doubles import SawTicks, constant_rate, frame


class MadeVideo:
    """Double of `realtime.source.Video` that gives made frames, at once, and can fail at the end."""

    name, corrupt_packets = "made", 0

    def __init__(self, frames: list[Frame], *, live: bool = False, error: Exception | None = None) -> None:
        self._frames, self.live, self._error = frames, live, error
        self.closed = threading.Event()

    def __iter__(self) -> Iterator[Frame]:
        yield from self._frames
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        self.closed.set()


def reader_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "i3d-live reader"]


def test_through_the_pump_a_file_gives_what_it_gives_frame_by_frame() -> None:
    items = constant_rate(150, Fraction(30))
    direct = Recognizer({"rgb": SawTicks()})
    expected = [out for f in items for out in direct.push(f)] + direct.flush()
    with Reader(MadeVideo(items)) as reader:
        got = [out for _, outputs in pump(reader, Recognizer({"rgb": SawTicks()})) for out in outputs]
    assert [repr(o) for o in got] == [repr(o) for o in expected]
    assert reader.mailbox.dropped == 0


def test_a_slow_consumer_loses_nothing_of_a_file_and_holds_few_frames() -> None:
    items = [frame(i, Fraction(i, 25), size_px=2) for i in range(60)]
    numbers, most = [], 0
    with Reader(MadeVideo(items), capacity=3) as reader:
        for f in reader:
            most = max(most, len(reader.mailbox))
            time.sleep(0.001)
            numbers.append(int(f.rgb[0, 0, 0]))
    assert numbers == list(range(60))
    assert most <= 3


def test_a_live_source_drops_the_oldest_and_counts_them() -> None:
    mailbox = Mailbox(3, "drop oldest")
    for i in range(10):
        assert mailbox.put(frame(i, i, size_px=1))
    mailbox.close()
    assert [int(f.rgb[0, 0, 0]) for f in mailbox] == [7, 8, 9]
    assert mailbox.dropped == 7


def test_an_error_of_the_reader_is_raised_after_the_frames_before_it() -> None:
    seen = []
    with (
        pytest.raises(SourceError, match="cable cut"),
        Reader(MadeVideo(constant_rate(5, Fraction(25)), error=SourceError("cable cut"))) as reader,
    ):
        seen += list(reader)
    assert not reader_threads()


def test_a_consumer_that_fails_does_not_leave_the_thread_behind() -> None:
    video = MadeVideo(constant_rate(100, Fraction(25)))
    with pytest.raises(RuntimeError, match="consumer"), Reader(video, capacity=2) as reader:
        for _ in reader:
            raise RuntimeError("consumer")
    assert video.closed.is_set()
    assert not reader_threads()


def test_stream_gives_predictions() -> None:
    found = list(stream(MadeVideo(constant_rate(80, Fraction(25))), Recognizer({"rgb": SawTicks()})))
    assert [(p.start_tick, p.stop_tick) for p in found] == [(0, 64), (8, 72), (16, 80)]
    assert not reader_threads()
