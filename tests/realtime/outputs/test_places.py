"""What the annotated video marks: a real recogniser over blocks of known colour and place."""

from dataclasses import replace
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines.load import Engines
from realtime.outputs.annotated_video import Annotator
from realtime.outputs.marks import Mark
from realtime.outputs.overlay import label_colour
from realtime.outputs.places import marks_of
from realtime.recognizer import Recognizer
from realtime.sources.open import open_video
from realtime.sources.upright import Turn
from realtime.stages.inputs import picture_of
from realtime.types import Frame, Gap, Image, Prediction
from realtime.zones import Zone
from tests.realtime.outputs.test_annotated_video import Kept
from tests.support.colours import SeesColours, coloured
from tests.support.command_line import Doubles, invoke_with
from tests.support.made_clips import every, write_clip

LEFT, RIGHT = (16.0, 16.0, 96.0, 224.0), (144.0, 16.0, 96.0, 224.0)
BOTH = {"red": LEFT, "blue": RIGHT}
ZONES = (Zone("left", 5, 5, 40, 90, percent=True), Zone("right", 55, 5, 40, 90, percent=True))


def newest(frames: list[Frame], **options: Any) -> tuple[Prediction, dict[str, Prediction]]:
    """The last prediction of the whole picture, and of each zone."""
    found = Recognizer({"rgb": SeesColours()}, smooth=1, **options)
    made = [out for frame in frames for out in found.push(frame)]
    of = {out.zone: out for out in made if isinstance(out, Prediction)}
    whole = of.pop(None)
    return whole, {str(name): each for name, each in of.items()}


def clip(count: int = 72, **known: Any) -> list[Frame]:
    return [coloured(number, BOTH, **known) for number in range(count)]


def marked(options: dict[str, Any], zones: tuple[Zone, ...] = ()) -> list[Mark]:
    frames = clip()
    return marks_of(*newest(frames, zones=zones, **options), zones, picture_of(frames[-1]))


def test_without_anything_the_box_of_the_likeliest_action_is_marked_without_a_name() -> None:
    (mark,) = marked({})
    place = {"red": LEFT, "blue": RIGHT}[newest(clip())[0].label]
    assert mark.box == pytest.approx(place, abs=16)
    assert (mark.name, mark.outlined) == ("", False)


def test_several_actions_each_have_their_name() -> None:
    places = {"red": (16.0, 16.0, 96.0, 96.0), "blue": (144.0, 16.0, 96.0, 96.0)}
    frames = [coloured(number, places) for number in range(120)]
    whole, _ = newest(frames, several=True)
    found = {mark.name: mark for mark in marks_of(whole, {}, (), picture_of(frames[0]))}
    assert set(found) == {"red", "blue"}
    for label, place in places.items():
        assert found[label].box == pytest.approx(place, abs=16)
        assert found[label].probability is not None
        assert found[label].colour == label_colour(label)


def test_each_zone_is_a_rectangle_with_its_name_and_label() -> None:
    left, right = marked({}, ZONES)
    assert (left.name, right.name) == ("left: red", "right: blue")
    assert left.outlined
    assert right.outlined
    assert left.box == pytest.approx((13, 13, 102, 230), abs=1)
    assert (left.probability, right.probability) > (0.5, 0.5)


def test_a_zone_has_its_name_before_its_first_prediction_and_none_outside_the_picture() -> None:
    outside = Zone("outside", 0, 0, 400, 10)
    (mark,) = marks_of(None, {}, (ZONES[0], outside), picture_of(coloured(0, {})))
    assert (mark.name, mark.probability) == ("left", None)


def test_a_glow_and_a_picture_without_an_action_have_no_box() -> None:
    assert marked({"heat": True}) == []
    empty = [coloured(number, {}) for number in range(72)]
    for options in ({}, {"several": True}):
        assert marks_of(*newest(empty, **options), (), picture_of(empty[0])) == []


def annotated(frames: list[Frame], options: dict[str, Any], zones: tuple[Zone, ...] = ()) -> list[Image]:
    found, writer = Recognizer({"rgb": SeesColours()}, smooth=1, zones=zones, **options), Kept()
    annotator = Annotator(writer, zones=lambda: zones, squares=found.seen_squares)
    for frame in frames:
        for item in (frame, *found.push(frame)):
            annotator.push(item)
    annotator.close()
    return writer.pictures


@pytest.mark.parametrize("turn", [None, *(Turn(*flags) for flags in product((False, True), repeat=3))])
@pytest.mark.parametrize("pixel_aspect", [Fraction(1), Fraction(2)])
def test_marks_lie_on_the_upright_picture_however_it_is_stored(
    turn: Turn | None, pixel_aspect: Fraction
) -> None:
    """`where` is in px of the stored picture; what is drawn on is upright and has square pixels."""
    block = (150.0, 130.0, 64.0, 96.0)
    frames = [
        coloured(number, {"green": block}, turn=turn, pixel_aspect=pixel_aspect) for number in range(72)
    ]
    whole, _ = newest(frames)
    (mark,) = marks_of(whole, {}, (), picture_of(frames[0]))
    assert mark.box == pytest.approx(block, abs=16)
    if turn is not None and turn != Turn():
        assert whole.where != pytest.approx(block, abs=16)
    assert whole.where is not None
    zone = Zone("there", *map(round, whole.where))
    (outline,) = marks_of(None, {}, [zone], picture_of(frames[0]))
    assert outline.box == pytest.approx(mark.box, abs=1.1)


def test_the_glow_of_the_video_lies_on_the_block() -> None:
    frames = [coloured(number, {"green": (130.0, 60.0, 80.0, 130.0)}) for number in range(72)]
    shown = annotated(frames, {"heat": True})[-1].astype(int)
    plain = annotated(frames, {})[-1].astype(int)
    tinted = (shown - plain)[..., 0] > 60
    rows, columns = np.nonzero(tinted)
    assert (columns.mean(), rows.mean()) == pytest.approx((170, 125), abs=12)
    assert tinted[100:150, 150:190].all()
    assert not tinted[60:200, :90].any()


def test_a_gap_takes_the_marks_from_the_screen() -> None:
    writer = Kept()
    annotator = Annotator(writer, zones=lambda: ZONES)
    whole, of_zones = newest(clip(), zones=ZONES)
    quiet = coloured(100, {})
    for item in (quiet, whole, *of_zones.values(), replace(quiet, pts=Fraction(8))):
        annotator.push(item)
    annotator.push(Gap(Fraction(5), Fraction(8), "no frames"))
    annotator.push(replace(quiet, pts=Fraction(9)))
    annotator.close()
    with_label, _, without = writer.pictures
    assert (with_label == label_colour("red")).all(axis=2).any()
    assert not (without == label_colour("red")).all(axis=2).any()


def test_run_marks_what_was_asked_for(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "c.mp4", every(Fraction(1, 25), 80), size_px=(320, 240))
    invoke = invoke_with(capsys, Doubles(Engines(SeesColours(), None, "double")))

    def last(*options: str) -> Image:
        code, _, err = invoke("run", clip, "--annotate", tmp_path / "out.mp4", *options)
        assert (code, err) == (0, "")
        with open_video(tmp_path / "out.mp4") as video:
            return list(video)[-1].rgb.astype(int)

    plain, zone = last(), last("--zone", "till=190,90,60,70")
    columns = np.flatnonzero((np.abs(zone - plain).max(axis=2) > 60)[90:160].any(axis=0))
    assert (columns.min(), columns.max()) == pytest.approx((190, 249), abs=3)
    assert (np.abs(last("--heat") - plain).max(axis=2) > 60)[90:160, 60:250].mean() > 0.1
