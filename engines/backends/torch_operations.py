"""The network's operations in PyTorch, and a graph of an engine as a module: eager, on the CPU or on CUDA."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.backends.graphs import Graph
from engines.nets.i3d_shapes import Triple
from engines.nets.operations import Pads


class TorchOperations:
    """See `engines.nets.operations.Operations`."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def shape(self, x: Tensor) -> tuple[int, ...]:
        return tuple(x.shape)

    def constant(self, values: Sequence[int]) -> Tensor:
        return torch.tensor(values, dtype=torch.int32, device=self._device)

    def conv(
        self, x: Tensor, kernel: Tensor, bias: Tensor | None, stride: Triple, pads: Pads, name: str
    ) -> Tensor:
        return F.conv3d(_padded(x, pads), kernel, bias, stride)

    def max_pool(self, x: Tensor, kernel: Triple, stride: Triple, pads: Pads) -> Tensor:
        return F.max_pool3d(_padded(x, pads), kernel, stride)

    def average_pool(self, x: Tensor, kernel: Triple) -> Tensor:
        return F.avg_pool3d(x, kernel, (1, 1, 1))

    def concat(self, parts: Sequence[Tensor], axis: int) -> Tensor:
        return torch.cat(tuple(parts), axis)

    def slice(self, x: Tensor, axis: int, start: int, stop: int, step: int = 1) -> Tensor:
        cut = [slice(None)] * x.ndim
        cut[axis] = slice(start, stop, step)
        return x[tuple(cut)]

    def pad(self, x: Tensor, pads: Pads) -> Tensor:
        return _padded(x, pads)

    def relu(self, x: Tensor) -> Tensor:
        return F.relu(x)

    def add(self, a: Tensor, b: Tensor | float) -> Tensor:
        return a + b

    def subtract(self, a: Tensor, b: Tensor) -> Tensor:
        return a - b

    def multiply(self, a: Tensor, b: Tensor | float) -> Tensor:
        return a * b

    def less(self, a: Tensor, b: Tensor) -> Tensor:
        return a < b

    def cast(self, x: Tensor, dtype: str) -> Tensor:
        return x.to(getattr(torch, dtype))

    def transpose(self, x: Tensor, order: Sequence[int]) -> Tensor:
        return x.permute(*order)

    def unsqueeze(self, x: Tensor, axes: Sequence[int]) -> Tensor:
        for axis in sorted(axes):
            x = x.unsqueeze(axis)
        return x


def _padded(x: Tensor, pads: Pads) -> Tensor:
    (front, behind), (above, below), (left, right) = pads
    around = (left, right, above, below, front, behind)
    return F.pad(x, around) if any(around) else x


class TorchGraph(nn.Module):
    """A graph with its weights: chunk, `bounds` if it has them, memories -> cells, memories."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph
        dtype = getattr(torch, graph.dtype)
        for name, values in graph.weights.items():
            self.register_buffer(_buffer(name), torch.from_numpy(np.array(values)).to(dtype))

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        named = dict(zip(self.graph.inputs, inputs, strict=False))
        memories = iter(inputs[len(named) :])
        ops = TorchOperations(inputs[0].device)
        cells, kept = self.graph.run(ops, self._weight, named, lambda _: next(memories))
        return cells, *kept

    def _weight(self, name: str) -> Tensor:
        return self.get_buffer(_buffer(name))


def _buffer(name: str) -> str:
    return name.replace(".", "_")


def fresh(graph: Graph, batch: int = 1) -> list[Tensor]:
    """Memories of the streams of a batch before their first tick: zeros, whose shapes come from a dry run."""
    memories = dry_run(graph)
    return [torch.zeros((batch, *memory.shape[1:]), dtype=memory.dtype) for memory in memories]


def dry_run(graph: Graph) -> list[Tensor]:
    """The memories that the graph recalls. Nothing is computed."""
    found: list[Tensor] = []
    dtype = getattr(torch, graph.dtype)

    def recall(shape: tuple[int, ...]) -> Tensor:
        found.append(torch.empty(shape, dtype=dtype, device="meta"))
        return found[-1]

    def weight(name: str) -> Tensor:
        return torch.empty(graph.weights[name].shape, dtype=dtype, device="meta")

    inputs = {
        name: torch.empty((1, *port.shape), dtype=getattr(torch, port.dtype), device="meta")
        for name, port in graph.inputs.items()
    }
    graph.run(TorchOperations(torch.device("meta")), weight, inputs, recall)
    return found
