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
VIEW = 7
"""Columns of one view of the picture. Parts of the same class have to be so far apart: a class scores in a wide area,
which two of its parts would only divide."""
Choice = list[tuple[int, int]]
"""Classes and the parts that they are in."""


@dataclass(frozen=True, eq=False)
class Parts:
    """All parts of a picture of a given number of cells. Not to be changed: they are kept."""

    weights: Floats
    """Weight of each cell in each part, float32 (parts, rows, columns); those of a part sum to 1."""
    cells: NDArray[np.float32]
    """Number of cells of each, (parts,)."""
    corners: NDArray[np.int64]
    """Row and column of the first cell, (parts, 2)."""
    apart: NDArray[np.bool_]
    """Whether two parts can hold an action each, (parts, parts)."""
    far: NDArray[np.bool_]
    """Whether both can hold the same one, (parts, parts)."""
    grown: NDArray[np.bool_]
    """The cells of each part and those next to it, (parts, rows, columns)."""


@cache
def parts_of(rows: int, columns: int) -> Parts:
    """All parts of a picture of rows x columns cells."""
    places = [
        (row, column, height, width)
        for height, width in SHAPES
        for row in range(rows - height + 1)
        for column in range(columns - width + 1)
    ]
    masks = np.zeros((len(places), rows, columns), np.float32)
    for mask, (row, column, height, width) in zip(masks, places, strict=True):
        mask[row : row + height, column : column + width] = 1
    sizes = masks.sum(axis=(1, 2))
    shared = np.einsum("prc,qrc->pq", masks, masks) / np.minimum(sizes[:, None], sizes[None, :])
    corners = np.array([place[:2] for place in places])
    apart = shared <= MOST_SHARED
    far = np.abs(corners[:, None, 1] - corners[None, :, 1]) >= VIEW  # no part is as wide
    grown = np.zeros(masks.shape, np.bool_)
    for inside, (row, column, height, width) in zip(grown, places, strict=True):
        inside[max(0, row - 1) : row + height + 1, max(0, column - 1) : column + width + 1] = True
    return Parts(masks / sizes[:, None, None], sizes, corners, apart, far, grown)


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
