"""I3D's weights as inference needs them: every batch norm folded into the convolution before it."""

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.errors import WeightsError
from engines.nets.i3d_shapes import convolutions
from engines.nets.winograd import MinimalConvolution
from engines.spec import Tensors

LAYERS = tuple(name for name, *_ in convolutions(in_channels=3))
BATCH_NORM = ("weight", "bias", "running_mean", "running_var")
EPSILON = 0.001
"""The epsilon of I3D's batch norms."""


def fold(tensors: Tensors) -> dict[str, NDArray[np.float32]]:
    """A state dict in pytorch-i3d's names -> "<layer>.weight" and "<layer>.bias" of each convolution, float32. The last
    layer is left to `engines.head`.

    Raises:
        WeightsError: a tensor is missing, extra or of the wrong shape.
    """
    _check(tensors)
    folded: dict[str, NDArray[Any]] = {}
    for layer in LAYERS:
        gamma, beta, mean, variance = (
            tensors[f"{layer}.bn.{part}"].astype(np.float64) for part in BATCH_NORM
        )
        scale = gamma / np.sqrt(variance + EPSILON)
        folded[f"{layer}.weight"] = tensors[f"{layer}.conv3d.weight"] * scale[:, None, None, None, None]
        folded[f"{layer}.bias"] = beta - mean * scale
    return {name: np.ascontiguousarray(values, dtype=np.float32) for name, values in folded.items()}


def _check(tensors: Tensors) -> None:
    """Any width is allowed: the tests' networks are narrow."""
    wanted = {"logits.conv3d.bias": "logits.conv3d.weight", "logits.conv3d.weight": "logits.conv3d.weight"}
    for layer in LAYERS:
        kernel = f"{layer}.conv3d.weight"
        wanted |= {kernel: kernel} | {f"{layer}.bn.{part}": kernel for part in BATCH_NORM}
    names = {name for name in tensors if not name.endswith("num_batches_tracked")}
    faults = [f"{name} is missing" for name in wanted if name not in names]
    faults += [f"{name} is not part of the network" for name in sorted(names - wanted.keys())]
    if not faults:
        shapes = ((name, tensors[name].shape, tensors[kernel].shape) for name, kernel in wanted.items())
        faults = [f"{name} has shape {found}" for name, found, of in shapes if found not in (of, of[:1])]
    if faults:
        raise WeightsError(f"these weights are not I3D's: {faults[0]}; fetch or import them again")


def in_fewer_multiplications(
    points: int, layers: Collection[str] | None = None, *, halves: bool = True
) -> dict[str, MinimalConvolution]:
    """The convolutions along time to replace. `layers`: their names, by default all. `points`, `halves`:
    see `engines.nets.winograd`."""
    found = {}
    for name, _, _, kernel in convolutions(in_channels=3):
        if kernel[0] > 1 and (layers is None or name in layers):
            stride = (2, 2, 2) if kernel[0] == 7 else (1, 1, 1)
            found[name] = MinimalConvolution(name, kernel, stride, points, halves)
    return found
