"""Features and predictions from a real cluster of three nodes: the same bytes as from one machine, whatever dies."""

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from engines.load import EngineOptions
from engines.weights.store import find_model
from realtime.cluster.connect import connected, this_code
from realtime.cluster.model_copy import copy_of, installed
from realtime.cluster.worker import Recipe
from realtime.cluster.workers import TRIES, Workers
from realtime.errors import EngineError, SourceError, WeightsError
from realtime.features.conventions import PRESETS
from realtime.features.files import Settings
from tests.support.command_line import Invoke, invoke_with
from tests.support.made_clips import cut_off, every, write_clip
from tests.support.ray_nodes import Nodes, nodes

pytest.importorskip("ray")
pytestmark = [
    pytest.mark.weights,
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
KINETICS = ("--model", "kinetics", "--precision", "float32")


@pytest.fixture(scope="module")
def three() -> Iterator[Nodes]:
    with nodes(3) as found:
        yield found


@pytest.fixture
def invoke(capsys: pytest.CaptureFixture[str]) -> Invoke:
    return invoke_with(capsys)


def made(folder: Path, count: int) -> Path:
    """So many short videos, no two alike."""
    folder.mkdir()
    for i in range(count):
        write_clip(folder / f"{i:03}.mp4", every(Fraction(1, 25), 10 + i % 7), size_px=(64 + 2 * i, 48))
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Killer(threading.Thread):
    """Kills a node whenever so many more videos are done."""

    def __init__(self, three: Nodes, out: Path, after: list[int]) -> None:
        super().__init__(daemon=True)
        self._three, self._out, self._after = three, out, after
        self.killed_at: list[int] = []

    def run(self) -> None:
        for count in self._after:
            while (done := len(list(self._out.glob("*.json")))) < count:
                time.sleep(0.05)
            self._three.kill(self._three.others[0])
            self.killed_at.append(done)


@pytest.mark.parametrize(
    ("count", "after"), [(8, [2]), pytest.param(200, [40, 110], marks=pytest.mark.slow)], ids=["8", "200"]
)
def test_nodes_that_die_change_no_byte(
    three: Nodes, invoke: Invoke, tmp_path: Path, count: int, after: list[int]
) -> None:
    videos = made(tmp_path / "videos", count)
    assert invoke("features", videos, "--out", tmp_path / "alone", *KINETICS)[0] == 0
    killer = Killer(three, tmp_path / "out", after)
    killer.start()
    code, _, err = invoke(
        "features", videos, "--out", tmp_path / "out", "--cluster", three.address, *KINETICS
    )
    assert (code, killer.is_alive()) == (0, False)
    assert killer.killed_at
    assert max(killer.killed_at) < count
    assert f"{count} of {count} videos" in err
    assert contents(tmp_path / "out") == contents(tmp_path / "alone")
    for _ in after:
        three.others.append(three.add())


def test_predictions_of_files_are_those_of_one_machine_in_the_same_order(
    three: Nodes, invoke: Invoke, tmp_path: Path
) -> None:
    videos = made(tmp_path / "videos", 4)
    cut_off(videos / "002.mp4", 0.3)
    paths = [str(path) for path in sorted(videos.iterdir())]
    alone = invoke("classify", *paths, "--json", *KINETICS)
    there = invoke("classify", *paths, "--json", *KINETICS, "--cluster", three.address)
    assert there[:2] == alone[:2]
    assert there[0] == 1
    assert len(there[1].splitlines()) == 3
    assert sum("002.mp4" in line for line in there[2].splitlines()) == 1


def test_a_video_that_fails_there_is_named_with_its_reason(
    three: Nodes, invoke: Invoke, tmp_path: Path
) -> None:
    videos = made(tmp_path / "videos", 2)
    (videos / "bad.mp4").write_text("no video")
    out = tmp_path / "out"
    code, _, err = invoke("features", videos, "--out", out, "--cluster", three.address, *KINETICS)
    assert code == 1
    assert err.count("bad.mp4") == 2  # when it failed, and at the end
    assert sorted(path.name for path in out.iterdir()) == ["000.json", "000.npy", "001.json", "001.npy"]


def test_a_video_that_ends_every_process_fails_and_others_are_done(three: Nodes) -> None:
    with connected(three.address):
        settings = Settings(PRESETS["dense"], None, "tvl1")
        options = EngineOptions(precision="float32", streams="rgb")
        recipe = Recipe(this_code(), copy_of(find_model("kinetics"), "rgb"), options, settings, None)
        with Workers(recipe, None, print) as workers:
            with workers.turn() as turn, pytest.raises(SourceError) as error:
                turn.result("bad.mp4", lambda actor: actor.__ray_call__.remote(lambda worker: os._exit(1)))
            with workers.turn() as turn:
                assert turn.result("good.mp4", lambda actor: actor.__ray_call__.remote(lambda worker: 7)) == 7
    assert (
        str(error.value) == f"bad.mp4: {TRIES} processes ended that read it; see Ray's logs, and try it alone"
    )


def test_another_version_on_the_machines_is_one_line(three: Nodes) -> None:
    told: list[str] = []
    with connected(three.address):
        settings = Settings(PRESETS["dense"], None, "tvl1")
        copy = copy_of(find_model("kinetics"), "rgb")
        recipe = Recipe("i3d-live 9", copy, EngineOptions(), settings, None)
        with Workers(recipe, None, told.append) as workers, pytest.raises(EngineError) as error:
            workers.first()
    message = str(error.value)
    assert "it has i3d-live" in message
    assert message.endswith("not i3d-live 9; install the same there")
    assert len(told) == 3  # each machine, once
    assert message in told


def test_a_machine_with_weights_of_its_own_gets_ours_by_their_hash(
    three: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connected(three.address):
        copy = copy_of(find_model("kinetics"), "rgb")
        here = find_model("kinetics").load("rgb")[0]
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        assert not find_model("kinetics").has("rgb")
        assert installed(copy).load("rgb")[0] == here
        again = sorted(path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors"))
        installed(copy)
        assert sorted(path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")) == again
        other = replace(copy, sha256={"rgb": "0" * 64})
        with pytest.raises(WeightsError, match="its model kinetics has other rgb weights; remove /"):
            installed(other)
