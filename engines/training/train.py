"""Training as in *Quo Vadis* (arXiv 1705.07750, section 2.5), run by Lightning: SGD with momentum 0.9, the learning
rate cut to a tenth when the validation loss no longer falls, random crops and flips, cross-entropy.

Needs torch and Lightning, so nothing imports it before training starts.
"""

import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as lightning
import torch
import torch.nn.functional as F
from pytorch_lightning.callbacks import Callback, LambdaCallback, LearningRateMonitor, ModelCheckpoint
from pytorch_lightning.loggers import TensorBoardLogger
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from engines.errors import UsageError, WeightsError
from engines.nets.architectures import Architecture
from engines.nets.i3d import to_video
from engines.spec import Modality
from engines.training.augment import Levels, centre_example, random_example
from engines.training.datasets import Clip

Loader = Callable[[Path], Mapping[Modality, Levels]]
"""Video file -> its streams, uint8 (T, H, W, C); see `engines.training.clip_cache.load_cached`."""
Example = tuple[list[Tensor], int]


@dataclass(frozen=True)
class Schedule:
    """Length and learning rate of training. The paper tuned its learning rate and does not state it; this one is not
    tuned."""

    learning_rate: float = 0.01
    batch_size: int = 8
    """Clips per step on each device."""
    rounds: int = 110
    """With rounds of 1,000 steps, the paper's 110,000 for Kinetics; for UCF-101 and HMDB-51 it used 5,000."""
    round_steps: int = 1000
    """Steps between validations and checkpoints; fewer if the training clips run out before."""
    patience_rounds: int = 5
    """Rounds without a lower validation loss after which the learning rate is cut to a tenth."""
    seed: int = 0


def loss(scores: Tensor, targets: Tensor, every_step: bool) -> Tensor:
    """Cross-entropy of class scores (N, positions, classes): of each position separately, or of their mean."""
    if every_step:
        return F.cross_entropy(scores.flatten(0, 1), targets.repeat_interleave(scores.shape[1]))
    return F.cross_entropy(scores.mean(dim=1), targets)


class Examples(TorchDataset[Example]):
    """Training examples of one round, or the middles of the clips if `round_number` is None.

    Random choices depend only on the seed, the round and the clip, so a resumed run makes those of an uninterrupted
    one.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        load: Loader,
        contract: Architecture,
        stream: Modality | None,
        seed: int = 0,
        round_number: int | None = None,
        *,
        mirrors: bool = True,
    ) -> None:
        self.clips, self.load, self.seed, self.round_number = clips, load, seed, round_number
        self.mirrors = mirrors
        self.modalities = modalities(contract, stream)
        self.ticks = contract.train_ticks
        self.size_px = contract.streams[0].spec.crop_px

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> Example:
        clip = self.clips[index]
        streams = self.load(clip.path)
        streams = {modality: streams[modality] for modality in self.modalities}
        if self.round_number is None:
            example = centre_example(streams, self.ticks, self.size_px)
        else:
            rng = np.random.default_rng((self.seed, self.round_number, index))
            example = random_example(streams, self.ticks, self.size_px, rng, mirrors=self.mirrors)
        return [torch.from_numpy(np.ascontiguousarray(example[m])) for m in self.modalities], clip.label


def modalities(contract: Architecture, stream: Modality | None) -> tuple[Modality, ...]:
    """The streams to train together: the requested one, or all if the paper trains them as one network."""
    if stream is not None:
        return (contract.stream(stream).spec.modality,)
    found = tuple(s.spec.modality for s in contract.streams)
    if len(found) > 1 and not contract.joint:
        raise UsageError(f"{contract.name} is trained a stream at a time; choose one of {', '.join(found)}")
    return found


class Training(lightning.LightningModule):
    """The loss, the optimiser and the data of each round, for Lightning."""

    def __init__(
        self,
        net: nn.Module,
        contract: Architecture,
        train_clips: Sequence[Clip],
        val_clips: Sequence[Clip],
        load: Loader,
        schedule: Schedule,
        *,
        stream: Modality | None = None,
        workers: int = 0,
        frozen: Sequence[str] | None = None,
        mirrors: bool = True,
    ) -> None:
        """`frozen`: None trains everything, as the paper does. Otherwise these parts of the network, possibly none
        (see `engines.training.finetune.frozen_parts`), are not trained, and all batch norms keep their statistics:
        those of few clips would be worse. `mirrors`: see `random_example`."""
        super().__init__()
        self.net, self.contract, self.schedule, self.stream, self.workers = (
            net,
            contract,
            schedule,
            stream,
            workers,
        )
        self.train_clips, self.val_clips, self.load_clip = train_clips, val_clips, load
        self.frozen, self.mirrors = frozen, mirrors
        for part in frozen or ():
            net.get_submodule(part).requires_grad_(False)

    def configure_optimizers(self) -> Any:
        learning = [parameter for parameter in self.net.parameters() if parameter.requires_grad]
        optimizer = torch.optim.SGD(learning, self.schedule.learning_rate, momentum=0.9)
        plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, factor=0.1, patience=self.schedule.patience_rounds
        )
        watch = {"scheduler": plateau, "monitor": "val_loss", "interval": "step"}
        return {"optimizer": optimizer, "lr_scheduler": watch}

    def on_train_start(self) -> None:
        # At the last step of a round, after its validation and before its checkpoint, so that a resumed run knows of
        # it.
        self.trainer.lr_scheduler_configs[0].frequency = int(self.trainer.num_training_batches)

    def on_train_epoch_start(self) -> None:
        # Each time, since Lightning replaces batch norms if several GPUs share statistics.
        for module in self.net.modules() if self.frozen is not None else ():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        # So that dropout, too, continues after a resume as if there had been no interruption.
        torch.manual_seed(_seed(self.schedule.seed, self.global_step, self.global_rank))

    def training_step(self, batch: tuple[list[Tensor], Tensor], _: int) -> Tensor:
        value, hits = self._answer(batch)
        self.log("train_loss", value, prog_bar=True)
        self.log("train_top1", hits)
        return value

    def validation_step(self, batch: tuple[list[Tensor], Tensor], _: int) -> None:
        value, hits = self._answer(batch)
        clips = len(batch[1])
        self.log("val_loss", value, batch_size=clips, prog_bar=True, sync_dist=True)
        self.log("val_top1", hits, batch_size=clips, prog_bar=True, sync_dist=True)

    def _answer(self, batch: tuple[list[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        """Loss, and share of clips that are right."""
        videos, targets = batch
        scores: Tensor = self.net(*(to_video(video, torch.float32) for video in videos))
        hits = (scores.mean(dim=1).argmax(dim=1) == targets).float().mean()
        return loss(scores, targets, self.contract.every_step), hits

    def train_dataloader(self) -> DataLoader[Example]:
        # When this is called after a resume, `current_epoch` is still that of the round before.
        progress: Any = self.trainer.fit_loop.epoch_progress.current
        seed, number = self.schedule.seed, int(progress.processed)
        # Shuffled here: a sampler's generator would advance each time the loader is iterated, and Lightning does so
        # twice.
        order = np.random.default_rng((seed, number)).permutation(len(self.train_clips))
        clips = [self.train_clips[n] for n in order]
        examples = Examples(
            clips, self.load_clip, self.contract, self.stream, seed, number, mirrors=self.mirrors
        )
        # Batch norm cannot learn from a last batch of one clip.
        drop_last = len(clips) > self.schedule.batch_size
        return DataLoader(examples, self.schedule.batch_size, num_workers=self.workers, drop_last=drop_last)

    def val_dataloader(self) -> DataLoader[Example]:
        examples = Examples(self.val_clips, self.load_clip, self.contract, self.stream)
        return DataLoader(examples, self.schedule.batch_size, num_workers=self.workers)


def train(
    training: Training,
    folder: Path,
    *,
    precision: str = "",
    devices: int | str = "auto",
    accelerator: str = "auto",
    told: Callable[[], object] | None = None,
) -> Path:
    """Train, or continue from the last checkpoint in the folder; returns the file of weights with the lowest
    validation loss.

    In the folder: `last.ckpt` after every round, `best.ckpt`, TensorBoard's curves in `curves/`, and at the end
    `weights.safetensors` with the network's parameter names. `precision` is Lightning's name for it; by default
    bfloat16 if the GPU has it, else float16, and float32 on a CPU. Several GPUs share the batch norms' statistics.
    `told` is called after each round, in place of Lightning's progress bar.
    """
    from safetensors.torch import save_file

    schedule = training.schedule
    gpu = accelerator != "cpu" and torch.cuda.is_available()
    kept = [
        ModelCheckpoint(
            folder, "best", "val_loss", save_on_train_epoch_end=True, enable_version_counter=False
        ),
        ModelCheckpoint(folder, "last", save_on_train_epoch_end=True, enable_version_counter=False),
    ]
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)  # it advertises other products
    trainer = lightning.Trainer(
        accelerator=accelerator,
        devices=devices,
        precision=precision or _best_precision(gpu),  # type: ignore[arg-type]
        max_epochs=schedule.rounds,
        limit_train_batches=schedule.round_steps,
        reload_dataloaders_every_n_epochs=1,
        sync_batchnorm=gpu,
        num_sanity_val_steps=0,
        log_every_n_steps=min(10, schedule.round_steps),
        callbacks=[*kept, LearningRateMonitor(), *_teller(told)],
        enable_progress_bar=told is None,
        logger=TensorBoardLogger(folder, name="curves", version=""),
        enable_model_summary=False,
    )
    last = folder / "last.ckpt"
    with warnings.catch_warnings():
        # About an existing folder, few steps in a round, few workers, and Lightning's own use of torch.
        warnings.filterwarnings("ignore", module=r"pytorch_lightning\.")
        trainer.fit(training, ckpt_path=last if last.is_file() else None, weights_only=True)
    weights = folder / "weights.safetensors"
    if trainer.is_global_zero:
        best = torch.load(folder / "best.ckpt", map_location="cpu", weights_only=True)["state_dict"]
        save_file({name.removeprefix("net."): t.contiguous() for name, t in best.items()}, weights)
    return weights


def start_from(net: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load weights to start from. The classifier stays random if its number of classes differs."""
    own = net.state_dict()
    classifier = ("fc.weight", "fc.bias", "logits.conv3d.weight", "logits.conv3d.bias")
    fitting = {
        name: tensor
        for name, tensor in state.items()
        if not (name.endswith(classifier) and name in own and own[name].shape != tensor.shape)
    }
    try:
        missing, unknown = net.load_state_dict(fitting, strict=False)
    except RuntimeError as error:  # a tensor has another shape
        raise WeightsError(
            f"these weights are of another network: {str(error).splitlines()[-1].strip()}"
        ) from error
    missing = [n for n in missing if not n.endswith((*classifier, "num_batches_tracked"))]
    if missing or unknown:
        raise WeightsError(
            f"these weights are of another network: {(missing + unknown)[0]} has no counterpart; give weights of I3D"
        )


def _teller(told: Callable[[], object] | None) -> list[Callback]:
    return [LambdaCallback(on_train_epoch_end=lambda *_: told())] if told else []


def _best_precision(gpu: bool) -> str:
    if not gpu:
        return "32-true"
    return "bf16-mixed" if torch.cuda.is_bf16_supported() else "16-mixed"


def _seed(*parts: int) -> int:
    return int(np.random.SeedSequence(parts).generate_state(1)[0])
