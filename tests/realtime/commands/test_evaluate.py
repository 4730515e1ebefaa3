"""`evaluate` and `info --architectures` on the command line."""

import json
from fractions import Fraction
from pathlib import Path

import pytest

from engines.load import Engines
from engines.nets.architectures import ARCHITECTURES
from tests.support.command_line import Doubles, invoke_with
from tests.support.command_line import Invoke as Call
from tests.support.doubles import SawTicks
from tests.support.made_clips import every, write_clip


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Call:
    """Run the command line with a double whose best class is "count", and "last" rather than "first"."""
    monkeypatch.chdir(tmp_path)
    return invoke_with(capsys, Doubles(Engines(SawTicks(), None, "double, for a test")))


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Two clips that the double knows, one that it takes for another class, and one that cannot be read."""
    for name in ("last/a", "last/b", "first/c"):
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        write_clip(tmp_path / "set" / f"{name}.mp4", every(Fraction(1, 25), 64))
    (tmp_path / "set" / "first" / "broken.mp4").write_text("not a video")
    return tmp_path / "set"


def test_a_folder_per_class_is_evaluated(call: Call, dataset: Path) -> None:
    code, out, err = call("evaluate", "set", "--json", "--picture", "confusion.png")
    assert code == 0
    assert json.loads(out) == {
        "stream": "rgb",
        "clips": 3,
        "top1": 0.6667,
        "top5": 1.0,
        "per_class": {"first": 0.0, "last": 1.0},
    }
    lines = err.splitlines()
    assert lines[0] == "i3d-live: folder per class, test: 4 clips; double, for a test"
    assert lines[1].startswith("i3d-live: left out broken.mp4: ")
    assert (dataset.parent / "confusion.png").read_bytes()[:4] == b"\x89PNG"


def test_without_json_tables_are_printed(call: Call, dataset: Path) -> None:
    code, out, _ = call("evaluate", "set")
    rows = [line.split() for line in out.splitlines() if line.strip()]
    assert code == 0
    assert rows[1] == ["rgb", "3", "66.7%", "100.0%", "50.0%"]
    assert rows[3] == ["first", "1", "0%", "last", "(1)"]


def test_a_class_that_the_model_lacks_is_one_line(call: Call, dataset: Path) -> None:
    (dataset / "first").rename(dataset / "tai chi")
    code, out, err = call("evaluate", "set")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "(first: 'tai chi')" in err


def test_the_architectures_are_a_table(call: Call) -> None:
    code, out, _ = call("info", "--architectures")
    lines = out.splitlines()
    assert code == 0
    assert lines[0].split() == list(ARCHITECTURES)
    parameters = next(line for line in lines if line.startswith("parameters"))
    assert parameters.split()[1::2] == ["9.0", "79.6", "12.1", "39.8", "25.4"]
    off = next(line for line in lines if line.startswith("off by"))
    shares = [float(text.rstrip("%")) for text in off.split()[2:]]
    assert max(map(abs, shares)) <= 10, "the table would have to say why"
