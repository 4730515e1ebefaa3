"""`check` says how far an engine is from the reference, and when that is too far."""

from dataclasses import replace

import numpy as np
import pytest

from engines.check import CLEAR_MARGIN, TOLERANCE, Comparison, Report, check, random_ticks
from engines.runtime.continual import StreamingEngine
from engines.runtime.window import WindowEngine
from engines.spec import FLOW, RGB, Mode
from tests.support.networks import noise, random_tensors, small_engine, small_spec

TENSORS = {3: random_tensors(3), 2: random_tensors(2)}


def off_by(engine: StreamingEngine, difference: np.ndarray) -> StreamingEngine:
    """The same engine with something added to all logits."""
    return replace(engine, head=replace(engine.head, bias=engine.head.bias + difference))


@pytest.mark.parametrize("mode", ["continual", "preview"])
@pytest.mark.parametrize("channels", [3, 2])
def test_the_reference_itself_passes(mode: Mode, channels: int) -> None:
    engine = small_engine(TENSORS[channels], mode, channels)
    report = check(engine, TENSORS[channels], {"clip": noise(71, channels)[0]})
    assert [(c.clip, c.answers) for c in report.comparisons] == [("random", 10), ("clip", 8)]
    assert max(c.largest for c in report.comparisons) < 1e-4
    assert report.failures == []


def test_an_engine_that_is_off_fails_and_the_report_says_by_how_much() -> None:
    engine = off_by(small_engine(TENSORS[3], "continual"), np.array([0, 0, 0, 0, 0.01], np.float32))
    report = check(engine, TENSORS[3])
    (comparison,) = report.comparisons
    assert comparison.largest == pytest.approx(0.01, abs=1e-4)
    assert comparison.mean == pytest.approx(0.002, abs=1e-4)
    assert report.failures == [
        "random: a logit is off by 0.01, allowed is 0.005",
        "random: logits are off by 0.002 on average, allowed is 0.0005",
    ]


def test_nan_is_a_failure() -> None:
    engine = off_by(small_engine(TENSORS[3], "continual"), np.full(5, np.nan, np.float32))
    assert len(check(engine, TENSORS[3]).failures) >= 2


def test_another_best_class_counts_where_the_reference_is_clear() -> None:
    largest, mean = TOLERANCE["int8"]
    comparison = Comparison("clip", 7, largest / 2, mean / 2, clear=5, agree=4)
    assert Report("int8", (comparison,)).failures == ["clip: another best class in 1 of 5 clear predictions"]
    assert Report("int8", (replace(comparison, agree=5),)).failures == []
    assert CLEAR_MARGIN == 1.0


def test_a_window_engine_is_checked_on_whole_windows() -> None:
    seen = []

    def run(chunk: np.ndarray) -> np.ndarray:
        seen.append(chunk.shape)
        return np.zeros((1, 7, 1, 1, 128), np.float32)

    engine = small_engine(TENSORS[3], "continual")
    window = WindowEngine(small_spec(3), engine.weights, "made", "float32", "none", run, engine.head)
    report = check(window, TENSORS[3], {"clip": noise(130)[0]})
    assert [(c.clip, c.answers) for c in report.comparisons] == [("random", 7), ("clip", 14)]
    assert seen == [(1, 64, 32, 32, 3)] * 3
    assert report.failures


def test_random_ticks_have_the_streams_dtype_and_are_always_the_same() -> None:
    rgb, flow = (random_ticks(replace(spec, crop_px=32), 4) for spec in (RGB, FLOW))
    assert (rgb.dtype, rgb.shape, flow.dtype, flow.shape) == (
        np.uint8,
        (4, 32, 32, 3),
        np.float16,
        (4, 32, 32, 2),
    )
    assert rgb.min() < 10
    assert rgb.max() > 245
    assert np.abs(flow).max() <= 1
    np.testing.assert_array_equal(rgb, random_ticks(replace(RGB, crop_px=32), 4))
