"""What the page of a fleet is told: trouble first, and nothing secret."""

from typing import Any

from realtime.view.fleet_state import key_of, natural, page_state
from tests.support.fleet_doubles import camera, mixed, node, status


def told(cameras: dict[str, Any], **other: Any) -> dict[str, Any]:
    return page_state(status(cameras, **other))


def test_cameras_in_trouble_come_first_and_then_the_names_as_people_count() -> None:
    cameras = {
        "cam 10": camera(0),
        "cam 2": camera(0),
        "z": camera(0, error="401"),
        "y": camera(0, lost="5 s"),
    }
    cameras |= {"x": camera(0, None, figures=None), "Cam 1": camera(0, level="rgb alone")}
    found = told(cameras, waiting={"x": "no node has room"})
    shown = [(each["name"], each["state"]) for each in found["cameras"]]
    assert shown == [
        ("z", "failed"),
        ("y", "lost"),
        ("x", "waits"),
        ("Cam 1", "runs"),
        ("cam 2", "runs"),
        ("cam 10", "runs"),
    ]
    assert [each["why"] for each in found["cameras"]][:4] == ["401", "5 s", "no node has room", None]
    assert found["summary"] == "6 cameras: 1 failed, 1 lost, 1 waits"


def test_the_summary_counts_what_does_not_run() -> None:
    assert told({})["summary"] == "0 cameras"
    assert told({"a": camera(0)})["summary"] == "1 camera"
    starting = {name: camera(0, figures=None) for name in "ab"}
    found = told({"c": camera(0, None), **starting}, waiting={"c": "x"})
    assert found["summary"] == "3 cameras: 1 waits, 2 start"
    waiting = told(starting, waiting=dict.fromkeys("ab", "x"))
    assert waiting["summary"] == "2 cameras: 2 wait"


def test_what_is_no_longer_true_is_not_shown_as_now() -> None:
    cameras = {"a": camera(0, lost="5 s"), "b": camera(0, level="pieces"), "c": camera(0)}
    cameras["d"] = camera(0, figures=cameras["c"]["figures"] | {"resting_since_s": 3.0})
    found = {each["name"]: each for each in told(cameras)["cameras"]}
    assert {name: each["now"] for name, each in found.items()} == {
        "a": None,
        "b": "tai chi",
        "c": "tai chi",
        "d": None,
    }
    assert [name for name, each in found.items() if each["rests"]] == ["d"]
    assert {name: each["level"] for name, each in found.items()} == {
        "a": None,
        "b": "pieces",
        "c": None,
        "d": None,
    }


def test_machines_that_failed_come_first_each_with_the_number_of_its_cameras() -> None:
    nodes = {
        "n10": node(draining=True),
        "n2": node(),
        "n1": node(ready=False),
        "n3": node(error="no i3d-live", cores=0),
    }
    found = told({"a": camera(0, "n2"), "b": camera(0, "n2"), "c": camera(0, None)}, nodes=nodes)["nodes"]
    assert [(each["name"], each["state"], each["cameras"]) for each in found] == [
        ("n3", "failed", 0),
        ("n1", "loads its engine", 0),
        ("n2", "ready", 2),
        ("n10", "drains", 0),
    ]


def test_reasons_are_one_line_without_secrets() -> None:
    found = page_state(mixed(40))
    assert "geheim" not in str(found)
    lines = told({"a": camera(0, error="first\nsecond")}, error="no space\nleft")
    assert lines["cameras"][0]["why"] == "first\\nsecond"
    assert lines["error"] == "no space\\nleft"


def test_any_name_has_a_key_that_fits_into_an_address() -> None:
    names = ["<b>x", "a/../b", "", "打", "\udcff", "a", "A"]
    keys = {key_of(name) for name in names}
    assert len(keys) == len(names)
    assert all(key.isascii() and key.isalnum() for key in keys)


def test_names_with_and_without_numbers_can_be_compared() -> None:
    names = ["b", "10", "2", "a2b", "a10", "", "a", "²"]
    assert sorted(names, key=natural) == ["", "2", "10", "a", "a2b", "a10", "b", "²"]
