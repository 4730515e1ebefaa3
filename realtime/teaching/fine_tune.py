"""What `i3d-live teach --finetune` does with a stream once its head is fitted: hold clips out, cache clips, train the
network further."""

import hashlib
import shutil
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engines.cache_folder import cache_dir
from engines.training.clip_cache import cache_clips, load_cached
from engines.training.datasets import Clip
from engines.training.fit_head import FOLDS, fit, splits_of
from engines.weights.heads import with_head
from realtime.teaching.read_videos import reader

if TYPE_CHECKING:
    from engines.training.finetune import Layers, Tuned
    from engines.training.train import Schedule
    from realtime.teaching.lesson import Studied, Tell


def finetune(
    studied: "Studied", layers: "Layers", tell: "Tell", schedule: "Schedule | None" = None
) -> "Tuned":
    """Train a stream's network further, starting from its trunk and a head fitted without the clips that are held out.

    After an interruption the same call continues from the last round. A GPU is advisable. `schedule`: by default that
    of `engines.training.finetune`.
    """
    from engines.training.finetune import SCHEDULE
    from engines.training.finetune import finetune as run

    chosen = schedule or SCHEDULE
    targets = np.array([example.label for example in studied.examples], np.int64)
    known, unseen = splits_of(targets, FOLDS)[0]
    head = fit([studied.features[n] for n in known], targets[known], studied.judged.setting)
    folder, done, rounds = cache_dir() / "clips", 0, 0

    def read() -> None:
        nonlocal done
        done += 1
        tell(f"reading {studied.modality} clips", done, len(targets))

    def learnt() -> None:
        nonlocal rounds
        rounds += 1
        tell(f"fine-tuning {studied.modality}", rounds, chosen.rounds)

    clips = [Clip(example.path, example.label) for example in studied.examples]
    learnt_from, held_out = (
        cache_clips([clips[n] for n in numbers], [studied.spec], folder, reader([studied.spec]), read)[0]
        for numbers in (known, unseen)
    )
    tell(f"fine-tuning {studied.modality}", 0, chosen.rounds)
    checkpoints = _checkpoints(studied, layers)
    checkpoints.mkdir(parents=True, exist_ok=True)
    tuned = run(
        with_head(studied.tensors, head), studied.spec, (learnt_from, held_out),
        partial(load_cached, specs=[studied.spec], folder=folder), layers, checkpoints,
        mirrors=studied.judged.setting.mirrored, told=learnt, schedule=chosen,
    )  # fmt: skip
    shutil.rmtree(checkpoints)
    return tuned


def _checkpoints(studied: "Studied", layers: "Layers") -> Path:
    """Named by everything that shapes the training, so that no run continues from another's checkpoint."""
    clips = [(example.sha256, example.label) for example in studied.examples]
    facts = (studied.weights.sha256, studied.spec, studied.judged.setting, layers, clips)
    return cache_dir() / "finetune" / hashlib.sha256(repr(facts).encode()).hexdigest()[:20]
