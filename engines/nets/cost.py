"""What a network holds and costs, counted from its modules; nothing is computed (torch's meta device)."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, cast

import torch
from torch import Tensor, nn

from engines.nets.architectures import ARCHITECTURES, FPS, Architecture
from engines.nets.factory import network


def parameters(net: nn.Module) -> int:
    """Numbers that training can change."""
    return sum(p.numel() for p in net.parameters())


def multiply_adds(net: nn.Module, inputs: Sequence[Tensor]) -> int:
    """Multiply-adds of convolutions, fully connected layers and LSTMs for these inputs, added up by a hook on each."""
    total = 0

    def count(module: nn.Module, args: tuple[Tensor, ...], out: Any) -> None:
        nonlocal total
        if isinstance(module, nn.LSTM):
            steps = prod(args[0].shape[:2])
            total += steps * 4 * module.hidden_size * (module.input_size + module.hidden_size)
        else:
            # A weight is (out, in, ...), and each output takes one multiply-add with all but its first axis.
            total += out.numel() * prod(cast(Tensor, module.weight).shape[1:])

    counted = (nn.Conv2d, nn.Conv3d, nn.Linear, nn.LSTM)
    hooks = [m.register_forward_hook(count) for m in net.modules() if isinstance(m, counted)]
    try:
        with torch.no_grad():
            net(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return total


@dataclass(frozen=True)
class Figures:
    """What was counted of one architecture with 400 classes."""

    parameters: int
    train_macs: int
    """Multiply-adds of one pass forward over a training example."""
    test_macs: int
    """Multiply-adds of the whole test input."""


def figures(contract: Architecture) -> Figures:
    with torch.device("meta"):
        net = network(contract.name).eval()
        macs = [
            multiply_adds(net, _video(contract, ticks))
            for ticks in (contract.train_ticks, contract.test_ticks)
        ]
    return Figures(parameters(net), *macs)


def _video(contract: Architecture, ticks: int) -> list[Tensor]:
    specs = [stream.spec for stream in contract.streams]
    return [torch.empty(1, spec.channels, ticks, spec.crop_px, spec.crop_px) for spec in specs]


def architecture_rows() -> list[dict[str, str]]:
    """One row an architecture, column title -> text: what was counted beside the paper's figures."""
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
