"""The lines of a TOML file, its mistakes against a schema, and its secrets."""

from pathlib import Path

import pytest

from realtime.errors import UsageError
from realtime.site.address import address_of
from realtime.site.check import Schema, mistakes
from realtime.site.text import SiteText, lines_of

TEXT = """# one
[[camera]]
name = "a"
"quoted key" = 1
zones.door = "x"

[[ camera ]]  # the second
name = "b"
list = [
    "not = a key",
]
[camera.zones]
gate = "y"
[output]
log . part = 1
"""


def test_every_key_has_its_line() -> None:
    assert lines_of(TEXT) == {
        ("camera", 0): 2,
        ("camera", 0, "name"): 3,
        ("camera", 0, "quoted key"): 4,
        ("camera", 0, "zones", "door"): 5,
        ("camera", 1): 7,
        ("camera", 1, "name"): 8,
        ("camera", 1, "list"): 9,
        ("camera", 1, "zones"): 12,
        ("camera", 1, "zones", "gate"): 13,
        ("output",): 14,
        ("output", "log", "part"): 15,
    }


def test_a_place_without_a_line_has_that_of_its_parent(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text(TEXT)
    text = SiteText(path)
    assert text.at(("camera", 1, "zones", "none")) == f"{path}, line 12"
    assert text.at(("camera", 1, "list", 0)) == f"{path}, line 9"
    assert text.at(("none",)) == f"{path}, line 1"


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"a = \nb = 1", "line 1, column 5"), (b"\n\xff", "line 2 is not UTF-8"), (None, "No such file")],
)
def test_a_file_that_is_not_toml_is_an_error_of_one_line(
    content: bytes | None, said: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "s.toml").write_bytes(content)
    with pytest.raises(UsageError, match=said) as error:
        SiteText(tmp_path / "s.toml")
    assert "\n" not in str(error.value)


NUMBER: Schema = {"type": "number", "minimum": 0, "maximum": 1}


@pytest.mark.parametrize(
    ("value", "schema", "said"),
    [
        (True, NUMBER, "k cannot be true; give a number from 0 to 1"),
        (2, NUMBER, "k cannot be 2; give a number from 0 to 1"),
        (1.0, {"type": "integer"}, "k cannot be 1.0; give a whole number"),
        (0, {"type": "integer", "minimum": 1}, "k cannot be 0; give a whole number of at least 1"),
        ("c", {"type": "string", "enum": ["a", "b"]}, "k cannot be 'c'; give one of a, b"),
        (1, {"type": "string"}, "k cannot be 1; give a text in quotes"),
        (["a", 1], {"type": "array", "items": {"type": "string"}}, "k cannot be 1; give a text in quotes"),
        ([], {"type": "array", "minItems": 1, "$comment": "one"}, "k is empty; give one"),
        ({"on": 1}, {"type": "object", "properties": {"own": {"type": "string"}}}, "on is not known here"),
        ({}, {"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"]}, "at is missing"),
        (1, {"anyOf": [{"type": "string"}, {"type": "object"}]}, "give a text in quotes or a table"),
        ("x" * 100, {"type": "boolean"}, "x...; give true or false"),
    ],
)  # fmt: skip
def test_a_mistake_says_what_is_allowed(value: object, schema: Schema, said: str) -> None:
    (found,) = mistakes({"k": value}, {"type": "object", "properties": {"k": schema}})
    assert said in found.text
    assert found.place[0] == "k"


def test_secrets_come_from_the_environment_and_from_files(tmp_path: Path) -> None:
    (tmp_path / "p").write_text("p@ss/word\nmore\n")
    (tmp_path / "a").write_text("rtsp://me:s@h/x\n")

    def address(**table: str) -> str:
        return address_of(table, tmp_path, {"S": "geheim"})

    assert address(address="rtsp://me:${S}@h/${S}") == "rtsp://me:geheim@h/geheim"
    assert address(address="rtsp://me@h/x", password_file="p") == "rtsp://me:p%40ss%2Fword@h/x"
    assert address(address_file="a") == "rtsp://me:s@h/x"
    assert address(address="clips/x.mp4") == str(tmp_path / "clips/x.mp4")
    assert (address(address="webcam:0"), address(address="-")) == ("webcam:0", "-")


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"address": "rtsp://me:${NONE}@h/x"}, "variable NONE is not set"),
        ({"address": "rtsp://h/x", "address_file": "a"}, "give either address or address_file"),
        ({}, "give either address or address_file"),
        ({"address_file": "none"}, "No such file"),
        ({"address_file": "empty"}, "begins with an empty line"),
        ({"address": "rtsp://h/geheim", "password_file": "p"}, "goes with a user name"),
        ({"address": "rtsp://me:geheim@h/x", "password_file": "p"}, "goes with a user name"),
    ],
)
def test_a_missing_secret_is_an_error_and_none_is_shown(
    table: dict[str, str], said: str, tmp_path: Path
) -> None:
    (tmp_path / "p").write_text("geheim")
    (tmp_path / "empty").write_text("\ngeheim")
    with pytest.raises(UsageError, match=said) as error:
        address_of(table, tmp_path, {})
    assert "geheim" not in str(error.value)
