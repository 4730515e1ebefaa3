"""Ticks by time stamp, compared with the rule itself."""

import math
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.stages.dropped_frames import Dropped
from realtime.stages.resample import Resample, Resampled
from realtime.types import Frame, Gap, Tick
from tests.support.doubles import FPS, constant_rate, frame, frames


def run(items: list[Frame], **options: Fraction) -> list[Resampled]:
    stage = Resample(FPS, **options)
    return [out for item in items for out in stage.push(item)] + stage.flush()


def shown(outputs: list[Resampled]) -> list[tuple[int, int]]:
    """(tick, number of the frame it shows)."""
    return [(t.index, int(t.frame.rgb[0, 0] @ [1, 256, 65536])) for t in outputs if isinstance(t, Tick)]


def rule(stamps: list[Fraction], stop: Fraction) -> list[tuple[int, int]]:
    """Tick k shows the last frame with pts <= k / 25."""
    ticks = range(math.ceil(stamps[0] * FPS), math.ceil(stop * FPS))
    return [(k, max(i for i, pts in enumerate(stamps) if pts <= k / FPS)) for k in ticks]


@pytest.mark.parametrize(
    "fps",
    [
        Fraction(8),
        Fraction(15),
        Fraction(24000, 1001),
        Fraction(25),
        Fraction(30),
        Fraction(50),
        Fraction(60000, 1001),
    ],
)
def test_constant_rates_follow_the_rule(fps: Fraction) -> None:
    count = int(4 * fps)
    stamps = [i / fps for i in range(count)]
    outputs = run(constant_rate(count, fps))
    assert shown(outputs) == rule(stamps, count / fps)
    assert len(outputs) == math.ceil(count / fps * FPS)


def test_30_fps_leaves_every_sixth_frame_unseen_and_counts_it() -> None:
    stage = Resample(FPS)
    ticks = [t for f in constant_rate(60, Fraction(30)) for t in stage.push(f)] + stage.flush()
    assert [number for _, number in shown(ticks)][:11] == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 12]
    assert stage.unseen_frames == 10


def test_a_slow_source_repeats_frames_and_marks_them() -> None:
    ticks = [t for t in run(constant_rate(5, Fraction(10))) if isinstance(t, Tick)]
    assert [t.repeated for t in ticks][:5] == [False, True, True, False, True]


stamp_lists = st.lists(st.fractions(Fraction(1, 1000), Fraction(9, 10)), min_size=1, max_size=40).map(
    lambda gaps: [sum(gaps[:i], Fraction(0)) for i in range(len(gaps))]
)


@given(stamp_lists)
def test_any_rate_follows_the_rule(stamps: list[Fraction]) -> None:
    outputs = run(frames(stamps, size_px=1))
    stop = stamps[-1] + Fraction(1, 25)
    assert shown(outputs) == rule(stamps, stop)


@given(stamp_lists, st.data())
def test_later_frames_never_change_earlier_ticks(stamps: list[Fraction], data: st.DataObject) -> None:
    cut = data.draw(st.integers(1, len(stamps)))
    gaps = data.draw(st.lists(st.fractions(Fraction(1, 1000), Fraction(9, 10)), max_size=10))
    seen = frames(stamps, size_px=1)[:cut]
    other = [frame(100 + i, stamps[cut - 1] + sum(gaps[: i + 1]), size_px=1) for i in range(len(gaps))]
    stage = Resample(FPS)
    early = shown([t for f in seen for t in stage.push(f)])
    for tail in (frames(stamps, size_px=1)[cut:], other):
        assert early == shown(run(seen + tail))[: len(early)]


def test_days_later_the_arithmetic_is_still_exact() -> None:
    day = Fraction(24 * 3600)
    stage = Resample(FPS, max_gap=10 * day)
    stage.push(frame(0, 0))
    stage.push(frame(1, day * 7, after_gap=True))
    ticks = [
        t
        for f in [frame(2, day * 7 + Fraction(1, 25)), frame(3, day * 7 + Fraction(2, 25))]
        for t in stage.push(f)
    ]
    assert [t.index for t in ticks] == [7 * 24 * 3600 * 25, 7 * 24 * 3600 * 25 + 1]


def test_a_gap_over_the_limit_leaves_ticks_out_and_is_reported() -> None:
    stamps = [Fraction(i, 25) for i in range(10)] + [Fraction(3) + Fraction(i, 25) for i in range(5)]
    outputs = run(frames(stamps, size_px=1))
    gaps = [item for item in outputs if isinstance(item, Gap)]
    assert gaps == [Gap(Fraction(10, 25), Fraction(3), "no frames")]
    assert [k for k, _ in shown(outputs)] == [*range(10), *range(75, 80)]


def test_a_gap_written_as_the_duration_of_a_frame_is_still_a_gap() -> None:
    """MP4 stores the time to the next frame as the duration, however long."""
    first = [frame(i, Fraction(i, 25)) for i in range(5)]
    outputs = run([*first, frame(5, Fraction(5, 25), Fraction(5)), frame(6, Fraction(5, 25) + 5)])
    assert Gap(Fraction(6, 25), Fraction(5, 25) + 5, "no frames") in outputs
    assert [k for k, _ in shown(outputs)] == [*range(6), 130]


def test_a_longer_limit_bridges_the_gap() -> None:
    outputs = run(frames([Fraction(0), Fraction(3)]), max_gap=Fraction(4))
    assert [k for k, _ in shown(outputs)] == [*range(76)]


def test_a_source_that_lost_frames_makes_a_gap_of_any_length() -> None:
    outputs = run([frame(0, 0), frame(1, Fraction(1, 25)), frame(2, Fraction(2, 25), after_gap=True)])
    assert outputs[2] == Gap(Fraction(2, 25), Fraction(2, 25), "frames lost")
    assert [k for k, _ in shown(outputs)] == [0, 1, 2]


def test_what_was_dropped_comes_before_the_ticks_in_its_place_but_not_at_a_gap() -> None:
    stage = Resample(FPS)
    for i in range(3):
        stage.push(frame(i, i / FPS))
    place, *ticks = stage.push(replace(frame(5, 5 / FPS), dropped_before=2))
    assert place == Dropped(3, 5, 2)
    assert shown(ticks) == [(2, 2), (3, 2), (4, 2)]
    after_gap = stage.push(replace(frame(90, 90 / FPS), dropped_before=84))
    assert not [item for item in after_gap if isinstance(item, Dropped)]


def test_one_frame_is_one_tick() -> None:
    assert shown(run([frame(0, 0)])) == [(0, 0)]


def test_two_frames_with_one_stamp_show_the_second() -> None:
    assert shown(run([frame(0, 0), frame(1, 0), frame(2, Fraction(1, 25))])) == [(0, 1), (1, 2)]


def test_flush_starts_afresh() -> None:
    stage = Resample(FPS)
    once = [t for f in constant_rate(7, Fraction(30)) for t in stage.push(f)] + stage.flush()
    again = [t for f in constant_rate(7, Fraction(30)) for t in stage.push(f)] + stage.flush()
    assert shown(once) == shown(again)
