"""`teach --finetune` on the command line: the model, what is printed about it, and nothing left behind."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines.training.finetune import SCHEDULE, Layers, Tuned, Verdict
from engines.weights.model_json import read_manifest
from engines.weights.store import load_weights, model_dir
from realtime.commands.teach import show
from realtime.teaching.fine_tune import finetune
from realtime.teaching.lesson import Studied, Tell, teach
from tests.engines.conftest import own_cache  # noqa: F401
from tests.realtime.teaching.test_lesson import Teach, call, clips_of_two, small_trunk  # noqa: F401

Tune = Callable[[Studied, Layers, Tell], Tuned]
THREE_ROUNDS = replace(SCHEDULE, rounds=3)
pytestmark = pytest.mark.filterwarnings("ignore")  # Lightning's advice on workers


Taught = Callable[..., tuple[str, str]]


@pytest.fixture
def taught(call: Teach, clips_of_two: Path, capsys: pytest.CaptureFixture[str]) -> Taught:  # noqa: F811
    """What `i3d-live teach clips --streams rgb --finetune LAYERS` does and prints, for the narrow network: stdout,
    stderr."""

    def run(layers: Layers, tune: Tune, tell: Tell = lambda *_: None) -> tuple[str, str]:
        lesson = teach(
            clips_of_two, "mine", base="base", streams="rgb", backend="narrow", replace=False, tell=tell,
            layers=layers, tune=tune,
        )  # fmt: skip
        show(lesson)
        return capsys.readouterr()

    return run


def facts(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((model_dir(name) / "report.json").read_text())["finetuned"]
    return found


@pytest.mark.parametrize("better", [True, False])
def test_a_tuned_network_is_kept_only_if_it_is_better(
    better: bool,
    taught: Taught,
    own_cache: Path,  # noqa: F811
) -> None:
    def tune(studied: Studied, layers: Layers, tell: Tell) -> Tuned:
        tuned = finetune(studied, layers, tell, THREE_ROUNDS)
        loss = tuned.before.loss * (0.5 if better else 2)
        return replace(tuned, after=Verdict(loss, tuned.before.right))

    out, err = taught("last", tune)
    assert err == ""
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
        "its engine gives features, which stay right whatever the scale of a head"
    )
    assert list((own_cache / "finetune").iterdir()) == [], "checkpoints"


def test_interrupted_it_goes_on_from_the_last_round(taught: Taught, own_cache: Path) -> None:  # noqa: F811
    class Stopped(Exception):
        """Stands in for a signal."""

    rounds: list[int] = []

    def stop(what: str, done: int, total: int | None) -> None:
        if what == "fine-tuning rgb" and done:
            rounds.append(done)
            if len(rounds) == 2:
                raise Stopped

    tune = partial(finetune, schedule=THREE_ROUNDS)
    with pytest.raises(Stopped):
        taught("all", tune, stop)
    (kept,) = (own_cache / "finetune").iterdir()
    assert (kept / "last.ckpt").is_file()
    taught("all", tune, lambda what, done, total: rounds.append(done) if what == "fine-tuning rgb" else None)
    assert rounds[:2] == [1, 2]
    assert 1 <= max(rounds[2:]) < 3, "not from the start"
    assert list((own_cache / "finetune").iterdir()) == []
    assert facts("mine")["rgb"]["layers"] == "all"


def test_a_missing_package_is_an_error_before_any_work(
    call: Teach,  # noqa: F811
    clips_of_two: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "engines.training.train", None)
    code, out, err = call(clips_of_two, "--streams", "rgb", "--name", "mine", "--finetune", "last")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "pip install 'i3d-live[train]'" in err
