"""An engine that reports the colour of each cell of the picture, and frames with coloured blocks."""

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.engine import CELL_PX, Positions
from engines.head import Head, mean_of_cells
from engines.spec import RGB, Mode, StreamSpec, Weights
from realtime.types import Box, Frame
from tests.support.doubles import PositionTicks

LABELS = ("red", "green", "blue")
DARK = 25.0
"""A cell's score is how much brighter than this its mean colour is; 10 grey levels are one unit of a logit."""


class SeesColours(PositionTicks):
    """Double of a `continual` or `preview` engine: a cell's features are its mean colour at the first of 8 ticks."""

    def __init__(self, mode: Mode = "continual", spec: StreamSpec = RGB) -> None:
        super().__init__(mode, spec)
        self.weights = Weights("colours", spec.modality, LABELS, "0" * 64, "made for a test", "none")
        self.head = Head(np.eye(3, dtype=np.float32) / 10, np.full(3, -DARK / 10, np.float32))

    def numbers(self, ticks: NDArray[Any]) -> NDArray[np.float32]:  # type: ignore[override]
        """(T, 7, 7, 3)"""
        count, side = len(ticks), ticks.shape[1] // CELL_PX
        cells = ticks.reshape(count, side, CELL_PX, side, CELL_PX, 3).mean(axis=(2, 4))
        return np.asarray(cells, dtype=np.float32)

    def _positions(self, seen: tuple[Any, ...], first: int, last: int, settled: int) -> Positions:
        blank = np.full((7, 7, 3), np.nan, np.float32)
        rows = [seen[p] if p >= 0 else blank for p in range(first, last + 1)]
        cells = np.array(rows, np.float32).reshape(1, len(rows), 7, 7, 3)
        return Positions(self.head(mean_of_cells(cells)), cells, np.array([first], np.int64), settled)


def coloured(
    number: int, blocks: dict[str, Box], size_px: tuple[int, int] = (256, 256), **known: Any
) -> Frame:
    """Frame `number` at 25 a second: black, except for a block of each colour at (x, y, width, height).

    `size_px`: (height, width). `known`: further fields of `Frame`.
    """
    rgb = np.zeros((*size_px, 3), np.uint8)
    for label, box in blocks.items():
        x, y, width, height = map(int, box)
        rgb[y : y + height, x : x + width, LABELS.index(label)] = 250
    return Frame(rgb, Fraction(number, 25), Fraction(1, 25), **known)
