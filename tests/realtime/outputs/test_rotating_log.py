"""A log in parts: each can be read by itself, nothing is lost between them, and the oldest are deleted."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import jsonschema
import pytest

from realtime.errors import OutputError
from realtime.outputs.log import SCHEMA, Line
from realtime.outputs.rotating_log import RotatedLog

START = datetime(2026, 11, 24, 10, 15, 0)


class Wall:
    """The time of day, which a test sets."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


def session(name: str) -> Line:
    return {
        "kind": "session", "name": name, "source": name, "started": "2026-11-24T10:15:00+00:00", "model": "made",
        "engine": {"backend": "double", "precision": "none", "device": "none"}, "streams": ["rgb"], "note": "",
        "mode": "window", "stride_ticks": 8, "smooth": 1, "fps": 25.0, "versions": {},
    }  # fmt: skip


def event(name: str, number: int) -> Line:
    return {
        "kind": "event",
        "name": name,
        "label": "ä" * 50,
        "start_s": number,
        "end_s": number + 1,
        "probability": 1,
    }


def summary(name: str) -> Line:
    return {
        "kind": "summary", "name": name, "frames": {"decoded": 0, "used": 0, "dropped": {}, "corrupt_packets": 0},
        "ticks": 0, "steps": 0, "predictions": 0, "events": 0, "gaps": 0, "reconnects": 0, "level_steps": {},
        "media_s": 0, "wall_s": 0, "stage_s": {}, "ended": "stopped",
    }  # fmt: skip


def read(path: Path) -> list[Line]:
    schema = json.loads(SCHEMA.read_text())
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        jsonschema.validate(line, schema)
    return lines


def parts(folder: Path) -> list[Path]:
    """From the oldest to the one that is being written."""
    return [*sorted(folder.glob("log-*.jsonl"), key=lambda path: path.stem), folder / "log.jsonl"]


def make(folder: Path, wall: Wall, **limits: object) -> RotatedLog:
    options = {"largest_bytes": float("inf"), "longest": timedelta.max, "keep": 100} | limits
    return RotatedLog(folder / "log.jsonl", now=wall, **options)  # type: ignore[arg-type]


def test_a_new_part_begins_at_the_size_limit_and_says_what_runs(tmp_path: Path) -> None:
    wall = Wall()
    with make(tmp_path, wall, largest_bytes=2000) as log:
        for name in "ab":
            log.write(session(name))
        for number in range(40):
            wall.now += timedelta(seconds=1)
            log.write(event("a", number))
            if number == 20:
                log.write(summary("b"))
    found = [read(path) for path in parts(tmp_path)]
    assert len(found) > 3
    assert all(2000 <= path.stat().st_size < 2400 for path in parts(tmp_path)[:-1])
    for number, lines in enumerate(found, 1):
        assert lines[0] == session("a") | ({"part": number} if number > 1 else {})
        assert len([line for line in lines if line["kind"] == "session"]) == (
            2 if lines[1]["name"] == "b" else 1
        )
    assert [line["start_s"] for lines in found for line in lines if line["kind"] == "event"] == list(
        range(40)
    )
    ended = [i for i, lines in enumerate(found) if any(line["kind"] == "summary" for line in lines)]
    assert all(lines[1]["kind"] == "event" for lines in found[ended[0] + 1 :])


def test_a_new_part_begins_after_a_time_but_no_empty_one(tmp_path: Path) -> None:
    wall = Wall()
    with make(tmp_path, wall, longest=timedelta(hours=1)) as log:
        log.write(session("a"))
        for hours in (0.5, 0.4, 0.2, 30, 0.1):
            wall.now += timedelta(hours=hours)
            log.write(event("a", int(hours * 10)))
    assert [
        [line["start_s"] for line in read(path) if line["kind"] == "event"] for path in parts(tmp_path)
    ] == [
        [5, 4],
        [2],
        [300, 1],
    ]
    assert parts(tmp_path)[0].name == "log-20261124-101500.jsonl"


def test_older_parts_go_and_nothing_else_does(tmp_path: Path) -> None:
    wall = Wall()
    others = [
        tmp_path / name
        for name in ("log-notes.jsonl", "log-20261124-101500.txt", "dialog-20261124-101500.jsonl")
    ]
    for path in others:
        path.write_text("mine")
    with make(tmp_path, wall, largest_bytes=1, keep=3) as log:
        for number in range(20):
            wall.now += timedelta(seconds=number % 2)  # some within the same second
            log.write(event("a", number))
    kept = [path for path in parts(tmp_path) if path.name != "log-notes.jsonl"]
    assert [line["start_s"] for path in kept for line in read(path)] == [16, 17, 18, 19]
    assert all(path.read_text() == "mine" for path in others)


def test_a_log_that_is_there_already_is_kept(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text(json.dumps(event("a", 7)) + "\n")
    with make(tmp_path, Wall()) as log:
        log.write(event("a", 8))
    assert [read(path)[0]["start_s"] for path in parts(tmp_path)] == [7, 8]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no/such"):
        RotatedLog(tmp_path / "no/such/log", largest_bytes=1, longest=timedelta.max, keep=1)


JUMPS = {
    "back by a day": (timedelta(days=-1),),
    "back by a second": (timedelta(seconds=-1),),
    "forward by years": (timedelta(days=9000),),
    "forward and back": (timedelta(days=9000), timedelta(days=-9000)),
    "back and forth": (timedelta(days=1), timedelta(days=-2)) * 10,
}


@pytest.mark.parametrize("jump", JUMPS)
@pytest.mark.parametrize("longest", [timedelta.max, timedelta(minutes=7)])
@pytest.mark.parametrize("again", [False, True])
def test_whatever_the_clock_does_the_newest_lines_are_kept(
    jump: str, longest: timedelta, again: bool, tmp_path: Path
) -> None:
    wall, jumps = Wall(), list(JUMPS[jump])
    limits = {"largest_bytes": 500, "longest": longest, "keep": 3}
    log = make(tmp_path, wall, **limits)
    for number in range(120):
        if number >= 60 and number % 5 == 0 and jumps:
            wall.now += jumps.pop(0)
            if again:
                log.close()
                log = make(tmp_path, wall, **limits)
        log.write(event("a", number))
        wall.now += timedelta(minutes=1)
    log.close()
    kept = [line["start_s"] for path in parts(tmp_path) for line in read(path)]
    assert len(parts(tmp_path)) == 4
    assert kept == list(range(kept[0], 120))


def test_new_parts_begin_after_a_clock_was_set_back_too(tmp_path: Path) -> None:
    wall = Wall()
    with make(tmp_path, wall, longest=timedelta(hours=1)) as log:
        log.write(event("a", 0))
        wall.now -= timedelta(days=9000)
        log.write(event("a", 1))
        wall.now += timedelta(hours=2)
        log.write(event("a", 2))
    assert [[line["start_s"] for line in read(path)] for path in parts(tmp_path)] == [[0, 1], [2]]
