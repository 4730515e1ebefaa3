"""Zones of the page: what it may ask for, and what it is told of them."""

from typing import Any

import pytest

from realtime.errors import UsageError
from realtime.sources.upright import CLOCKWISE
from realtime.stages.live_zones import LiveZones
from realtime.types import Picture
from realtime.view.zones import put_zone, zones_state
from realtime.zones import Zone
from tests.realtime.view.test_channel import file, started, state
from tests.support.view_doubles import RED, until

WIDE = Picture((240, 320))
BOX = {"x": 10, "y": 20, "width": 100, "height": 50}


def test_a_zone_is_kept_in_px_of_the_source_and_shown_in_those_of_the_picture() -> None:
    """The file stores it lying on its side, with pixels twice as wide as high."""
    zones, picture = LiveZones(), Picture((320, 240), CLOCKWISE[90], pixel_aspect=2)  # type: ignore[arg-type]
    put_zone(zones, "door", BOX, picture)
    assert zones.now == (Zone("door", 10, 130, 25, 100),)
    assert zones_state(zones, {}, picture) == [{"name": "door", "box": [10, 20, 100, 50], "answer": None}]


def test_a_zone_that_reaches_over_the_edge_is_cut_there() -> None:
    zones = LiveZones()
    put_zone(zones, "all", {"x": -10, "y": -0.4, "width": 900, "height": 241}, WIDE)
    assert zones.now == (Zone("all", 0, 0, 320, 240),)


def test_a_zone_drawn_on_a_picture_of_another_size_is_where_it_was_drawn() -> None:
    """A phone was turned, and the zone was on its way."""
    zones = LiveZones()
    put_zone(zones, "door", BOX | {"of": [640, 120]}, WIDE)
    assert zones.now == (Zone("door", 5, 40, 50, 100),)


def test_a_zone_in_percent_is_in_px_once_it_is_moved() -> None:
    zones = LiveZones([Zone("door", 10, 10, 20, 20, percent=True)])
    assert zones_state(zones, {}, WIDE)[0]["box"] == [32, 24, 64, 48]
    put_zone(zones, "door", BOX, WIDE)
    assert zones.now == (Zone("door", 10, 20, 100, 50),)


def test_a_new_name_replaces_the_one_before_unless_it_cannot_be() -> None:
    zones = LiveZones()
    put_zone(zones, "door", BOX, WIDE)
    put_zone(zones, "till", BOX | {"x": 150}, WIDE)
    put_zone(zones, "Door", BOX | {"was": "door"}, WIDE)
    assert {zone.name for zone in zones.now} == {"Door", "till"}
    with pytest.raises(UsageError, match="cannot be told apart"):
        put_zone(zones, "TILL", BOX | {"was": "Door"}, WIDE)
    assert {zone.name for zone in zones.now} == {"Door", "till"}


@pytest.mark.parametrize(
    ("name", "given", "why"),
    [
        ("door", None, "a zone is an object of x, y, width, height"),
        ("door", [1, 2, 3, 4], "a zone is an object of"),
        ("door", BOX | {"percent": True}, "a zone is an object of"),
        ("door", {"x": 1, "y": 2, "width": 3}, "each a number"),
        ("door", BOX | {"x": "1"}, "each a number"),
        ("door", BOX | {"x": float("nan")}, "each a number"),
        ("door", BOX | {"x": True}, "each a number"),
        ("door", BOX | {"x": 10**400}, "each a number"),
        ("door", BOX | {"of": [320]}, "the size 'of' a zone's picture"),
        ("door", BOX | {"of": [320, 0]}, "the size 'of' a zone's picture"),
        ("door", BOX | {"of": "320x240"}, "the size 'of' a zone's picture"),
        ("door", BOX | {"width": -5}, "its width or height is 0"),
        ("door", BOX | {"x": 1e300}, "its width or height is 0"),
        ("", BOX, "give a name of at most 40"),
        ("<b>", BOX, "give a name of at most 40"),
        ("d" * 41, BOX, "give a name of at most 40"),
    ],
)
def test_what_is_no_zone(name: str, given: Any, why: str) -> None:
    zones = LiveZones()
    with pytest.raises(UsageError, match=why):
        put_zone(zones, name, given, WIDE)
    assert zones.now == ()


def test_without_a_picture_there_is_no_zone() -> None:
    with pytest.raises(UsageError, match="there is no picture yet"):
        put_zone(LiveZones(), "door", BOX, Picture((0, 0)))


def test_a_zone_outside_the_picture_has_no_box() -> None:
    zones = LiveZones([Zone("far", 1000, 1000, 50, 50)])
    assert zones_state(zones, {}, WIDE)[0]["box"] is None


def test_the_page_is_told_of_each_zone_and_its_prediction_even_at_the_end() -> None:
    source = file()
    channel = started(source)
    source.put(RED, 20)
    until(lambda: state(channel)["answer"])
    channel.put_zone("middle", {"x": 20, "y": 20, "width": 40, "height": 30})
    with pytest.raises(UsageError, match="the network sees nothing of it"):
        channel.put_zone("edge", {"x": 0, "y": 0, "width": 4, "height": 64})
    source.put(RED, 40)
    until(lambda: state(channel)["zones"] and state(channel)["zones"][0]["answer"])
    assert state(channel)["zone_changes"] == 1  # one that is refused changes nothing
    told = state(channel)["zones"][0]
    assert (told["name"], told["box"], told["answer"]["label"]) == (
        "middle",
        [20, 20, 40, 30],
        "painting red",
    )
    assert 0 < told["answer"]["p"] <= 1
    source.end()
    assert channel.join(20)
    channel.put_zone("late", {"x": 30, "y": 20, "width": 20, "height": 30})
    assert [zone["name"] for zone in state(channel)["zones"]] == ["middle", "late"]
    channel.remove_zone("middle")
    assert [zone["name"] for zone in state(channel)["zones"]] == ["late"]
    assert state(channel)["zone_changes"] == channel.zones.changed == 3
