"""The operations that the network is written in (`engines.nets.network`).

The implementation decides what a value is: a torch tensor, computed immediately, or the name of a tensor in an ONNX
graph, computed when the graph runs. Activations are (N, C, T, H, W).
"""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from engines.nets.i3d_shapes import Triple

V = TypeVar("V")
Pads = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
"""Zeros (in front, behind) of T, H and W."""
NO_PADS: Pads = ((0, 0), (0, 0), (0, 0))


class Operations(Protocol[V]):
    """Axes count from the batch, which is axis 0 and may be of any length."""

    def shape(self, x: V) -> tuple[int, ...]:
        """The shape for one stream: ignore the first number."""

    def constant(self, values: Sequence[int]) -> V:
        """int32 (len(values),)."""

    def conv(self, x: V, kernel: V, bias: V | None, stride: Triple, pads: Pads, name: str) -> V:
        """Convolution with a kernel (out, in, kT, kH, kW) and a bias (out,). `name`: of the layer, for readers of the
        graph."""

    def max_pool(self, x: V, kernel: Triple, stride: Triple, pads: Pads) -> V:
        """For non-negative values, so that the padding value does not matter."""

    def average_pool(self, x: V, kernel: Triple) -> V:
        """Stride 1, no padding."""

    def concat(self, parts: Sequence[V], axis: int) -> V: ...

    def slice(self, x: V, axis: int, start: int, stop: int, step: int = 1) -> V:
        """[start, stop) of that axis."""

    def pad(self, x: V, pads: Pads) -> V:
        """Zeros around; a negative number behind crops."""

    def relu(self, x: V) -> V: ...

    def add(self, a: V, b: V | float) -> V: ...

    def subtract(self, a: V, b: V) -> V: ...

    def multiply(self, a: V, b: V | float) -> V: ...

    def less(self, a: V, b: V) -> V: ...

    def cast(self, x: V, dtype: str) -> V:
        """`dtype`: numpy's name for it, or "bfloat16"."""

    def transpose(self, x: V, order: Sequence[int]) -> V: ...

    def unsqueeze(self, x: V, axes: Sequence[int]) -> V:
        """New axes of length 1, at these indices of the result."""
