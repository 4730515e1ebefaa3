"""The graphs of an engine as torch modules that a compiler takes: ticks as they come in, logits in float32 out.

A `window` engine is one graph. The others are `edge`, for the steps in which a video begins or ends, `midst` for all other
steps and, in `preview` mode, `preview` for those that look ahead. Only the batch may vary.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engines.backends import Plan, Tensors
from engines.backends.torch import DTYPES, Window, continual, network
from engines.engine import POSITION_TICKS
from engines.nets.continual import Continual
from engines.nets.i3d import I3D, fold


@dataclass(frozen=True)
class Graph:
    """One graph to be compiled."""

    name: str
    """ "window", "midst", "edge" or "preview"."""
    module: nn.Module
    inputs: dict[str, Tensor]
    """One stream's, as an example. `chunk`, `bounds` if a video may begin or end, `memory0`, `memory1` and so on."""
    outputs: tuple[str, ...]
    """`logits`, and `next0`, `next1` and so on: what is remembered next, each of its memory's shape and type."""


class FromTicks(nn.Module):
    """A network over ticks as they come, scaled in front of it.

    `Continual` remembers its first layer's ticks as they came, which is one byte a value less to keep. No TensorRT joins or cuts
    uint8, so here they are remembered as the network sees them.
    """

    def __init__(self, net: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.net, self.dtype = net, dtype

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """The inputs of `Graph` in their order -> its outputs."""
        ticks, *others = inputs
        if ticks.dtype == torch.uint8:
            ticks = ticks.float() / 127.5 - 1
        found = self.net(ticks.to(self.dtype), *others)
        logits, *kept = found if isinstance(found, tuple) else (found,)
        return logits.float(), *kept


def graphs(plan: Plan, tensors: Tensors) -> Iterator[Graph]:
    """The graphs of the planned engine, in its precision, with batch norm folded away."""
    dtype = DTYPES[plan.precision]
    if plan.mode == "window":
        yield _window(plan, fold(network(tensors, I3D)).to(dtype))
        return
    yield _step("edge", plan, continual(tensors, preview=True, masked=True).to(dtype))
    yield _step("midst", plan, continual(tensors).to(dtype))
    if plan.mode == "preview":
        yield _step("preview", plan, continual(tensors, preview=True).to(dtype))


def _window(plan: Plan, net: I3D) -> Graph:
    """The graph of a folded network over 64 ticks."""
    chunk = _ticks(plan, plan.spec.window_ticks)
    return Graph("window", FromTicks(Window(net), DTYPES[plan.precision]), {"chunk": chunk}, ("logits",))


def _step(name: str, plan: Plan, net: Continual) -> Graph:
    """The graph of a folded network over 8 new ticks."""
    dtype = DTYPES[plan.precision]
    memories = [torch.zeros(m.shape, dtype=dtype) for m in net.fresh(1, plan.spec.crop_px)]
    inputs = {"chunk": _ticks(plan, POSITION_TICKS)}
    if net.masked:
        inputs["bounds"] = torch.tensor([[0, POSITION_TICKS]], dtype=torch.int32)
    inputs |= {f"memory{i}": memory for i, memory in enumerate(memories)}
    outputs = ("logits", *(f"next{i}" for i in range(len(memories))))
    return Graph(name, FromTicks(net, dtype), inputs, outputs)


def _ticks(plan: Plan, length: int) -> Tensor:
    return torch.zeros((1, length, *plan.spec.tick_shape), dtype=getattr(torch, plan.spec.dtype))
