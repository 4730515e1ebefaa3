"""SIGHUP: a service reads its site file again, and a program whose terminal is closed ends cleanly."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from engines.load import Engines
from realtime.commands.options import ModelOptions, RecognizerOptions
from realtime.commands.outputs import LogOptions, OutputOptions
from realtime.commands.sessions import Loaded, Plan, Sessions
from realtime.commands.sources import Named, Opened
from realtime.outputs.log import Line
from realtime.turns import run_sessions
from tests.conftest import ROOT
from tests.support.command_line import Doubles
from tests.support.doubles import SawTicks
from tests.support.made_clips import every, write_clip

CODE = (
    "import time\nfrom realtime import cli\nfrom engines.load import Engines\n"
    "from tests.support.command_line import Doubles\nfrom tests.support.doubles import SawTicks\n"
    "class Slow(SawTicks):\n"
    "    def step(self, *inputs, **options):\n        time.sleep(0.05)\n        return super().step(*inputs, **options)\n"
    "cli.main(prepare=Doubles(Engines(Slow(), None, 'double')))"
)


@contextmanager
def started(
    folder: Path,
    *arguments: str,
    code: str = CODE,
    environment: Mapping[str, str] | None = None,
    **options: Any,
) -> Iterator[subprocess.Popen[bytes]]:
    """A run in a separate session, without a terminal unless `code` takes one."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, "run", *arguments],
        cwd=folder, env={"PYTHONPATH": str(ROOT), **(environment or {})}, start_new_session=True, **options,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def log(folder: Path) -> list[Line]:
    path = folder / "log.jsonl"
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def until(true: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def count(folder: Path, kind: str, name: str) -> int:
    return sum(line["kind"] == kind and line["name"] == name for line in log(folder))


def write_site(folder: Path, **rotations: int) -> None:
    cameras = [
        f'[[camera]]\nname = "{name}"\naddress = "long.mp4"\nrotate = {turn}\n'
        for name, turn in rotations.items()
    ]
    (folder / "site.toml").write_text("\n".join([*cameras, '[output]\nlog = "log.jsonl"\n']))


def test_only_cameras_that_have_changed_start_again(tmp_path: Path) -> None:
    write_clip(tmp_path / "long.mp4", every(Fraction(1, 25), 4000))
    write_site(tmp_path, same=0, turned=0, gone=0)
    with started(tmp_path, "site.toml", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        until(lambda: all(count(tmp_path, "prediction", name) for name in ("same", "turned", "gone")))
        write_site(tmp_path, same=0, turned=90, new=0)
        process.send_signal(signal.SIGHUP)
        until(lambda: count(tmp_path, "prediction", "new"))
        write_site(tmp_path, same=0, turned=91)
        process.send_signal(signal.SIGHUP)
        assert process.stderr is not None
        said = [process.stderr.readline().decode() for _ in range(2)]
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert process.stderr.read() == b""
    assert said[0] == "i3d-live: read again: 2 ended, 2 began, 1 go on\n"
    assert said[1].startswith("i3d-live: site.toml, line 9: rotate cannot be 91")
    assert said[1].endswith("; it goes on as before\n")
    lines = log(tmp_path)
    for name, sessions in {"same": 1, "turned": 2, "gone": 1, "new": 1}.items():
        kinds = [line["kind"] for line in lines if line["name"] == name]
        assert (kinds[0], kinds[-1]) == ("session", "summary")
        assert kinds.count("session") == kinds.count("summary") == sessions


@pytest.mark.parametrize("source", ["site.toml", "door=long.mp4"])
def test_closing_its_terminal_ends_it_with_complete_files(source: str, tmp_path: Path) -> None:
    write_clip(tmp_path / "long.mp4", every(Fraction(1, 25), 4000))
    write_site(tmp_path, door=0)
    ours, theirs = pty.openpty()
    take = f"import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n{CODE}"
    ends = dict.fromkeys(("stdin", "stdout", "stderr"), theirs)
    with started(tmp_path, source, "--log", "log.jsonl", code=take, **ends) as process:
        os.close(theirs)
        until(lambda: count(tmp_path, "prediction", "door"))
        os.close(ours)
        assert process.wait(60) == 0
    assert log(tmp_path)[-1]["kind"] == "summary"
    assert log(tmp_path)[-1]["ended"] == "stopped"


def test_with_neither_site_file_nor_terminal_it_ends_too(tmp_path: Path) -> None:
    write_clip(tmp_path / "long.mp4", every(Fraction(1, 25), 4000))
    with started(tmp_path, "door=long.mp4", "--log", "log.jsonl", stdout=subprocess.DEVNULL) as process:
        until(lambda: count(tmp_path, "prediction", "door"))
        process.send_signal(signal.SIGHUP)
        assert process.wait(60) == 0
    assert log(tmp_path)[-1]["kind"] == "summary"


def test_under_nohup_it_goes_on(tmp_path: Path) -> None:
    write_clip(tmp_path / "long.mp4", every(Fraction(1, 25), 4000))
    code = f"import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n{CODE}"
    with started(
        tmp_path, "door=long.mp4", "--log", "log.jsonl", code=code, stdout=subprocess.DEVNULL
    ) as process:
        until(lambda: count(tmp_path, "prediction", "door"))
        process.send_signal(signal.SIGHUP)
        seen = count(tmp_path, "prediction", "door")
        until(lambda: count(tmp_path, "prediction", "door") > seen + 1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def test_a_plan_with_other_options_starts_everything_again(tmp_path: Path) -> None:
    lines: list[Line] = []
    engines = Engines(SawTicks(), None, "double")
    clip = str(write_clip(tmp_path / "c.mp4", every(Fraction(1, 25), 1000)))
    plan = Plan(
        (Named(clip, "a"),), LogOptions(), OutputOptions(), ModelOptions(), RecognizerOptions(stride=2)
    )
    sessions = Sessions(
        plan, Doubles(engines), Loaded(engines, {}, {}), lines.append, None, lambda media_s: None
    )
    sessions.begin(Opened(plan.sources[0], "file", plan.sources[0].open(may_be_away=False)))
    turns = 0

    def after_turn() -> None:
        nonlocal turns
        turns += 1
        other = Plan(plan.sources, plan.log, plan.outputs, plan.model, RecognizerOptions(stride=4))
        if turns in (100, 200):
            sessions.follow(other)
        if turns == 250:
            sessions.stop()
            sessions.follow(plan)

    assert run_sessions(sessions.every, after_turn=after_turn) == []
    told = [
        (line["kind"], line.get("stride_ticks")) for line in lines if line["kind"] in ("session", "summary")
    ]
    assert told == [("session", 2), ("summary", None), ("session", 4), ("summary", None)]
    assert len(sessions.every) == 2
