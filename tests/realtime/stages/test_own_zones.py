"""A zone that the network looks at by itself predicts what a camera predicts that shows only its crop."""

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import jsonschema
import numpy as np
import pytest

from engines.engine import Engine
from engines.spec import FLOW
from realtime.errors import UsageError
from realtime.outputs.log import SCHEMA, output_line
from realtime.overload import Level
from realtime.recognizer import Output, Recognizer
from realtime.stages.events import EventOptions
from realtime.types import Event, Frame, Gap, Prediction, of_whole
from realtime.zones import Zone, ZoneTerms
from tests.support.colours import SeesColours, coloured
from tests.support.doubles import PositionTicks, SawTicks, exact

FAR = Zone("far", 20, 30, 64, 48, own=True)
SMALL = {"red": (20, 30, 64, 48), "blue": (120, 30, 64, 48)}
BLUE = replace(FAR, x=120)


def noise(count: int, size_px: tuple[int, int] = (120, 200)) -> list[Frame]:
    rng = np.random.default_rng(0)
    return [
        Frame(rng.integers(0, 256, (*size_px, 3), np.uint8), Fraction(i, 25), Fraction(1, 25))
        for i in range(count)
    ]


def cropped(items: Iterable[Frame], zone: Zone) -> list[Frame]:
    x, y, width, height = (int(each) for each in (zone.x, zone.y, zone.width, zone.height))
    return [replace(item, pixels=item.rgb[y : y + height, x : x + width]) for item in items]


def run(
    recognizer: Recognizer, items: Iterable[Frame], changes: dict[int, Zone] | None = None
) -> list[Output]:
    out: list[Output] = []
    for number, item in enumerate(items):
        if changes and number in changes:
            recognizer.zones.put(changes[number])
        out += recognizer.push(item)
    return out + recognizer.flush()


def of_zone(outputs: Iterable[Output], name: str | None) -> list[Any]:
    return [out for out in outputs if getattr(out, "zone", None) == name]


def nameless(outputs: Iterable[Any]) -> list[tuple[Any, ...]]:
    """All but the zone's name and the place, which is measured in another picture."""
    return exact(
        replace(out, **({"zone": None} | ({} if isinstance(out, Gap) else {"where": None})))
        for out in outputs
    )


def same_as_a_camera_of_the_crop(
    engines: dict[str, Engine], items: list[Frame], zone: Zone = FAR, **options: Any
) -> list[Any]:
    """The zone's outputs, after the comparison."""
    found = run(Recognizer(engines, zones=[zone], **options), items)
    alone = run(Recognizer(engines, **options), cropped(items, zone))
    assert nameless(of_zone(found, zone.name)) == nameless(out for out in alone if not isinstance(out, Gap))
    without = run(Recognizer(engines, **options), items)
    assert exact(out for out in found if of_whole(out)) == exact(without)
    return of_zone(found, zone.name)


# Previews go the same way through the recogniser as those of the double below, and no stream of an engine depends on
# its neighbours in any mode (`engines/backends/test_openvino.py`).
@pytest.mark.parametrize("mode", ["continual", pytest.param("preview", marks=pytest.mark.slow)])
def test_with_trained_weights_in_float32_to_the_bit(engines: Callable[..., Any], mode: str) -> None:
    engine = engines(mode).rgb
    assert engine.precision == "float32"
    assert len(same_as_a_camera_of_the_crop({"rgb": engine}, noise(84))) > 0


@pytest.mark.parametrize("mode", ["continual", "preview"])
def test_of_a_double_with_a_gap_and_dropped_frames(mode: Any) -> None:
    items = [coloured(i, SMALL, (120, 200)) for i in range(200)]
    items[90] = replace(items[90], dropped_before=3)
    later = [replace(item, pts=item.pts + 5) for item in items[100:]]
    found = same_as_a_camera_of_the_crop({"rgb": SeesColours(mode)}, items[:100] + later)
    assert {out.label for out in found if isinstance(out, Prediction)} == {"red"}
    assert any(out.dropped_frames for out in found if isinstance(out, Prediction))
    assert len([out for out in found if isinstance(out, Event)]) == 2


def test_of_windows_and_flow() -> None:
    engines: dict[str, Engine] = {"rgb": SawTicks(), "flow": SawTicks(FLOW)}
    assert len(same_as_a_camera_of_the_crop(engines, noise(90), flow="dis")) > 0


def test_when_it_is_late_a_zone_does_less_too() -> None:
    items = noise(200)

    def half(recognizer: Recognizer, items: list[Frame]) -> list[Output]:
        out = [out for item in items[:90] for out in recognizer.push(item)]
        recognizer.level = Level("pieces", pieces=True)
        if recognizer.zones.now:
            recognizer.zones.put(replace(FAR, name="late"))
        return [*out, *(out for item in items[90:] for out in recognizer.push(item)), *recognizer.flush()]

    found = half(Recognizer({"rgb": PositionTicks()}, zones=[FAR]), items)
    alone = half(Recognizer({"rgb": PositionTicks()}), cropped(items, FAR))
    assert nameless(of_zone(found, "far")) == nameless(of_zone(alone, None))
    late = [out for out in of_zone(found, "late") if isinstance(out, Prediction)]
    assert {out.stop_tick - out.start_tick for out in late} == {64}


def test_its_place_is_told_in_the_whole_picture() -> None:
    items = [coloured(i, SMALL, (120, 200)) for i in range(120)]
    percent = Zone("half", 50, 0, 50, 100, percent=True, own=True)
    found = run(Recognizer({"rgb": SeesColours()}, smooth=1, zones=[BLUE, percent]), items)
    for name, limits in (("far", (120, 30, 184, 78)), ("half", (110, 20, 190, 90))):
        places = [out.where for out in of_zone(found, name) if isinstance(out, Prediction)]
        assert places
        for x, y, width, height in places:
            assert limits[0] <= x < x + width <= limits[2]
            assert limits[1] <= y < y + height <= limits[3]


def test_a_zone_that_is_replaced_holds_still_then_jumps_and_starts_over() -> None:
    items = [coloured(i, SMALL, (120, 200)) for i in range(400)]
    changes = {10: BLUE, 20: replace(FAR, x=121), 30: BLUE, 100: FAR}
    found = of_zone(run(Recognizer({"rgb": SeesColours()}, smooth=1, zones=[FAR]), items, changes), "far")
    jumps = [out for out in found if isinstance(out, Gap)]
    assert [(float(gap.start * 25), gap.end - gap.start, gap.cause) for gap in jumps] == [
        (64, 0, "zone moved"), (128, 0, "zone moved"),
    ]  # fmt: skip
    events = [(out.label, out.start_s, out.end_s) for out in found if isinstance(out, Event)]
    assert events == [("red", 0, 2.56), ("blue", 2.56, 5.12), ("red", 5.12, 16)]
    begun = items[64:128]
    (jump, *_) = (i for i, out in enumerate(found) if isinstance(out, Gap))
    alone = run(Recognizer({"rgb": SeesColours()}, smooth=1), cropped(begun, BLUE))
    part = found[jump + 1 : jump + 1 + len(alone)]
    assert (
        nameless(out for out in part if isinstance(out, Prediction))[: len(alone) - 2]
        == nameless(out for out in alone if isinstance(out, Prediction))[: len(alone) - 2]
    )


def test_a_zone_that_is_where_it_was_before_it_could_jump_stays() -> None:
    items = [coloured(i, SMALL, (120, 200)) for i in range(150)]
    made = Recognizer({"rgb": SeesColours()}, smooth=1, zones=[FAR])
    found = run(made, items, {10: BLUE, 20: FAR})
    assert exact(found) == exact(run(Recognizer({"rgb": SeesColours()}, smooth=1, zones=[FAR]), items))


def test_a_zone_may_become_an_own_one_and_go() -> None:
    items = [coloured(i, SMALL, (120, 200)) for i in range(300)]
    made = Recognizer({"rgb": SeesColours()}, smooth=1, zones=[replace(FAR, x=60, own=False)])
    out = [each for item in items[:100] for each in made.push(item)]
    made.zones.put(FAR)
    second = [each for item in items[100:200] for each in made.push(item)]
    steps = made.counts.steps
    made.zones.remove("far")
    third = [each for item in items[200:] for each in made.push(item)]
    assert all(of_zone(each, "far") for each in (out, second))
    *rest, event = of_zone(third, "far")
    assert {type(each) for each in rest} == {Prediction}
    assert (event.label, event.start_s, event.end_s) == ("red", 3.96, 7.96)
    assert steps == 36  # 24 of the whole picture, and 12 of the zone
    assert made.counts.steps == steps + 13


def test_lines_of_the_log_name_it() -> None:
    schema = json.loads(SCHEMA.read_text())
    items = [coloured(i, SMALL, (120, 200)) for i in range(200)]
    made = Recognizer({"rgb": SeesColours()}, zones=[FAR])
    lines = [output_line(out) for out in run(made, items, {70: BLUE})]
    for line in lines:
        jsonschema.validate(line, schema)
    assert [line["zone"] for line in lines if line["kind"] == "gap"] == ["far"]
    assert made.counts.gaps == 0


class OtherLabels(SeesColours):
    """Says the same in other words."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = replace(self.weights, name="other", labels=("rot", "grün", "blau"))


def test_another_model_may_look_at_it() -> None:
    items = [coloured(i, SMALL, (120, 200)) for i in range(120)]
    zone = replace(FAR, model="other")
    made = Recognizer(
        {"rgb": SeesColours()}, zones=[zone, Zone("blue", 120, 30, 64, 48, own=True)],
        models={"other": {"rgb": OtherLabels()}}, watch=("red", "blue"),
    )  # fmt: skip
    found = run(made, items)
    assert {out.label for out in of_zone(found, "far")} == {"rot"}
    assert {out.label for out in of_zone(found, "blue")} == {"blue"}


TERMS = {"smooth": 1, "watch": ("green", "red"), "on": 0.4, "off": 0.2, "min_event": 0.0}


@pytest.mark.parametrize("own", [False, True])
def test_a_zone_has_its_own_labels_smoothing_and_thresholds(own: bool) -> None:
    """Everything is as for a camera with these options; of an own zone, in the crop."""
    items = [coloured(i, SMALL if i < 60 else {"green": SMALL["red"]}, (120, 200)) for i in range(160)]
    items[90] = replace(items[90], dropped_before=3)
    where = FAR if own else Zone("far", 0, 0, 100, 100, percent=True)
    found = run(
        Recognizer(
            {"rgb": SeesColours()}, smooth=4, zones=[replace(where, terms=ZoneTerms(**TERMS))], region="full"
        ),
        items,
    )
    alone = run(
        Recognizer(
            {"rgb": SeesColours()}, smooth=1, watch=("green", "red"), events=EventOptions(0.4, 0.2, 0.0),
            region=None if own else "full",
        ),
        cropped(items, FAR) if own else items,
    )  # fmt: skip
    there = of_zone(found, "far")
    assert [type(out) for out in there] == [type(out) for out in alone]
    for mine, wanted in zip(there, alone, strict=True):
        assert (mine.label, mine.start_s, mine.end_s) == (wanted.label, wanted.start_s, wanted.end_s)
        if isinstance(mine, Prediction):
            assert mine.dropped_frames == wanted.dropped_frames
            assert mine.probabilities == pytest.approx(wanted.probabilities, abs=1e-4)


@pytest.mark.parametrize(
    ("zone", "why"),
    [
        (replace(FAR, x=180), "zone far: it reaches to 244,78, out of the picture of 200x120 px"),
        (
            replace(FAR, width=15),
            "zone far: 15x48 px show too little; an own zone has at least 16 px each way",
        ),
        (
            replace(FAR, model="other"),
            "zone far: model other is not loaded; name it in a zone when the program starts",
        ),
        (
            replace(FAR, terms=ZoneTerms(watch=("red", "gren"))),
            "zone far: 'gren' cannot be watched: .* 'green'",
        ),
        (replace(FAR, terms=ZoneTerms(watch=("red",))), "zone far: fewer than two labels to watch"),
        (replace(FAR, terms=ZoneTerms(on=0.2)), "zone far: off 0.3 is above on 0.2"),
    ],
)
def test_an_own_zone_that_cannot_be_is_one_line(zone: Zone, why: str) -> None:
    made = Recognizer({"rgb": SeesColours()})
    made.push(coloured(0, {}, (120, 200)))
    with pytest.raises(UsageError, match=why) as refused:
        made.zones.put(zone)
    assert "\n" not in str(refused.value)
    assert made.zones.now == ()


def test_a_model_that_is_not_there_is_refused_at_the_start() -> None:
    with pytest.raises(UsageError, match="model other is not loaded; name one of mine"):
        Recognizer(
            {"rgb": SeesColours()},
            zones=[replace(FAR, model="other")],
            models={"mine": {"rgb": OtherLabels()}},
        )
