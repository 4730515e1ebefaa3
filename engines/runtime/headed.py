"""A separate classifier on the features of a shared network.

I3D's last layer is a matrix, applied to 1024 features per temporal position. An engine whose last layer is the
identity gives those features; it is built once, and every head on the same network is applied to its output, as a
product in NumPy.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.engine import Engine, Positions
from engines.spec import Mode, StreamSpec, Tensors, Weights

KERNEL, BIAS, FIRST = "logits.conv3d.weight", "logits.conv3d.bias", "Conv3d_1a_7x7.conv3d.weight"
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
        logits: Floats = features @ self.kernel.T + self.bias
        return logits


def head_of(tensors: Tensors) -> Head:
    """The last layer of a network."""
    return Head(tensors[KERNEL][:, :, 0, 0, 0], tensors[BIAS])


@dataclass(frozen=True, eq=False)
class HeadedEngine:
    """A feature engine with a head applied after it. See `engines.engine.Engine`; its state is the feature engine's."""

    features: Engine
    head: Head
    weights: Weights

    @property
    def spec(self) -> StreamSpec:
        return self.features.spec

    @property
    def mode(self) -> Mode:
        return self.features.mode

    @property
    def backend(self) -> str:
        return self.features.backend

    @property
    def precision(self) -> str:
        return self.features.precision

    @property
    def device(self) -> str:
        return self.features.device

    @property
    def chunk_ticks(self) -> int:
        return self.features.chunk_ticks

    @property
    def at_once(self) -> int:
        return self.features.at_once

    def start(self, batch: int = 1, lead_ticks: int = 0) -> Any:
        return self.features.start(batch, lead_ticks)

    def step(self, chunk: NDArray[Any], state: Any, *, preview: bool = True) -> tuple[Positions, Any]:
        positions, state = self.features.step(chunk, state, preview=preview)
        return self._headed(positions), state

    def flush(self, tail: NDArray[Any], state: Any) -> Positions:
        return self._headed(self.features.flush(tail, state))

    def _headed(self, positions: Positions) -> Positions:
        return Positions(self.head(positions.logits), positions.first, positions.settled)
