"""Zones are read from the cells that they cover, and each has its own predictions and events."""

import json
from dataclasses import replace
from typing import Any

import jsonschema
import numpy as np
import pytest

from engines.spec import RGB
from realtime.errors import UsageError
from realtime.outputs.log import SCHEMA, output_line
from realtime.recognizer import Output, Recognizer
from realtime.stages.events import OpenEvent
from realtime.stages.region import Region
from realtime.stages.zone_predictions import check_seen, shares_of_cells
from realtime.types import Event, Frame, Picture, Prediction, of_whole
from realtime.zones import Zone
from tests.support.colours import SeesColours, coloured
from tests.support.doubles import exact

LEFT, RIGHT = Zone("left", 16, 16, 96, 224), Zone("right", 144, 16, 96, 224)
RED, BLUE = {"red": (16.0, 16.0, 96.0, 224.0)}, {"blue": (144.0, 16.0, 96.0, 224.0)}
BOTH = RED | BLUE


def run(zones: tuple[Zone, ...], items: list[Frame], mode: Any = "continual", **options: Any) -> list[Output]:
    found = Recognizer({"rgb": SeesColours(mode)}, smooth=1, zones=zones, **options)
    return [out for item in items for out in found.push(item)] + found.flush()


def of_zone(outputs: list[Output], zone: Zone | None, kind: type[Any]) -> list[Any]:
    name = None if zone is None else zone.name
    return [out for out in outputs if isinstance(out, kind) and out.zone == name]


def clip(*stretches: tuple[int, Any]) -> list[Frame]:
    shown = [blocks for count, blocks in stretches for _ in range(count)]
    return [coloured(i, blocks) for i, blocks in enumerate(shown)]


@pytest.mark.parametrize("mode", ["continual", "preview"])
def test_each_zone_has_its_label_place_and_event(mode: Any) -> None:
    outputs = run((LEFT, RIGHT), clip((120, BOTH)), mode)
    for zone, label in ((LEFT, "red"), (RIGHT, "blue")):
        predictions = of_zone(outputs, zone, Prediction)
        assert len(predictions) == len(of_zone(outputs, None, Prediction))
        assert {p.label for p in predictions} == {label}
        place = pytest.approx((zone.x, zone.y, zone.width, zone.height), abs=16)
        assert all(p.where == place for p in predictions)
        (event,) = of_zone(outputs, zone, Event)
        assert (event.label, event.start_s, event.end_s) == (label, 0.0, 4.8)
        assert event.where == place


def test_what_goes_on_in_the_whole_picture_and_in_each_zone_is_known_before_it_ends() -> None:
    zones = (LEFT, replace(RIGHT, own=True))
    found = Recognizer({"rgb": SeesColours()}, smooth=1, zones=zones)
    assert found.open_events == ()
    for item in clip((200, {"red": (16.0, 16.0, 224.0, 224.0)})):
        found.push(item)
    assert found.open_events == tuple(OpenEvent("red", 0.0, zone) for zone in (None, "left", "right"))
    assert len([out for out in found.flush() if isinstance(out, Event)]) == 3
    assert found.open_events == ()


def test_one_zone_changes_and_the_other_does_not() -> None:
    outputs = run((LEFT, RIGHT), clip((104, BOTH), (104, RED | {"green": BLUE["blue"]})))
    assert [event.label for event in of_zone(outputs, LEFT, Event)] == ["red"]
    assert [event.label for event in of_zone(outputs, RIGHT, Event)] == ["blue", "green"]


def test_a_zone_of_everything_gives_what_the_whole_picture_gives() -> None:
    outputs = run((Zone("all", 0, 0, 100, 100, percent=True),), clip((120, RED)))
    wholes, zones = (
        [out for out in outputs if isinstance(out, Prediction) and out.zone == name] for name in (None, "all")
    )
    for whole, zone in zip(wholes, zones, strict=True):
        assert zone.probabilities == pytest.approx(whole.probabilities, abs=1e-5)
        assert zone.where == whole.where


def test_predictions_of_the_whole_picture_are_as_without_zones() -> None:
    items = clip((120, BOTH), (60, RED))
    plain = Recognizer({"rgb": SeesColours()}, smooth=1)
    wanted = [out for item in items for out in plain.push(item)] + plain.flush()
    assert exact(out for out in run((LEFT, RIGHT), items) if of_whole(out)) == exact(wanted)


def test_later_frames_change_nothing_and_flush_starts_afresh() -> None:
    found, items = Recognizer({"rgb": SeesColours()}, smooth=1, zones=(LEFT, RIGHT)), clip((100, BOTH))
    fresh = exact(out for item in items for out in found.push(item))
    found.flush()
    for tail in ({}, RED):
        early = [out for item in items for out in found.push(item)]
        assert exact(early) == fresh
        for i in range(60):
            found.push(coloured(100 + i, tail))
        found.flush()
        assert exact(early) == fresh


def test_lines_of_the_log_name_the_zone() -> None:
    schema = json.loads(SCHEMA.read_text())
    lines = [output_line(out) for out in run((LEFT,), clip((120, BOTH)), several=True)]
    for line in lines:
        jsonschema.validate(line, schema)
    assert {line.get("zone") for line in lines if line["kind"] == "prediction"} == {None, "left"}
    assert {line.get("zone") for line in lines if line["kind"] == "event"} == {None, "left"}


def test_cells_count_by_the_share_that_is_inside() -> None:
    shares = shares_of_cells(Zone("a", 16, 16, 48, 32), Picture((256, 256)), None, RGB)
    assert shares[0, :3] == pytest.approx([1, 0.5, 0])
    assert shares[1:].sum() == 0
    everything = shares_of_cells(Zone("b", 0, 0, 100, 100, percent=True), Picture((256, 640)), "full", RGB)
    assert everything == pytest.approx(np.ones((7, 21)), abs=1e-3)


@pytest.mark.parametrize(
    ("zone", "region", "why"),
    [
        (Zone("a", 600, 0, 50, 50), "full", "out of the picture"),
        (Zone("a", 0, 0, 100, 100), None, "the network sees nothing of it"),
        (Zone("a", 0, 0, 100, 100), (300, 0, 256, 256), "the network sees nothing of it"),
    ],
)
def test_a_zone_that_cannot_be_seen_is_refused(zone: Zone, region: Region, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        check_seen(zone, Picture((256, 640)), region, RGB)
    check_seen(Zone("b", 0, 0, 100, 100), Picture((256, 640)), "full", RGB)


def test_a_camera_that_gives_smaller_pictures_has_no_prediction_of_a_zone_outside() -> None:
    far = Zone("far", 300, 16, 96, 96)
    items = [coloured(i, RED, size_px=(400, 400) if i < 100 else (256, 256)) for i in range(160)]
    outputs = run((far,), items)
    assert 0 < len(of_zone(outputs, far, Prediction)) < len(of_zone(outputs, None, Prediction))
