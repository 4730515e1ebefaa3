"""The picture of a whole run: what is kept for it, checked in its pixels."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime.errors import OutputError
from realtime.outputs import timeline, timeline_rows
from realtime.outputs import timeline_chart as chart
from realtime.outputs.overlay import label_colour
from realtime.outputs.timeline import Timeline
from realtime.outputs.timeline_chart import BOTTOM_PX, CURVES_PX, RIGHT_PX, ROW_PX, TOP_PX, WIDTH_PX
from realtime.types import Event, Gap, Idle, Image, Prediction

LABELS = ("archery", "yoga", "lunge", "side kick")


def predict(start_s: float, end_s: float, probabilities: list[float], *, settled: bool = True) -> Prediction:
    values = np.array(probabilities, np.float32)
    top = ((LABELS[int(values.argmax())], float(values.max())),)
    return Prediction(
        round(25 * start_s), round(25 * end_s), start_s, end_s, values, top, ("rgb",), "window", settled
    )


def gap(start_s: int, end_s: int) -> Gap:
    return Gap(Fraction(start_s), Fraction(end_s), "no frames")


def picture(
    folder: Path,
    items: Sequence[Prediction | Event | Gap | Idle],
    labels: tuple[str, ...] = LABELS,
    **texts: str,
) -> Image:
    """The PNG as RGB."""
    line = Timeline(labels)
    for item in items:
        line.push(item)
    line.save(folder / "timeline.png", **{"title": "clip.mp4", **texts})
    read = cv2.imread(str(folder / "timeline.png"), cv2.IMREAD_COLOR_RGB)
    assert read is not None
    return read


def pixels_of(rgb: Image, label: str) -> np.ndarray:
    """bool (H, W): where the picture has the label's colour, except in the key left of the axes."""
    found = (np.abs(rgb.astype(int) - label_colour(label)) <= 2).all(axis=2)
    found[:, : left_px(rgb) - 1] = False
    return found


def left_px(rgb: Image) -> int:
    """Column at which the time axis begins: its line is the lowest row that is dark over most of its length."""
    row = rgb[rgb.shape[0] - BOTTOM_PX - 1 : rgb.shape[0] - BOTTOM_PX + 1].min(axis=(0, 2))
    return int(np.flatnonzero(row < 200)[0])


def rows_of(rgb: Image, label: str) -> tuple[np.ndarray, np.ndarray]:
    """The label's pixels among the curves, and those among the bars."""
    found = pixels_of(rgb, label)
    border = TOP_PX + CURVES_PX
    return found[TOP_PX:border], found[border:]


@pytest.mark.parametrize("probability", [0.25, 0.5, 0.9])
def test_a_curve_lies_at_the_height_of_its_probability(tmp_path: Path, probability: float) -> None:
    rgb = picture(tmp_path, [predict(0, 2.56, [0.0, probability, 0.0, 0.0])])
    rows = np.flatnonzero(rows_of(rgb, "yoga")[0].sum(axis=1) > 500)
    assert abs(rows.mean() - CURVES_PX * (1 - probability / 1.04)) <= 1.5


def test_one_prediction_fills_its_whole_span(tmp_path: Path) -> None:
    rgb = picture(tmp_path, [predict(0, 2.56, [0.0, 0.8, 0.0, 0.0])])
    columns = np.flatnonzero(rows_of(rgb, "yoga")[0].any(axis=0))
    assert columns[0] <= left_px(rgb) + 2
    assert columns[-1] >= WIDTH_PX - RIGHT_PX - 3


def test_events_are_drawn_at_their_time_in_the_row_of_their_label(tmp_path: Path) -> None:
    items = [
        predict(0, 40, [0.1, 0.5, 0.4, 0.0]),
        Event("yoga", 10.0, 30.0, 0.8),
        Event("lunge", 30.0, 40.0, 0.7),
    ]
    rgb = picture(tmp_path, items)
    left, right = left_px(rgb), WIDTH_PX - RIGHT_PX
    for row, (label, start, end) in enumerate([("yoga", 0.25, 0.75), ("lunge", 0.75, 1.0)]):
        bar = rows_of(rgb, label)[1]
        columns, lines = np.flatnonzero(bar.any(axis=0)), np.flatnonzero(bar.any(axis=1))
        assert abs(columns[0] - (left + start * (right - left))) <= 2
        assert abs(columns[-1] - (left + end * (right - left))) <= 2
        assert row * ROW_PX < lines[0] < lines[-1] < (row + 1) * ROW_PX


def test_an_event_shorter_than_a_pixel_is_seen(tmp_path: Path) -> None:
    items = [predict(0, 80000, [0.1, 0.5, 0.4, 0.0]), Event("yoga", 40000.0, 40001.0, 0.8)]
    rgb = picture(tmp_path, items)
    row = rgb[TOP_PX + CURVES_PX + 4 : TOP_PX + CURVES_PX + ROW_PX - 4, left_px(rgb) :].astype(int)
    coloured = (row.max(axis=2) - row.min(axis=2) > 40).all(
        axis=0
    )  # it covers pixels partly: lighter, but not grey
    assert 1 <= coloured.sum() <= 3


def test_a_gap_is_hatched_and_breaks_the_curves(tmp_path: Path) -> None:
    before = [predict(s, s + 2, [0.0, 0.8, 0.0, 0.0]) for s in range(18)]
    after = [predict(s, s + 2, [0.0, 0.8, 0.0, 0.0]) for s in range(30, 38)]
    whole = picture(tmp_path, [*before, *after])
    rgb = picture(tmp_path, [*before, gap(20, 30), *after])
    left, right = left_px(rgb), WIDTH_PX - RIGHT_PX
    inside = slice(left + round(0.51 * (right - left)), left + round(0.74 * (right - left)))
    assert rows_of(whole, "yoga")[0][:, inside].any(axis=0).all()
    assert not rows_of(rgb, "yoga")[0][:, inside].any()
    for rows in (slice(TOP_PX + 20, TOP_PX + 50), slice(-BOTTOM_PX - ROW_PX, -BOTTOM_PX - 2)):
        assert whole[rows, inside].min() > 200
        assert 0.05 < (rgb[rows, inside].max(axis=2) < 200).mean() < 0.5  # lines of the hatch


def test_a_zone_that_moves_is_no_gap(tmp_path: Path) -> None:
    said = [predict(s, s + 2, [0.0, 0.8, 0.0, 0.0]) for s in range(38)]
    moved = Gap(Fraction(20), Fraction(20), "zone moved", zone="far")
    whole, rgb = picture(tmp_path, said), picture(tmp_path, [*said[:18], moved, *said[18:]])
    assert np.array_equal(whole, rgb)


def test_a_rest_is_hatched_where_nothing_was_looked_at(tmp_path: Path) -> None:
    """From its decision to the ticks that were looked at again: as a gap of that time is."""
    around = predict(0, 40, [0, 1, 0, 0]), predict(60, 100, [0, 1, 0, 0])
    rest = Idle(True, Fraction(30), Fraction(40)), Idle(False, Fraction(60), Fraction(62))
    of_rest = picture(tmp_path, [around[0], *rest, around[1]])
    of_gap = picture(tmp_path, [around[0], gap(40, 60), around[1]])
    without = picture(tmp_path, [*around])
    curves = slice(TOP_PX, TOP_PX + CURVES_PX)  # the caption names the cause
    assert np.array_equal(of_rest[curves], of_gap[curves])
    assert not np.array_equal(of_rest, of_gap)
    assert not np.array_equal(of_rest[curves], without[curves])


def test_a_class_is_shown_for_its_events_first_and_for_its_probability_second(tmp_path: Path) -> None:
    line = Timeline(LABELS)
    line.push(predict(0, 1, [0.05, 0.15, 0.3, 0.5]))
    line.push(Event("archery", 0.0, 1.0, 0.05))
    assert [LABELS[index] for index in line.leading()] == ["archery", "side kick", "lunge", "yoga"]
    unsure = Timeline(LABELS)
    unsure.push(predict(0, 1, [0.02, 0.03, 0.04, 0.01]))
    assert unsure.leading() == [2]


def test_events_of_classes_without_a_row_share_one(tmp_path: Path) -> None:
    labels = tuple(f"class {number}" for number in range(9))
    items: list[Prediction | Event | Gap] = [
        Event(label, 10.0 * i, 10.0 * i + 9 - i, 0.9) for i, label in enumerate(labels)
    ]
    rgb = picture(tmp_path, [predict_many(9), *items], labels)
    grey = (np.abs(rgb.astype(int) - 153) <= 2).all(axis=2)[TOP_PX + CURVES_PX + 6 * ROW_PX :]
    bars = np.flatnonzero(np.diff(grey[ROW_PX // 2, left_px(rgb) :].astype(int)) == 1)
    assert len(bars) == 3
    assert rgb.shape[0] == TOP_PX + CURVES_PX + 7 * ROW_PX + BOTTOM_PX


def predict_many(classes: int) -> Prediction:
    return Prediction(
        0, 2250, 0.0, 90.0, np.full(classes, 0.1, np.float32), (("class 0", 0.1),), ("rgb",), "window"
    )


def test_classes_of_one_colour_get_different_ones() -> None:
    same = [
        f"class {number}" for number in range(100) if label_colour(f"class {number}") == label_colour("yoga")
    ]
    names = ["yoga", *same[:5]]
    colours = timeline_rows.colours(names)
    assert len(set(colours)) == len(names)
    assert colours[0] == label_colour("yoga")


@pytest.mark.parametrize("end_s", [0.04, 2.56, 59.0, 600.0, 86400.0, 5e6])
def test_any_length_has_a_readable_axis(tmp_path: Path, end_s: float) -> None:
    rgb = picture(tmp_path, [predict(0, end_s, [0.1, 0.7, 0.1, 0.1]), Event("yoga", 0.0, end_s, 0.7)])
    assert rgb.shape[1] == WIDTH_PX
    columns = (rgb[-BOTTOM_PX + 6 : -6, left_px(rgb) - 20 :].min(axis=(0, 2)) < 128).astype(int)
    starts = np.flatnonzero(np.diff(columns) == 1)
    words = 1 + int((np.diff(starts) > 25).sum())
    assert 1 <= words <= 14


def test_times_are_written_to_suit_the_length_of_the_run() -> None:
    assert chart.time_text(0.5, 2.0) == "0.5"
    assert chart.time_text(75.0, 600.0) == "1:15"
    assert chart.time_text(5400.0, 86400.0) == "1:30"


def test_an_empty_run_gives_a_picture_that_says_so(tmp_path: Path) -> None:
    rgb = picture(tmp_path, [])
    assert rgb.shape == (TOP_PX + CURVES_PX + ROW_PX + BOTTOM_PX, WIDTH_PX, 3)
    middle = rgb[TOP_PX + CURVES_PX // 2 - 20 : TOP_PX + CURVES_PX // 2 + 20, 500:800]
    assert (middle < 200).any()


def test_provisional_predictions_are_left_out() -> None:
    line = Timeline(LABELS)
    line.push(predict(0, 1, [1.0, 0.0, 0.0, 0.0], settled=False))
    assert line.leading() == []


@pytest.mark.parametrize("name", ["中文 日本語", "$x^{$ \\frac", "\ud800\n\t", "w" * 500, ""], ids=ascii)
def test_any_name_stays_in_the_picture(tmp_path: Path, name: str) -> None:
    items = [predict(0, 2, [0.6, 0.2, 0.1, 0.1]), Event(name, 0.0, 2.0, 0.6), gap(2, 4)]
    rgb = picture(tmp_path, items, (name, *LABELS[1:]), title=name, caption=name)
    for border in (rgb[:4], rgb[-4:], rgb[:, :4], rgb[:, -4:]):
        assert (border == 255).all()
    assert (rgb[:, : left_px(rgb)] < 128).any()


@settings(max_examples=40)
@given(count=st.integers(0, 50), probabilities=st.randoms(use_true_random=False))
def test_joined_bins_keep_the_highest_probability_and_all_of_the_time(count: int, probabilities) -> None:
    line = Timeline(LABELS, max_bins=4)
    answers = [predict(i, i + 2, [probabilities.random() for _ in LABELS]) for i in range(count)]
    for answer in answers:
        line.push(answer)
    assert line.bins <= 4
    chunks = [answers[i : i + line.per_bin] for i in range(0, count, line.per_bin)]
    assert [tuple(span) for span in line.spans_s[: line.bins]] == [
        (c[0].start_s, c[-1].end_s) for c in chunks
    ]
    for bin_values, chunk in zip(line.highest[: line.bins], chunks, strict=True):
        assert np.array_equal(bin_values, np.max([answer.probabilities for answer in chunk], axis=0))


def test_a_long_run_is_kept_in_bounds_and_a_short_action_still_shows(tmp_path: Path) -> None:
    line = Timeline(LABELS)
    quiet, loud = [0.1, 0.0, 0.0, 0.0], [0.0, 0.95, 0.0, 0.0]
    for number in range(20_000):
        start_s = 0.32 * number
        line.push(predict(start_s, start_s + 2.56, loud if 9000 <= number < 9003 else quiet))
        if number % 4 == 0:
            line.push(Event(("lunge", "side kick")[number // 4 % 2], start_s, start_s + 1.0, 0.6))
    assert line.spans_s.shape == (timeline.MAX_BINS, 2)
    assert len(line.events) <= 2 * timeline.MAX_STRETCHES
    line.save(tmp_path / "long.png", title="long")
    rgb = cv2.imread(str(tmp_path / "long.png"), cv2.IMREAD_COLOR_RGB)
    assert rgb is not None
    curve = rows_of(rgb, "yoga")[0]
    assert np.flatnonzero(curve.any(axis=1))[0] < 0.25 * CURVES_PX


@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(0, 300), st.integers(1, 9)), min_size=21, max_size=60
    )
)
def test_thinning_keeps_the_time_and_label_of_every_event(made: list[tuple[str, int, int]]) -> None:
    stretches = [Event(label, start, start + length, 0.5) for label, start, length in made]
    thinned = timeline.thinned(list(stretches), most=10)
    assert len(thinned) <= 20
    for stretch in stretches:
        assert any(
            t.label == stretch.label and t.start_s <= stretch.start_s and stretch.end_s <= t.end_s
            for t in thinned
        )
    assert all(stretch.probability == pytest.approx(0.5) for stretch in thinned)
    assert {t.start_s for t in thinned} <= {s.start_s for s in stretches}


def test_the_probability_of_joined_events_is_weighted_by_their_length() -> None:
    joined = timeline.joined(
        [Event("a", 4.0, 5.0, 0.9), Event("a", 0.0, 3.0, 0.5), Event("b", 3.0, 4.0, 0.1)], 1.0
    )
    assert joined == [Event("a", 0.0, 5.0, pytest.approx(0.6)), Event("b", 3.0, 4.0, 0.1)]


def test_a_path_that_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(
        OutputError, match=r"cannot write the timeline .*missing/t\.png: No such file or directory;"
    ):
        Timeline(LABELS).save(tmp_path / "missing" / "t.png", title="x")
    with pytest.raises(OutputError, match="directory"):
        Timeline(LABELS).save(tmp_path, title="x")
    if Path("/dev/full").exists():
        with pytest.raises(OutputError, match="No space left"):
            Timeline(LABELS).save("/dev/full", title="x")
