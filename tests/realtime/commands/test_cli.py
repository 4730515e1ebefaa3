"""The command line: one line for an error, exit codes, only data in a pipe, nothing lost of what was written."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path

import jsonschema
import pytest

from engines.load import Engines
from realtime.outputs.log import SCHEMA
from tests.realtime.conftest import I3D_LIVE, Run
from tests.support.command_line import Doubles, Invoke, invoke_with
from tests.support.doubles import SawTicks
from tests.support.made_clips import (
    cut_off,
    damage,
    every,
    write_clip,
    write_images,
    write_sound,
    write_stamped,
)
from tests.support.servers import free_port

FPS25 = Fraction(1, 25)


@pytest.fixture
def invoke(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Invoke:
    """Run the command line in this process, with a double for the engine: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    return invoke_with(capsys, Doubles(Engines(SawTicks(), None, "double, made for a test")))


def lines_of(text: str) -> list[dict[str, object]]:
    """JSON lines, each validated against the schema, in the order that a log has."""
    lines = [json.loads(line) for line in text.splitlines()]
    schema = json.loads(SCHEMA.read_text())
    for line in lines:
        jsonschema.validate(line, schema)
    assert [line["kind"] for line in lines if line["kind"] in ("session", "summary")] == [
        "session",
        "summary",
    ]
    assert (lines[0]["kind"], lines[-1]["kind"]) == ("session", "summary")
    return lines


def summary(out: str) -> dict[str, object]:
    line = lines_of(out)[-1]
    frames = line["frames"]
    assert isinstance(frames, dict)
    assert frames["decoded"] == frames["used"] + sum(frames["dropped"].values())
    return line


def folder_without_images(path: Path) -> Path:
    path.mkdir()
    return path


def text_file(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


BAD_SOURCES: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing file": (lambda p: "nothing.mp4", "nothing.mp4"),
    "folder without images": (lambda p: folder_without_images(p / "empty"), "empty"),
    "text named mp4": (lambda p: text_file(p / "text.mp4", "not a video\n"), "text.mp4"),
    "empty file": (lambda p: text_file(p / "none.mp4", ""), "none.mp4"),
    "sound alone": (lambda p: write_sound(p / "sound.mp4", Fraction(1)), "only sound"),
    "no such camera": (lambda p: "webcam:99", "webcam:99"),
    "refused RTSP": (lambda p: f"rtsp://127.0.0.1:{free_port()}/x", "127.0.0.1"),
    "refused HTTP": (lambda p: f"http://127.0.0.1:{free_port()}/x.mp4", "127.0.0.1"),
    "unresolvable RTSP": (lambda p: "rtsp://no-such-host.invalid/x", "no-such-host.invalid"),
    "unresolvable HTTP": (lambda p: "http://no-such-host.invalid/x.mp4", "no-such-host.invalid"),
}


@pytest.mark.parametrize("kind", BAD_SOURCES)
def test_a_source_that_cannot_be_read_is_one_line_and_exit_1(
    kind: str, invoke: Invoke, tmp_path: Path
) -> None:
    make, named = BAD_SOURCES[kind]
    source = make(tmp_path)
    if kind == "folder without images":
        code, out, err = invoke("run", str(source), "--fps", "25")
    else:
        code, out, err = invoke("run", str(source))
    assert (code, out) == (1, "")
    assert err.startswith("i3d-live: ")
    assert named in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["run"], "SOURCE"),
        (["run", "x.mp4", "--mode", "fast"], "window, continual, preview"),
        (["run", "x.mp4", "--streams", "sound"], "auto, rgb, flow, both"),
        (["run", "x.mp4", "--stride", "0"], "--stride"),
        (["run", "x.mp4", "--on", "0.2", "--off", "0.5"], "--off"),
        (["run", "x.mp4", "--fps", "fast"], "30000/1001"),
        (["run", "x.mp4", "--nonsense"], "--nonsense"),
        (["nonsense"], "nonsense"),
        (["weights", "import"], "FILE"),
    ],
)
def test_a_wrong_call_is_one_line_and_exit_2(arguments: list[str], named: str, invoke: Invoke) -> None:
    code, out, err = invoke(*arguments)
    assert (code, out) == (2, "")
    assert named.replace(", ", "") in err.replace("'", "").replace(", ", "")
    assert len(err.splitlines()) == 1


def test_images_without_a_rate_are_a_wrong_call(invoke: Invoke, tmp_path: Path) -> None:
    code, _, err = invoke("run", write_images(tmp_path / "images", 3))
    assert code == 2
    assert "rate" in err


@pytest.mark.parametrize(
    "address", ["rtsp://me:geheim@127.0.0.1:{}/x", "http://me:geheim@127.0.0.1:{}/x.mp4"]
)
def test_a_password_is_never_shown(address: str, invoke: Invoke) -> None:
    code, out, err = invoke("run", address.format(free_port()), "--log", "log.jsonl")
    assert code == 1
    assert "geheim" not in out + err
    assert not Path("log.jsonl").exists()


ODD_CLIPS: dict[str, tuple[Callable[[Path], Path], int]] = {
    "one frame": (lambda p: write_clip(p / "c.mp4", [Fraction(0)]), 1),
    "8 x 8": (lambda p: write_clip(p / "c.mp4", every(FPS25, 5), size_px=(8, 8)), 5),
    "4096 x 2160": (lambda p: write_clip(p / "c.mp4", every(FPS25, 2), size_px=(4096, 2160)), 2),
    "odd width": (
        lambda p: write_clip(p / "c.mkv", every(FPS25, 5), size_px=(51, 37), codec="ffv1", pix_fmt="bgr0"),
        5,
    ),
    "size change": (lambda p: write_stamped(p / "c.mkv", every(FPS25, 9), ((64, 48), (48, 64))), 9),
    "negative stamps": (lambda p: write_stamped(p / "c.mkv", every(FPS25, 9, Fraction(-1, 5))), 9),
    "backward stamps": (
        lambda p: write_stamped(p / "c.mkv", [Fraction(i, 25) for i in (0, 1, 2, 5, 4, 3, 6, 7, 8)]),
        9,
    ),
    "corrupt packets": (lambda p: damage(write_clip(p / "c.mp4", every(FPS25, 40)), [20, 21]), 30),
    "cut off": (lambda p: cut_off(write_clip(p / "c.mp4", every(FPS25, 50)), 0.6), 20),
}


@pytest.mark.parametrize("kind", ODD_CLIPS)
def test_odd_clips_are_run_to_their_end(kind: str, invoke: Invoke, tmp_path: Path) -> None:
    make, at_least = ODD_CLIPS[kind]
    pictures = ["--annotate", "out.mp4", "--timeline", "out.png"]
    code, out, err = invoke("run", make(tmp_path), *pictures)
    assert (code, err) == (0, "")
    assert int(str(summary(out)["ticks"])) >= at_least
    assert (tmp_path / "out.mp4").stat().st_size > 0
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")


def test_a_jump_of_the_stamps_is_a_gap(invoke: Invoke, tmp_path: Path) -> None:
    stamps = [*every(FPS25, 20), *every(FPS25, 20, Fraction(5))]
    _, out, _ = invoke("run", write_stamped(tmp_path / "c.mkv", stamps))
    gaps = [line for line in lines_of(out) if line["kind"] == "gap"]
    assert [(line["start_s"], line["end_s"]) for line in gaps] == [(0.8, 5.0)]


def test_an_output_that_cannot_be_written_is_an_error_before_anything_runs(
    invoke: Invoke, tmp_path: Path
) -> None:
    clip = write_clip(tmp_path / "c.mp4", every(FPS25, 3))
    for option, path in [
        ("--log", "no/such/folder/log"),
        ("--timeline", "no/such/t.png"),
        ("--annotate", "no/a.mp4"),
    ]:
        code, _, err = invoke("run", clip, option, path)
        assert code == 1
        assert path in err
        assert len(err.splitlines()) == 1


def test_a_full_disk_is_one_line(invoke: Invoke, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "c.mp4", every(FPS25, 80))
    code, _, err = invoke("run", clip, "--log", "/dev/full")
    assert code == 1
    assert "No space left" in err
    assert len(err.splitlines()) == 1


def test_help_fits_a_screen_and_shows_an_example(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    for verb in (
        [],
        ["run"],
        ["classify"],
        ["build"],
        ["check"],
        ["info"],
        ["demo"],
        ["weights"],
        ["weights", "import"],
    ):
        code, out, _ = invoke(*verb, "--help")
        assert code == 0
        assert len(out.splitlines()) <= 52, verb
        assert "Example:" in out or verb in ([], ["weights"])


def test_the_version_is_printed(invoke: Invoke) -> None:
    assert invoke("--version")[:2] == (0, f"i3d-live {version('i3d-live')}\n")


def test_one_bad_file_does_not_stop_the_others(invoke: Invoke, tmp_path: Path) -> None:
    good = [write_clip(tmp_path / f"{name}.mp4", every(FPS25, 20)) for name in "ac"]
    bad = text_file(tmp_path / "b.mp4", "no video")
    code, out, err = invoke("classify", good[0], bad, good[1], "--json")
    assert code == 1
    assert [Path(json.loads(line)["file"]).name for line in out.splitlines()] == ["a.mp4", "c.mp4"]
    assert "b.mp4" in err.splitlines()[-1]
    answer = json.loads(out.splitlines()[0])
    assert set(answer) == {"file", "seconds", "weights", "top"}
    assert answer["seconds"] == 0.8
    assert set(answer["top"][0]) == {"label", "logit", "probability"}


def test_classify_takes_folders_and_patterns(invoke: Invoke, tmp_path: Path) -> None:
    for name in "ab":
        write_clip(tmp_path / f"{name}.mp4", every(FPS25, 3))
    for given in (str(tmp_path), str(tmp_path / "*.mp4")):
        _, out, _ = invoke("classify", given, "--json")
        assert [Path(json.loads(line)["file"]).name for line in out.splitlines()] == ["a.mp4", "b.mp4"]


def test_where_no_file_can_be_classified_no_engine_is_loaded(invoke: Invoke, tmp_path: Path) -> None:
    bad = text_file(tmp_path / "bad.mp4", "no video")
    code, out, err = invoke("classify", bad, tmp_path / "missing.mp4")
    assert (code, out) == (1, "")
    assert [name in line for name, line in zip(("bad", "missing"), err.splitlines(), strict=True)] == [
        True
    ] * 2


@pytest.fixture(scope="module")
def two_minutes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("long") / "long.mp4", every(FPS25, 3000))


@pytest.fixture
def long_run(tmp_path: Path, two_minutes: Path, engines: object) -> Iterator[subprocess.Popen[str]]:
    """A long run in a separate process, with its log in log.jsonl and its first predictions written."""
    command = [
        *I3D_LIVE,
        "run",
        str(two_minutes),
        "--model",
        "kinetics",
        "--mode",
        "continual",
        "--log",
        "log.jsonl",
        "--annotate",
        "a.mp4",
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    )
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline and process.poll() is None:
        log = tmp_path / "log.jsonl"
        if log.exists() and log.read_text().count("prediction") >= 2:
            break
        time.sleep(0.1)
    yield process
    process.kill()
    process.communicate()


def test_ctrl_c_closes_the_files_and_exits_with_130(long_run: subprocess.Popen[str], tmp_path: Path) -> None:
    long_run.send_signal(signal.SIGINT)
    _, err = long_run.communicate(timeout=60)
    assert long_run.returncode == 130
    assert err.count("\n") == 1
    assert lines_of((tmp_path / "log.jsonl").read_text())[-1]["ended"] == "stopped"


def test_ctrl_c_while_a_source_opens_exits_with_130(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        command = [*I3D_LIVE, "run", f"rtsp://127.0.0.1:{silent.getsockname()[1]}/x"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        silent.settimeout(60)
        with silent.accept()[0]:
            time.sleep(0.3)  # it waits for an answer now
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "i3d-live: stopped; what was written so far is complete\n")


def test_a_closed_pipe_ends_it_without_a_traceback(long_run: subprocess.Popen[str], tmp_path: Path) -> None:
    assert long_run.stdout is not None
    assert long_run.stderr is not None
    long_run.stdout.close()
    assert "stdout was closed" in long_run.stderr.read()
    assert long_run.wait(60) == 1
    lines_of((tmp_path / "log.jsonl").read_text())


def test_after_kill_9_all_complete_lines_are_valid(long_run: subprocess.Popen[str], tmp_path: Path) -> None:
    os.kill(long_run.pid, signal.SIGKILL)
    long_run.wait(10)
    lines = [
        json.loads(line)
        for line in (tmp_path / "log.jsonl").read_text().splitlines(keepends=True)
        if line.endswith("\n")
    ]
    assert [line["kind"] for line in lines][:2] == ["session", "prediction"]


def test_running_a_built_engine_imports_no_torch(
    i3d_live: Run, engines: Callable[..., Engines], tmp_path: Path
) -> None:
    engines("continual")
    clip = write_clip(tmp_path / "c.mp4", every(FPS25, 70))
    code = (
        "import sys; from realtime.cli import main\n"
        f"sys.argv = ['i3d-live', 'run', {str(clip)!r}, '--model', 'kinetics', '--precision', 'float32']\n"
        "try: main()\nfinally: print([m for m in ('torch', 'nncf', 'gradio', 'matplotlib') if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stderr.strip() == "[]"
    lines_of(done.stdout)
