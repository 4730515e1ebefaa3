"""The last layer of a network, applied in NumPy to the output of an engine.

I3D's head is linear: the mean over the cells of a position, times a matrix. So networks that differ only in their last
layer share one engine, and the scores of a class in the cells average to its logit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engines.errors import EngineError
from engines.spec import Tensors

KERNEL, BIAS = "logits.conv3d.weight", "logits.conv3d.bias"
FILE = "head.npy"
"""Beside the files of a built engine: float32 (classes, features + 1), the bias in the last column."""
Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Head:
    """logits = features @ kernel.T + bias"""

    kernel: Floats
    """float32 (classes, features)."""
    bias: Floats
    """float32 (classes,)."""

    def __call__(self, features: Floats) -> Floats:
        """(..., features) -> logits (..., classes)."""
        # As one matrix product it would start BLAS's threads, which keep spinning afterwards, on the cores that the
        # network needs for its next step: a step of `preview` took a quarter longer. So: a product of vectors for each
        # logit, in this thread.
        logits: Floats = np.vecdot(features[..., None, :], self.kernel) + self.bias
        return logits

    def of(self, classes: Sequence[int]) -> "Head":
        """The head of some of the classes."""
        return Head(self.kernel[classes], self.bias[classes])


def head_of(tensors: Tensors) -> Head:
    """The last layer of a network."""
    return Head(tensors[KERNEL][:, :, 0, 0, 0], tensors[BIAS])


def mean_of_cells(cells: Floats) -> Floats:
    """(..., rows, columns, features) -> features (..., features)."""
    features: Floats = cells.mean(axis=(-3, -2))
    return features


def cell_scores(cells: Floats, head: Head, number: int) -> Floats:
    """The score of one class in each cell.

    Args:
        cells: float32 (..., rows, columns, features), as in `engines.engine.Positions`.

    Returns:
        float32 (..., rows, columns), in units of a logit. Its mean over rows and columns is the logit.
    """
    return head.of([number])(cells)[..., 0]


def save_head(head: Head, folder: Path) -> None:
    """Save it with the files of a built engine."""
    np.save(folder / FILE, np.column_stack((head.kernel, head.bias)).astype(np.float32))


def load_head(folder: Path) -> Head:
    """The head that was saved in this folder.

    Raises:
        EngineError: it is missing or damaged.
    """
    path = folder / FILE
    try:
        stored = np.load(path)
        return Head(np.ascontiguousarray(stored[:, :-1]), stored[:, -1])
    except (OSError, ValueError, EOFError, IndexError) as error:
        raise EngineError(f"{path} cannot be read: {error}; build again with --rebuild") from error
