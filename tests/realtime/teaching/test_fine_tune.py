"""`teach --finetune` on the command line: the model, what is said of it, and nothing left behind."""

import json
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines.nets import factory as catalogue
from engines.training import finetune as engines_finetune
from engines.training.finetune import SCHEDULE
from engines.weights.manifest import read_manifest
from engines.weights.store import load_weights, model_dir
from tests.engines.conftest import own_cache  # noqa: F401
from tests.realtime.teaching.test_lesson import Teach, call, clips_of_two, small_trunk  # noqa: F401
from tests.support.networks import DIVIDE

pytestmark = pytest.mark.filterwarnings("ignore")  # Lightning's advice on workers


@pytest.fixture
def tune(call: Teach, clips_of_two: Path, monkeypatch: pytest.MonkeyPatch) -> Teach:  # noqa: F811
    """`i3d-live teach clips --streams rgb` with three short rounds of fine-tuning, of the narrow network."""
    monkeypatch.setattr(catalogue, "network", partial(catalogue.network, divide=DIVIDE))
    monkeypatch.setattr(engines_finetune, "SCHEDULE", replace(SCHEDULE, rounds=3))
    return partial(call, clips_of_two, "--streams", "rgb")


def facts(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((model_dir(name) / "report.json").read_text())["finetuned"]
    return found


@pytest.mark.parametrize("better", [True, False])
def test_a_network_that_is_tuned_is_kept_where_it_is_better(
    better: bool,
    tune: Teach,
    own_cache: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engines_finetune.Tuned, "better", better)
    code, out, err = tune("--name", "mine", "--finetune", "last")
    assert (code, err) == (0, "")
    assert "rgb fine-tuned (last): " in out
    assert ("kept." in out, "not kept, as it was is better" in out) == (better, not better)
    (found,) = facts("mine").values()
    assert (found["layers"], found["clips"], found["kept"]) == ("last", 3, better)
    trunk, (_, tensors) = small_trunk("base", "rgb")[1], load_weights("mine", "rgb")
    same = {name for name, value in tensors.items() if np.array_equal(value, trunk[name])}
    assert ("Mixed_5c.b0.conv3d.weight" in same) != better
    assert "Mixed_4f.b0.bn.running_mean" in same
    manifest = read_manifest(model_dir("mine"))
    assert manifest is not None
    assert manifest.streams["rgb"].shared_trunk, (
        "its engine is one of features, which a head of any scale leaves right"
    )
    assert list((own_cache / "finetune").iterdir()) == [], "checkpoints"


def test_interrupted_it_goes_on_from_the_last_round(tune: Teach, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[Path] = []

    def train(training: Any, folder: Path, **options: Any) -> Path:
        if not kept:
            training.schedule = replace(training.schedule, rounds=1)
        kept.append(folder)
        result = whole(training, folder, **options)
        if len(kept) == 1:
            raise KeyboardInterrupt
        return result

    whole = engines_finetune.train
    monkeypatch.setattr(engines_finetune, "train", train)
    assert tune("--name", "mine", "--finetune", "all")[0] != 0
    assert (kept[0] / "last.ckpt").is_file()
    assert tune("--name", "mine", "--finetune", "all")[0] == 0
    assert kept[0] == kept[1]
    assert facts("mine")["rgb"]["layers"] == "all"


def test_what_is_missing_is_said_before_any_work(tune: Teach, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "engines.training.train", None)
    code, out, err = tune("--name", "mine", "--finetune", "last")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "pip install 'i3d-live[train]'" in err
