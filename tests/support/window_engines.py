"""The paper's architectures as engines of `window` mode, in PyTorch: what the recogniser runs, and what backends
export."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engines.errors import UsageError
from engines.nets.architectures import Architecture
from engines.nets.i3d import to_video
from engines.runtime.window import WindowEngine
from engines.spec import Modality, Weights
from tests.support.doubles import no_head


class Ticks(nn.Module):
    """A network over ticks as they come, one argument per stream: uint8 or float16 (N, T, H, W, C) -> (N, positions,
    classes)."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, *ticks: Tensor) -> Tensor:
        dtype = next(self.net.parameters()).dtype
        scores: Tensor = self.net(*(to_video(t, dtype) for t in ticks))
        return scores


class Apart(nn.Module):
    """A network of both streams over ticks that hold both, (N, 5, T, H, W)."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, ticks: Tensor) -> Tensor:
        scores: Tensor = self.net(ticks[:, :3], ticks[:, 3:])
        return scores


def window_engine(contract: Architecture, stream: Modality, net: nn.Module, weights: Weights) -> WindowEngine:
    """An engine for one stream of an architecture, float32 on the CPU, with the stream's own data contract.

    Its scores stand in for the features of a single cell: not every architecture has a linear head.

    `net` as `engines.nets.factory.network` makes it for that stream. Where both streams meet in one network there is
    one engine, asked for as "flow", whose input comes last. UsageError for its "rgb".
    """
    if contract.fused_inside and stream == "rgb":
        raise UsageError(f"{contract.name} is one network for both streams; ask for its engine as flow")
    spec = contract.stream(stream).spec
    if contract.fused_inside:
        net, spec = Apart(net), replace(spec, channels=5, with_rgb=True)
    ticks = Ticks(net).eval()

    def run(chunk: NDArray[Any]) -> NDArray[np.float32]:
        with torch.inference_mode():
            scores: NDArray[np.float32] = ticks(torch.from_numpy(np.ascontiguousarray(chunk))).numpy()
        return scores[:, :, None, None]

    return WindowEngine(spec, weights, "torch", "float32", "CPU", run, no_head(len(weights.labels)))
