"""PyTorch: the float32 reference on the CPU, and half precision on CUDA."""

import platform
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engines.backends.graphs import Graph, graphs
from engines.backends.registry import Forms, LoadedEngine, Plan
from engines.backends.torch_operations import TorchGraph, fresh
from engines.engine import SEEN_TICKS
from engines.errors import UsageError, WeightsError
from engines.head import head_of
from engines.nets.i3d import I3D, to_video
from engines.runtime.continual import Bounds, StreamingEngine, interior
from engines.runtime.window import WindowEngine
from engines.spec import Tensors

COMPILES = False
COMPUTES_I3D = True
Net = TypeVar("Net", bound=I3D)


def unavailable() -> str | None:
    return None


def precisions() -> tuple[str, ...]:
    return ("float16", "bfloat16", "float32") if torch.cuda.is_available() else ("float32",)


def device() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU {platform.machine()}"


def versions() -> dict[str, str]:
    return {"torch": torch.__version__}


def forms(plan: Plan, tensors: Tensors, clip: NDArray[Any] | None) -> Forms:
    return Forms(("",))


def build(plan: Plan, tensors: Tensors, folder: Path, calibration: NDArray[Any] | None) -> None:
    """Leaves no files: the network is created in the process."""


def pack(plan: Plan, tensors: Tensors, folder: Path, out: Path) -> None:
    """Leaves no files."""


def network(tensors: Tensors, make: Callable[..., Net]) -> Net:
    """A network with these weights, float32 on the CPU, for inference. `make`: I3D or another with its parameters.

    Raises:
        WeightsError: a tensor is missing, extra or of the wrong shape.
    """
    state = {name: torch.from_numpy(np.array(value)) for name, value in tensors.items()}
    try:
        width, channels = state["Conv3d_1a_7x7.conv3d.weight"].shape[:2]
        net = make(len(state["logits.conv3d.bias"]), channels, divide=max(1, 64 // width))
        net.load_state_dict(state)
    except (KeyError, ValueError, RuntimeError) as error:
        raise WeightsError(f"these weights are not I3D's: {' '.join(str(error).split())}") from error
    return net.eval().requires_grad_(False)


class Window(nn.Module):
    """The network over ticks in the stream's type: uint8 or float16 (N, T, 224, 224, C)."""

    def __init__(self, net: I3D) -> None:
        super().__init__()
        self.net = net

    def forward(self, ticks: Tensor) -> Tensor:
        logits: Tensor = self.net(to_video(ticks, self.net.logits.conv3d.weight.dtype))
        return logits


class WholeVideo:
    """The reference: the paper's network over a whole video of any length in one pass, float32 on the CPU."""

    name = "PyTorch, float32"

    def __init__(self, tensors: Tensors, *, anchored: bool = False) -> None:
        """`anchored`: for the network of a live stream, see `engines.nets.i3d.I3D`."""
        self._net = Window(network(tensors, partial(I3D, anchored=anchored)))

    def __call__(self, ticks: NDArray[Any]) -> NDArray[np.float32]:
        """Ticks (B, T, 224, 224, C) as uint8 or float16 -> logits (B, ceil(T / 8) - 1, classes)."""
        with torch.inference_mode():
            return to_numpy(self._net(torch.from_numpy(ticks)))


def to_numpy(values: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = values.float().cpu().numpy()
    return array


class OnCuda:
    """A module on the GPU, channels last, replayed from one CUDA graph per shape of its inputs.

    Not verified on a GPU yet.
    """

    def __init__(self, module: nn.Module) -> None:
        self._module = module.cuda().to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        self._graphs: dict[Any, tuple[torch.cuda.CUDAGraph, list[Tensor], Any]] = {}

    def __call__(self, *inputs: Tensor) -> Any:
        key = tuple(value.shape for value in inputs)
        if key not in self._graphs:
            self._graphs[key] = self._capture([value.cuda().clone() for value in inputs])
        graph, held, outputs = self._graphs[key]
        for place, value in zip(held, inputs, strict=True):
            place.copy_(value, non_blocking=True)
        graph.replay()
        # The next replay overwrites the outputs, and a memory belongs to the caller.
        if isinstance(outputs, Tensor):
            return outputs.clone()
        return tuple(value.clone() for value in outputs)

    def _capture(self, held: list[Tensor]) -> tuple[torch.cuda.CUDAGraph, list[Tensor], Any]:
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):  # cuDNN and the allocator settle before the capture
            for _ in range(3):
                self._module(*held)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            outputs = self._module(*held)
        return graph, held, outputs


def ready(module: nn.Module) -> Callable[..., Any]:
    """The module ready to run: on the GPU if there is one."""
    return OnCuda(module) if torch.cuda.is_available() else module


class TorchGraphs:
    """See `engines.runtime.continual.Graphs`. A memory is the list of the layers' tensors on the device."""

    def __init__(self, by_name: Mapping[str, Graph], make: Callable[[Graph], Callable[..., Any]]) -> None:
        """`make`: returns a function that computes a graph, from tensors on any device."""
        self._layout = [(m.shape[1:], m.dtype) for m in fresh(by_name["interior"])]
        self._run = {name: make(graph) for name, graph in by_name.items()}

    def fresh(self, batch: int) -> list[Tensor]:
        place = "cuda" if torch.cuda.is_available() else "cpu"
        return [torch.zeros((batch, *shape), dtype=dtype, device=place) for shape, dtype in self._layout]

    def run(
        self, chunk: NDArray[Any], bounds: Bounds, memory: list[Tensor], preview: bool
    ) -> tuple[NDArray[np.float32], list[Tensor]]:
        ticks = torch.from_numpy(chunk)
        with torch.inference_mode():
            if interior(bounds, chunk.shape[1] - SEEN_TICKS).all():
                cells, *memory = self._run["preview" if preview else "interior"](ticks, *memory)
            else:
                name = "end" if preview and "end" in self._run else "boundary"
                cells, *memory = self._run[name](ticks, torch.from_numpy(bounds), *memory)
        return to_numpy(cells), memory


def load(plan: Plan, folder: Path | None, tensors: Tensors | None) -> LoadedEngine:
    if plan.precision not in precisions():
        allowed = ", ".join(precisions())
        raise UsageError(f"torch cannot run {plan.precision} on {device()}; choose one of {allowed}")
    assert tensors is not None
    return engine(plan, tensors, "torch", lambda graph: ready(TorchGraph(graph)))


def engine(
    plan: Plan, tensors: Tensors, backend: str, make: Callable[[Graph], Callable[..., Any]]
) -> LoadedEngine:
    """The engine whose graphs torch computes. `make`: see `TorchGraphs`."""
    by_name = {graph.name: graph for graph in graphs(plan.spec, plan.mode, tensors, plan.precision)}
    facts, head = (backend, plan.precision, device()), head_of(tensors)
    if plan.mode != "window":
        return StreamingEngine(plan.spec, plan.weights, plan.mode, *facts, TorchGraphs(by_name, make), head)
    call = make(by_name["window"])

    def run(chunk: NDArray[Any]) -> NDArray[np.float32]:
        with torch.inference_mode():
            return to_numpy(call(torch.from_numpy(chunk))[0])

    return WindowEngine(plan.spec, plan.weights, *facts, run, head)
