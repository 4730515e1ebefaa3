"""PyTorch: the float32 reference on the CPU, and half precision on CUDA."""

import platform
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engines.backends import Plan, Tensors
from engines.engine import Engine
from engines.errors import UsageError, WeightsError
from engines.nets.i3d import I3D, fold, to_video
from engines.window import WindowEngine

COMPILES = False
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def unavailable() -> str | None:
    return None


def precisions() -> tuple[str, ...]:
    return ("float16", "bfloat16", "float32") if torch.cuda.is_available() else ("float32",)


def device() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU {platform.machine()}"


def versions() -> dict[str, str]:
    return {"torch": torch.__version__}


def build(plan: Plan, tensors: Tensors, folder: Path, calibration: NDArray[Any] | None) -> None:
    """Nothing to leave: the network is made in the process."""


def network(tensors: Tensors, *, anchored: bool = False) -> I3D:
    """The network with these weights, in float32 on the CPU, for inference.

    Raises:
        WeightsError: a tensor is missing, extra or of the wrong shape.
    """
    state = {name: torch.from_numpy(np.array(value)) for name, value in tensors.items()}
    try:
        classes, channels = len(state["logits.conv3d.bias"]), state["Conv3d_1a_7x7.conv3d.weight"].shape[1]
        net = I3D(classes, channels, anchored=anchored)
        net.load_state_dict(state)
    except (KeyError, IndexError, RuntimeError) as error:
        raise WeightsError(f"these weights are not I3D's: {' '.join(str(error).split())}") from error
    return net.eval().requires_grad_(False)


class FromTicks(nn.Module):
    """A network that takes ticks as they come: uint8 pixels or float16 flow, channels last."""

    def __init__(self, net: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.net, self.dtype = net.to(dtype), dtype

    def forward(self, chunk: Tensor, *rest: Tensor) -> Any:
        return self.net(to_video(chunk, self.dtype), *rest)


class WholeVideo:
    """The reference: the paper's network over a whole video of any length at once, float32 on the CPU."""

    def __init__(self, tensors: Tensors, *, anchored: bool = False) -> None:
        self._net = FromTicks(network(tensors, anchored=anchored), torch.float32)

    def __call__(self, chunk: NDArray[Any]) -> NDArray[np.float32]:
        """Ticks (B, T, 224, 224, C) as uint8 or float16 -> logits (B, ceil(T / 8) - 1, classes)."""
        with torch.inference_mode():
            logits: Tensor = self._net(torch.from_numpy(chunk))
        return logits.numpy()


class OnCuda:
    """A module on the GPU, channels last, replayed from one CUDA graph per shape of its inputs.

    Not verified on a GPU yet.
    """

    def __init__(self, module: nn.Module) -> None:
        self._module = module.cuda().to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        self._graphs: dict[Any, tuple[torch.cuda.CUDAGraph, tuple[Tensor, ...], Any]] = {}

    def __call__(self, *inputs: Tensor) -> Any:
        key = tuple(value.shape for value in inputs)
        if key not in self._graphs:
            self._graphs[key] = self._capture(tuple(value.cuda().clone() for value in inputs))
        graph, held, outputs = self._graphs[key]
        for place, value in zip(held, inputs, strict=True):
            place.copy_(value, non_blocking=True)
        graph.replay()
        if isinstance(outputs, Tensor):
            return outputs.clone()
        return tuple(value.clone() for value in outputs)

    def _capture(self, held: tuple[Tensor, ...]) -> tuple[torch.cuda.CUDAGraph, tuple[Tensor, ...], Any]:
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


def load(plan: Plan, folder: Path | None, tensors: Tensors | None) -> Engine:
    if plan.precision not in precisions():
        allowed = ", ".join(precisions())
        raise UsageError(f"torch cannot run {plan.precision} on {device()}; choose one of {allowed}")
    assert tensors is not None
    module = FromTicks(fold(network(tensors)), DTYPES[plan.precision])
    call = OnCuda(module) if torch.cuda.is_available() else module

    def run(chunk: NDArray[Any]) -> NDArray[np.float32]:
        with torch.inference_mode():
            logits: Tensor = call(torch.from_numpy(chunk))
        return logits.float().cpu().numpy()

    return WindowEngine(plan.spec, plan.weights, "torch", plan.precision, device(), run)
