"""Whose turn it is: several sessions on several threads, the most urgent frame first, and the same outputs as alone."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import pytest

from realtime.outputs.log import Line
from realtime.overload import SETTLE_S
from realtime.recognizer import Output, Recognizer
from realtime.session import Session
from realtime.turns import GIVES_WAY_S, START_S, Starts, run_sessions
from realtime.types import Frame
from tests.realtime.test_many import Made
from tests.support.clocks import ManualClock
from tests.support.doubles import SawTicks, constant_rate

LONG_S = 20.0
"""More than any of this takes, on any machine."""
FPS = Fraction(25)


class Tells(Recognizer):
    """Calls a function before each frame."""

    def __init__(self, before: Callable[[Frame], object]) -> None:
        super().__init__({"rgb": SawTicks()})
        self._before = before

    def push(self, frame: Frame) -> list[Output]:
        self._before(frame)
        return super().push(frame)


def sessions_of(*before: Callable[[Frame], object], count: int = 70) -> list[Session]:
    return [Session(Made(constant_rate(count, FPS)), Tells(each)) for each in before]


def test_as_many_frames_are_in_work_as_there_are_threads_but_one_of_each_session() -> None:
    together, in_work, most = threading.Barrier(2), [0, 0], [0, 0]

    def work(number: int, frame: Frame) -> None:
        in_work[number] += 1
        most[number] = max(most[number], in_work[number])
        if frame.pts == 1:
            together.wait(LONG_S)  # breaks unless the other session is here as well
        in_work[number] -= 1

    sessions = sessions_of(lambda f: work(0, f), lambda f: work(1, f))
    assert run_sessions(sessions, threads=2) == []
    assert most == [1, 1]


def test_a_slow_session_holds_up_no_other() -> None:
    others_done = threading.Event()

    def last(frame: Frame) -> None:
        if frame.pts == 69 * Fraction(1, 25):
            others_done.set()

    waited: list[bool] = []
    slow = lambda frame: waited.append(others_done.wait(LONG_S)) if frame.pts == 0 else None  # noqa: E731
    assert run_sessions(sessions_of(slow, last), threads=2) == []
    assert waited == [True]


def test_the_end_of_one_holds_up_no_other() -> None:
    others_done, waited = threading.Event(), []

    class EndsSlowly(Recognizer):
        def flush(self, *, whole: bool = True) -> list[Output]:
            waited.append(others_done.wait(LONG_S))
            return super().flush(whole=whole)

    (long,) = sessions_of(lambda f: others_done.set() if f.pts == 8 else None, count=250)
    short = Session(Made(constant_rate(10, FPS)), EndsSlowly({"rgb": SawTicks()}))
    assert run_sessions([short, long], threads=2) == []
    assert waited == [True]


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_lines_are_the_same_with_any_number_of_threads(threads: int) -> None:
    found: dict[str, list[Line]] = {}
    sessions = []
    for number, name in enumerate("abc"):
        lines = found[name] = []
        video = Made(constant_rate(100 + 31 * number, Fraction(25 + 5 * number)))
        sessions.append(Session(video, Recognizer({"rgb": SawTicks()}), write=lines.append))
    assert run_sessions(sessions, threads=threads) == []
    alone = []
    video = Made(constant_rate(131, Fraction(30)))
    run_sessions([Session(video, Recognizer({"rgb": SawTicks()}), write=alone.append)])
    assert told(found["b"]) == told(alone)


def told(lines: list[Line]) -> list[Line]:
    """All but the summary, without how long they took."""
    return [
        {key: value for key, value in line.items() if key != "latency_ms"}
        for line in lines
        if line["kind"] != "summary"
    ]


def waiting(
    clock: ManualClock, taken_s: list[float], order: list[str], name: str, priority: int = 0
) -> Session:
    """A session of a camera whose frames were taken at these times and wait; it tells when they are looked at."""
    start_s = clock.now_s()
    made = zip(constant_rate(len(taken_s), FPS), taken_s, strict=True)
    frames = [replace(each, taken_s=start_s + at_s) for each, at_s in made]
    recognizer = Tells(lambda frame: order.append(f"{name}{(frame.taken_s or 0) - start_s:.1f}"))
    session = Session(Made([], live=True), recognizer, now_s=clock.now_s, priority=priority)
    for each_frame in frames:
        session.mailbox.put(each_frame)
    return session


def test_the_frame_that_has_waited_longest_comes_first() -> None:
    clock, order = ManualClock(), list[str]()
    sessions = [
        waiting(clock, [0.1, 0.4, 0.5], order, "a"),
        waiting(clock, [0.2, 0.3, 0.6], order, "b"),
    ]
    run_sessions(sessions)
    assert order == ["a0.1", "b0.2", "b0.3", "a0.4", "a0.5", "b0.6"]


def test_less_important_frames_wait_a_little_longer_but_not_for_ever() -> None:
    clock, order = ManualClock(), list[str]()
    early, late = 0.1, 0.1 + GIVES_WAY_S + 0.1
    sessions = [
        waiting(clock, [early], order, "less "),
        waiting(clock, [0.3, late], order, "more ", priority=5),
    ]
    run_sessions(sessions)
    assert order == ["more 0.3", "less 0.1", f"more {late:.1f}"]


def steps_down(clock: ManualClock, *priorities: int, seconds: int) -> list[tuple[float, int, str]]:
    """When which of several sessions that fall ever further behind leaves out work, and how; none of it helps."""
    sessions = [
        Session(Made([], live=True), Recognizer({"rgb": SawTicks()}), now_s=clock.now_s, priority=each)
        for each in priorities
    ]
    for each in sessions:
        each.share(sessions)
    found = []
    (late,) = constant_rate(1, FPS)
    for tenth in range(seconds * 10):
        for number, each in enumerate(sessions):
            lag_s = tenth / 10 + (GIVES_WAY_S if each.priority < max(priorities) else 0.0)
            assert each.pace is not None
            if each.pace.before(replace(late, taken_s=clock.now_s() - lag_s)):
                found.append((tenth / 10, number, each.pace.ladder.level.name))
            if each.pace.pause():
                found.append((tenth / 10, number, "pause"))
        clock.pass_s(0.1)
    return found


def test_the_least_important_leaves_out_work_first_and_the_others_wait_for_the_effect() -> None:
    found = steps_down(ManualClock(), 5, 0, seconds=9)
    assert [(number, name) for _, number, name in found[:3]] == [
        (1, "stride x 2"), (1, "stride x 4"), (1, "stride x 8"),
    ]  # fmt: skip
    assert all(number == 1 for _, number, _ in found)
    assert all(b - a >= SETTLE_S - 0.01 for (a, *_), (b, *_) in pairwise(found))
    assert found[-1][2] == "pause"


def test_of_equally_important_ones_each_leaves_out_a_little_before_one_leaves_out_much() -> None:
    found = steps_down(ManualClock(), 0, 0, seconds=20)
    order = [number for _, number, name in found if name != "pause"]
    assert sorted(order[:2]) == sorted(order[2:4]) == [0, 1]
    pauses = [number for _, number, name in found if name == "pause"]
    assert len(pauses) > 2
    assert all(a != b for a, b in pairwise(pauses))  # in turn


class Costs(Recognizer):
    """Each frame takes a given time of a clock."""

    def __init__(self, clock: ManualClock, cost_s: float) -> None:
        super().__init__({"rgb": SawTicks()})
        self._clock, self._cost_s = clock, cost_s

    def push(self, frame: Frame) -> list[Output]:
        self._clock.pass_s(self._cost_s)
        return []


def test_where_one_camera_too_many_is_watched_they_take_turns_to_pause_and_most_is_seen() -> None:
    """A simulation: six cameras of which a core can watch five."""
    clock, seconds = ManualClock(), 300
    sessions = [Session(Made([], live=True), Costs(clock, 1 / 25 / 5.2), now_s=clock.now_s) for _ in range(6)]
    for each in sessions:
        each.share(sessions)
    (shown,) = constant_rate(1, FPS)
    start_s, sent = clock.now_s(), 0
    while sent < 25 * seconds:
        while start_s + sent / 25 <= clock.now_s():
            for each in sessions:
                each.mailbox.put(replace(shown, pts=Fraction(sent, 25), taken_s=start_s + sent / 25))
            sent += 1
        waits = [each for each in sessions if each.mailbox.ready]
        first = min(waits, key=lambda each: each.mailbox.since_s, default=None)
        if first is None:
            clock.pass_s(0.001)
        elif (item := first.mailbox.take()) is not None:
            assert isinstance(item, Frame)
            first.push(item)
    seen = [each.mailbox.received - each.mailbox.dropped for each in sessions]
    assert sum(seen) > 0.75 * 5.2 * 25 * seconds
    assert min(seen) > 0.4 * 25 * seconds


def test_live_sources_begin_one_after_another() -> None:
    begun: dict[str, float] = {}

    class Begins(Made):
        def __init__(self, name: str, *, live: bool = True) -> None:
            super().__init__(constant_rate(20, FPS), live=live)
            self.name = name

        def __iter__(self) -> Iterator[Frame]:
            begun[self.name] = time.monotonic()
            yield from super().__iter__()

    videos = [Begins(name) for name in "abc"]
    file = Begins("file", live=False)
    made = [Session(video, Recognizer({"rgb": SawTicks()})) for video in [*videos[:2], file, videos[2]]]
    start_s = time.monotonic()
    assert run_sessions(made, threads=2) == []
    # From here, not from one to the next: a thread that begins late makes the distance to the next one shorter.
    assert begun["a"] < begun["b"] < begun["c"]
    assert begun["b"] - start_s >= START_S / 2
    assert begun["c"] - start_s >= START_S
    assert begun["file"] - begun["b"] < START_S / 2


def test_live_sources_begin_so_far_apart_that_each_thread_has_one() -> None:
    clock = ManualClock()
    begin_s, begun_s = clock.seconds, []
    starts = Starts(2, clock.now_s)
    while len(begun_s) < 3:
        if starts.may():
            begun_s.append(clock.seconds)
        clock.pass_s(0.25)
    assert begun_s == [begin_s + each * START_S / 2 for each in range(3)]


def test_one_that_ends_while_a_frame_is_in_work_reports_it_first() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def hold(frame: Frame) -> None:
        if frame.pts == 63 * Fraction(1, 25):
            begun.set()
            go_on.wait(LONG_S)

    lines: list[Line] = []
    held = Session(Made(constant_rate(64, FPS)), Tells(hold), write=lines.append)
    other = Session(Made(constant_rate(200, FPS)), Recognizer({"rgb": SawTicks()}))

    def after_turn() -> None:
        if begun.is_set() and held.ended is None:  # as a camera that a site file no longer names
            threading.Timer(0.1, go_on.set).start()
            held.mailbox.stop()
            held.end("stopped")

    assert run_sessions([held, other], after_turn=after_turn, threads=2) == []
    assert [line["kind"] for line in lines] == ["prediction", "event", "summary"]


@pytest.mark.parametrize("threads", [1, 2])
def test_a_fault_of_a_recogniser_ends_the_run_and_is_raised(threads: int) -> None:
    def fail(frame: Frame) -> None:
        if frame.pts == 1:
            raise ZeroDivisionError("a fault")

    lines: list[Line] = []
    good = Session(Made(constant_rate(400, FPS)), Recognizer({"rgb": SawTicks()}), write=lines.append)
    with pytest.raises(ZeroDivisionError, match="a fault"):
        run_sessions([*sessions_of(fail), good], threads=threads)
    assert lines[-1]["kind"] == "summary"
    names = [each.name for each in threading.enumerate()]
    assert not [name for name in names if name.startswith(("i3d-live step", "i3d-live reader"))]
