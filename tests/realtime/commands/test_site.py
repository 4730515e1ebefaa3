"""The site file: every flag has its place in it, what is typed wins, and mistakes are named with their lines."""

import json
import re
import tomllib
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import jsonschema
import pytest
import typer.main

from realtime import cli
from realtime.commands.flags import Given
from realtime.commands.options import ModelOptions, RecognizerOptions
from realtime.commands.outputs import LogOptions, OutputOptions
from realtime.commands.server import ServerOptions
from realtime.commands.site_options import TABLES, all_mistakes, flags_of, read_site, schema
from realtime.commands.sources import Named, SourceOptions
from realtime.errors import UsageError
from realtime.zones import Zone, ZoneTerms
from tests.conftest import ROOT
from tests.realtime.commands.test_cli import invoke, lines_of  # noqa: F401
from tests.support.command_line import Invoke
from tests.support.made_clips import every, write_clip

CAMERA = '[[camera]]\nname = "door"\naddress = "rtsp://me:geheim@h/x"\n'
SECRETS = {"YARD_PASSWORD": "geheim", "MQTT_PASSWORD": "geheim"}


def site(folder: Path, text: str) -> Path:
    path = folder / "site.toml"
    path.write_text(text)
    return path


def example() -> str:
    page = (ROOT / "docs" / "site.md").read_text()
    found = re.search(r"^```toml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert found
    return found[1]


def clip(folder: Path) -> Path:
    return write_clip(folder / "c.mp4", every(Fraction(1, 25), 70), size_px=(160, 120))


@pytest.mark.parametrize("verb", ["run", "view"])
def test_every_flag_has_its_place_in_the_file(verb: str) -> None:
    command: Any = typer.main.get_command(cli.app)
    flags = {
        option.opts[0].removeprefix("--").replace("-", "_")
        for option in command.commands[verb].params
        if option.param_type_name == "option" and option.name != "help"
    }
    places = [table for table in TABLES if table != "page" or verb == "view"]
    keys = [key for table in places for key in flags_of(table)]
    assert len(keys) == len(set(keys))
    if verb == "run":
        assert set(keys) == flags
    assert flags <= set(keys)
    described = schema()["properties"]
    for table in TABLES:
        found = described["camera"]["items"] if table == "camera" else described[table]
        assert flags_of(table).keys() <= found["properties"].keys()


def test_the_example_of_the_page_is_read(tmp_path: Path) -> None:
    (tmp_path / "door.password").write_text("s/s\n")
    path = site(tmp_path, example())
    assert all_mistakes(path, SECRETS) == []
    jsonschema.validate(tomllib.loads(example()), schema())
    read = read_site(path, environment=SECRETS)
    assert read.cameras == (
        Named("rtsp://me:s%2Fs@192.168.0.10/stream", "door", SourceOptions(rtsp_transport="udp", rotate=180)),
        Named(
            "rtsp://me:geheim@192.168.0.11/stream",
            "yard",
            zones=(
                Zone("gate", 10, 20, 30, 60, percent=True),
                Zone("bench", 400, 300, 320, 240),
                Zone(
                    "far",
                    40,
                    10,
                    10,
                    15,
                    percent=True,
                    own=True,
                    terms=ZoneTerms(on=0.7, smooth=5, watch=("golfing", "tai chi")),
                ),
            ),
        ),
    )
    assert "geheim" not in repr(read.cameras)
    options = [Given().over(each, read.said) for each in (LogOptions(), OutputOptions(), ServerOptions())]
    assert options == [
        LogOptions(tmp_path / "log.jsonl", 50),
        OutputOptions(mqtt="mqtt://me:geheim@broker/house"),
        ServerOptions(port=7860),
    ]
    look = Given().over(RecognizerOptions(), read.said)
    assert (look.events.on, look.watch) == (0.6, ["tai chi", "stretching arm"])


def test_what_is_typed_wins_over_the_file(tmp_path: Path) -> None:
    path = site(
        tmp_path,
        CAMERA + 'rotate = 90\n[recognition]\nmode = "window"\nflow = "dis"\nmin_event = 2\non = 1\n',
    )
    typed = Given({"rotate": 180, "off": 0.2, "on": 0.4})
    read = read_site(path, typed)
    assert read.cameras[0].how.rotate == 180
    look = typed.over(RecognizerOptions(), read.said)
    assert (look.events.on, look.events.off, look.events.min_length_s) == (0.4, 0.2, 2)
    assert look.motion.method == "dis"
    assert typed.over(ModelOptions(), read.said).engine.mode == "window"


def test_a_site_is_run(invoke: Invoke, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "sub").mkdir()
    clip(tmp_path / "sub")
    text = (
        '[[camera]]\nname = "door"\naddress = "c.mp4"\nzones.all = "0,0,160,120"\n[output]\nlog = "l.jsonl"\n'
    )
    code, out, err = invoke("run", site(tmp_path / "sub", text), "--stride", "2", "--log-keep", "3")
    assert (code, err) == (0, "")
    assert (tmp_path / "sub" / "l.jsonl").read_text() == out
    lines = lines_of(out)
    assert {line["name"] for line in lines} == {"door"}
    assert lines[0]["stride_ticks"] == 2


def test_a_zone_outside_the_picture_is_an_error_once_the_picture_is_known(
    invoke: Invoke, tmp_path: Path  # noqa: F811
) -> None:  # fmt: skip
    clip(tmp_path)
    path = site(tmp_path, '[[camera]]\nname = "door"\naddress = "c.mp4"\nzones.z = "0,0,161,120"\n')
    assert all_mistakes(path) == []
    code, out, err = invoke("run", path)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert "zone z: it reaches to 161,120, out of the picture of 160x120 px" in err


MISTAKES = {
    'rotate = 45\n': (4, "one of 0, 90, 180, 270"),
    'rotat = 90\n': (4, "did you mean rotate?"),
    'fps = "fast"\n': (4, "is not a rate"),
    '[camera.zones]\na = "1,2,3,4"\nb = "1,2,3"\n': (6, "give x,y,width,height"),
    '[camera.zones]\na = 5\n': (5, "or a table { at = "),
    '[camera.zones]\na = { own = true }\n': (5, "at is missing; give"),
    '[camera.zones.a]\nat = "1,2,3,4"\nown = "yes"\n': (6, "own cannot be 'yes'; give true or false"),
    '[camera.zones.a]\nat = "1,2,3,4"\nsmoth = 2\n': (6, "did you mean smooth?"),
    '[camera.zones]\na = { at = "1,2,30,40", own = false, model = "mine" }\n': (5, "only an own zone has another model"),
    '[camera.zones]\na = { at = "1,2,3,4", on = 0.2 }\n': (5, "zone a: off 0.3 is above on 0.2"),
    '[[camera]]\nname = "door"\naddress = "webcam:0"\n': (5, "two cameras of that name"),
    '[[camera]]\nname = "yard"\naddress = "ftp://me:geheim@h/x"\n': (6, "is not known; give a video file"),
    '[[camera]]\nname = "yard"\n': (4, "give either address or address_file"),
    '[recognition]\non = 0.2\noff = 0.5\n': (6, "it must be at most that"),
    '[recognition]\nregion = "1,2"\n': (5, "give x,y,width,height"),
    '[output]\nmetrics = "x"\n': (5, "give PORT or HOST:PORT"),
    '[output]\nmqtt = "mqtt://me:${NONE}@h/t"\n': (5, "variable NONE is not set"),
    '[outputs]\n': (4, "did you mean output?"),
}  # fmt: skip


@pytest.mark.parametrize("more", MISTAKES)
def test_a_mistake_is_named_with_its_line_and_no_secret(more: str, invoke: Invoke, tmp_path: Path) -> None:  # noqa: F811
    line, said = MISTAKES[more]
    path = site(tmp_path, CAMERA + more)
    code, out, err = invoke("site", "check", path)
    assert (code, out) == (2, "")
    assert err.startswith(f"i3d-live: {path}, line {line}: ")
    assert said in err
    assert len(err.splitlines()) == 1
    assert "geheim" not in err
    with pytest.raises(UsageError, match=re.escape(said)):
        read_site(path)


def test_all_mistakes_are_named_by_check_and_the_first_by_run(invoke: Invoke, tmp_path: Path) -> None:  # noqa: F811
    path = site(tmp_path, CAMERA + "rotate = 1\nfps = 2\n[recognition]\nstride = 0\n")
    assert len(invoke("site", "check", path)[2].splitlines()) == 3
    code, _, err = invoke("run", path)
    assert (code, len(err.splitlines())) == (2, 1)
    assert f"(and 2 more: i3d-live site check {path})" in err
    code, _, err = invoke("run", path, "x.mp4")
    assert code == 2
    assert "give it alone" in err


def test_a_new_site_is_written_with_pictures_and_all_settings(invoke: Invoke, tmp_path: Path) -> None:  # noqa: F811
    clip(tmp_path)
    code, out, err = invoke(
        "site", "init", f"door={tmp_path / 'c.mp4'}", f"{tmp_path}/./c.mp4", "nothing.mp4"
    )
    assert (code, out) == (1, "")
    assert "nothing.mp4: no such file" in err
    text = Path("site.toml").read_text()
    assert all_mistakes(Path("site.toml")) == []
    assert [camera.name for camera in read_site(Path("site.toml")).cameras] == ["door", "camera2"]
    for name in ("door", "camera2"):
        assert cv2.imread(f"{name}.jpg").shape == (120, 160, 3)
    assert {table: said for table, said in tomllib.loads(text).items() if table != "camera"} == {
        "recognition": {"idle": 30},
        "output": {},
        "page": {},
    }
    uncommented = site(tmp_path, re.sub(r"^#([\w.]+ = )", r"\1", text, flags=re.MULTILINE))
    found = {
        key: set(table) for key, table in tomllib.loads(uncommented.read_text()).items() if key != "camera"
    }
    assert found == {table: set(flags_of(table)) for table in list(TABLES)[1:]}
    assert [line for line in all_mistakes(uncommented) if "--timeline draw one source" not in line] == []


def test_init_overwrites_nothing(invoke: Invoke, tmp_path: Path) -> None:  # noqa: F811
    source = clip(tmp_path)
    Path("door.jpg").write_text("mine")
    code, _, err = invoke("site", "init", f"door={source}")
    assert code == 1
    assert "door.jpg is there already" in err
    assert Path("door.jpg").read_text() == "mine"
    assert not Path("site.toml").exists()


def test_the_schema_is_valid_json_schema(invoke: Invoke) -> None:  # noqa: F811
    code, out, _ = invoke("site", "schema")
    assert code == 0
    jsonschema.Draft202012Validator.check_schema(json.loads(out))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"camera": [{"name": "a b"}]}, json.loads(out))
