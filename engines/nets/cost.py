"""Parameters and multiply-adds of a network, counted by torch without computing (torch's meta device)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from engines.nets.architectures import ARCHITECTURES, FPS, Architecture
from engines.nets.factory import network


def parameters(net: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(p.numel() for p in net.parameters())


def multiply_adds(compute: Callable[[], object]) -> int:
    """Multiply-adds of `compute`, which gets tensors on torch's meta device. (On the CPU torch does not count
    LSTMs.)"""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        compute()
    return int(counter.get_total_flops()) // 2


@dataclass(frozen=True)
class Figures:
    """Counts for one architecture with 400 classes."""

    parameters: int
    train_macs: int
    """Multiply-adds of one forward pass over a training example."""
    test_macs: int
    """Multiply-adds of the whole test input."""


def figures(contract: Architecture) -> Figures:
    with torch.device("meta"):
        net = network(contract.name).eval()
        training, test = (_video(contract, n) for n in (contract.train_ticks, contract.test_ticks))
    return Figures(parameters(net), multiply_adds(lambda: net(*training)), multiply_adds(lambda: net(*test)))


def _video(contract: Architecture, ticks: int) -> list[Tensor]:
    specs = [stream.spec for stream in contract.streams]
    return [torch.empty(1, spec.channels, ticks, spec.crop_px, spec.crop_px) for spec in specs]


def architecture_rows() -> list[dict[str, str]]:
    """One row per architecture, column title -> text: our counts next to the paper's figures."""
    return [_row(contract) for contract in ARCHITECTURES.values()]


def _row(contract: Architecture) -> dict[str, str]:
    counted = figures(contract)
    millions = counted.parameters / 1e6
    off = millions / contract.paper_parameters_m - 1
    return {
        "name": contract.name,
        "made of": contract.made_of,
        "parameters": f"{millions:.1f} M",
        "paper's": f"{contract.paper_parameters_m:g} M",
        "off by": f"{off:+.1%}",
        "input in training": _input(contract, contract.train_ticks),
        "input at test": _input(contract, contract.test_ticks),
        "receptive field": f"{contract.receptive_ticks} ticks, {_seconds(contract.receptive_ticks)}",
        "multiply-adds in training": f"{counted.train_macs / 1e9:.1f} G",
        "multiply-adds at test": f"{counted.test_macs / 1e9:.1f} G",
    }


def _input(contract: Architecture, ticks: int) -> str:
    streams = " + ".join(f"{s.frames(ticks)} {s.spec.modality}" for s in contract.streams)
    return f"{streams}, {_seconds(ticks)}"


def _seconds(ticks: int) -> str:
    return f"{float(ticks / FPS):g} s"
