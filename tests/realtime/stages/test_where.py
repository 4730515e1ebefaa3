"""A bright spot at a known place of a picture, through the real resize and crop, is found where it is."""

from fractions import Fraction
from itertools import product

import cv2
import numpy as np
import pytest

from engines.engine import CELL_PX
from engines.spec import RGB
from realtime.pictures import resize_short_side
from realtime.sources.upright import Turn
from realtime.stages.region import Region, rgb_input, views
from realtime.stages.where import (
    box_in_map,
    box_in_source,
    enlarged,
    in_stored_px,
    region_in_frame,
    seen_squares,
    stored,
    upright,
)
from realtime.types import Box, Picture

LOOKS: list[tuple[tuple[int, int], Region]] = [
    ((480, 640), None),
    ((640, 361), None),
    ((256, 256), None),
    ((120, 1000), None),  # longer than four times its shorter side: cut before the resize
    ((720, 1280), (500, 100, 301, 203)),
    ((720, 1280), (1000, 600, 900, 900)),  # reaches over the edge
    ((720, 1280), "full"),
    ((1280, 720), "full"),
    ((300, 1500), "full"),  # with gaps between the squares
]


def inputs(frame: np.ndarray, region: Region) -> list[np.ndarray]:
    """What the network sees of each view: brightness (224, 224) from 0 to 1."""
    return [rgb_input(resize_short_side(view, 256), RGB)[..., 0] / 255 for view in views(frame, region)]


def spot(frame_px: tuple[int, int], x: int, y: int, side: int) -> np.ndarray:
    frame = np.zeros((*frame_px, 3), np.uint8)
    frame[y : y + side, x : x + side] = 255
    return frame


@pytest.mark.parametrize(("frame_px", "region"), LOOKS)
@pytest.mark.parametrize(("across", "down"), [(0.3, 0.3), (0.5, 0.8), (0.9, 0.5)])
def test_a_spot_lies_in_the_square_where_it_is_seen(
    frame_px: tuple[int, int], region: Region, across: float, down: float
) -> None:
    squares = seen_squares(Picture(frame_px), region, RGB)
    assert len(squares) == len(views(np.zeros((*frame_px, 3), np.uint8), region))
    for number, (x, y, width, height) in enumerate(squares):
        assert width == pytest.approx(height, rel=0.01)
        side = round(width / 8)
        left, top = (
            round(start + share * size - side / 2)
            for start, share, size in ((x, across, width), (y, down, height))
        )
        crop = inputs(spot(frame_px, left, top, side), region)[number]
        rows, columns = np.indices(crop.shape) + 0.5
        found = (crop * columns).sum() / crop.sum(), (crop * rows).sum() / crop.sum()
        wanted = (left + side / 2 - x) / width * 224, (top + side / 2 - y) / height * 224
        assert found == pytest.approx(wanted, abs=0.6)


@pytest.mark.parametrize(("frame_px", "region"), LOOKS)
def test_a_spot_is_boxed_to_the_cell(frame_px: tuple[int, int], region: Region) -> None:
    squares = seen_squares(Picture(frame_px), region, RGB)
    for x, y, width, height in squares:
        cell, side = width / 7, round(width / 3)
        left, top = round(x + 0.3 * width), round(y + 0.4 * height)
        crops = inputs(spot(frame_px, left, top, side), region)
        maps = [crop.reshape(7, CELL_PX, 7, CELL_PX).mean(axis=(1, 3)) for crop in crops]
        box = box_in_source(np.concatenate(maps, axis=1).astype(np.float32), Picture(frame_px), region, RGB)
        assert box is not None
        wanted = (left, top, left + side, top + side)
        assert (box[0], box[1], box[0] + box[2], box[1] + box[3]) == pytest.approx(wanted, abs=cell / 2)


def test_a_box_stays_in_the_frame() -> None:
    everywhere = np.ones((7, 21), np.float32)
    assert box_in_source(everywhere, Picture((720, 1280)), "full", RGB) == pytest.approx(
        (45, 45, 1190, 630), abs=1
    )
    assert box_in_source(everywhere[:, :7], Picture((256, 256)), None, RGB) == (16, 16, 224, 224)


def test_of_two_places_the_better_one_is_boxed() -> None:
    scores = np.full((7, 7), -50, np.float32)
    scores[1, 1], scores[5, 4], scores[5, 5] = 80, 100, 90
    box = box_in_map(enlarged(scores))
    assert box is not None
    x, y, width, height = box
    assert (x + width / 2, y + height / 2) == pytest.approx((5 * CELL_PX, 5.5 * CELL_PX), abs=CELL_PX / 4)
    assert width > height


def box_of_whole_map(scores: np.ndarray, squares: list[Box]) -> Box | None:
    """Found in a map of all that the network sees, and not cut to the frame."""
    left, top = min(x for x, *_ in squares), min(y for _, y, *_ in squares)
    scale = 224 / squares[0][2]
    corners = [(round((x - left) * scale), round((y - top) * scale)) for x, y, *_ in squares]
    width, height = (max(corner[axis] for corner in corners) + 224 for axis in (0, 1))
    whole = np.full((height, width), -np.inf, np.float32)
    for (x, y), own in zip(corners, np.split(scores, len(squares), axis=1), strict=True):
        seen = whole[y : y + 224, x : x + 224]
        np.maximum(seen, cv2.resize(own, (224, 224)), out=seen)
    if whole.max() <= 0:
        return None
    numbers = cv2.connectedComponents((whole > 0.5 * whole.max()).astype(np.uint8))[1]
    rows, columns = np.nonzero(numbers == numbers.flat[whole.argmax()])
    size = columns.max() + 1 - columns.min(), rows.max() + 1 - rows.min()
    return (left + columns.min() / scale, top + rows.min() / scale, size[0] / scale, size[1] / scale)


@pytest.mark.parametrize(
    ("frame_px", "region"), [((256, 256), None), ((720, 1280), "full"), ((300, 1500), "full")]
)
@pytest.mark.parametrize("least", [0.0, 1.0, 2.0])
def test_a_box_is_found_without_the_cells_far_from_all_that_score(
    frame_px: tuple[int, int], region: Region, least: float
) -> None:
    """Of random cells, those above `least` score above zero."""
    picture, random = Picture(frame_px), np.random.default_rng(3)
    squares = seen_squares(picture, region, RGB)
    boxes = []
    for _ in range(20):
        scores = random.standard_normal((7, 7 * len(squares)), np.float32) - np.float32(least)
        boxes.append(box_in_source(scores, picture, region, RGB))
        assert boxes[-1] == pytest.approx(box_of_whole_map(scores, squares), abs=1e-3)
    assert sum(box is not None for box in boxes) >= 10


def test_where_no_cell_supports_a_class_there_is_no_box() -> None:
    assert box_in_map(np.full((224, 224), -1, np.float32)) is None
    assert box_in_source(np.zeros((7, 7), np.float32), Picture((480, 640)), None, RGB) is None


@pytest.mark.parametrize("turn", [Turn(*flags) for flags in product((False, True), repeat=3)])
def test_a_box_is_turned_back_to_the_stored_picture(turn: Turn) -> None:
    stored = np.zeros((40, 60, 3), np.uint8)
    stored[5:12, 20:50] = 1
    upright = turn(np.repeat(stored, 2, axis=1))[..., 0]  # pixels twice as wide as high
    rows, columns = np.nonzero(upright)
    box = (columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1)
    assert in_stored_px(box, upright.shape, turn, 2.0) == (20, 5, 30, 7)


@pytest.mark.parametrize("turn", [None, *(Turn(*flags) for flags in product((False, True), repeat=3))])
def test_a_box_of_the_stored_picture_is_turned_upright(turn: Turn | None) -> None:
    shown = np.zeros((40, 60, 3), np.uint8)
    shown[5:12, 20:50] = 1
    square = np.repeat(shown, 2, axis=1)
    frame = (turn or Turn())(square)[..., 0]
    rows, columns = np.nonzero(frame)
    box = (columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1)
    picture = Picture(frame.shape, turn, Fraction(2))
    assert picture.stored_px == (60, 40)
    assert upright((20, 5, 30, 7), picture) == box
    assert stored(box, picture) == (20, 5, 30, 7)
    assert region_in_frame((20, 5, 30, 7), picture) == box
    assert region_in_frame("full", picture) == "full"
