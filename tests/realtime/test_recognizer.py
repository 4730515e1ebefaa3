"""The whole recogniser with engines that report which ticks they saw."""

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest

from engines.spec import Mode
from realtime.recognizer import Output, Recognizer
from realtime.types import Event, Frame, Gap, Prediction
from tests.support.doubles import PositionTicks, SawTicks, constant_rate, exact, frame, frames


def run(recognizer: Recognizer, items: list[Frame]) -> list[Output]:
    return [out for item in items for out in recognizer.push(item)] + recognizer.flush()


def spans(outputs: list[Output], *, settled: bool | None = None) -> list[tuple[int, int]]:
    return [
        (p.start_tick, p.stop_tick)
        for p in outputs
        if isinstance(p, Prediction) and settled in (None, p.settled)
    ]


def test_windows_hold_exactly_their_64_ticks_every_stride() -> None:
    engine = SawTicks()
    outputs = run(Recognizer({"rgb": engine}, stride_ticks=8), constant_rate(100, Fraction(25)))
    assert spans(outputs) == [(s, s + 64) for s in range(0, 37, 8)]
    seen = [engine.numbers(chunk[0]) for chunk in engine.chunks]
    for start, numbers in zip(range(0, 37, 8), seen, strict=True):
        assert numbers.tolist() == list(range(start, start + 64))


def test_a_prediction_comes_with_the_first_frame_that_makes_its_last_tick_certain() -> None:
    recognizer = Recognizer({"rgb": SawTicks()})
    answers = [(i, out) for i, f in enumerate(constant_rate(80, Fraction(25))) for out in recognizer.push(f)]
    assert [i for i, out in answers if isinstance(out, Prediction)] == [64, 72]


@pytest.mark.parametrize("length", [1, 40, 63])
def test_a_short_clip_is_repeated_from_its_start(length: int) -> None:
    engine = SawTicks()
    outputs = run(Recognizer({"rgb": engine}), constant_rate(length, Fraction(25)))
    assert spans(outputs) == [(0, length)]
    assert engine.numbers(engine.chunks[0][0]).tolist() == [i % length for i in range(64)]


def test_no_window_spans_a_gap() -> None:
    stamps = [Fraction(i, 25) for i in range(70)] + [Fraction(10) + Fraction(i, 25) for i in range(70)]
    engine = SawTicks()
    outputs = run(Recognizer({"rgb": engine}), frames(stamps))
    assert spans(outputs) == [(0, 64), (250, 314)]
    assert [type(o) for o in outputs if not isinstance(o, Event)] == [Prediction, Gap, Prediction]
    assert all((np.diff(engine.numbers(chunk[0])) == 1).all() for chunk in engine.chunks)


def test_a_source_that_says_it_lost_frames_starts_a_new_window() -> None:
    items = constant_rate(70, Fraction(25))
    items[66] = frame(66, items[66].pts, after_gap=True)
    outputs = run(Recognizer({"rgb": SawTicks()}), items)
    assert spans(outputs) == [(0, 64), (66, 70)]


def test_continual_predicts_for_each_position_once_its_look_ahead_is_in() -> None:
    recognizer = Recognizer({"rgb": PositionTicks()}, smooth=1)
    items = constant_rate(100, Fraction(25))
    early = [out for f in items[:81] for out in recognizer.push(f)]
    assert spans(early) == [(0, 16), (8, 24), (16, 32)]
    late = [out for f in items[81:] for out in recognizer.push(f)] + recognizer.flush()
    assert spans(early + late) == [(8 * p, min(8 * p + 16, 100)) for p in range(12)]
    logits_are_ticks = [p.top[0][0] for p in early if isinstance(p, Prediction)]
    assert len(logits_are_ticks) == 3


def test_smoothing_widens_the_span_of_a_prediction() -> None:
    outputs = run(Recognizer({"rgb": PositionTicks()}, smooth=3), constant_rate(80, Fraction(25)))
    assert spans(outputs)[:4] == [(0, 16), (0, 24), (0, 32), (8, 40)]


def test_preview_gives_one_provisional_prediction_per_step_and_the_settled_ones_of_continual() -> None:
    items = constant_rate(120, Fraction(25))
    outputs = run(Recognizer({"rgb": PositionTicks("preview")}), items)
    continual = run(Recognizer({"rgb": PositionTicks("continual")}), items)
    assert spans(outputs, settled=True) == spans(continual)
    provisional = spans(outputs, settled=False)
    assert provisional[:3] == [(0, 16), (0, 24), (0, 32)]
    assert provisional[-1] == (88, 120)


@pytest.mark.parametrize("mode", ["continual", "preview"])
def test_a_short_clip_gets_one_settled_prediction_from_the_mean_of_its_repetition(mode: Mode) -> None:
    outputs = run(Recognizer({"rgb": PositionTicks(mode)}, smooth=1), constant_rate(40, Fraction(25)))
    assert spans(outputs, settled=True) == [(0, 40)]


def seen_and_more(cut: int) -> tuple[list[Frame], list[list[Frame]]]:
    """The first `cut` frames of a video, and how it could go on: with other pictures, after a gap, or not at all."""
    items = constant_rate(cut, Fraction(30))
    other = [frame(1000 + i, Fraction(cut + i, 30), Fraction(1, 30)) for i in range(90)]
    lost = [frame(7 * i, Fraction(cut + i, 30) + 10, Fraction(1, 30)) for i in range(90)]
    return items, [other, lost, []]


@pytest.mark.parametrize("cut", [30, 80, 131])
@pytest.mark.parametrize("make", [SawTicks, PositionTicks, lambda: PositionTicks("preview")])
def test_later_frames_change_nothing_and_flush_starts_afresh(make: Callable[[], SawTicks], cut: int) -> None:
    items, tails = seen_and_more(cut)
    recognizer = Recognizer({"rgb": make()})
    fresh = exact(out for f in items for out in recognizer.push(f))
    recognizer.flush()
    assert cut < 78 or Prediction in {kind for kind, *_ in fresh}
    for tail in tails:
        early = [out for f in items for out in recognizer.push(f)]
        assert exact(early) == fresh, "it has not forgotten what came before"
        run(recognizer, tail)
        assert exact(early) == fresh, "what it gave earlier has changed"


@pytest.mark.parametrize("cut", [80, 131])
def test_a_window_that_ends_before_frames_differ_is_the_same_to_the_last_bit(cut: int) -> None:
    items, tails = seen_and_more(cut)
    certain = cut * 25 // 30
    found = [run(Recognizer({"rgb": SawTicks()}), items + tail) for tail in tails]
    same = [
        exact(p for p in outputs if isinstance(p, Prediction) and p.stop_tick <= certain) for outputs in found
    ]
    assert same[0] == same[1] == same[2] != []
    assert exact(found[0]) != exact(found[1])


def test_counts_add_up() -> None:
    recognizer = Recognizer({"rgb": SawTicks()})
    run(recognizer, constant_rate(90, Fraction(30)))
    counts = recognizer.counts
    assert (counts.frames, counts.ticks, counts.steps, counts.predictions) == (90, 75, 2, 2)
    assert counts.frames == counts.ticks - counts.repeated_ticks + recognizer.unseen_frames
