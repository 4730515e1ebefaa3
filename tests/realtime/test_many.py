"""Many sources in one process: each line names its source, and what happens to one does not affect the others."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from engines.load import Engines
from realtime.clock import Stopwatch
from realtime.commands.run import run
from realtime.commands.sources import Named, Open, SourceOptions, parse_sources
from realtime.errors import SourceError, SourceLost, UsageError
from realtime.library import outputs, stream, watch
from realtime.outputs.log import SCHEMA, Line
from realtime.recognizer import Output, Recognizer
from realtime.session import Session
from realtime.sources.reconnect import Reconnecting
from realtime.turns import run_sessions
from realtime.types import Event, Frame, Gap, Picture, Prediction
from tests.conftest import ROOT
from tests.realtime.commands.test_cli import Invoke, invoke, text_file  # noqa: F401
from tests.support.command_line import Doubles, understood
from tests.support.doubles import SawTicks, constant_rate, exact, frame
from tests.support.made_clips import every, write_clip
from tests.support.servers import free_port

STEP = Fraction(1, 25)


def by_name(text: str) -> dict[str, list[Line]]:
    """The lines of each source, validated against the schema, in the order that a log has."""
    schema = json.loads(SCHEMA.read_text())
    found: dict[str, list[Line]] = defaultdict(list)
    for line in map(json.loads, text.splitlines()):
        jsonschema.validate(line, schema)
        found[line["name"]].append(line)
    for lines in found.values():
        kinds = [line["kind"] for line in lines]
        assert (kinds[0], kinds[-1]) == ("session", "summary")
        assert kinds.count("session") == kinds.count("summary") == 1
        assert_counts(lines[-1])
    return dict(found)


def assert_counts(summary: Line) -> None:
    frames = summary["frames"]
    assert frames["decoded"] == frames["used"] + sum(frames["dropped"].values())


def answers(lines: list[Line]) -> list[Line]:
    return [{k: v for k, v in line.items() if k not in ("name", "latency_ms")}
            for line in lines if line["kind"] in ("prediction", "event", "gap")]  # fmt: skip


def test_names_are_told_from_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a=b.mp4").write_text("")
    assert parse_sources(["cam1=rtsp://h/x?a=b"]) == [Named("rtsp://h/x?a=b", "cam1")]
    assert parse_sources(["rtsp://h/x?a=b"]) == [Named("rtsp://h/x?a=b", None)]
    assert parse_sources(["a=b.mp4", "front-door.2=c.mp4"]) == [
        Named("a=b.mp4", "a=b.mp4"),
        Named("c.mp4", "front-door.2"),
    ]
    assert parse_sources(["rtsp://me:secret@h/x", "b.mp4"])[0].name == "rtsp://***@h/x"


@pytest.mark.parametrize("texts", [["a=x.mp4", "a=y.mp4"], ["x.mp4", "x.mp4"]])
def test_two_sources_of_one_name_are_a_wrong_call(texts: list[str]) -> None:
    with pytest.raises(UsageError, match="two sources of that name"):
        parse_sources(texts)


def test_each_source_gets_the_predictions_that_it_gets_alone(invoke: Invoke, tmp_path: Path) -> None:  # noqa: F811
    clips = {
        "a": write_clip(tmp_path / "a.mp4", every(STEP, 100)),
        "b": write_clip(tmp_path / "b.mp4", every(Fraction(1, 30), 150)),
        "c": write_clip(tmp_path / "c.mp4", [*every(STEP, 80), *every(STEP, 70, Fraction(6))]),
    }
    code, out, err = invoke("run", *(f"{name}={path}" for name, path in clips.items()), "--log", "log.jsonl")
    assert (code, err) == (0, "")
    assert Path("log.jsonl").read_text() == out
    found = by_name(out)
    assert list(found) == ["a", "b", "c"]
    for name, path in clips.items():
        alone = list(map(json.loads, invoke("run", path)[1].splitlines()))
        assert answers(found[name]) == answers(alone)
        assert "name" not in alone[0]


def test_one_named_source_has_its_name_in_each_line(invoke: Invoke, tmp_path: Path) -> None:  # noqa: F811
    code, out, _ = invoke("run", f"door={write_clip(tmp_path / 'a.mp4', every(STEP, 70))}")
    assert code == 0
    assert list(by_name(out)) == ["door"]


BAD: dict[str, Callable[[Path], object]] = {
    "missing": lambda p: p / "nothing.mp4",
    "no video": lambda p: text_file(p / "text.mp4", "not a video"),
    "refused, and not waited for": lambda p: f"http://me:geheim@127.0.0.1:{free_port()}/x",
}


@pytest.mark.parametrize("kind", BAD)
def test_a_source_that_cannot_be_opened_is_left_out(kind: str, invoke: Invoke, tmp_path: Path) -> None:  # noqa: F811
    good = write_clip(tmp_path / "a.mp4", every(STEP, 70))
    code, out, err = invoke("run", f"good={good}", f"bad={BAD[kind](tmp_path)}", f"fine={good}")
    assert code == 1
    assert list(by_name(out)) == ["good", "fine"]
    told, last = err.splitlines()
    assert told.startswith("i3d-live: bad: ")
    assert last == told.replace("bad: ", "", 1)
    assert "geheim" not in out + err


def test_sources_that_cannot_be_opened_are_one_line_each(invoke: Invoke) -> None:  # noqa: F811
    code, out, err = invoke("run", "a=nothing.mp4", "b=nowhere.mp4")
    assert (code, out) == (1, "")
    assert [line.split(":")[1] for line in err.splitlines()] == [" a", " nowhere.mp4"]


def test_a_timeline_is_for_one_source(invoke: Invoke) -> None:  # noqa: F811
    code, _, err = invoke("run", "a=x.mp4", "b=y.mp4", "--timeline", "t.png")
    assert code == 2
    assert "--save-clips" in err


class Made:
    """Double of a video: the given frames, then the given error."""

    name, corrupt_packets, duration_s, size_px = "made", 0, None, (2, 2)
    picture = Picture((2, 2))

    def __init__(
        self, frames: list[Frame], *, live: bool = False, error: Exception | None = None, pace_s: float = 0.0
    ) -> None:
        self.frames, self.live, self._error, self.pace_s = frames, live, error, pace_s
        self.closed = threading.Event()

    def __iter__(self) -> Iterator[Frame]:
        for item in self.frames:
            if self.closed.wait(self.pace_s):
                return
            yield replace(item, taken_s=time.monotonic())
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        self.closed.set()


def session(video: Any, lines: list[Line], name: str = "x", **options: Any) -> Session:
    recognizer = Recognizer({"rgb": SawTicks()})
    return Session(video, recognizer, name=name, write=lines.append, stopwatch=Stopwatch(), **options)


@pytest.mark.parametrize("error", [SourceLost("made: cable cut"), ZeroDivisionError("a fault")], ids=repr)
def test_a_source_that_fails_while_it_runs_does_not_affect_the_others(error: Exception) -> None:
    lines: list[Line] = []
    told: list[tuple[str | None, Exception]] = []
    videos = [Made(constant_rate(100, Fraction(25))), Made(constant_rate(70, Fraction(25)), error=error)]
    sessions = [session(video, lines, name) for name, video in zip("ab", videos, strict=True)]
    errors = run_sessions(sessions, failed=lambda s, e: told.append((s.name, e)))
    assert errors == [error]
    assert told == [("b", error)]
    ends = {line["name"]: line for line in lines if line["kind"] == "summary"}
    assert ends["a"]["ended"] == "end of the video"
    assert ends["b"]["ended"] == (
        str(error) if isinstance(error, SourceError) else "a fault of this program (ZeroDivisionError)"
    )
    assert (ends["a"]["predictions"], ends["b"]["predictions"]) == (5, 1)
    for summary in ends.values():
        assert_counts(summary)


@pytest.mark.parametrize("live", [False, True])
def test_stopped_at_any_moment_all_counts_add_up(live: bool) -> None:
    for delay_s in (0.0, 0.05, 0.15):
        lines: list[Line] = []
        items = [frame(i, Fraction(i, 60), Fraction(1, 60)) for i in range(400)]
        sessions = [session(Made(items, live=live, pace_s=0.001), lines, name) for name in "ab"]
        stops = [threading.Timer(delay_s, each.mailbox.stop) for each in sessions]
        for timer in stops:
            timer.start()
        assert run_sessions(sessions) == []
        for timer in stops:
            timer.join()
        for line in lines:
            assert line["kind"] == "summary"
            assert line["ended"] == "stopped"
            assert_counts(line)
            assert line["frames"]["decoded"] < 400
            assert line["frames"]["used"] + line["frames"]["dropped"].get("late", 0) <= 400


def test_a_stop_right_away_counts_the_frames_that_were_never_looked_at() -> None:
    class StopsAfterOne(Recognizer):
        def push(self, frame: Frame) -> list[Output]:
            time.sleep(0.2)  # meanwhile the camera goes on
            slow.mailbox.stop()
            return super().push(frame)

    lines: list[Line] = []
    slow = Session(
        Made(constant_rate(50, Fraction(25)), live=True),
        StopsAfterOne({"rgb": SawTicks()}),
        write=lines.append,
    )
    run_sessions([slow])
    (summary,) = lines
    assert summary["frames"]["dropped"]["stopped"] == 49
    assert_counts(summary)


def test_a_recogniser_that_takes_over_continues_the_counts() -> None:
    lines: list[Line] = []
    pushed: list[Frame] = []

    def renew() -> Recognizer | None:
        return Recognizer({"rgb": SawTicks()}) if len(pushed) in (0, 100) else None

    class Sink:
        def push(self, item: Any) -> None:
            if isinstance(item, Frame):
                pushed.append(item)

        def close(self) -> None:
            pass

    made = Session(
        Made(constant_rate(170, Fraction(25))), None, write=lines.append, sinks=[Sink()], renew=renew
    )
    assert run_sessions([made]) == []
    predictions, summary = lines[:-1], lines[-1]
    assert [(line["start_s"], line["end_s"]) for line in predictions if line["kind"] == "prediction"] == [
        (0.0, 2.56), (0.32, 2.88), (0.64, 3.2), (0.96, 3.52), (1.28, 3.84), (4.0, 6.56),
    ]  # fmt: skip
    assert (summary["ticks"], summary["steps"], summary["predictions"]) == (170, 6, 6)
    assert summary["frames"] == {"decoded": 170, "used": 170, "dropped": {}, "corrupt_packets": 0}


def test_a_camera_lost_and_found_is_reported_immediately_even_while_another_runs() -> None:
    lines: list[Line] = []
    first = Made(constant_rate(30, Fraction(25)), live=True, error=SourceLost("cam: cable cut"), pace_s=0.001)
    again = Made(constant_rate(30, Fraction(25)), live=True, pace_s=0.001)
    away = Reconnecting("cam", lambda: again, first)  # type: ignore[arg-type, return-value]
    other = Made(constant_rate(1000, Fraction(25)), live=True, pace_s=0.002)
    sessions = [session(away, lines, "cam"), session(other, lines, "other")]
    stop = threading.Timer(3.0, lambda: [each.mailbox.stop() for each in sessions])
    stop.start()
    assert run_sessions(sessions) == []
    stop.join()
    told = [line for line in lines if line["kind"] == "connection"]
    assert [(line["name"], line["up"], line["reconnects"]) for line in told[:2]] == [
        ("cam", False, 0),
        ("cam", True, 1),
    ]
    assert told[0]["reason"] == "cam: cable cut"
    places = [(line["kind"], line["name"]) for line in lines]
    assert places.index(("connection", "cam")) < places.index(("gap", "cam"))
    assert {line["name"]: line for line in lines if line["kind"] == "summary"}["cam"]["reconnects"] == 1


def run_double(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    """The command line in a separate process, with a double for the engine."""
    code = (
        "import time\nfrom realtime import cli\nfrom engines.load import Engines\n"
        "from tests.support.command_line import Doubles\nfrom tests.support.doubles import SawTicks\n"
        "class Slow(SawTicks):\n"
        "    def step(self, *inputs, **options):\n        time.sleep(0.05)\n        return super().step(*inputs, **options)\n"
        "cli.main(prepare=Doubles(Engines(Slow(), None, 'double')))"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd, env={"PYTHONPATH": str(ROOT)},
    )  # fmt: skip


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_told_to_stop_it_ends_cleanly(number: int, code: int, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "c.mp4", every(STEP, 3000))
    process = run_double("run", f"a={clip}", f"b={clip}", cwd=tmp_path)
    assert process.stdout is not None
    read = [process.stdout.readline() for _ in range(4)]
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    found = by_name("".join(read) + out)
    assert process.returncode == code
    assert {lines[-1]["ended"] for lines in found.values()} == {"stopped"}
    assert "Traceback" not in err


def test_a_camera_that_is_not_there_yet_does_not_hold_up_the_others(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "c.mp4", every(STEP, 3000))
    away = f"rtsp://me:geheim@127.0.0.1:{free_port()}/x"
    process = run_double("run", f"file={clip}", f"cam={away}", cwd=tmp_path)
    assert process.stdout is not None
    lines = [json.loads(process.stdout.readline()) for _ in range(30)]
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert any(line["kind"] == "prediction" and line["name"] == "file" for line in lines)
    found = by_name("".join(json.dumps(line) + "\n" for line in lines) + out)
    assert found["cam"][-1]["frames"]["decoded"] == 0
    assert "geheim" not in out + err


def test_without_reconnecting_a_loss_is_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    class Lost(SourceOptions):
        def opener(self, *, keep_packets: bool = False) -> Open:
            frames = constant_rate(70, Fraction(25))
            return lambda source: Made(frames, live=True, error=SourceLost("cam: cable cut"))  # type: ignore[arg-type, return-value]

    assert understood(["run", "rtsp://cam/x", "--no-reconnect"])[1]["reconnect"] is False
    doubles = Doubles(Engines(SawTicks(), None, "double, made for a test"))
    with pytest.raises(SourceLost, match=r"^cam: cable cut$") as lost:
        run(["rtsp://cam/x"], source=Lost(reconnect=False), prepare=doubles)
    assert lost.value.exit_code == 1
    captured = capsys.readouterr()
    assert captured.err == ""
    assert json.loads(captured.out.splitlines()[-1])["ended"] == "cam: cable cut"


def kinds(items: list[Output]) -> list[type]:
    return [type(item) for item in items]


def test_in_a_program_outputs_are_iterated_over_or_passed_to_a_callback() -> None:
    stamps = [
        *constant_rate(80, Fraction(25)),
        *(replace(f, pts=f.pts + 10) for f in constant_rate(70, Fraction(25))),
    ]
    told: list[Output] = []
    watch(Made(stamps), Recognizer({"rgb": SawTicks()}), told.append)
    assert kinds(told) == kinds(list(outputs(Made(stamps), Recognizer({"rgb": SawTicks()}))))
    assert {Prediction, Gap} <= set(kinds(told)) <= {Prediction, Gap, Event}
    predictions = list(stream(Made(stamps), Recognizer({"rgb": SawTicks()})))
    assert exact(predictions) == exact(item for item in told if isinstance(item, Prediction))
