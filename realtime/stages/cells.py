"""What the engines compute for each cell of the picture, and what the classes score in one cell or in several."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from engines.head import Floats, Head
from realtime.stages.fuse import fuse, softmax
from realtime.stages.run_engines import Scores
from realtime.types import Picture, Prediction

ENOUGH_CELLS = 16
"""A part of so many cells is as sure of what it shows as a whole picture."""


@dataclass(frozen=True, eq=False)
class Cells:
    """Features of the cells of a picture for each stream, and how to compute scores from them."""

    by_stream: Mapping[str, Floats]
    """float32 (7, columns, features): 7 columns, or 21 for the three views of a full picture side by side."""
    heads: Mapping[str, Head]
    """By stream, for the classes to choose from."""
    weights: Mapping[str, float]
    """By stream, as for `realtime.stages.fuse.fuse`."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns, _ = next(iter(self.by_stream.values())).shape
        return rows, columns

    def scores(self, number: int) -> Floats:
        """Score of class `number` in each cell, float32 (7, columns). The mean over all cells is its fused logit."""
        return self.scores_of([number])[..., 0]

    def scores_of(self, classes: Sequence[int]) -> Floats:
        """Score of some classes in each cell, float32 (7, columns, classes)."""
        heads = {name: head.of(classes) for name, head in self.heads.items()}
        return fuse({name: heads[name](cells) for name, cells in self.by_stream.items()}, self.weights)

    def logits(self, parts: Floats) -> dict[str, Floats]:
        """Logits of parts of the picture by stream, float32 (parts, classes).

        `parts`: weight of each cell in each part, float32 (parts, 7, columns).
        """
        # The heads are linear: the summed features of a part give its logits, and parts are mostly fewer than cells.
        # Not a matrix product: BLAS would start threads for it, see `engines.head`.
        return {
            name: self.heads[name](np.einsum("prc,rcf->pf", parts, cells))
            for name, cells in self.by_stream.items()
        }

    @cached_property
    def fused(self) -> Floats:
        """Score of each class in each cell, of all streams: float32 (7, columns, classes)."""
        return fuse({name: self.heads[name](cells) for name, cells in self.by_stream.items()}, self.weights)


@dataclass(frozen=True, eq=False)
class Reading:
    """A prediction of the whole picture, and the cells from which parts of the picture are predicted."""

    prediction: Prediction
    cells: Cells
    """The mean over the same positions that the prediction is made from."""
    picture: Picture
    """The newest picture that it is based on."""
    scores: Scores | None = None
    """What it was made from, for zones that choose from other labels or average over other stretches."""


def calibrated(logits: Floats, cells: float | Floats) -> Floats:
    """Probabilities (..., classes) of a part of `cells` cells, from its logits (..., classes).

    The mean over a few cells is far more extreme than over many, and its softmax far too sure. So the logits of small
    parts are the sum of the scores of their cells over `ENOUGH_CELLS`. Measured in docs/benchmarks.md.
    """
    return softmax(logits * np.minimum(1, np.asarray(cells, np.float32) / ENOUGH_CELLS))
