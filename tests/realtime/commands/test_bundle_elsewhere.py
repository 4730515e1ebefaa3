"""A bundle in a separate environment without torch: the same logits, bit for bit."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import pytest

from engines.bundle import load_bundle, probe
from engines.check import TOLERANCE
from engines.load import Engines, load_engines
from realtime.commands import bundle as command
from tests.support.made_clips import every, write_clip
from tests.support.narrow import save_narrow

GOAL_MB = 30


def small_environment(folder: Path, packages: list[str]) -> Path:
    """A new environment with links to these packages of this one, and no others; its Python."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    site = next(folder.glob("lib/python*/site-packages"))
    for package in packages:
        files = distribution(package).files or []
        for name in {path.parts[0] for path in files if path.parts[0] not in ("..", "__pycache__")}:
            (site / name).symlink_to(Path(str(distribution(package).locate_file(name))).resolve())
    return folder / "bin" / "python"


HERE = """
import importlib.util, json, sys
sys.path.insert(0, f"{sys.argv[1]}/code")
import numpy as np
from pathlib import Path
from engines.bundle import load_bundle, probe
engines = load_bundle(Path(sys.argv[1]))
np.save(sys.argv[2], probe(engines.rgb))
missing = [name for name in sys.argv[3:] if importlib.util.find_spec(name) is None]
print(json.dumps({"missing": missing, "engines": sys.modules["engines"].__file__}))
"""
NOT_THERE = [
    "torch",
    "typer",
    "rich",
    "filelock",
    "platformdirs",
    "numba",
    "matplotlib",
    "safetensors",
    "nncf",
]


def size_mb(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def runs_elsewhere(engines: Engines, tmp_path: Path) -> Path:
    """A bundle's files and code alone, with four packages, give the same logits to the last bit as here, and those of
    the cached engine except for what half precision does to the weights. Returns the bundle."""
    assert engines.rgb is not None
    folder = tmp_path / "bundle"
    folder.mkdir()
    command.fill(engines, folder)
    packages = re.findall(r"^([\w-]+)==", (folder / "requirements.txt").read_text(), flags=re.MULTILINE)
    here = ["opencv-contrib-python-headless" if name.startswith("opencv") else name for name in packages]
    python = small_environment(tmp_path / "environment", here)
    call = [str(python), "-I", "-c", HERE, str(folder), str(tmp_path / "there.npy"), *NOT_THERE]
    done = subprocess.run(call, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["missing"] == NOT_THERE
    assert Path(told["engines"]).is_relative_to(folder)
    there = np.load(tmp_path / "there.npy")
    unpacked = load_bundle(folder).rgb
    assert unpacked is not None
    np.testing.assert_array_equal(there, probe(unpacked))
    difference = np.abs(there - probe(engines.rgb))
    assert difference.max() <= TOLERANCE["float16"][0]
    assert difference.mean() <= TOLERANCE["float16"][1]
    clip = tmp_path / "clip.mp4"
    write_clip(clip, every(Fraction(1, 25), 72))
    ran = subprocess.run(
        [str(python), str(folder / "run.py"), str(clip)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert [json.loads(line)["kind"] for line in ran.stdout.splitlines()].count("prediction") >= 1
    return folder


def test_an_engine_gives_the_same_logits_where_there_is_no_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs_elsewhere(
        load_engines(save_narrow(tmp_path / "cache", monkeypatch), "openvino", "float32", "continual"),
        tmp_path,
    )


@pytest.mark.weights
@pytest.mark.slow  # the same with the real weights, which takes a minute; their size is what it adds
def test_the_real_engine_is_small_and_gives_the_same_logits(
    engines: Callable[..., Engines], tmp_path: Path
) -> None:
    assert size_mb(runs_elsewhere(engines("continual"), tmp_path)) <= GOAL_MB
