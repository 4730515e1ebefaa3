"""Trains a taught network further: its last blocks, or all of it. Needs torch and Lightning.

12 million parameters soon overfit a few clips, so some are held out, and the result is kept only if it does better on
them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from engines.nets.architectures import Architecture, StreamInput, architecture
from engines.nets.factory import network
from engines.nets.i3d import to_video
from engines.spec import StreamSpec, Tensors
from engines.training.datasets import Clip
from engines.training.train import Examples, Loader, Schedule, Training, start_from, train

Layers = Literal["last", "all"]
FIRST_OF_LAST = "Mixed_5b"
"""The first of the last blocks: from here on the picture is reduced to 7 x 7 cells."""
WIDTH = 64
"""Number of kernels in I3D's first layer. A network with fewer is narrower throughout."""
SCHEDULE = Schedule(learning_rate=0.002, batch_size=4, rounds=20)
"""Small batches fit on small GPUs, and batch norm does not depend on them here."""


@dataclass(frozen=True)
class Verdict:
    """Results on the middles of the held-out clips."""

    loss: float
    """Mean cross-entropy."""
    right: int


@dataclass(frozen=True, eq=False)
class Tuned:
    """The result of fine-tuning a network."""

    layers: Layers
    tensors: dict[str, NDArray[Any]]
    held_out: int
    """Number of clips that were not learnt from. The round that does best on them is kept."""
    before: Verdict
    after: Verdict

    @property
    def better(self) -> bool:
        return self.after.loss < self.before.loss and self.after.right >= self.before.right


def finetune(
    tensors: Tensors,
    spec: StreamSpec,
    clips: tuple[Sequence[Clip], Sequence[Clip]],
    load: Loader,
    layers: Layers,
    folder: Path,
    *,
    mirrors: bool,
    told: Callable[[], object] | None = None,
    schedule: Schedule = SCHEDULE,
) -> Tuned:
    """Train an I3D further, starting from `tensors`, its classifier included.

    `clips`: to learn from, and held out. `folder`: for checkpoints; after an interruption the call continues from
    there. `mirrors`: False if left and right distinguish classes. `told`: called after each round of the schedule.
    """
    learnt_from, held_out = clips
    contract = replace(architecture("two-stream-i3d"), streams=(StreamInput(spec),))
    start = {name: torch.from_numpy(np.array(value)) for name, value in tensors.items()}
    divide = WIDTH // len(tensors["Conv3d_1a_7x7.conv3d.weight"])
    net = network(contract.name, len(tensors["logits.conv3d.bias"]), stream=spec.modality, divide=divide)
    start_from(net, start)
    before = judge(net, held_out, load, contract)
    training = Training(
        net.train(), contract, learnt_from, held_out, load, schedule,
        stream=spec.modality, frozen=frozen_parts(net, layers), mirrors=mirrors,
    )  # fmt: skip
    weights = _read(train(training, folder, devices=1, told=told))
    start_from(net, weights)
    after = judge(net, held_out, load, contract)
    found = {name: weights[name].numpy() for name in tensors}
    return Tuned(layers, found, len(held_out), before, after)


def frozen_parts(net: nn.Module, layers: Layers) -> Sequence[str]:
    """For `Training`: names of the parts of an I3D that are not trained."""
    names = [name for name, _ in net.named_children()]  # in the order in which they run
    return names[: names.index(FIRST_OF_LAST)] if layers == "last" else ()


@torch.inference_mode()
def judge(net: nn.Module, clips: Sequence[Clip], load: Loader, contract: Architecture) -> Verdict:
    """Evaluate the network on the middle of each clip."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    net.eval().to(device)
    examples = Examples(clips, load, contract, contract.streams[0].spec.modality)
    loss, right = 0.0, 0
    for number in range(len(examples)):
        (video,), target = examples[number]
        scores = net(to_video(video[None].to(device), torch.float32)).mean(dim=1)
        loss += float(F.cross_entropy(scores, torch.tensor([target], device=device)))
        right += int(scores.argmax() == target)
    return Verdict(loss / len(clips), right)


def _read(path: Path) -> Mapping[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(path)
