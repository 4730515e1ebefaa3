"""Zones are read from the cells that they cover, and each has its own predictions and events."""

import json
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import jsonschema
import numpy as np
import pytest

from engines.head import Head
from engines.spec import RGB, Weights
from realtime.errors import UsageError
from realtime.outputs.log import SCHEMA, output_line
from realtime.recognizer import Output, Recognizer
from realtime.stages.cells import ENOUGH_CELLS, Cells, Reading
from realtime.stages.events import EventOptions, OpenEvent
from realtime.stages.looks import Looks, Terms
from realtime.stages.region import Region
from realtime.stages.where import box_in_source
from realtime.stages.zone_predictions import REST, ZonePredictions, check_seen, shares_of_cells
from realtime.types import Box, Event, Frame, Picture, Prediction, of_whole
from realtime.zones import Zone
from tests.support.colours import SeesColours, coloured
from tests.support.doubles import PositionTicks, exact

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


CLASSES, FEATURES = 40, 64


class KnowsForty(PositionTicks):
    """Double of an engine of forty classes."""

    def __init__(self) -> None:
        super().__init__()
        labels = tuple(f"class {i}" for i in range(CLASSES))
        self.weights = Weights("made", "rgb", labels, "0" * 64, "made for a test", "none")
        made = np.random.default_rng(0)
        self.head = Head(
            made.standard_normal((CLASSES, FEATURES), np.float32), made.standard_normal(CLASSES, np.float32)
        )


def plain(zone: Zone, each: Reading, region: Region) -> tuple[np.ndarray, dict[str, np.ndarray], Box | None]:
    """Probabilities of a zone, those of each stream, and the box of its action, one cell and one zone at a time."""
    shares = shares_of_cells(zone, each.picture, region, RGB).astype(np.float64)
    part, outside = shares / shares.sum(), 1 - shares
    weights_of_cells = part - REST * outside / max(1, outside.sum())
    sure = min(1.0, 1 / np.square(part).sum() / ENOUGH_CELLS)
    cells, weights = each.cells, each.cells.weights
    scores = {
        name: own.astype(np.float64) @ cells.heads[name].kernel.T for name, own in cells.by_stream.items()
    }
    biases = {name: cells.heads[name].bias for name in scores}
    fused, fused_bias = (sum(weights[name] * each[name] for name in scores) for each in (scores, biases))

    def likely(of_cells: np.ndarray, bias: np.ndarray) -> np.ndarray:
        powers = np.exp(sure * ((weights_of_cells[..., None] * of_cells).sum(axis=(0, 1)) + bias))
        return np.asarray(powers / powers.sum())

    number = likely(fused, fused_bias).argmax()
    leading = fused[..., number] + fused_bias[number]
    inside = np.where(part > 0, leading, np.minimum(leading, 0)).astype(np.float32)
    box = box_in_source(inside, each.picture, region, RGB)
    by_stream = {name: likely(own, biases[name]) for name, own in scores.items()}
    return likely(fused, fused_bias), by_stream, box


def a_reading(seed: int, columns: int, picture: Picture) -> Reading:
    """One of random cells."""
    rng, engine = np.random.default_rng(seed), KnowsForty()
    by_stream = {name: rng.standard_normal((7, columns, FEATURES), np.float32) for name in ("rgb", "flow")}
    cells = Cells(by_stream, dict.fromkeys(by_stream, engine.head), {"rgb": 1.0, "flow": 0.5})
    whole = Prediction(0, 16, 0.0, 0.64, np.zeros(CLASSES, np.float32), (), ("rgb", "flow"), "continual")
    return Reading(whole, cells, picture)


def test_what_goes_on_elsewhere_counts_against_a_zone() -> None:
    """Its cells see it too."""
    engine, picture = KnowsForty(), Picture((256, 256))
    terms = Terms(1, EventOptions(), None)
    looks = Looks({None: {"rgb": engine}}, terms, {}, 8, False, pytest.fail, pytest.fail, None)
    stage = ZonePredictions(looks, RGB)
    stage.push(Zone("left", 16, 16, 96, 224))
    found = []
    for elsewhere in (0, 1):
        given = a_reading(0, 7, picture)
        given.cells.by_stream["rgb"][:, 3:] += elsewhere * engine.head.kernel[5] / FEATURES
        found += [out.probabilities for out in stage.push(given) if isinstance(out, Prediction)]
    assert found[1][5] < 0.9 * found[0][5]


@pytest.mark.parametrize(("region", "columns"), [(None, 7), ("full", 21)])
def test_zones_together_are_as_each_computed_plainly(region: Region, columns: int) -> None:
    engine, picture = KnowsForty(), Picture((256, 640))
    terms = Terms(1, EventOptions(), None)
    stopwatch, never = lambda stage: nullcontext(), lambda spec: pytest.fail("no frame is looked at")
    looks = Looks({None: {"rgb": engine}}, terms, {}, 8, False, never, stopwatch, None)
    stage = ZonePredictions(looks, RGB, region)
    zones = [Zone(f"z{i}", 220 + 50 * (i % 4), 20 + 55 * (i // 4), 45, 50) for i in range(16)]
    for zone in [*zones, Zone("all", 0, 0, 100, 100, percent=True)]:
        stage.push(zone)
        zones += [zone] if zone.percent else []
    for seed in range(3):
        given = a_reading(seed, columns, picture)
        found = [out for out in stage.push(given) if isinstance(out, Prediction)]
        assert [prediction.zone for prediction in found] == [zone.name for zone in zones]
        for zone, prediction in zip(zones, found, strict=True):
            probabilities, by_stream, box = plain(zone, given, region)
            assert prediction.probabilities == pytest.approx(probabilities, abs=1e-6)
            assert prediction.where == box
            for top, wanted in [
                (prediction.top, probabilities),
                *((prediction.by_stream[name], own) for name, own in by_stream.items()),
            ]:
                best = np.argsort(-wanted, kind="stable")[:5]
                assert [label for label, _ in top] == [engine.weights.labels[i] for i in best]
                assert [p for _, p in top] == pytest.approx(wanted[best], abs=1e-6)
