"""A log that is continued: nothing that was there is lost, and its first new line says that it continues."""

import json
from pathlib import Path

import jsonschema
import pytest

from realtime.outputs.log import SCHEMA, Log, as_json
from tests.realtime.outputs.test_rotating_log import event, session


@pytest.mark.parametrize("before", ["", "one\n", "one\ntwo\n", "one\nhalf a li", "\n", "ä"])
def test_what_was_there_before_stays(before: str, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(before)
    with Log(path) as log:
        log.write(session("a"))
        log.write(event("a", 1))
    text = path.read_text()
    assert text.startswith(before)
    first, second = map(json.loads, text.splitlines()[-2:])
    jsonschema.validate(first, json.loads(SCHEMA.read_text()))
    assert first == session("a") | ({"continued": True} if before else {})
    assert second == event("a", 1)


def test_a_start_that_writes_nothing_leaves_it_alone(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text("half")
    Log(path).close()
    assert path.read_text() == "half"


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "ascii"])
@pytest.mark.parametrize("text", ["ä", "挥手", "\udcff", "😀", 'a"b'])
def test_a_line_is_json_in_every_encoding(text: str, encoding: str) -> None:
    line = as_json({"a": text}, encoding)
    assert json.loads(line.encode(encoding).decode(encoding)) == {"a": text}
