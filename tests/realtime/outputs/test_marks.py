"""Marks on a picture: at their place, legible on any picture, their tags apart from one another."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime.outputs.marks import GLOW, Mark, Rectangle, draw_glow, free_place, glow_weights
from realtime.outputs.overlay import PALETTE, draw
from realtime.outputs.text import Sizes
from realtime.types import Box, Image
from tests.realtime.outputs.test_overlay import STRANGE, plain

ODD = (250, 10, 240)
"""No colour that is drawn."""


def changed(marks: list[Mark], height: int = 480, width: int = 640) -> np.ndarray:
    """bool (H, W): what marks change in a picture of one colour."""
    with_marks, without = (draw(plain(height, width, ODD), now_s=0.0, marks=m) for m in (marks, []))
    return (with_marks != without).any(axis=2)


def extent(found: np.ndarray) -> Rectangle:
    """The smallest rectangle around what is True."""
    rows, columns = np.nonzero(found)
    return (int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)


@pytest.mark.parametrize("outlined", [False, True])
def test_the_lines_lie_at_the_edges_of_the_box(outlined: bool) -> None:
    found = changed([Mark((200, 150, 120, 180), PALETTE[0], outlined=outlined)])
    assert extent(found) == pytest.approx((200, 150, 320, 330), abs=2)
    assert not found[160:320, 210:310].any()
    assert found[150, 201:210].all()
    assert found[150, 240:280].all() == outlined  # between two corners


def test_what_reaches_out_of_the_picture_is_left_out() -> None:
    assert extent(changed([Mark((500, 200, 400, 100), PALETTE[0])])) == pytest.approx(
        (500, 200, 640, 300), abs=2
    )
    for box in ((700.0, 10.0, 20.0, 20.0), (10.0, -90.0, 20.0, 20.0), (5.0, 5.0, 0.2, 0.2)):
        assert not changed([Mark(box, PALETTE[0], "name", 0.5)]).any()


@settings(max_examples=60)
@given(
    places=st.lists(
        st.tuples(st.integers(0, 600), st.integers(0, 440), st.integers(1, 300), st.integers(1, 300)), max_size=25
    ),
    sizes=st.lists(st.tuples(st.integers(10, 640), st.integers(10, 40)), min_size=25, max_size=25),
    inside=st.booleans(),
)  # fmt: skip
def test_tags_overlap_neither_one_another_nor_what_is_taken_and_stay_in_the_picture(
    places: list[Rectangle], sizes: list[tuple[int, int]], inside: bool
) -> None:
    used: list[Rectangle] = [(8, 8, 344, 60), (0, 440, 640, 480)]
    for (x, y, width, height), size in zip(places, sizes, strict=False):
        around = (x, y, x + width, y + height)
        found = free_place(size, around, (640, 480), used, [around], inside=inside)
        if found is not None:
            assert (found[2] - found[0], found[3] - found[1]) == size
            assert min(found[:2]) >= 0
            assert found[2] <= 640
            assert found[3] <= 480
            used.append(found)
    for one, other in combinations(used, 2):
        assert one[0] >= other[2] or other[0] >= one[2] or one[1] >= other[3] or other[1] >= one[3]


def test_a_tag_is_left_out_only_where_nothing_is_free() -> None:
    assert free_place((100, 20), (0, 0, 50, 50), (200, 40), [(0, 0, 200, 20)]) == (0, 20, 100, 40)
    assert free_place((100, 21), (0, 0, 50, 50), (200, 40), [(0, 0, 200, 20)]) is None


def test_a_tag_does_not_cover_another_person_while_there_is_room() -> None:
    around, other = (100, 200, 180, 300), (100, 301, 180, 400)
    assert free_place((60, 20), around, (640, 480), []) == (100, 302, 160, 322)
    assert free_place((60, 20), around, (640, 480), [], [other]) == (100, 178, 160, 198)
    assert free_place((60, 20), around, (640, 480), [], inside=True) == (100, 178, 160, 198)


@pytest.mark.parametrize("strange", STRANGE, ids=ascii)
@pytest.mark.parametrize(("height", "width"), [(1, 1), (9, 7), (75, 75), (76, 2000), (480, 854)])
def test_any_name_and_any_size_of_picture(strange: str, height: int, width: int) -> None:
    marks = [
        Mark((width * x, height * x, width / 3, height / 3), PALETTE[0], f"{strange}{x}", 0.7, outlined=x > 0.3)
        for x in (0.0, 0.3, 0.6)
    ]  # fmt: skip
    out = draw(plain(height, width, ODD), now_s=0.0, marks=marks)
    assert out.shape == (height, width, 3)
    assert (out != ODD).any()


def test_of_marks_at_one_place_each_has_its_tag() -> None:
    def stripes(count: int) -> int:
        marks = [Mark((250, 200, 100, 60), ODD, "same name", 0.5) for _ in range(count)]
        bars, both = (
            (draw(plain(480, 640), now_s=0.0, marks=m) == ODD).all(axis=2).sum()
            for m in ([Mark((250, 200, 100, 60), ODD)], marks)
        )
        return int(both - bars)

    assert stripes(1) > 0
    assert [stripes(count) for count in (2, 3, 4)] == [count * stripes(1) for count in (2, 3, 4)]


def luminance(rgb: np.ndarray) -> np.ndarray:
    """Relative luminance as in WCAG 2."""
    share = rgb / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return np.asarray(linear @ (0.2126, 0.7152, 0.0722))


@pytest.mark.parametrize("ground", [0, 90, 180, 255])
@pytest.mark.parametrize("colour", PALETTE)
def test_lines_and_names_stand_out_on_any_picture(ground: int, colour: tuple[int, int, int]) -> None:
    mark = Mark((200, 150, 120, 180), colour, "tai chi", 0.93)
    out = luminance(draw(plain(480, 640, (ground,) * 3), now_s=0.0, marks=[mark]))
    across = out[153:160, 190:210]  # the left line of a corner
    assert (across.max() + 0.05) / (across.min() + 0.05) > 3
    line = Sizes.of(plain(480, 640)).tag
    tag = out[333 : 330 + 3 * line // 2, 210:240]
    assert (tag.max() + 0.05) / (np.median(tag) + 0.05) > 7


def test_small_pictures_have_lines_and_no_names() -> None:
    lines, named = (changed([Mark((10, 20, 40, 30), PALETTE[0], name, 0.5)], 64, 64) for name in ("", "x"))
    assert lines.any()
    assert np.array_equal(lines, named)


def glow(heat: list[list[float]], squares: list[Box], picture_px: tuple[int, int] = (480, 640)) -> np.ndarray:
    found = glow_weights(np.array(heat, np.float32), squares, picture_px)
    assert found is not None
    assert found.shape == picture_px
    return found


def one_cell(row: int, column: int, columns: int = 7) -> list[list[float]]:
    scores = np.full((7, columns), -3.0)
    scores[row, column] = 40.0
    return scores.tolist()


def test_a_glow_is_strongest_in_the_middle_of_its_cell_and_ends_within_the_next() -> None:
    found = glow(one_cell(2, 4), [(80.0, 30.0, 420.0, 420.0)])
    assert np.unravel_index(found.argmax(), found.shape) == pytest.approx((30 + 150, 80 + 270), abs=1)
    assert found.max() == pytest.approx(1, abs=0.02)
    assert extent(found > 0) == pytest.approx((80 + 210, 30 + 90, 80 + 330, 30 + 210), abs=2)
    assert found[180, 380] == pytest.approx(0.5, abs=0.02)  # half way to the next cell's middle


def test_a_glow_is_scaled_by_its_peak_and_fades_past_the_square() -> None:
    everywhere = glow([[2.0] * 7] * 7, [(100.0, 100.0, 280.0, 280.0)])
    assert everywhere[140:340, 140:340] == pytest.approx(1)
    assert everywhere[240, 100] == pytest.approx(0.5, abs=0.05)
    assert everywhere[240, 70] == 0
    assert np.array_equal(everywhere, glow([[0.1] * 7] * 7, [(100.0, 100.0, 280.0, 280.0)]))


def test_of_three_views_each_glows_in_its_square() -> None:
    squares: list[Box] = [(0.0, 30.0, 420.0, 420.0), (110.0, 30.0, 420.0, 420.0), (220.0, 30.0, 420.0, 420.0)]
    for view, (x, *_) in enumerate(squares):
        found = glow(one_cell(3, 7 * view + 3, 21), squares)
        assert np.unravel_index(found.argmax(), found.shape) == pytest.approx((240, x + 210), abs=1)


def test_what_scores_nowhere_above_zero_does_not_glow() -> None:
    assert glow_weights(np.full((7, 7), -1, np.float32), [(0.0, 0.0, 7.0, 7.0)], (7, 7)) is None


@pytest.mark.parametrize("ground", [0, 128, 255])
def test_a_glow_is_seen_on_any_picture_and_changes_nothing_elsewhere(ground: int) -> None:
    weights = glow(one_cell(3, 3), [(110.0, 30.0, 420.0, 420.0)])
    out: Image = plain(480, 640, (ground,) * 3)
    draw_glow(out, weights)
    assert (out[weights == 0] == ground).all()
    middle = out[240, 320].astype(int)
    assert middle == pytest.approx(0.6 * np.array(GLOW) + 0.4 * ground, abs=3)
    assert np.abs(middle - ground).max() > 60
