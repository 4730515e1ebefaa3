"""A camera lost and found again: when it is tried, where frames lie in time afterwards, and that it can be stopped at
any moment."""

import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from itertools import islice, pairwise
from pathlib import Path

import pytest

from realtime.errors import SourceError, SourceLost
from realtime.reader_threads import Reader, mailbox_for
from realtime.recognizer import Recognizer
from realtime.sources.address import parse_source
from realtime.sources.reconnect import Connection, Reconnecting, is_there, keep_open
from realtime.sources.video import Video
from realtime.types import Frame, Gap, Picture, Prediction
from tests.support.clocks import ManualClock
from tests.support.doubles import SawTicks, frame
from tests.support.made_clips import every, write_clip
from tests.support.servers import free_port, silent_server

STEP = Fraction(1, 25)


class LiveVideo:
    """Double of an open camera: numbered frames, each after a 25th of a second, then it is lost."""

    name, live, size_px, picture = "camera", True, (2, 2), Picture((2, 2))

    def __init__(self, clock: ManualClock, count: int, *, first: int = 0, live: bool = True) -> None:
        self._clock, self._numbers, self.live = clock, range(first, first + count), live
        self.corrupt_packets = 1
        self.closed = False

    def __iter__(self) -> Iterator[Frame]:
        for i, number in enumerate(self._numbers):
            self._clock.pass_s(0.04)
            if self.closed:
                return
            made = frame(number, i * STEP + Fraction(7), size_px=2)
            yield Frame(made.rgb, made.pts, made.duration, taken_s=self._clock.now_s())
        if not self.closed:
            raise SourceLost("camera: cable cut")

    def close(self) -> None:
        self.closed = True


def opener(*steps: Video | Exception) -> Callable[[], Video]:
    """Opens these in turn; an error is raised instead. After the last it always fails."""
    left = list(steps)

    def open_again() -> Video:
        step = left.pop(0) if left else SourceError("camera: refused")
        if isinstance(step, Exception):
            raise step
        return step

    return open_again


def tries_s(
    clock: ManualClock, make: Callable[[Callable[[], Video]], Reconnecting], count: int
) -> list[float]:
    """Seconds from the loss to the first try to open it again, and between those that follow; it is closed after
    `count` of them."""
    found: list[float] = []

    def open_again() -> Video:
        found.append(clock.now_s())
        if len(found) > count + 1:
            source.close()
        raise SourceError("camera: refused")

    source = make(open_again)
    for _ in source:
        found[:] = [clock.now_s()]
    return [round(b - a, 6) for a, b in pairwise(found)]


def test_tries_are_1_2_4_8_16_and_then_always_30_seconds_apart() -> None:
    clock = ManualClock()
    first: Video = LiveVideo(clock, 3)
    make = partial(Reconnecting, "camera", first=first, clock=clock)
    assert tries_s(clock, make, 8) == [1, 2, 4, 8, 16, 30, 30, 30, 30]


def test_after_a_success_it_begins_again_with_one_second() -> None:
    clock = ManualClock()
    refused = SourceError("camera: refused")
    videos = [LiveVideo(clock, 2), LiveVideo(clock, 2)]
    source = Reconnecting(
        "camera", opener(refused, refused, videos[0], videos[1]), LiveVideo(clock, 2), clock=clock
    )
    taken = [f.taken_s for f in islice(source, 6)]
    waits = [round(b - a - 0.04, 3) for a, b in pairwise(taken) if b - a > 0.5]
    assert waits == [1 + 2 + 4, 1]
    assert videos[0].closed


def test_times_go_on_by_the_time_that_passed_and_the_first_frame_says_that_some_are_missing() -> None:
    clock = ManualClock()
    source = Reconnecting(
        "camera", opener(LiveVideo(clock, 4, first=50), LiveVideo(clock, 2)), LiveVideo(clock, 3), clock=clock
    )
    found = list(islice(source, 8))
    assert [f.after_gap for f in found] == [False] * 3 + [True] + [False] * 3 + [True]
    assert [float(f.pts) for f in found] == pytest.approx([7, 7.04, 7.08, 8.12, 8.16, 8.20, 8.24, 9.28])
    assert [int(f.rgb[0, 0, 0]) for f in found[:5]] == [0, 1, 2, 50, 51]
    assert source.connection == Connection(up=True, reconnects=2)
    assert source.corrupt_packets == 3


def test_a_clock_that_stood_still_does_not_put_frames_on_top_of_each_other() -> None:
    clock = ManualClock()
    source = Reconnecting("camera", opener(LiveVideo(clock, 2)), LiveVideo(clock, 2), clock=clock)
    found = []
    for f in islice(source, 3):
        found.append(f.pts)
        clock.seconds = 100.0
    assert found == [7, Fraction(704, 100), Fraction(708, 100) + (found[2] - Fraction(708, 100))]
    assert found[2] >= found[1] + STEP


@pytest.mark.parametrize("there_again_s", [3.2, 70.0])
def test_a_camera_that_is_there_again_is_not_kept_waiting(there_again_s: float) -> None:
    clock = ManualClock()
    end_s = clock.now_s() + there_again_s
    opened: list[float] = []

    def open_again() -> Video:
        if clock.now_s() < end_s:
            raise SourceError("camera: refused")
        opened.append(clock.now_s())
        return LiveVideo(clock, 1)

    source = Reconnecting(
        "camera", open_again, LiveVideo(clock, 1), is_there=lambda: clock.now_s() >= end_s, clock=clock
    )
    list(islice(source, 2))
    assert 0 <= opened[0] - end_s <= 0.5


def test_a_camera_that_is_always_there_is_not_tried_more_often_than_the_back_off_allows() -> None:
    clock = ManualClock()
    first: Video = LiveVideo(clock, 1)
    make = partial(Reconnecting, "camera", first=first, is_there=lambda: True, clock=clock)
    assert tries_s(clock, make, 4) == [1, 2, 4, 8, 16]


def test_the_state_of_the_connection_changes_with_each_try() -> None:
    clock = ManualClock()
    told: list[Connection] = []
    source = Reconnecting(
        "camera",
        opener(SourceError("camera: switched off"), LiveVideo(clock, 1)),
        LiveVideo(clock, 1),
        clock=ManualClock(at_wait=lambda: told.append(source.connection)),
    )
    list(islice(source, 2))
    told.append(source.connection)
    assert list(dict.fromkeys(told)) == [
        Connection(False, 0, "camera: cable cut"),
        Connection(False, 0, "camera: switched off"),
        Connection(True, 1),
    ]


def test_a_source_that_was_never_there_is_tried_immediately_and_begins_without_a_gap() -> None:
    clock = ManualClock()
    source = Reconnecting("camera", opener(LiveVideo(clock, 2)), clock=clock, reason="camera: refused")
    assert source.connection == Connection(False, 0, "camera: refused")
    assert [f.after_gap for f in islice(source, 2)] == [False, False]
    assert clock.waits_s == []
    assert source.connection == Connection(True)


def test_an_address_that_turns_out_to_be_a_file_is_an_error() -> None:
    clock = ManualClock()
    video = LiveVideo(clock, 2, live=False)
    with pytest.raises(SourceError, match="a file"):
        list(Reconnecting("camera", opener(video), clock=clock))
    assert video.closed


def test_a_source_that_was_opened_long_ago_can_be_renewed() -> None:
    clock = ManualClock()
    old, new = LiveVideo(clock, 1), LiveVideo(clock, 1, first=9)
    source = Reconnecting("camera", opener(new), old, clock=clock)
    source.renew()
    assert old.closed
    (first,) = islice(source, 1)
    assert (int(first.rgb[0, 0, 0]), first.after_gap) == (9, False)


def test_no_prediction_spans_the_loss() -> None:
    clock = ManualClock()
    source = Reconnecting(
        "camera", opener(LiveVideo(clock, 150, first=100)), LiveVideo(clock, 100), clock=clock
    )
    recognizer = Recognizer({"rgb": SawTicks()})
    out = [item for f in islice(source, 250) for item in recognizer.push(f)] + recognizer.flush()
    predictions = [item for item in out if isinstance(item, Prediction)]
    (gap,) = [item for item in out if isinstance(item, Gap)]
    assert gap.cause == "frames lost"
    assert float(gap.end - gap.start) == pytest.approx(1.0, abs=0.05)
    for p in predictions:
        assert p.stop_tick - p.start_tick == 64
    before = [p for p in predictions if p.end_s <= gap.start]
    after = [p for p in predictions if p.start_s >= gap.end]
    assert len(before) == (100 - 64) // 8 + 1
    assert len(after) == (150 - 64) // 8 + 1
    assert len(before) + len(after) == len(predictions)


@pytest.mark.parametrize("open_again", [opener(), lambda: time.sleep(0.2) or opener()()])
def test_closed_while_it_waits_for_the_next_try_it_ends_immediately(open_again: Callable[[], Video]) -> None:
    source = Reconnecting("camera", open_again)
    with Reader(source, mailbox_for(source)):
        while not source.connection.reason:
            time.sleep(0.01)
        start_s = time.monotonic()
    assert time.monotonic() - start_s < 5  # it was to wait for a second, and then two, four, ...
    assert "i3d-live reader" not in [thread.name for thread in threading.enumerate()]


def test_closed_while_it_is_being_opened_it_closes_what_it_gets() -> None:
    clock, opening, go_on = ManualClock(), threading.Event(), threading.Event()
    video = LiveVideo(clock, 5)

    def open_again() -> Video:
        opening.set()
        go_on.wait()
        return video

    source = Reconnecting("camera", open_again)
    found: list[Frame] = []
    thread = threading.Thread(target=lambda: found.extend(source))
    thread.start()
    opening.wait()
    source.close()
    go_on.set()
    thread.join()
    assert video.closed
    assert found == []


def test_an_address_is_there_if_something_answers() -> None:
    with silent_server() as port:
        assert is_there(parse_source(f"rtsp://me:secret@127.0.0.1:{port}/x"))
    assert not is_there(parse_source(f"http://127.0.0.1:{free_port()}/x"))
    assert not is_there(parse_source("webcam:99"))
    assert is_there(parse_source("rtsp://127.0.0.1:nonsense/x"))


def test_a_file_is_opened_as_usual_and_a_camera_that_is_away_can_be_waited_for(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "c.mp4", every(STEP, 3))
    with keep_open(clip) as video:
        assert isinstance(video, Video)
        assert len(list(video)) == 3
    away = f"rtsp://me:secret@127.0.0.1:{free_port()}/x"
    with pytest.raises(SourceError, match="refused"):
        keep_open(away)
    source = keep_open(away, may_be_away=True)
    assert isinstance(source, Reconnecting)
    assert "secret" not in source.name + source.connection.reason
    with pytest.raises(SourceError, match="refused"):
        keep_open(f"http://127.0.0.1:{free_port()}/x", may_be_away=True)
