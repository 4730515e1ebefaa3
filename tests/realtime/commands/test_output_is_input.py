"""Every output of every command, put where an input or another output is: exit code 2, and nothing is touched."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from engines.load import Engines
from realtime.errors import UsageError
from realtime.outputs.apart import check_apart, check_not_deleted
from realtime.outputs.clip_folder import is_clip
from tests.realtime.conftest import I3D_LIVE
from tests.support.command_line import Doubles, Invoke, invoke_with
from tests.support.doubles import SawTicks

BYTES = b"what must stay"


def link(path: Path) -> str:
    Path("link").symlink_to(path)
    return "link"


def hard_link(path: Path) -> str:
    os.link(path, "hard")
    return "hard"


def link_to_a_link(path: Path) -> str:
    Path("one").symlink_to(path)
    Path("two").symlink_to("one")
    return "two"


def through_a_linked_folder(path: Path) -> str:
    Path("folder").symlink_to(".")
    return f"folder/{path}"


WAYS: dict[str, Callable[[Path], str]] = {
    "its name": str,
    "absolute": lambda path: str(path.absolute()),
    "relative": lambda path: f"x/../{path}",
    "link": link,
    "hard link": hard_link,
    "link to a link": link_to_a_link,
    "through a linked folder": through_a_linked_folder,
}
RUN = ("--log", "--annotate", "--timeline", "--save-clips", "--save-snapshots")
CALLS = {
    **{f"run {option}": ("run", "{input}", option, "{output}") for option in RUN},
    **{f"run of two {option}": ("run", "a=x.mp4", "b={input}", option, "{output}") for option in RUN[::3]},
    "flow": ("flow", "{input}", "{output}"),
    "view --record": ("view", "{input}", "--record", "{output}"),
    "evaluate --picture": ("evaluate", "{input}", "--picture", "{output}"),
    "train --out": ("train", "{input}", "--out", "{output}"),
}


@pytest.fixture
def invoke(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Invoke:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x").mkdir()
    return invoke_with(capsys, Doubles(Engines(SawTicks(), None, "double, made for a test")))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("call", CALLS)
def test_an_output_that_is_an_input_is_refused(call: str, way: str, invoke: Invoke) -> None:
    given = Path("in.mp4")
    given.write_bytes(BYTES)
    output = WAYS[way](given)
    code, out, err = invoke(*(word.format(input=given, output=output) for word in CALLS[call]))
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert output in err
    assert given.read_bytes() == BYTES


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("first", RUN)
@pytest.mark.parametrize("second", RUN)
def test_two_outputs_in_one_file_are_refused(first: str, second: str, way: str, invoke: Invoke) -> None:
    if first == second:
        return
    out = Path("out.mp4")
    if way == "hard link":
        out.write_bytes(b"")
    code, _, err = invoke("run", "in.mp4", first, str(out), second, WAYS[way](out))
    assert code == 2
    assert "same file" in err
    assert not out.exists() or out.read_bytes() == b""


@pytest.mark.parametrize("option", RUN[:3])
def test_an_output_over_a_picture_of_the_folder_that_is_read_is_refused(option: str, invoke: Invoke) -> None:
    Path("pictures").mkdir()
    picture = Path("pictures/1.png")
    picture.write_bytes(BYTES)
    assert invoke("run", "pictures", "--fps", "25", option, str(picture))[0] == 2
    assert picture.read_bytes() == BYTES


def test_an_input_that_would_be_deleted_to_make_room_is_refused(invoke: Invoke) -> None:
    Path("clips").mkdir()
    clip = Path("clips/20261124-101500-000004.0s-a.mp4")
    clip.write_bytes(BYTES)
    assert invoke("run", str(clip), "--save-clips", "x/../clips", "--clips-mb", "1")[0] == 2
    part = Path("log-20261124-101500.mp4")
    part.write_bytes(BYTES)
    assert invoke("run", str(part), "--log", "log.mp4", "--log-mb", "1")[0] == 2
    assert clip.read_bytes() == part.read_bytes() == BYTES
    check_not_deleted(["clips/other.mp4", "rtsp://camera/1"], Path("clips"), is_clip, "--save-clips")


@pytest.mark.parametrize("shell", ["run - --annotate {0} < {0}", "run {0} >> {0}", "run x.mp4 --log l >> l"])
def test_redirecting_an_output_into_an_input_is_refused(shell: str, tmp_path: Path) -> None:
    given = tmp_path / "in.mp4"
    given.write_bytes(BYTES)
    words = " ".join(f"'{word}'" for word in I3D_LIVE)
    call = f"{words} {shell.format(given)}"
    done = subprocess.run(call, shell=True, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2, done.stderr
    assert given.read_bytes() == BYTES


def test_what_is_not_a_file_collides_with_nothing(tmp_path: Path) -> None:
    null = Path(os.devnull)
    check_apart(["rtsp://camera/1", "webcam:0", "-", "a" * 5000], {"--log": null, "--timeline": null})
    check_apart(
        [tmp_path / "a.mp4"], {"--log": tmp_path / "b.mp4", "--timeline": None, "--annotate": Path("-")}
    )
    with pytest.raises(UsageError, match="--log"):
        check_apart([tmp_path / "new" / "a.mp4"], {"--log": tmp_path / "new" / "." / "a.mp4"})
