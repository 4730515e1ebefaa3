"""A command without its extra: one line that names it, before any work, and nothing left behind."""

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest

from tests.support.made_clips import every, write_clip

WITHOUT = "import sys; sys.modules[{package!r}] = None; from realtime.cli import main; main()"
COMMANDS = [
    ("view", "gradio", 1, ("view",)),
    ("teach", "sklearn", 1, ("teach", "clips", "--name", "mine")),
    ("train", "torch", 1, ("teach", "clips", "--name", "mine", "--finetune", "last")),
    ("train", "pytorch_lightning", 1, ("train", "clips", "--out", "out")),
    ("teach", "matplotlib", 1, ("teach", "clips", "--name", "mine")),
    ("teach", "matplotlib", 1, ("evaluate", "clips", "--picture", "picture.png")),
    ("torch", "torch", 1, ("info", "--architectures")),
    ("torch", "torch", 1, ("run", "clip.mp4", "--backend", "torch")),
    ("nvidia", "tensorrt", 1, ("run", "clip.mp4", "--backend", "tensorrt")),
    ("nvidia", "torch_tensorrt", 1, ("run", "clip.mp4", "--backend", "torch-tensorrt")),
    ("rtx", "tensorrt_rtx", 1, ("run", "clip.mp4", "--backend", "tensorrt-rtx")),
]


@pytest.mark.parametrize(
    ("extra", "package", "code", "arguments"),
    COMMANDS,
    ids=[f"{case[1]}: {' '.join(case[3])}" for case in COMMANDS],
)
def test_it_names_the_extra_before_any_work(
    extra: str, package: str, code: int, arguments: tuple[str, ...], tmp_path: Path
) -> None:
    write_clip(tmp_path / "clip.mp4", every(Fraction(1, 25), 5))
    (tmp_path / "clips").mkdir()
    before = sorted(tmp_path.iterdir())
    # Nothing may be fetched on the way: there is neither a cache nor a network.
    nowhere = {
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "https_proxy": "http://127.0.0.1:9",
        "PIP_NO_INDEX": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(package=package), *arguments],
        cwd=tmp_path,
        env={**os.environ, **nowhere},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert f"pip install 'i3d-live[{extra}]'" in done.stderr
    assert sorted(tmp_path.iterdir()) == before
