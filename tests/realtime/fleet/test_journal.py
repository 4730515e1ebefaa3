"""Each line once, whoever dies in between."""

import json
from pathlib import Path
from typing import Any

from realtime.fleet.journal import Journal, read_log
from realtime.fleet.orders import Numbered
from realtime.outputs.log import Log

AT_S = 1_800_000_000.0


def line(camera: str, term: int, number: int, kind: str = "prediction", after_s: float = 0.0) -> Numbered:
    return Numbered(
        camera, term, number, AT_S + number + after_s, {"kind": kind, "label": f"{term}.{number}"}
    )


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(text) for text in path.read_text().splitlines()]


def test_lines_that_are_offered_again_are_written_once() -> None:
    written: list[dict[str, Any]] = []
    journal = Journal(written.append)
    journal.begin("door", 5, "n1", "n1 has room")
    journal.offer("n1", [line("door", 5, 1), line("door", 5, 2)])
    journal.offer("n1", [line("door", 5, 1), line("door", 5, 2), line("door", 5, 3)])
    assert [each["number"] for each in written] == [1, 2, 3]
    assert {(each["name"], each["node"], each["term"]) for each in written} == {("door", "n1", 5)}
    assert journal.written(["door", "yard"]) == {"door": (5, 3)}


def test_lines_of_an_old_term_are_refused_and_the_gap_says_so() -> None:
    """A node that was cut off and comes back offers what nobody waits for any more."""
    written: list[dict[str, Any]] = []
    journal = Journal(written.append)
    journal.begin("door", 5, "n1", "n1 has room")
    journal.offer("n1", [line("door", 5, 1)])
    journal.seen("door", 5, AT_S + 4)
    journal.begin("door", 6, "n2", "n1 is gone")
    journal.offer("n1", [line("door", 5, 2)])
    journal.offer("n2", [line("door", 6, 1, "session", 9), line("door", 6, 2, after_s=9)])
    kinds = [(each["kind"], each.get("number")) for each in written]
    assert kinds == [("prediction", 1), ("session", 1), ("moved", None), ("prediction", 2)]
    moved = written[2]
    assert (moved["name"], moved["from"], moved["to"], moved["why"]) == ("door", "n1", "n2", "n1 is gone")
    assert moved["unwatched_s"] == 7.0  # from the last time it was seen, to the first prediction
    assert moved["unwatched_until"] == written[3]["at"]


def test_a_camera_that_moves_twice_before_it_is_seen_has_one_gap() -> None:
    written: list[dict[str, Any]] = []
    journal = Journal(written.append)
    journal.begin("door", 5, "n1", "")
    journal.offer("n1", [line("door", 5, 1)])
    journal.begin("door", 6, "n2", "n1 is gone")
    journal.offer("n2", [line("door", 6, 1, "session")])
    journal.begin("door", 7, "n3", "n2 is gone")
    journal.offer("n3", [line("door", 7, 1, "session"), line("door", 7, 2)])
    (moved,) = [each for each in written if each["kind"] == "moved"]
    assert (moved["from"], moved["to"], moved["unwatched_from"]) == ("n1", "n3", written[0]["at"])


def test_who_opens_the_log_again_knows_what_is_written(tmp_path: Path) -> None:
    """Even if the program was killed within a line, and the watcher never heard of the last ones."""
    path = tmp_path / "fleet.jsonl"
    with Log(path) as log:
        journal = Journal(log.write)
        journal.begin("door", 5, "n1", "")
        journal.begin("yard", 5, "n1", "")
        journal.offer("n1", [line("door", 5, 1), line("yard", 5, 1), line("door", 5, 2)])
    with open(path, "a") as file:
        file.write('{"kind": "prediction", "name": "yard", "node": "n1", "term": 5, "num')
    with Log(path) as log:
        again = Journal(log.write, read_log(path))
        assert again.written(["door", "yard"]) == {"door": (5, 2), "yard": (5, 1)}
        again.offer("n1", [line("door", 5, 2), line("door", 5, 3), line("yard", 5, 2)])
        again.offer("n2", [line("door", 6, 1)])
    found = [text for text in path.read_text().splitlines() if text.endswith("}")]
    read = [json.loads(text) for text in found]
    numbers = [(each["name"], each["term"], each["number"]) for each in read if "number" in each]
    assert numbers == [
        ("door", 5, 1),
        ("yard", 5, 1),
        ("door", 5, 2),
        ("door", 5, 3),
        ("yard", 5, 2),
        ("door", 6, 1),
    ]
    (moved,) = [each for each in read if each["kind"] == "moved"]
    assert (moved["from"], moved["to"]) == ("n1", "n2")


def test_a_gap_outlives_whoever_writes_the_log(tmp_path: Path) -> None:
    """The camera has begun at its new place, and was not seen there, when the program is killed."""
    path = tmp_path / "fleet.jsonl"
    with Log(path) as log:
        journal = Journal(log.write)
        journal.begin("door", 5, "n1", "")
        journal.offer("n1", [line("door", 5, 1)])
        journal.begin("door", 6, "n2", "n1 is gone")
        journal.offer("n2", [line("door", 6, 1, "session")])
    with Log(path) as log:
        again = Journal(log.write, read_log(path))
        again.offer("n2", [line("door", 6, 2, "connection"), line("door", 6, 3), line("door", 6, 4)])
    (moved,) = [each for each in lines(path) if each["kind"] == "moved"]
    assert (moved["from"], moved["to"]) == ("n1", "n2")
