"""Which parts of a picture there are, and which of them hold an action each."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.head import Floats
from realtime.stages.parts import SHAPES, VIEW, parts_of, together


@pytest.mark.parametrize("columns", [7, 21])
def test_parts_are_all_places_of_all_shapes(columns: int) -> None:
    found = parts_of(7, columns)
    assert len(found.weights) == sum((8 - high) * (columns + 1 - wide) for high, wide in SHAPES)
    assert found.weights.sum(axis=(1, 2)) == pytest.approx(1)
    assert len({part.tobytes() for part in found.weights}) == len(found.weights)
    for weights, size, (row, column) in zip(found.weights, found.cells, found.corners, strict=True):
        rows, cells = np.nonzero(weights)
        assert (rows.min(), cells.min(), len(rows)) == (row, column, size)


def test_a_part_has_room_around_it() -> None:
    found = parts_of(7, 7)
    for part in range(len(found.weights)):
        rows, columns = np.nonzero(found.weights[part])
        grown = found.grown[part]
        assert all(grown[row, column] for row, column in zip(rows, columns, strict=True))
        assert grown[rows.min() : rows.max() + 1].any(axis=0).sum() == min(7, columns.max() + 2) - max(
            0, columns.min() - 1
        )


def test_parts_that_share_more_than_a_quarter_cannot_hold_an_action_each() -> None:
    found = parts_of(7, 7)
    for one, other in combinations(range(len(found.weights)), 2):
        cells = [set(zip(*np.nonzero(found.weights[part]), strict=True)) for part in (one, other)]
        shared = len(cells[0] & cells[1]) / min(map(len, cells))
        assert found.apart[one, other] == found.apart[other, one] == (shared <= 0.26)


def test_the_same_action_twice_needs_another_view_of_the_picture() -> None:
    assert not parts_of(7, 7).far.any()
    wide = parts_of(7, 3 * VIEW)
    assert wide.far.any()
    ones, others = np.nonzero(wide.far)
    assert (np.abs(wide.corners[ones, 1] - wide.corners[others, 1]) >= VIEW).all()


PARTS = parts_of(7, 7)
"""45 of them."""


def only(values: dict[int, float]) -> Floats:
    """A surplus in some parts, and far below what is needed elsewhere."""
    surplus = np.full(len(PARTS.weights), -0.9, np.float32)
    for part, value in values.items():
        surplus[part] = value
    return surplus


def part_at(row: int, column: int) -> int:
    """Number of the tall part there."""
    return next(i for i, corner in enumerate(PARTS.corners) if tuple(corner) == (row, column))


def test_one_part_alone_is_no_choice() -> None:
    assert together({}, PARTS) == []
    assert together({3: only({part_at(1, 0): 0.9})}, PARTS) == []
    overlapping = {3: only({part_at(1, 0): 0.9}), 4: only({part_at(1, 1): 0.9})}
    assert together(overlapping, PARTS) == []
    one_is_unsure = {3: only({part_at(1, 0): 0.9}), 4: only({part_at(1, 4): -0.1})}
    assert together(one_is_unsure, PARTS) == []


def test_two_beside_each_other_win_over_a_better_one_between_them() -> None:
    left, middle, right = part_at(1, 0), part_at(1, 2), part_at(1, 4)
    surplus = {3: only({left: 0.5}), 4: only({right: 0.4}), 5: only({middle: 0.8})}
    assert together(surplus, PARTS) == [(3, left), (4, right)]


def test_whatever_else_fits_is_added() -> None:
    small = [i for i, size in enumerate(PARTS.cells) if size == 6]
    corners = [i for i in small if tuple(PARTS.corners[i]) in {(0, 0), (0, 5), (4, 0), (4, 5)}]
    surplus = {number: only({part: 0.1 * (number + 1)}) for number, part in enumerate(corners)}
    assert sorted(together(surplus, PARTS)) == list(enumerate(corners))


@given(st.integers(0, 10_000), st.integers(2, 5))
def test_the_best_pair_is_found(seed: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    surplus = {n: rng.uniform(-1, 0.3, len(PARTS.weights)).astype(np.float32) for n in range(classes)}
    best = max(
        float(surplus[a][p] + surplus[b][q])
        for a, b in combinations(surplus, 2)
        for p, q in zip(*np.nonzero(PARTS.apart), strict=True)
        if min(surplus[a][p], surplus[b][q]) > 0
    )
    (one, p), (other, q), *_ = together(surplus, PARTS)
    assert surplus[one][p] + surplus[other][q] == pytest.approx(best)
    assert PARTS.apart[p, q]
