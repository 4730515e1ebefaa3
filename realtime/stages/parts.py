"""The parts of a picture in which several actions are looked for, and the choice of those that hold together.

A part is a rectangle of cells: as tall and narrow as a person who fills the picture, or as a smaller one. Every
possible place is tried. `together` finds the classes and places that explain a picture best at the same time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

from engines.head import Floats

SHAPES = ((5, 3), (3, 2))
"""Rows and columns of a part."""
MOST_SHARED = 0.26
"""Two parts can hold an action each if they share at most this much of the smaller one."""
SIDE = 7
"""Rows and columns of a view of the picture. Parts of the same class have to be so far apart: a class scores in a wide
area, which two of its parts would only divide."""
Choice = list[tuple[int, int]]
"""Classes and the parts that they are in."""
Places = tuple[tuple[float, float], ...]
"""Row and column of the first cell of each view of a picture, in cells of the picture. Views may overlap."""


@dataclass(frozen=True, eq=False)
class Parts:
    """All parts of a picture. Not to be changed: they are kept."""

    weights: Floats
    """Weight of each cell in each part, float32 (parts, 7, columns); those of a part sum to 1."""
    cells: NDArray[np.float32]
    """Number of cells of each, (parts,)."""
    places: Floats
    """Row and column of each cell in the picture, (7, columns, 2)."""
    apart: NDArray[np.bool_]
    """Whether two parts can hold an action each, (parts, parts)."""
    far: NDArray[np.bool_]
    """Whether both can hold the same one, (parts, parts)."""
    grown: NDArray[np.bool_]
    """The cells of each part and those next to it, in whichever view, (parts, 7, columns)."""

    def away(self, one: tuple[int, int], other: tuple[int, int]) -> float:
        """How many cells apart two cells are in the picture."""
        return float(np.abs(self.places[one] - self.places[other]).max())


@cache
def parts_of(views: Places) -> Parts:
    """All parts of a picture: a part lies in one view."""
    rows, columns = np.indices((SIDE, SIDE), np.float32)
    places = np.concatenate([np.stack((rows + row, columns + column), -1) for row, column in views], axis=1)
    masks, boxes = [], []
    for view, (first_row, first_column) in enumerate(views):
        for height, width in SHAPES:
            for row in range(SIDE - height + 1):
                for column in range(SIDE - width + 1):
                    mask = np.zeros(places.shape[:2], np.float32)
                    mask[row : row + height, view * SIDE + column : view * SIDE + column + width] = 1
                    masks.append(mask)
                    boxes.append((first_row + row, first_column + column, height, width))
    inside, sizes = np.array(masks), np.array(masks).sum(axis=(1, 2))
    corners, shapes = np.array(boxes)[:, :2], np.array(boxes)[:, 2:]
    ends = corners + shapes
    common = np.minimum(ends[:, None], ends) - np.maximum(corners[:, None], corners)
    shared = np.clip(common, 0, None).prod(axis=-1) / np.minimum(sizes[:, None], sizes)
    far = np.abs(corners[:, None] - corners).max(axis=-1) >= SIDE
    low, high = (corners - 1)[:, None, None], ends[:, None, None]
    grown = ((places >= low - 0.01) & (places <= high + 0.01)).all(axis=-1)
    return Parts(
        inside / sizes[:, None, None], sizes, places, shared <= MOST_SHARED, far & (shared == 0), grown
    )


def together(surplus: Mapping[int, Floats], parts: Parts) -> Choice:
    """At least two parts with the largest total surplus: the best two, then whatever else fits, best first.

    `surplus`: by class, how much it speaks for that class to be in each part, (parts,). Empty if no two parts have
    a surplus above zero.
    """
    best, chosen = 0.0, Choice()
    for one, other in combinations_with_replacement(surplus, 2):
        allowed = parts.far if one == other else parts.apart
        least = np.minimum(surplus[one][:, None], surplus[other][None, :])
        total = np.where(allowed & (least > 0), surplus[one][:, None] + surplus[other][None, :], 0)
        if total.max() > best:
            first, second = np.unravel_index(total.argmax(), total.shape)
            best, chosen = float(total.max()), [(one, int(first)), (other, int(second))]
    while chosen and (more := _best_beside(chosen, surplus, parts)) is not None:
        chosen.append(more)
    return chosen


def _best_beside(chosen: Choice, surplus: Mapping[int, Floats], parts: Parts) -> tuple[int, int] | None:
    best, found = 0.0, None
    for number, own in surplus.items():
        fits = np.all([(parts.far if c == number else parts.apart)[part] for c, part in chosen], axis=0)
        free = np.where(fits, own, 0)
        if free.max() > best:
            best, found = float(free.max()), (number, int(free.argmax()))
    return found
