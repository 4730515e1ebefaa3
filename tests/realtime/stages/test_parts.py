"""Which parts of a picture there are, and which of them hold an action each."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.head import Floats
from realtime.stages.parts import SHAPES, SIDE, Parts, Places, parts_of, together

ONE: Places = ((0.0, 0.0),)
BESIDE: Places = ((0.0, 0.0), (0.0, 8.0), (0.0, 16.0))
"""Three views with room between them."""
OVERLAPPING: Places = ((0.0, 0.0), (0.0, 3.0), (0.0, 6.0))
PARTS = parts_of(ONE)
"""45 of them."""


def cells_of(found: Parts, part: int) -> set[tuple[int, int]]:
    return set(zip(*map(np.ndarray.tolist, np.nonzero(found.weights[part])), strict=True))


@pytest.mark.parametrize("views", [ONE, BESIDE, OVERLAPPING])
def test_parts_are_all_places_of_all_shapes_in_each_view(views: Places) -> None:
    found = parts_of(views)
    assert len(found.weights) == len(views) * sum((8 - high) * (8 - wide) for high, wide in SHAPES)
    assert found.weights.sum(axis=(1, 2)) == pytest.approx(1)
    assert len({part.tobytes() for part in found.weights}) == len(found.weights)
    for part, size in enumerate(found.cells):
        cells = cells_of(found, part)
        assert len(cells) == size
        assert len({column // SIDE for _, column in cells}) == 1


def test_a_part_has_room_around_it() -> None:
    for part, grown in enumerate(PARTS.grown):
        cells = cells_of(PARTS, part)
        wanted = {(row + i, column + j) for row, column in cells for i in (-1, 0, 1) for j in (-1, 0, 1)}
        found = set(zip(*map(np.ndarray.tolist, np.nonzero(grown)), strict=True))
        assert found == {
            (row, column) for row, column in wanted if 0 <= min(row, column) <= max(row, column) < 7
        }


def test_parts_that_share_more_than_a_quarter_cannot_hold_an_action_each() -> None:
    for one, other in combinations(range(len(PARTS.weights)), 2):
        cells = [cells_of(PARTS, part) for part in (one, other)]
        shared = len(cells[0] & cells[1]) / min(map(len, cells))
        assert PARTS.apart[one, other] == PARTS.apart[other, one] == (shared <= 0.26)


def test_the_same_action_twice_has_to_be_a_view_apart() -> None:
    assert not PARTS.far.any()
    wide = parts_of(BESIDE)
    ones, others = np.nonzero(wide.far)
    assert len(ones)
    for one, other in zip(ones, others, strict=True):
        columns = [min(wide.places[cell][1] for cell in cells_of(wide, part)) for part in (one, other)]
        assert abs(columns[0] - columns[1]) >= SIDE


def test_what_two_views_show_is_one_place() -> None:
    wide = parts_of(OVERLAPPING)
    one = next(
        i
        for i in range(len(wide.weights))
        if cells_of(wide, i) == {(r, 4 + c) for r in range(5) for c in range(3)}
    )
    same = next(
        i
        for i in range(len(wide.weights))
        if cells_of(wide, i) == {(r, 8 + c) for r in range(5) for c in range(3)}
    )
    assert not wide.apart[one, same]
    assert not wide.far[one, same]
    assert wide.away((2, 5), (2, 9)) == 0
    assert wide.away((2, 5), (3, 7 + 6)) == 4
    assert wide.grown[one][2, 9]


def only(values: dict[int, float]) -> Floats:
    """A surplus in some parts, and far below what is needed elsewhere."""
    surplus = np.full(len(PARTS.weights), -0.9, np.float32)
    for part, value in values.items():
        surplus[part] = value
    return surplus


def part_at(row: int, column: int) -> int:
    """Number of the tall part there."""
    return next(i for i in range(len(PARTS.weights)) if min(cells_of(PARTS, i)) == (row, column))


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
    corners = [i for i in small if min(cells_of(PARTS, i)) in {(0, 0), (0, 5), (4, 0), (4, 5)}]
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
