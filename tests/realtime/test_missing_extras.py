"""A command without its extra: one line that names it, before any work, and nothing left behind."""

import json
import os
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest

from tests.support.made_clips import every, write_clip

EACH = """
import json, os, sys
from realtime.cli import main
for folder, package, arguments in json.loads(sys.argv[1]):
    assert package not in sys.modules
    if child := os.fork():
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        continue
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(f"{folder}.{name}", os.O_WRONLY | os.O_CREAT), number)
    os.chdir(folder)
    os.environ["XDG_CACHE_HOME"] = f"{folder}/cache"
    sys.modules[package] = None
    sys.argv = ["i3d-live", *arguments]
    main()
"""
"""Each call runs in a separate process, forked after the command line was imported: that takes longer than the
rest."""
COMMANDS = [
    ("view", "gradio", 1, ("view",)),
    ("view", "uvicorn", 1, ("fleet", "view")),
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


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, int]]:
    """Folder and exit code of each."""
    clip = write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", every(Fraction(1, 25), 5))
    calls = []
    for _, package, _, arguments in COMMANDS:
        folder = tmp_path_factory.mktemp(package)
        (folder / "clips").mkdir()
        shutil.copy(clip, folder)
        calls.append((str(folder), package, arguments))
    # Nothing may be fetched on the way: there is neither a cache nor a network.
    nowhere = {"https_proxy": "http://127.0.0.1:9", "PIP_NO_INDEX": "1"}
    done = subprocess.run(
        [sys.executable, "-c", EACH, json.dumps(calls)],
        env={**os.environ, **nowhere},
        stdout=subprocess.PIPE,
        text=True,
        timeout=120,
        check=True,
    )
    return [(Path(folder), int(code)) for (folder, *_), code in zip(calls, done.stdout.split(), strict=True)]


@pytest.mark.parametrize(
    ("number", "extra", "code"),
    [(number, case[0], case[2]) for number, case in enumerate(COMMANDS)],
    ids=[f"{case[1]}: {' '.join(case[3])}" for case in COMMANDS],
)
def test_it_names_the_extra_before_any_work(
    number: int, extra: str, code: int, ended: list[tuple[Path, int]]
) -> None:
    folder, found = ended[number]
    stdout, stderr = (folder.with_name(f"{folder.name}.{name}").read_text() for name in ("stdout", "stderr"))
    assert (found, stdout) == (code, ""), stderr
    assert stderr.count("\n") == 1, stderr
    assert f"pip install 'i3d-live[{extra}]'" in stderr
    assert {path.name for path in folder.iterdir()} == {"clip.mp4", "clips"}
    assert list((folder / "clips").iterdir()) == []
