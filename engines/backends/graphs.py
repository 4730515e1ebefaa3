"""The graphs of an engine: their names, inputs and outputs, and the network that each computes.

A `window` engine is one graph. The other engines have `boundary` for steps in which a video begins or ends, `interior`
for all other steps and, in `preview` mode, `preview` for those that look ahead. Engines for files have `end` for the
step in which a video ends: it gives all positions that are left, which would else take several more.
Only the batch size may vary. Imports no torch.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from engines.engine import POSITION_TICKS, SEEN_TICKS
from engines.nets.continual import Step
from engines.nets.folded import Faster, fold
from engines.nets.network import Network, Whole
from engines.nets.operations import Operations, V
from engines.nets.winograd import MinimalConvolution
from engines.spec import Mode, StreamSpec, Tensors


@dataclass(frozen=True)
class Port:
    """An input of a graph."""

    shape: tuple[int, ...]
    """Shape for one stream."""
    dtype: str


@dataclass(frozen=True, eq=False)
class Graph:
    """One graph, to be run or compiled."""

    name: str
    """ "window", "interior", "boundary", "preview" or "end"."""
    inputs: Mapping[str, Port]
    """`chunk`, and `bounds` if a video may begin or end. `memory0`, `memory1` and so on follow."""
    weights: Mapping[str, NDArray[Any]]
    """float32, see `engines.nets.folded`."""
    dtype: str = "float32"
    """Type of its arithmetic and memories: "float32", "float16" or "bfloat16"."""
    faster: Mapping[str, MinimalConvolution] = field(default_factory=dict)
    looks_ahead: bool = False
    anchored: bool = False

    def run(
        self,
        ops: Operations[V],
        weight: Callable[[str], V],
        inputs: Mapping[str, V],
        recall: Callable[[tuple[int, ...]], V],
    ) -> tuple[V, list[V]]:
        """Cells (N, positions, 7, 7, features) in float32, and what is remembered next, in the order of `recall`."""
        pixels = self.inputs["chunk"].dtype == "uint8"
        if self.name == "window":
            whole = Whole(ops, anchored=self.anchored)
            network = Network(ops, weight, whole, pixels, self.dtype, self.faster)
            return network.cells(inputs["chunk"]), []
        bounds, ticks = inputs.get("bounds"), self.inputs["chunk"].shape[0] - SEEN_TICKS
        step = Step(ops, recall, bounds, ticks=ticks, preview=self.looks_ahead, dtype=self.dtype)
        network = Network(ops, weight, step, pixels, self.dtype, self.faster)
        return network.cells(inputs["chunk"]), step.kept


def graphs(
    spec: StreamSpec,
    mode: Mode,
    tensors: Tensors,
    dtype: str = "float32",
    faster: Faster | None = None,
    step_ticks: int | None = None,
) -> list[Graph]:
    """The graphs of an engine with these weights. `step_ticks`: of an engine for files, the new ones in a step, a
    multiple of 8; None for a live stream, and for windows."""
    if mode == "window":
        return [window(spec, tensors, spec.window_ticks, dtype, faster)]
    weights, replaced = _weights(tensors, faster)
    chunk = {"chunk": _chunk(spec, SEEN_TICKS + (step_ticks or POSITION_TICKS))}
    ahead = mode == "preview"
    bounds = {"bounds": Port((2,), "int32")}
    found = [
        Graph("boundary", chunk | bounds, weights, dtype, replaced, looks_ahead=ahead),
        Graph("interior", chunk, weights, dtype, replaced),
    ]
    if ahead:
        return [*found, Graph("preview", chunk, weights, dtype, replaced, looks_ahead=True)]
    if step_ticks is not None:
        return [*found, Graph("end", chunk | bounds, weights, dtype, replaced, looks_ahead=True)]
    return found


def window(
    spec: StreamSpec,
    tensors: Tensors,
    ticks: int,
    dtype: str = "float32",
    faster: Faster | None = None,
    *,
    anchored: bool = False,
) -> Graph:
    """The network over this many ticks at a time. `anchored`: see `engines.nets.padding`."""
    weights, replaced = _weights(tensors, faster)
    inputs = {"chunk": _chunk(spec, ticks)}
    return Graph("window", inputs, weights, dtype, replaced, anchored=anchored)


def _weights(
    tensors: Tensors, faster: Faster | None
) -> tuple[dict[str, NDArray[Any]], dict[str, MinimalConvolution]]:
    weights = fold(tensors)
    replaced = faster.convolutions() if faster else {}
    for layer, convolution in replaced.items():
        weights |= convolution.kernels(weights[f"{layer}.weight"])
    return weights, replaced


def _chunk(spec: StreamSpec, ticks: int) -> Port:
    return Port((ticks, *spec.tick_shape), spec.dtype)
