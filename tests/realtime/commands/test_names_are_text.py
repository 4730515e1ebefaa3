"""A name of the user's is text, whatever it looks like: not markup of a terminal, of a plot or of a page, no pattern of
files, no option and no address."""

import json
from fractions import Fraction
from pathlib import Path

import pytest

from engines.load import Engines
from realtime.sources.open import open_video
from tests.support.command_line import Doubles, Invoke, invoke_with
from tests.support.doubles import SawTicks
from tests.support.made_clips import every, write_clip, write_images

NAMES = {
    "markup": "[bold red]a",
    "maths": "$x_1$ and $",
    "formats": "100%d %s {0}",
    "pattern": "a*b[1]?",
    "html": "<b>a&amp;",
    "scheme": "concat:12",
    "times": "12:30:05",
    "option": "-rf",
    "emoji code": ":smile:",
    "backslash": "a\\[b]",
    "chinese": "打太极 ∞",
}
OUTPUTS = {
    "--log": ".jsonl",
    "--annotate": " a.mp4",
    "--timeline": " t.png",
    "--save-clips": " clips",
    "--save-snapshots": " shots",
}
"""The options that write, and how the name that each is given ends."""


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of a clip, NAME.mp4, in the working folder."""
    monkeypatch.chdir(tmp_path)
    found = NAMES[request.param]
    write_clip(tmp_path / f"{found}.mp4", every(Fraction(1, 25), 50))
    return found


@pytest.fixture
def invoke(capsys: pytest.CaptureFixture[str]) -> Invoke:
    return invoke_with(capsys, Doubles(Engines(SawTicks(), None, "double, made for a test")))


@pytest.mark.filterwarnings("error")
def test_a_clip_and_what_is_written_about_it_have_the_names_they_were_given(
    name: str, invoke: Invoke
) -> None:
    outputs = {option: f"./{name}{ending}" for option, ending in OUTPUTS.items()}
    code, out, err = invoke(
        "run", f"./{name}.mp4", "--readable", *(word for pair in outputs.items() for word in pair)
    )
    assert code == 0, err
    assert name in out
    expected = {f"{name}.mp4", *(Path(path).name for path in outputs.values())}
    assert {path.name for path in Path().iterdir()} == expected
    with open_video(Path(f"{name} a.mp4")) as video:
        assert len(list(video)) == 50


def test_a_source_beside_another_is_named_as_it_was_given(name: str, invoke: Invoke) -> None:
    write_clip(Path("plain.mp4"), every(Fraction(1, 25), 50))
    code, out, err = invoke("run", "--readable", "--", f"{name}.mp4", "plain.mp4", "missing.mp4")
    assert code == 1
    assert err.count(f"{name}.mp4") == 0, err
    assert "missing.mp4: missing.mp4" not in err
    assert f"{name}.mp4" in out


def test_what_was_read_is_named_as_it_is(name: str, invoke: Invoke) -> None:
    code, out, err = invoke("classify", f"./{name}.mp4")
    assert code == 0, err
    assert json.loads(out)["file"] == f"./{name}.mp4"


def test_the_pictures_of_flow_have_the_name_they_were_given(name: str, invoke: Invoke) -> None:
    code, _, err = invoke("flow", f"./{name}.mp4", f"./{name} flow.mp4")
    assert code == 0, err
    assert {path.name for path in Path().iterdir()} == {f"{name}.mp4", f"{name} flow.mp4"}


def test_a_folder_of_images_may_have_any_name(name: str, invoke: Invoke, tmp_path: Path) -> None:
    write_images(tmp_path / name, 3)
    code, out, err = invoke("run", "--fps", "25", "--", name)
    assert code == 0, err
    assert json.loads(out.splitlines()[-1])["frames"]["decoded"] == 3
