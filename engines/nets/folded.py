"""I3D's weights as inference needs them: every batch norm folded into the convolution before it."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

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


FIRST = LAYERS[0]
"""The layer that sees the pixels: few channels, and a stride in space as well as in time."""


@dataclass(frozen=True)
class Faster:
    """Which convolutions along time are computed with fewer multiplications: see `engines.nets.winograd`."""

    points: int
    """The largest number of points to use."""
    layers: Collection[str] | None = None
    """Names of the layers; None for all."""
    halves: bool = True
    """As `MinimalConvolution.halves`."""
    first: Literal["time", "space", "both"] = "time"
    """How the first layer is treated: fewer multiplications along time, or none but its stride in time and space turned
    into channels, or both."""

    def convolutions(self) -> dict[str, MinimalConvolution]:
        """By layer, what replaces it."""
        found = {}
        for name, _, _, kernel in convolutions(in_channels=3):
            if kernel[0] > 1 and (self.layers is None or name in self.layers):
                stride = (2, 2, 2) if name == FIRST else (1, 1, 1)
                in_space = name == FIRST and self.first != "time"
                points = 0 if in_space and self.first == "space" else self.points
                found[name] = MinimalConvolution(name, kernel, stride, points, self.halves, in_space)
        return found
