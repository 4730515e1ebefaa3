"""Fine-tuning: what is frozen stays bit for bit, the rest learns, and the result is kept only if it is better."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from engines.spec import RGB, Modality
from engines.training.augment import random_example
from engines.training.datasets import Clip
from engines.training.finetune import SCHEDULE, Layers, Tuned, Verdict, finetune
from tests.support.networks import SMALL_PX, Tensors, random_tensors

SMALL = replace(RGB, short_side_px=SMALL_PX + 4, crop_px=SMALL_PX)
CLIPS = [Clip(Path(f"{n}.mp4"), n % 2) for n in range(8)]

pytestmark = pytest.mark.filterwarnings("ignore")  # Lightning's advice about workers


def colours(path: Path) -> Mapping[Modality, np.ndarray]:
    """A clip whose class is its colour; the name tells which."""
    number = int(path.stem)
    clip = np.random.default_rng(number).integers(0, 60, (64, SMALL_PX + 4, 40, 3), dtype=np.uint8)
    clip[..., number % 2] += 150
    return {"rgb": clip}


@pytest.fixture
def start() -> Tensors:
    tensors = random_tensors(classes=2)
    return {name: value for name, value in tensors.items() if not name.endswith("num_batches_tracked")}


def is_last(name: str) -> bool:
    return name.startswith(("Mixed_5", "logits"))


@pytest.mark.parametrize("layers", ["last", "all"])
def test_what_is_frozen_stays_bit_for_bit_and_all_else_learns(
    layers: Layers, start: Tensors, tmp_path: Path
) -> None:
    rounds: list[None] = []
    told = partial(rounds.append, None)
    parts, short = (CLIPS[:6], CLIPS[6:]), replace(SCHEDULE, rounds=2, batch_size=4)
    tuned = finetune(start, SMALL, parts, colours, layers, tmp_path, mirrors=True, told=told, schedule=short)
    assert tuned.tensors.keys() == start.keys()
    for name, value in tuned.tensors.items():
        learns = (layers == "all" or is_last(name)) and "running" not in name
        assert np.array_equal(value, start[name]) != learns, name
        assert value.dtype == np.float32
        assert np.isfinite(value).all(), name
    assert (tuned.held_out, len(rounds)) == (2, 2)
    assert tuned.before != tuned.after


def test_an_easy_difference_is_learnt_and_kept(start: Tensors, tmp_path: Path) -> None:
    parts, longer = (CLIPS[:6], CLIPS[6:]), replace(SCHEDULE, rounds=15, batch_size=6)
    tuned = finetune(start, SMALL, parts, colours, "last", tmp_path, mirrors=True, schedule=longer)
    assert tuned.after.loss < tuned.before.loss
    assert tuned.better
    assert tuned.after.right == 2


@pytest.mark.parametrize(
    ("loss", "right", "better"), [(0.4, 7, True), (0.4, 6, False), (0.5, 7, False), (0.6, 8, False)]
)
def test_it_is_better_only_with_a_lower_loss_and_no_more_errors(
    loss: float, right: int, better: bool
) -> None:
    assert Tuned("last", {}, 8, Verdict(0.5, 7), Verdict(loss, right)).better == better


def test_no_example_is_mirrored_where_left_and_right_tell_classes_apart() -> None:
    ramp = np.tile(np.arange(40, dtype=np.uint8)[:, None], (64, 36, 1, 3))
    rng = np.random.default_rng(0)
    rising = {
        mirrors: {
            bool(np.diff(example["rgb"][0, 0, :2, 0].astype(int))[0] > 0)
            for _ in range(20)
            for example in [random_example({"rgb": ramp}, 64, SMALL_PX, rng, mirrors=mirrors)]
        }
        for mirrors in (True, False)
    }
    assert rising == {True: {True, False}, False: {True}}
