"""`i3d-live train`: a network of the paper on an annotated dataset."""

import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engines.extras import absent
from engines.spec import Modality
from realtime.commands.options import Layers
from realtime.commands.prepare import PREPARE, Prepare
from realtime.errors import UsageError, one_line
from realtime.outputs.apart import check_apart

if TYPE_CHECKING:
    from torch import nn

    from engines.nets.architectures import Architecture
    from engines.training.datasets import Dataset


WRITTEN = ("best.ckpt", "last.ckpt", "weights.safetensors")
"""Into --out, besides the folder of the curves."""


@dataclass(frozen=True)
class NetworkOptions:
    """Which network, what it starts from, and how the result is stored."""

    architecture: Annotated[str, typer.Option(metavar="NAME", help="See i3d-live info --architectures.")] = (
        "two-stream-i3d"
    )
    stream: Annotated[
        Modality | None, typer.Option(help="rgb or flow, where the paper trains them apart.")
    ] = None
    base: Annotated[
        str | None, typer.Option(metavar="NAME", help="Model to start from; two-stream-i3d only.")
    ] = None
    name: Annotated[str | None, typer.Option(help="Store the result as this model; two-stream-i3d only.")] = (
        None
    )
    finetune: Annotated[
        Layers | None,
        typer.Option(help="Train the last blocks or all of --base, with its batch norms frozen."),
    ] = None

    def contract(self) -> "Architecture":
        """The architecture. Raises UsageError if these options do not go together."""
        from engines.nets.architectures import architecture

        found = architecture(self.architecture)
        if (self.base or self.name) and found.name != "two-stream-i3d":
            raise UsageError(
                f"--base and --name are for two-stream-i3d; {found.name} starts new and stays in --out"
            )
        if self.finetune and not self.base:
            raise UsageError("--finetune trains a model on; name it with --base")
        return found


@dataclass(frozen=True)
class ClipOptions:
    """Where the clips of a dataset are, and which of them to use."""

    videos: Annotated[Path | None, typer.Option(help="Folder of the videos, if they are elsewhere.")] = None
    fold: Annotated[int, typer.Option(min=1, max=3, help="Of UCF-101's and HMDB-51's three.")] = 1


@dataclass(frozen=True)
class ScheduleOptions:
    """How long and how fast."""

    rounds: Annotated[
        int, typer.Option(min=1, help="Most rounds; each ends with a validation and a checkpoint.")
    ] = 110
    round_steps: Annotated[int, typer.Option(min=1, help="Steps of a round.")] = 1000
    batch: Annotated[int, typer.Option(min=1, help="Clips a step on each device.")] = 8
    learning_rate: Annotated[
        float, typer.Option(min=0, help="Initial learning rate; the paper does not state its own.")
    ] = 0.01
    workers: Annotated[int, typer.Option(min=0, help="Processes that draw examples.")] = 2


def train(
    dataset: Annotated[
        Path, typer.Argument(metavar="DATASET", help="As for evaluate, with the splits train and val.")
    ],
    out: Annotated[
        Path, typer.Option(help="Folder for checkpoints, curves and weights; goes on from there.")
    ],
    network: NetworkOptions = NetworkOptions(),
    clips: ClipOptions = ClipOptions(),
    how: ScheduleOptions = ScheduleOptions(),
    *,
    prepare: Prepare = PREPARE,
) -> None:
    """Train as the paper does: SGD with momentum, random crops and mirrors. Interrupted, the same call goes on."""
    check_apart([dataset], {"--out": out})
    contract = network.contract()
    name, stream, base, finetune = network.name, network.stream, network.base, network.finetune
    check_installed()
    from engines.cache_folder import cache_dir
    from engines.training.clip_cache import cache_clips, load_cached
    from engines.training.datasets import read_dataset
    from engines.training.finetune import frozen_parts
    from engines.training.train import Schedule, Training, modalities
    from engines.training.train import train as run
    from realtime.commands.progress import telling
    from realtime.teaching.read_videos import reader

    specs = [contract.stream(modality).spec for modality in modalities(contract, stream)]
    learn, judge = (read_dataset(dataset, split, clips.fold, clips.videos) for split in ("train", "val"))
    if learn.labels != judge.labels:
        raise UsageError(f"{dataset}: the splits train and val must have the same classes")
    check_apart(
        [dataset, *(clip.path for each in (learn, judge) for clip in each.clips)],
        {"--out": out} | {f"--out: {file}": out / file for file in WRITTEN},
    )
    if name:
        check_target(name, learn.labels)
    net = network_for(contract, stream, learn, base, prepare)
    folder, done, total = cache_dir() / "clips", 0, len(learn.clips) + len(judge.clips)
    with telling() as tell:

        def count() -> None:
            nonlocal done
            done += 1
            tell("reading clips", done, total)

        kept = [cache_clips(each.clips, specs, folder, reader(specs), count) for each in (learn, judge)]
    for path, why in [*kept[0][1], *kept[1][1]]:
        print(f"i3d-live: left out {one_line(path.name)}: {why}", file=sys.stderr)
    if not kept[0][0] or not kept[1][0]:
        raise UsageError(f"{dataset}: no clip of train or none of val could be read")
    schedule = Schedule(how.learning_rate, how.batch, how.rounds, how.round_steps)
    load = partial(load_cached, specs=specs, folder=folder)
    training = Training(
        net, contract, kept[0][0], kept[1][0], load, schedule, stream=stream, workers=how.workers,
        frozen=frozen_parts(net, finetune) if finetune else None,
    )  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    weights = run(training, out)
    print(f"weights with the lowest validation loss: {weights}")
    if name and stream:
        store(
            name, stream, weights, learn.labels, f"trained on {dataset.name}, from {base or 'random weights'}"
        )


def check_installed() -> None:
    """Raises EngineError if a package for training is missing."""
    try:
        import engines.training.train  # noqa: F401
    except ImportError as error:
        raise absent("training", error, "train") from error


def check_target(name: str, labels: tuple[str, ...]) -> None:
    """Check, before days of work, that the result can be stored under that name. Its other stream may be there
    already."""
    from engines.weights.model_json import read_manifest
    from engines.weights.store import model_dir
    from realtime.teaching.lesson import check_name

    check_name(name, replace=True)
    there = read_manifest(model_dir(name))
    if there and there.labels != labels:
        raise UsageError(f"the model {name} has other classes; choose another --name")


def network_for(
    contract: "Architecture",
    stream: Modality | None,
    dataset: "Dataset",
    base: str | None,
    prepare: Prepare = PREPARE,
) -> "nn.Module":
    """A new network, or one that starts from a stored model's weights; flow from its rgb ones if it has none."""
    import numpy as np
    import torch

    from engines.training.train import start_from

    net = prepare.network(contract.name, len(dataset.labels), stream)
    if base and stream:
        from realtime.teaching.lesson import trunk

        _, tensors, _ = trunk(base, stream)
        start_from(net, {key: torch.from_numpy(np.array(value)) for key, value in tensors.items()})
    return net


def store(name: str, stream: Modality, weights: Path, labels: tuple[str, ...], source: str) -> None:
    """Store the weights as a model, which every command takes by name."""
    from safetensors.numpy import load_file

    from engines.weights.store import save_weights

    tensors = {k: v for k, v in load_file(weights).items() if not k.endswith("num_batches_tracked")}
    save_weights(name, stream, tensors, labels, source=source, licence="not stated")
    print(f"try it: i3d-live run VIDEO --model {name}")
