"""`train` on the command line: from videos in folders to a model, and onwards from a stored one."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from engines.errors import UsageError
from engines.nets.architectures import architecture
from engines.nets.factory import network
from engines.spec import FLOW, RGB, Modality
from engines.training.datasets import Dataset
from engines.weights import formats
from engines.weights.store import load_weights
from realtime.commands.prepare import Prepare
from realtime.commands.train import network_for
from realtime.teaching.read_videos import reader
from tests.engines.conftest import own_cache  # noqa: F401
from tests.realtime.teaching.test_lesson import narrow_shapes, small_trunk, store_base
from tests.support.command_line import Invoke as Call
from tests.support.command_line import invoke_with
from tests.support.made_actions import ACTIONS, write_actions
from tests.support.networks import DIVIDE


class Narrow(Prepare):
    """Networks with fewer channels."""

    def network(self, architecture: str, classes: int, stream: Modality | None) -> nn.Module:
        return network(architecture, classes, stream=stream, divide=DIVIDE)


@pytest.fixture
def call(
    own_cache: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Call:
    monkeypatch.setitem(formats.SHAPES, "i3d", narrow_shapes)
    monkeypatch.chdir(tmp_path)
    return partial(invoke_with(capsys, Narrow()), "train")


def test_streams_are_whole_frames_of_one_length(tmp_path: Path) -> None:
    video = write_actions(tmp_path / "clip.mp4", [ACTIONS["down"]], 0, 9, (96, 72))
    streams = reader([RGB, FLOW])(video)
    assert streams["rgb"].shape == (9, 256, 341, 3)
    assert streams["flow"].shape == (9, 256, 341, 2)
    moving = np.abs(streams["flow"][..., 1].astype(np.float32)) > 0.02
    assert streams["flow"][..., 1][moving].mean() > 0, "down"


def test_options_that_do_not_fit_together_are_one_line(call: Call) -> None:
    code, _, err = call("set", "--out", "out", "--architecture", "c3d", "--name", "mine")
    assert (code, err.count("\n")) == (2, 1)
    assert "c3d starts new and stays in --out" in err
    code, _, err = call("set", "--out", "out", "--stream", "rgb", "--finetune", "last")
    assert (code, err) == (2, "i3d-live: --finetune trains a model on; name it with --base\n")
    with pytest.raises(UsageError, match="one size"):
        reader([RGB, FLOW.__class__("flow", 2, short_side_px=128)])


@pytest.mark.filterwarnings("ignore")  # Lightning's advice on workers
def test_a_folder_becomes_a_model(call: Call, tmp_path: Path) -> None:
    for split in ("train", "val"):
        for number, label in enumerate(("up", "down")):
            (tmp_path / "set" / split / label).mkdir(parents=True)
            write_actions(tmp_path / "set" / split / label / "0.mp4", [ACTIONS[label]], number, 16, (64, 48))
    once = ("set", "--out", "out", "--stream", "rgb", "--name", "mine", "--batch", "2", "--workers", "0")
    code, out, err = call(*once, "--rounds", "1", "--round-steps", "1")
    assert code == 0, err
    assert "i3d-live run VIDEO --model mine" in out
    assert load_weights("mine", "rgb")[0].labels == ("down", "up")
    (tmp_path / "set" / "train" / "down").rename(tmp_path / "set" / "train" / "sideways")
    (tmp_path / "set" / "val" / "down").rename(tmp_path / "set" / "val" / "sideways")
    code, out, err = call(*once)
    assert (code, out, err) == (2, "", "i3d-live: the model mine has other classes; choose another --name\n")


def test_a_start_from_a_model_keeps_all_but_its_classes(call: Call) -> None:
    store_base("base")
    dataset = Dataset("folder per class", ("up", "down"), (), ())
    net = network_for(architecture("two-stream-i3d"), "flow", dataset, "base", Narrow())
    found = {name: value.numpy() for name, value in net.state_dict().items()}
    wanted = small_trunk("base", "flow")[1]
    for name, value in wanted.items():
        if name.startswith("logits"):
            assert found[name].shape[0] == 2
        else:
            np.testing.assert_array_equal(found[name], value)


@pytest.mark.filterwarnings("ignore")  # Lightning's advice on workers
def test_the_last_blocks_of_a_model_are_trained_on(call: Call, tmp_path: Path) -> None:
    store_base("base")
    for split, label in ((split, label) for split in ("train", "val") for label in ("up", "down")):
        (tmp_path / "set" / split / label).mkdir(parents=True)
        write_actions(tmp_path / "set" / split / label / "0.mp4", [ACTIONS[label]], 0, 16, (64, 48))
    code, _, err = call(
        "set", "--out", "out", "--stream", "rgb", "--base", "base", "--finetune", "last", "--name", "mine",
        "--batch", "2", "--workers", "0", "--rounds", "1", "--round-steps", "1",
    )  # fmt: skip
    assert code == 0, err
    before, after = small_trunk("base", "rgb")[1], load_weights("mine", "rgb")[1]
    same = {name for name, value in after.items() if np.array_equal(value, before[name])}
    assert {name for name in after if not name.startswith(("Mixed_5", "logits"))} <= same
    assert not {name for name in same if name.startswith("Mixed_5") and name.endswith("conv3d.weight")}
