"""What is said where a cluster cannot be joined, or a machine of it cannot help."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from engines.load import EngineOptions
from realtime.cluster.connect import connected, not_nice, this_code, why_not
from realtime.cluster.model_copy import ModelCopy
from realtime.cluster.worker import Recipe, Worker
from realtime.errors import I3DLiveError, UsageError
from realtime.features.conventions import PRESETS
from realtime.features.files import Settings
from tests.conftest import ROOT
from tests.support.command_line import invoke_with


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (
            "ray://head:10001",
            "--cluster ray://head:10001: a program outside the cluster cannot; run it on one of",
        ),
        ("head", "--cluster head: give auto, HOST:PORT of its head, or local for this machine alone"),
        ("head:0", "--cluster head:0: give auto, HOST:PORT"),
        (":6379", "--cluster :6379: give auto, HOST:PORT"),
    ],
)
def test_an_address_that_cannot_be(address: str, message: str) -> None:
    with pytest.raises(UsageError) as error, connected(address):
        pass
    assert str(error.value).startswith(message)


def test_nobody_at_the_address_is_told_within_seconds(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Ray itself tries for minutes."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    (tmp_path / "a.mp4").write_bytes(b"x")
    invoke = invoke_with(capsys)
    given = ("features", tmp_path, "--out", tmp_path / "out", "--cluster", f"127.0.0.1:{port}")
    code, _, err = invoke(*given)
    assert code == 1
    assert err == (
        f"i3d-live: --cluster 127.0.0.1:{port}: cannot be reached (Connection refused); is its head running? On it: "
        f"ray start --head --port {port}\n"
    )


@pytest.mark.parametrize(
    ("message", "line"),
    [
        (
            "Version mismatch: The cluster was started with:\n    Ray: 2.59.0\n    Python: 3.11.2\nThis process on node "
            "10.0.0.2 was started with:\n    Ray: 2.60.0\n    Python: 3.12.1\n",
            "it runs Ray 2.59.0 and Python 3.11.2, this machine Ray 2.60.0 and Python 3.12.1; install the same on all",
        ),
        (
            "Could not find any running Ray instance. Please",
            "this machine is part of no cluster; start one here with",
        ),
        (
            "Can't find a `raylet` on this",
            "this machine is not part of it; join it first: ray start --address h:1",
        ),
        ("something\nelse", "cannot be joined: something"),
    ],
)
def test_what_ray_says_in_many_lines_is_one(message: str, line: str) -> None:
    said = why_not("h:1", message)
    assert said.startswith(f"--cluster h:1: {line}")
    assert "\n" not in said


@pytest.mark.parametrize(
    ("code", "sample", "message"),
    [
        ("i3d-live 0.0.1", None, f"it has {this_code()}, not i3d-live 0.0.1; install the same there"),
        (
            this_code(),
            "/no/such/a.mp4",
            "it does not see /no/such/a.mp4; give a path that all machines share, or an",
        ),
    ],
)
def test_a_machine_that_cannot_help_says_why(code: str, sample: str | None, message: str) -> None:
    settings = Settings(PRESETS["dense"], None, "tvl1")
    recipe = Recipe(code, ModelCopy("kinetics", b"", {}, {}), EngineOptions(), settings, sample)
    with pytest.raises(I3DLiveError) as error:
        Worker(recipe).begin()
    assert str(error.value).startswith(message)


def test_without_ray_the_extra_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.mp4").write_bytes(b"x")
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    code, _, err = invoke_with(capsys)("features", tmp_path, "--out", tmp_path / "out", "--cluster", "local")
    assert code == 1
    assert err == "i3d-live: --cluster needs ray, which is not installed; pip install 'i3d-live[cluster]'\n"


NICE = """
import os, threading
from pathlib import Path
from realtime.cluster.connect import not_nice
os.nice(15)
ended = threading.Event()
threading.Thread(target=ended.wait).start()  # as those of Ray, which run before
not_nice()
threads = [int(task.name) for task in Path("/proc/self/task").iterdir()]
print(len(threads) > 1, {os.getpriority(os.PRIO_PROCESS, thread) for thread in threads})
ended.set()
"""


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="others may not raise priorities")
def test_a_watcher_does_not_wait_for_every_other_program() -> None:
    """Ray starts workers at niceness 15: beside two busy loops a camera had no prediction within a minute."""
    done = subprocess.run([sys.executable, "-c", NICE], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == ["True", "{0}"]


def test_one_who_may_not_raise_priorities_is_not_stopped(tmp_path: Path) -> None:
    not_nice(tmp_path / "nothing")
