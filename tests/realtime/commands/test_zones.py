"""`--zone`: a bad zone is one clear line."""

import json
from fractions import Fraction
from pathlib import Path

import pytest

from engines.load import Engines
from realtime.commands.options import RecognizerOptions
from realtime.errors import UsageError
from realtime.zones import Zone
from tests.support.command_line import Doubles, Invoke, invoke_with
from tests.support.doubles import SawTicks
from tests.support.made_clips import every, write_clip

DOUBLES = Doubles(Engines(SawTicks(), None, "double"))


@pytest.fixture
def invoke(capsys: pytest.CaptureFixture[str]) -> Invoke:
    return invoke_with(capsys, DOUBLES)


def test_zones_are_read_in_order() -> None:
    look = RecognizerOptions(zone=["door=10,20,30,40", "till = 50%,0%,50%,100%"])
    look.check()
    assert look.zones() == (Zone("door", 10, 20, 30, 40), Zone("till", 50, 0, 50, 100, percent=True))


def test_a_zone_may_be_an_own_one_and_have_a_model() -> None:
    look = RecognizerOptions(
        zone=["a=1,2,30,40:own", "b=1%,2%,30%,40%:model=mine", "c=1,2,30,40:own:model=mine"]
    )
    assert look.zones() == (
        Zone("a", 1, 2, 30, 40, own=True),
        Zone("b", 1, 2, 30, 40, percent=True, own=True, model="mine"),
        Zone("c", 1, 2, 30, 40, own=True, model="mine"),
    )


def test_models_that_zones_name_are_loaded_once(invoke: Invoke, tmp_path: Path) -> None:
    write_clip(tmp_path / "c.mp4", every(Fraction(1, 25), 70), size_px=(160, 120))
    (tmp_path / "site.toml").write_text(
        '[[camera]]\nname = "yard"\naddress = "c.mp4"\n'
        '[camera.zones]\nfar = { at = "0,0,80,80", model = "taught", on = 0.9, smooth = 2 }\n'
        '[[camera]]\nname = "door"\naddress = "c.mp4"\nzones.near = "10,10,60,60:model=taught"\n'
    )
    code, out, err = invoke(
        "run", tmp_path / "site.toml", "--zone", "all=0%,0%,100%,100%", "--mode", "window"
    )
    assert (code, err) == (0, "")
    lines = [json.loads(line) for line in out.splitlines()]
    said = {(line["name"], line.get("zone")) for line in lines if line["kind"] == "prediction"}
    assert said == {
        ("yard", "far"),
        ("yard", "all"),
        ("yard", None),
        ("door", "near"),
        ("door", "all"),
        ("door", None),
    }
    assert DOUBLES.asked == [None, "taught"]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (["door"], "is no rectangle"),
        (["door=1,2,3"], "is no rectangle"),
        (["door=1,2,0,4"], "width or height is 0"),
        (["door=90%,0%,20%,10%"], "out of the picture"),
        (["=1,2,3,4"], "give a name"),
        (["door=1,2,30,40:owm"], "'1,2,30,40:owm' is not understood; give NAME=x,y,width,height:own or"),
        (["door=1,2,30,40:model="], "is not understood"),
        (["door=1,2,30,40:model=a:model=b"], "is not understood"),
        (["door=1,2,3,4", "Door=5,6,7,8"], "cannot be told apart"),
        ([f"z{i}=1,2,3,4" for i in range(65)], "at most 64"),
    ],
)
def test_a_bad_zone_is_an_error_of_one_line(given: list[str], why: str) -> None:
    with pytest.raises(UsageError, match=why) as refused:
        RecognizerOptions(zone=given).check()
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["--zone", "a=1,2,30,40"], "name one"),
        (["clip.mp4", "--zone", "a=1,2,30,40:model=mine"], "one model for all zones"),
        (["clip.mp4", "--zone", "a=1,2,30"], "is no rectangle"),
    ],
)
def test_the_view_refuses_zones_that_it_cannot_show(given: list[str], says: str, invoke: Invoke) -> None:
    code, _, err = invoke("view", *given)
    assert code == 2
    assert says in err
