"""Networks for tests: random weights that keep the signal alive, and the whole network on pictures of 32 x 32."""

from dataclasses import replace

import numpy as np
import torch
from torch import nn

from engines.backends import pytorch as torch_backend
from engines.backends.registry import Plan
from engines.nets.i3d import I3D
from engines.runtime.continual import StreamingEngine
from engines.spec import FLOW, RGB, Mode, StreamSpec, Weights

SMALL_PX = 32
"""The total stride of 32 leaves one cell, where 224 px leave 7 x 7; every layer pads both sizes alike."""
CLASSES = 5
DIVIDE = 8
"""How many times narrower than the real network."""
Tensors = dict[str, np.ndarray]


def random_tensors(channels: int = 3, classes: int = CLASSES, seed: int = 0, divide: int = DIVIDE) -> Tensors:
    """Kaiming weights and batch norms that do not keep zeros at zero, like trained ones.

    With torch's own initialisation the signal dies out on the way, and any two networks agree.
    """
    torch.manual_seed(seed)
    net = I3D(classes, channels, divide=divide)
    for module in net.modules():
        if isinstance(module, nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        elif isinstance(module, nn.BatchNorm3d):
            nn.init.uniform_(module.bias, -0.2, 0.3)
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.8, 1.2)
    return {name: value.numpy() for name, value in net.state_dict().items()}


def small(net: I3D, tensors: Tensors) -> I3D:
    """The network for 32 x 32 pictures."""
    net.load_state_dict({name: torch.from_numpy(value) for name, value in tensors.items()})
    return net.eval().requires_grad_(False)


def small_spec(channels: int) -> StreamSpec:
    return replace(RGB if channels == 3 else FLOW, crop_px=SMALL_PX)


def plan(mode: Mode, channels: int = 3, precision: str = "float32") -> Plan:
    """An engine for 32 x 32 pictures."""
    spec = small_spec(channels)
    weights = Weights("random", spec.modality, tuple("abcde"), "0" * 64, "a test", "none")
    return Plan(spec, weights, mode, precision)


def small_engine(tensors: Tensors, mode: Mode, channels: int = 3) -> StreamingEngine:
    """The torch engine for 32 x 32 pictures."""
    engine = torch_backend.load(plan(mode, channels), None, tensors)
    assert isinstance(engine, StreamingEngine)
    return engine


def noise(length: int, channels: int = 3, batch: int = 1, px: int = SMALL_PX, seed: int = 1) -> np.ndarray:
    """Random ticks (batch, length, px, px, channels) in the stream's dtype."""
    values = np.random.default_rng(seed).random((batch, length, px, px, channels), np.float32)
    return (values * 255).astype(np.uint8) if channels == 3 else (values * 2 - 1).astype(np.float16)
