"""I3D as in *Quo Vadis, Action Recognition?* (arXiv 1705.07750, figure 3), in a small set of operations.

The one description of the network that engines are made from: `engines.backends.onnx_writer` writes an ONNX graph with
it, the `torch` backend computes with it. A timeline provides what precedes and follows each position: `Whole` has the
whole video and pads it, `engines.nets.continual.Step` has 8 new ticks and remembers earlier ones. Batch norm is folded
away (`engines.nets.folded`). For training there is `engines.nets.i3d`, with the same parameter names.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol

from engines.nets.i3d_shapes import INCEPTION, Triple
from engines.nets.operations import Operations, Pads, V
from engines.nets.padding import anchored_padding, same_padding
from engines.nets.place import Place
from engines.nets.winograd import MinimalConvolution

POINT: Triple = (1, 1, 1)
CUBE: Triple = (3, 3, 3)


@dataclass(frozen=True)
class Part(Generic[V]):
    """The positions of one layer's output that are computed."""

    x: V
    """(N, C, positions, H, W)."""
    place: Place


class Timeline(Protocol[V]):
    """What a layer sees of past and future."""

    def ticks(self, video: V, kernel: int, stride: int) -> tuple[Part[V], tuple[int, int]]:
        """`look` for the first layer."""

    def look(self, part: Part[V], kernel: int, stride: int) -> tuple[Part[V], tuple[int, int]]:
        """The input of a layer with this kernel along time, with the place of its output, and the zeros (front,
        behind) to add."""

    def centre(self, x: V, positions: int) -> V:
        """Given the result of `look` for a kernel of 3: the position in the middle of each window."""


class Whole(Generic[V]):
    """The whole video, padded as in TensorFlow, or anchored: see `engines.nets.padding`."""

    def __init__(self, ops: Operations[V], *, anchored: bool = False) -> None:
        self._ops, self._pad = ops, anchored_padding if anchored else same_padding

    def ticks(self, video: V, kernel: int, stride: int) -> tuple[Part[V], tuple[int, int]]:
        return self.look(Part(video, Place()), kernel, stride)

    def look(self, part: Part[V], kernel: int, stride: int) -> tuple[Part[V], tuple[int, int]]:
        return part, self._pad(self._ops.shape(part.x)[2], kernel, stride)

    def centre(self, x: V, positions: int) -> V:
        return x


@dataclass(frozen=True)
class Network(Generic[V]):
    """The layers, over a timeline."""

    ops: Operations[V]
    weight: Callable[[str], V]
    """Weights by the names of `engines.nets.folded`."""
    time: Timeline[V]
    pixels: bool
    """Whether ticks are bytes, to be scaled here."""
    dtype: str = "float32"
    """The number type to compute in."""
    faster: Mapping[str, MinimalConvolution] = field(default_factory=dict)
    """Convolutions along time, by layer, to compute with fewer multiplications."""

    def cells(self, chunk: V) -> V:
        """Ticks uint8 (N, T, H, W, 3) or float16 (N, T, H, W, 2) -> float32 (N, positions, H / 32, W / 32, 1024).

        The mean over the cells and the last layer are left to `engines.head`.
        """
        features, _ = self.time.look(self.trunk(chunk), 2, 1)
        pooled = self.ops.average_pool(features.x, (2, 1, 1))
        return self.ops.cast(self.ops.transpose(pooled, (0, 2, 3, 4, 1)), "float32")

    def trunk(self, chunk: V) -> Part[V]:
        """-> Mixed_5c, (N, 1024, positions, H / 32, W / 32)."""
        x = self._first(self._video(chunk))
        x = self._pool(x, (1, 3, 3), (1, 2, 2))
        x = self._conv("Conv3d_2c_3x3", self._conv("Conv3d_2b_1x1", x), CUBE)
        x = self._pool(x, (1, 3, 3), (1, 2, 2))
        x = self._block("Mixed_3c", self._block("Mixed_3b", x))
        x = self._pool(x, CUBE, (2, 2, 2))
        for name in [name for name in INCEPTION if name.startswith("Mixed_4")]:
            x = self._block(name, x)
        x = self._pool(x, (2, 2, 2), (2, 2, 2))
        return self._block("Mixed_5c", self._block("Mixed_5b", x))

    def _video(self, chunk: V) -> V:
        """Ticks -> (N, C, T, H, W) in [-1, 1]."""
        ops = self.ops
        if self.pixels:
            chunk = ops.add(ops.multiply(ops.cast(chunk, "float32"), 1 / 127.5), -1.0)
        return ops.transpose(ops.cast(chunk, self.dtype), (0, 4, 1, 2, 3))

    def _first(self, video: V) -> Part[V]:
        kernel, stride = (7, 7, 7), (2, 2, 2)
        part, padding = self.time.ticks(video, kernel[0], stride[0])
        return Part(self._unit("Conv3d_1a_7x7", part.x, kernel, stride, padding), part.place)

    def _conv(self, name: str, part: Part[V], kernel: Triple = POINT) -> Part[V]:
        padding = (0, 0)
        if kernel[0] > 1:
            part, padding = self.time.look(part, kernel[0], 1)
        return Part(self._unit(name, part.x, kernel, POINT, padding), part.place)

    def _pool(self, part: Part[V], kernel: Triple, stride: Triple) -> Part[V]:
        padding = (0, 0)
        if kernel[0] > 1:
            part, padding = self.time.look(part, kernel[0], stride[0])
        pads = self._pads(part.x, kernel, stride, padding)
        return Part(self.ops.max_pool(part.x, kernel, stride, pads), part.place)

    def _block(self, name: str, part: Part[V]) -> Part[V]:
        """Four branches over the same input, joined along the channels."""
        seen, padding = self.time.look(part, 3, 1)
        highest = self.ops.max_pool(seen.x, CUBE, POINT, self._pads(seen.x, CUBE, POINT, padding))
        b3 = self._unit(f"{name}.b3b", highest, POINT)
        middle = self.time.centre(seen.x, self.ops.shape(b3)[2])
        b0 = self._unit(f"{name}.b0", middle, POINT)
        b1 = self._conv(f"{name}.b1b", self._conv(f"{name}.b1a", part), CUBE).x
        b2 = self._conv(f"{name}.b2b", self._conv(f"{name}.b2a", part), CUBE).x
        return Part(self.ops.concat((b0, b1, b2, b3), 1), seen.place)

    def _unit(
        self, name: str, x: V, kernel: Triple, stride: Triple = POINT, padding: tuple[int, int] = (0, 0)
    ) -> V:
        """Convolution, bias and ReLU."""
        pads, bias = self._pads(x, kernel, stride, padding), self.weight(f"{name}.bias")
        if name in self.faster:
            return self.faster[name].relu_conv(self.ops, self.weight, x, pads)
        kernels = self.weight(f"{name}.weight")
        return self.ops.relu(self.ops.conv(x, kernels, bias, stride, pads, name))

    def _pads(self, x: V, kernel: Triple, stride: Triple, padding: tuple[int, int]) -> Pads:
        """`padding` along time, TensorFlow's in space."""
        _, _, _, height, width = self.ops.shape(x)
        sides = zip((height, width), kernel[1:], stride[1:], strict=True)
        vertical, horizontal = (same_padding(n, k, s) for n, k, s in sides)
        return padding, vertical, horizontal
