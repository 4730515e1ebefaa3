"""Every option that takes a path, with every kind of bad path: one line on stderr, exit code 1 or 2."""

import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import pytest

from engines.load import Engines
from tests.realtime.conftest import I3D_LIVE
from tests.support.command_line import Doubles, Invoke, invoke_with
from tests.support.doubles import SawTicks
from tests.support.made_clips import every, write_clip, write_images


def file(name: str, contents: bytes) -> str:
    Path(name).write_bytes(contents)
    return name


def folder(name: str, mode: int = 0o755) -> str:
    Path(name).mkdir()
    Path(name, "clip.mp4").write_bytes(b"none")
    Path(name).chmod(mode)
    return name


def loop() -> str:
    Path("loop").symlink_to("loop")
    return "loop"


def listening() -> str:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
    return "socket"


ODD: dict[str, Callable[[], str]] = {
    "missing": lambda: "missing.mp4",
    "of no encoding, missing": lambda: os.fsdecode(b"\xff\xfe.mp4"),
    "of no encoding": lambda: file(os.fsdecode(b"bad\xff.mp4"), b"none"),
    "in a folder of no encoding": lambda: os.path.join(folder(os.fsdecode(b"\xff")), "clip.mp4"),
    "line feed": lambda: file("a\nb.mp4", b"none"),
    "brackets": lambda: "clips[1].mp4",
    "too long a name": lambda: "a" * 300 + ".mp4",
    "too long a path": lambda: "a/" * 3000 + "b.mp4",
    "below a file": lambda: file("plain.mp4", b"x") + "/x.mp4",
    "loop of links": loop,
    "empty": lambda: "",
    "home of nobody": lambda: "~nobody-at-all/x.mp4",
    "folder": lambda: folder("folder"),
    "closed folder": lambda: folder("closed", 0),
    "in a closed folder": lambda: os.path.join(folder("closed", 0), "clip.mp4"),
    "socket": listening,
    "binary": lambda: file("binary.mp4", bytes(range(256)) * 9),
    "utf-16": lambda: file("text.mp4", "ä,b\n".encode("utf-16")),
    "latin-1": lambda: file("latin.csv", "label,youtube_id\nä,b\n".encode("latin-1")),
    "device": lambda: "/dev/null",
    "address too long": lambda: "https://127.0.0.1:9/live.m3u8?token=" + "s3cret" * 800,
    "address of no encoding": lambda: os.fsdecode(b"http://127.0.0.1:9/\xff?token=s3crets3cret"),
    "address of no host": lambda: "http://a..b/?token=s3crets3cret",
}
CALLS: dict[str, tuple[str, ...]] = {
    "run": ("run", "{}"),
    "run, named": ("run", "cam1={}"),
    "run, two": ("run", "{}", "also-missing.mp4"),
    "run, images": ("run", "{}", "--fps", "25"),
    "run --log": ("run", "ok.mp4", "--log", "{}"),
    "run --log in parts": ("run", "ok.mp4", "--log", "{}", "--log-mb", "1"),
    "run --annotate": ("run", "ok.mp4", "--annotate", "{}"),
    "run --timeline": ("run", "ok.mp4", "--timeline", "{}"),
    "run --save-clips": ("run", "ok.mp4", "--save-clips", "{}"),
    "run --save-snapshots": ("run", "ok.mp4", "--save-snapshots", "{}"),
    "classify": ("classify", "{}"),
    "flow": ("flow", "{}", "out.mp4"),
    "flow, out": ("flow", "ok.mp4", "{}"),
    "doctor": ("doctor", "{}", "--seconds", "2"),  # an empty path is no path: it tries the demo clip
    "view --password-file": ("view", "--password-file", "{}"),
    "evaluate": ("evaluate", "{}"),
    "evaluate --videos": ("evaluate", "ok.csv", "--videos", "{}"),
    "evaluate --picture": ("evaluate", "dataset", "--picture", "{}"),
    "train": ("train", "{}", "--out", "out"),
    "train --videos": ("train", "ok.csv", "--videos", "{}", "--out", "out"),
    "teach": ("teach", "{}", "--name", "mine"),
    "weights import": ("weights", "import", "{}", "--name", "mine"),
    "weights import --labels": ("weights", "import", "ok.mp4", "--labels", "{}", "--name", "mine"),
    "build --clip": ("build", "--clip", "{}"),
    "bundle --out": ("bundle", "--out", "{}"),
    "build --model": ("build", "--model", "{}"),
}
WRITES = (
    "--log",
    "--annotate",
    "--timeline",
    "--save-clips",
    "--save-snapshots",
    "--picture",
    "out",
    "parts",
)
"""These may succeed: a new file may have an odd name."""


@pytest.fixture
def invoke(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Invoke]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_clip(tmp_path / "ok.mp4", every(Fraction(1, 25), 3))
    (tmp_path / "ok.csv").write_text("label,youtube_id,time_start,time_end,split\na,b,0,1,test\n")
    (tmp_path / "dataset" / "a").mkdir(parents=True)
    (tmp_path / "dataset" / "a" / "1.mp4").symlink_to(tmp_path / "ok.mp4")
    yield invoke_with(capsys, Doubles(Engines(SawTicks(), None, "double, made for a test")))
    for path in tmp_path.rglob("closed"):
        path.chmod(0o755)


@pytest.mark.parametrize("call", CALLS)
def test_a_bad_path_is_an_error_of_one_line(
    call: str, invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, (odd, make) in enumerate(ODD.items()):
        place = tmp_path / str(number)
        place.mkdir()
        monkeypatch.chdir(place)
        for name in ("ok.mp4", "ok.csv", "dataset"):
            (place / name).symlink_to(tmp_path / name)
        path = make()
        code, out, err = invoke(*(word.replace("{}", path) for word in CALLS[call]))
        if code == 0 and (call.endswith(WRITES) or (call, odd) == ("doctor", "empty")):
            continue
        assert code in (1, 2), (odd, out, err)
        told = [line for line in err.splitlines() if line != "i3d-live: double, made for a test"]
        assert len(told) == (2 if call == "run, two" and code == 1 else 1), (odd, err)
        assert told[-1].startswith("i3d-live: "), (odd, err)
        assert "s3crets3cret" not in out + err, odd


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(
    "call", ["run -", "run missing.mp4 --log l", "weights list", "info --json", "--help"]
)
def test_closed_streams_lead_to_no_traceback(call: str, closed: str, tmp_path: Path) -> None:
    words = " ".join(f"'{word}'" for word in I3D_LIVE)
    shell = f"{words} {call} {closed}"
    done = subprocess.run(
        shell, shell=True, cwd=tmp_path, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL
    )
    assert done.returncode == (1 if call.startswith("run") else 0), done.stderr
    if "2>" not in closed:
        assert len(done.stderr.splitlines()) == (1 if done.returncode else 0), done.stderr
        assert "Traceback" not in done.stderr
    assert "i3d-live: " not in done.stdout


@pytest.mark.parametrize("call", ["run ok.mp4", "run ok.mp4 --readable", "weights list", "info"])
def test_a_user_without_a_home_is_told_what_to_set(call: str, tmp_path: Path) -> None:
    """A user that the system does not know, without HOME."""
    write_clip(tmp_path / "ok.mp4", every(Fraction(1, 25), 3))
    code = (
        "import os, pwd\n"
        "os.environ.pop('HOME', None); os.environ.pop('XDG_CACHE_HOME', None)\n"
        "def unknown(user): raise KeyError(user)\n"
        "pwd.getpwuid = unknown\n" + I3D_LIVE[2]
    )
    done = subprocess.run(
        [I3D_LIVE[0], "-c", code, *call.split()], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "XDG_CACHE_HOME" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["ok.mp4"]


def test_a_time_lapse_has_gaps_as_a_file_but_none_as_images(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal the gaps say what to do."""
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "images", 4)
    code, out, err = invoke("run", "images", "--fps", "0.5")
    assert (code, '"gap"' in out, err) == (
        0,
        False,
        "i3d-live: double, made for a test\n" if "double" in err else "",
    )
    write_clip(tmp_path / "lapse.mp4", every(Fraction(3), 4))
    code, out, _ = invoke("run", "lapse.mp4")
    assert (code, out.count('"kind": "gap"')) == (0, 3)
    code, out, _ = invoke("run", "lapse.mp4", "--readable")
    assert (code, out.count("raise --max-gap")) == (0, 3)
