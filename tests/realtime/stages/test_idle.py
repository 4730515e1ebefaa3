"""Rests while nothing moves: which ticks pass, what is counted, and that after a rest everything is as in a new
stream."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.engine import Engine
from engines.spec import FLOW, RGB
from realtime.clock import Stopwatch
from realtime.overload import Level
from realtime.recognizer import Output, Recognizer
from realtime.stages.dropped_frames import Dropped
from realtime.stages.idle import LEAST_S, IdleGate
from realtime.types import Frame, Gap, Idle, Prediction, Tick
from realtime.zones import Zone
from tests.support.doubles import FPS, PositionTicks, SawTicks, exact
from tests.support.stillness import filmed, moving, picture

SMALL = replace(RGB, short_side_px=32, crop_px=32)
REST_TICKS = 75
WINDOW = 64


def ticks(shifts: list[int], shown_for: int = 1) -> list[Tick]:
    """Each frame is shown for so many ticks."""
    out = []
    for index in range(len(shifts)):
        first = index - index % shown_for
        if index == first:
            frame = Frame(picture(shifts[first]), first / FPS, Fraction(1, 25))
        out.append(Tick(index, frame, repeated=index != first))
    return out


def gate(after_s: float | None = REST_TICKS / 25) -> IdleGate:
    return IdleGate(after_s, SMALL, lambda tick: {None: [tick.frame.rgb]}, Stopwatch())


def passed(stage: IdleGate, items: list[Any]) -> list[Any]:
    return [out for item in items for out in stage.push(item)]


def numbers(items: list[Any]) -> list[int]:
    return [item.index for item in items if isinstance(item, Tick)]


def rests(items: list[Any]) -> list[tuple[bool, int, int]]:
    """(resting, since, at) in ticks"""
    return [(i.resting, int(i.since * 25), int(i.at * 25)) for i in items if isinstance(i, Idle)]


def test_ticks_pass_until_nothing_has_moved_for_as_long_as_was_said() -> None:
    out = passed(gate(), ticks([0] * 200))
    assert numbers(out) == list(range(REST_TICKS))
    assert rests(out) == [(True, 0, REST_TICKS)]


def test_when_something_moves_the_last_window_passes_first() -> None:
    out = passed(gate(), ticks(moving([(300, 310)], 320)))
    assert rests(out) == [(True, 0, REST_TICKS), (False, 300 - WINDOW + 1, 300)]
    assert numbers(out) == [*range(REST_TICKS), *range(300 - WINDOW + 1, 320)]
    place = [type(item) for item in out].index(Idle, REST_TICKS + 1)
    assert numbers(out[:place]) == list(range(REST_TICKS)), "the rest ends before the ticks that end it"


def test_no_tick_passes_twice() -> None:
    """A rest that is shorter than a window."""
    out = passed(gate(), ticks(moving([(REST_TICKS + 10, REST_TICKS + 12)], 150)))
    assert rests(out) == [(True, 0, REST_TICKS), (False, REST_TICKS, REST_TICKS + 10)]
    assert numbers(out) == list(range(150))


def test_it_rests_again_and_says_since_when_nothing_has_moved() -> None:
    out = passed(gate(), ticks(moving([(0, 40), (600, 601)], 1500)))
    assert [resting for resting, _, _ in rests(out)] == [True, False, True]
    first, _, last = rests(out)
    for _, since, at in (first, last):
        assert at - since == REST_TICKS
    assert 40 <= first[1] <= 40 + 15 * 25, "what stopped has become background"
    assert 601 <= last[1] <= 601 + 15 * 25


@pytest.mark.parametrize("end", [Gap(Fraction(10), Fraction(20), "no frames"), None])
def test_a_gap_or_the_end_ends_a_rest_and_nothing_that_was_held_back_passes(end: Gap | None) -> None:
    stage = gate()
    passed(stage, ticks([0] * 200))
    assert stage.rest == Idle(True, Fraction(0), Fraction(REST_TICKS, 25))
    out = stage.flush() if end is None else stage.push(end)
    assert out == [Idle(False, Fraction(8), Fraction(8)), *([] if end is None else [end])]
    assert stage.rest is None
    assert numbers(passed(stage, ticks([0] * 200))) == list(range(REST_TICKS)), "it starts afresh"


def test_what_is_no_tick_passes() -> None:
    stage = gate()
    passed(stage, ticks([0] * 100))
    for item in (Dropped(3, 4, 1), Level("all")):
        assert stage.push(item) == [item]


def test_without_a_time_everything_passes_and_nothing_is_measured() -> None:
    stopwatch = Stopwatch()
    stage = IdleGate(None, SMALL, lambda tick: pytest.fail("measured"), stopwatch)
    given_ticks = ticks([0] * 200)
    assert passed(stage, given_ticks) == given_ticks
    assert stage.flush() == []


def test_ticks_that_were_held_back_have_their_views_and_no_pixels() -> None:
    shifts = moving([(300, 310)], 320)
    out = [item for item in passed(gate(), ticks(shifts)) if isinstance(item, Tick)]
    held = [tick for tick in out if 300 - WINDOW < tick.index <= 300]
    assert len(held) == WINDOW
    for tick in held:
        assert np.array_equal(tick.resized[None][0], picture(shifts[tick.index]))
        assert tick.frame.rgb.shape == (32, 32, 3)
        assert tick.frame.rgb.strides == (0, 0, 0), "one pixel for all of them"
        assert tick.frame.pts == tick.index / FPS


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 500), st.integers(1, 30)), max_size=4),
    st.integers(1, 5),
    st.integers(100, 600),
)
def test_every_frame_was_seen_or_is_counted(
    starts: list[tuple[int, int]], shown_for: int, count: int
) -> None:
    stage = gate()
    items = ticks(moving([(start, start + length) for start, length in starts], count), shown_for)
    out = [*passed(stage, items), *stage.flush()]
    seen = {tick.frame.pts for tick in out if isinstance(tick, Tick)}
    assert stage.idle_ticks == count - len(numbers(out))
    assert stage.idle_frames == len({tick.frame.pts for tick in items} - seen)


# With the whole recogniser


def run(recognizer: Recognizer, frames: list[Frame]) -> Iterator[Output]:
    for frame in frames:
        yield from recognizer.push(frame)
    yield from recognizer.flush()


def both() -> dict[str, Engine]:
    return {"rgb": SawTicks(), "flow": SawTicks(FLOW)}


MAKERS: dict[str, Callable[[], dict[str, Engine]]] = {
    "window": lambda: {"rgb": SawTicks()},
    "continual": lambda: {"rgb": PositionTicks()},
    "preview": lambda: {"rgb": PositionTicks("preview")},
    "both streams": both,
}


@pytest.mark.parametrize("fps", [Fraction(25), Fraction(30)])
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_after_a_rest_all_is_as_in_a_stream_that_begins_there(
    make: Callable[[], dict[str, Engine]], fps: Fraction
) -> None:
    frames = filmed(moving([(280, 300)], 420), fps)
    outputs = list(run(Recognizer(make(), flow="dis", idle_s=LEAST_S), frames))
    begins = next(i for i, item in enumerate(outputs) if isinstance(item, Idle) and not item.resting)
    idle = outputs[begins]
    assert isinstance(idle, Idle)
    assert 0 < idle.at - idle.since == Fraction(WINDOW - 1, 25)
    first = int(idle.since * fps)  # the frame that is shown at that tick
    fresh = list(run(Recognizer(make(), flow="dis"), frames[first:]))
    assert exact(outputs[begins + 1 :]) == exact(fresh)
    assert sum(isinstance(item, Prediction) for item in fresh) > 3


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_until_a_rest_all_is_as_in_a_stream_that_ends_there(make: Callable[[], dict[str, Engine]]) -> None:
    frames = filmed([0] * 250, FPS)
    outputs = list(run(Recognizer(make(), flow="dis", idle_s=4), frames))
    begins = next(i for i, item in enumerate(outputs) if isinstance(item, Idle))
    ended = list(run(Recognizer(make(), flow="dis"), frames[:100]))
    assert exact(outputs[:begins]) == exact(ended)
    assert [type(item) for item in outputs[begins:]] == [Idle, Idle], "nothing is predicted while it rests"


def test_in_a_rest_the_engines_do_not_run_and_ticks_are_counted() -> None:
    recognizer = Recognizer({"rgb": SawTicks()}, idle_s=LEAST_S)
    list(run(recognizer, filmed([0] * 600, FPS)))
    counts = recognizer.counts
    assert (counts.ticks, counts.idle_ticks, counts.idle_frames) == (600, 525, 525)
    assert counts.steps == 1 + (75 - 64) // 8


def test_one_moving_view_of_a_full_picture_keeps_all_awake() -> None:
    wide = [np.concatenate([picture(0, 256), picture(n, 256)], axis=1) for n in range(200)]
    frames = [Frame(rgb, n / FPS, 1 / FPS) for n, rgb in enumerate(wide)]
    recognizer = Recognizer({"rgb": SawTicks()}, region="full", idle_s=LEAST_S)
    assert not [item for item in run(recognizer, frames) if isinstance(item, Idle)]
    recognizer = Recognizer({"rgb": SawTicks()}, region=(0, 0, 256, 256), idle_s=LEAST_S)
    assert [item.resting for item in run(recognizer, frames) if isinstance(item, Idle)] == [True, False]


OWN = Zone("far", 140, 140, 40, 40, own=True)


def test_an_own_zone_in_which_something_moves_wakes_all_and_has_its_predictions() -> None:
    """A square of 4 px, moved by one px: seven times as much in the crop of its own."""
    shifts = moving([(280, 300)], 420)
    frames = filmed([0] * 420, FPS)
    for frame, shift in zip(frames, shifts, strict=True):
        frame.rgb[150:154, 150 + shift // 4 : 154 + shift // 4] += 8
    outputs = list(run(Recognizer({"rgb": SawTicks()}, zones=[OWN], idle_s=LEAST_S), frames))
    begins = next(i for i, item in enumerate(outputs) if isinstance(item, Idle) and not item.resting)
    first = int(outputs[begins].since * 25)  # type: ignore[union-attr]
    fresh = list(run(Recognizer({"rgb": SawTicks()}, zones=[OWN]), frames[first:]))
    assert 280 <= outputs[begins].at * 25 <= 300  # type: ignore[union-attr]
    assert exact(outputs[begins + 1 :]) == exact(fresh)
    assert {item.zone for item in fresh if isinstance(item, Prediction)} == {None, "far"}
    alone = run(Recognizer({"rgb": SawTicks()}, idle_s=LEAST_S), frames)
    assert [item.resting for item in alone if isinstance(item, Idle)] == [True, False], "only at the end"


@pytest.mark.parametrize("put_at", [40, 140, 200])
def test_a_new_own_zone_ends_a_rest(put_at: int) -> None:
    """Or begins the time until the next one anew, so that a zone that is to jump has jumped by then."""
    recognizer = Recognizer({"rgb": SawTicks()}, zones=[OWN], idle_s=LEAST_S)
    out: list[Output] = []
    for number, each in enumerate(filmed(moving([(290, 300)], 320), FPS)):
        if number == put_at:
            recognizer.zones.put(replace(OWN, x=100))
        out += recognizer.push(each)
    idles = [(item.resting, int(item.at * 25)) for item in out if isinstance(item, Idle)]
    rests_before = [(True, REST_TICKS), (False, put_at - 1)] if put_at > REST_TICKS else []
    assert idles[: len(rests_before)] == rests_before
    resting, at = idles[len(rests_before)]
    assert resting
    assert put_at + REST_TICKS - 1 <= at <= put_at + REST_TICKS
    jumps = [int(item.start * 25) for item in out if isinstance(item, Gap) and item.zone == "far"]
    assert len(jumps) == 1
    assert put_at - 1 <= jumps[0] < at


def test_a_change_of_level_does_not_end_a_rest() -> None:
    recognizer = Recognizer({"rgb": PositionTicks()}, idle_s=LEAST_S)
    frames = filmed([0] * 300, FPS)
    for number, frame in enumerate(frames):
        if number % 20 == 0:
            recognizer.level = Level("pieces", pieces=number % 40 == 0)
        assert number < 120 or recognizer.push(frame) == []
        if number < 120:
            recognizer.push(frame)
    assert recognizer.rest is not None
