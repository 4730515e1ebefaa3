"""The small pictures of events: of the right moment, with the right place, and never too many."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.load import Engines
from realtime.outputs import thumbnails
from realtime.outputs.thumbnails import LARGEST_PX, Thumbnail, Thumbnails
from realtime.outputs.timeline import Timeline
from realtime.outputs.timeline_chart import ROW_PX, TOP_PX
from realtime.outputs.timeline_rows import MOST_PARTS, lanes, rows_of
from realtime.outputs.timeline_strip import GAP_PX, STRIP_PX, chosen, spread
from realtime.recognizer import Recognizer
from realtime.sources.upright import Turn
from realtime.types import Action, Event, Frame, Image, Prediction
from realtime.zones import Zone
from tests.support.colours import LABELS, SeesColours, coloured
from tests.support.command_line import Doubles, invoke_with
from tests.support.made_clips import every, write_clip

BLOCK = (130.0, 60.0, 80.0, 130.0)


def shaded(number: int, shade: int) -> Frame:
    return Frame(np.full((240, 320, 3), shade, np.uint8), Fraction(number, 25), Fraction(1, 25))


def predict(
    start: int, stop: int, probability: float, *, actions: tuple[Action, ...] = (), zone: str | None = None
) -> Prediction:
    """Of the ticks start .. stop - 1."""
    top = (("yoga", probability),)
    return Prediction(
        start, stop, start / 25, stop / 25, np.ones(1, np.float32), top, ("rgb",), "window", actions=actions, zone=zone
    )  # fmt: skip


def test_the_picture_is_of_the_most_probable_moment() -> None:
    """Each tick is shaded by its number; predictions come 20 ticks after what they speak of, as in a stream."""
    made = Thumbnails()
    likely = {40: 0.5, 60: 0.9, 80: 0.6, 100: 0.3}
    for number in range(140):
        made.push(shaded(number, number))
        if number - 25 in likely:
            made.push(predict(number - 30, number - 20, likely[number - 25]))
    made.push(Event("yoga", 1.4, 4.2, 0.6))
    (found,) = made.of_events
    assert found.time_s == pytest.approx(2.4)
    assert int(found.rgb.mean()) == pytest.approx(60, abs=3)
    assert found.box is None


def test_a_moment_before_the_event_is_not_its_picture() -> None:
    made = Thumbnails()
    for number in range(100):
        made.push(shaded(number, number))
    made.push(predict(70, 74, 0.99))
    made.push(predict(80, 84, 0.4))
    made.push(predict(90, 94, 0.7))
    made.push(Event("yoga", 3.0, 4.0, 0.6))
    assert [found.time_s for found in made.of_events] == pytest.approx([3.68])
    made.push(Event("yoga", 5.0, 6.0, 0.6))  # nothing was kept of it
    assert len(made.of_events) == 1


def test_zones_and_each_of_several_actions_have_their_own() -> None:
    made = Thumbnails()
    made.push(shaded(0, 10))
    made.push(predict(0, 2, 0.9, actions=(Action("yoga", 0.5, None, 1), Action("lunge", 0.4, None, 2))))
    made.push(predict(0, 2, 0.8, zone="door"))
    for event in (
        Event("lunge", 0, 1, 0.4, id=2),
        Event("yoga", 0, 1, 0.8, zone="door"),
        Event("yoga", 0, 1, 0.8, zone="till"),
        Event("lunge", 0, 1, 0.8),
    ):
        made.push(event)
    assert [(found.event.id, found.event.zone) for found in made.of_events] == [(2, None), (None, "door")]


@pytest.mark.parametrize("turn", [None, Turn(transposed=True, flip_x=True)])
def test_the_box_lies_on_the_action(turn: Turn | None) -> None:
    recognizer, made = Recognizer({"rgb": SeesColours()}, smooth=1), Thumbnails()
    for number in range(90):
        frame = coloured(number, {"green": BLOCK}, turn=turn, pixel_aspect=Fraction(2))
        for item in (frame, *recognizer.push(frame)):
            made.push(item)
    for item in recognizer.flush():
        made.push(item)
    (found,) = made.of_events
    assert found.rgb.shape == (84, 84, 3)
    assert found.box == pytest.approx([84 / 256 * edge for edge in BLOCK], abs=6)
    x, y, width, height = map(round, found.box or ())
    assert found.rgb[y : y + height, x : x + width, 1].mean() > 150


def test_everything_kept_is_bounded() -> None:
    made = Thumbnails()
    for number in range(400):
        made.push(shaded(number * 10, number % 256))
        prediction = predict(number * 10, number * 10 + 2, 0.5)
        label = f"label {number}"
        made.push(Prediction(**vars(prediction) | {"top": ((label, 0.5),)}))
        if number % 2:
            made.push(Event(label, number * 0.4, number * 0.4 + 0.1 + number % 100, 0.5))
    assert len(made.of_events) == thumbnails.MOST_PICTURES
    assert {found.event.end_s - found.event.start_s > 88 for found in made.of_events} == {True}
    assert all(found.rgb.shape[:2] <= LARGEST_PX[::-1] for found in made.of_events)


@given(
    st.lists(st.tuples(st.floats(-50, 1000), st.integers(1, 200)), max_size=4),
)
def test_pictures_stand_apart_and_in_order_inside_the_strip(pictures: list[tuple[float, int]]) -> None:
    pictures.sort()
    middles, widths = [middle for middle, _ in pictures], [width for _, width in pictures]
    lefts = spread(middles, widths, 850)
    for (left, width), (after, _) in pairwise(zip(lefts, widths, strict=True)):
        assert after >= left + width + GAP_PX
    assert all(0 <= left <= 850 - width for left, width in zip(lefts, widths, strict=True))
    alone = spread([400.0], [100], 850)
    assert alone == [350]


def of_event(label: str, length: int, probability: float = 0.5) -> Thumbnail:
    return Thumbnail(Event(label, 0, length, probability), 0, np.zeros((84, 150, 3), np.uint8), None)


def test_each_label_has_its_turn_while_there_is_room() -> None:
    made = [of_event("yoga", 9), of_event("yoga", 8), of_event("lunge", 2), of_event("lunge", 3, 0.1)]
    assert chosen(made, 10_000) == [made[0], made[3], made[1], made[2]]
    assert chosen(made, 2 * 150 + GAP_PX) == [made[0], made[3]]
    assert chosen(made, 149) == []


def test_events_of_the_whole_of_several_and_of_zones_have_rows_of_their_own() -> None:
    events = [
        Event("yoga", 0, 9, 0.9),
        Event("squat", 0, 1, 0.9),
        Event("yoga", 0, 2, 0.9, zone="till"),
        Event("yoga", 0, 3, 0.9, id=1),
        Event("yoga", 2, 4, 0.9, id=2),
        Event("lunge", 0, 8, 0.9, id=3),
        Event("yoga", 0, 2, 0.9, zone="door"),
    ]
    rows = rows_of(["yoga"], events)
    assert [(row.name, list(row.events)) for row in rows] == [
        ("yoga", events[:1]),
        ("other actions", events[1:2]),
        ("one of several: lunge", events[5:6]),
        ("one of several: yoga", events[3:5]),
        ("door: yoga", events[6:7]),
        ("till: yoga", events[2:3]),
    ]
    assert rows[0].colour == rows[3].colour == rows[4].colour
    assert lanes(rows[3].events) == [0, 1]


def test_too_many_parts_share_a_row() -> None:
    events = [Event("yoga", 0, 100 - n, 0.9, zone=f"zone {n:02}") for n in range(MOST_PARTS + 3)]
    rows = rows_of([], events)
    assert [row.name for row in rows] == [f"zone {n:02}: yoga" for n in range(MOST_PARTS)] + ["other parts"]
    assert list(rows[-1].events) == events[MOST_PARTS:]


def test_actions_at_the_same_time_have_lanes_and_those_after_one_another_share_one() -> None:
    spans = [(0, 4), (1, 2), (2, 5), (3, 6), (3, 4), (6, 7)]
    assert lanes([Event("yoga", *span, 0.5) for span in spans]) == [0, 1, 1, 2, 2, 0]


def drawn(folder: Path, frames: list[Frame], **options: Any) -> Image:
    """The timeline of a real recogniser as R G B."""
    recognizer, line = Recognizer({"rgb": SeesColours()}, smooth=1, **options), Timeline(LABELS)
    for frame in frames:
        for item in (frame, *recognizer.push(frame)):
            line.push(item)
    for item in recognizer.flush():
        line.push(item)
    line.save(folder / "timeline.png", title="clip.mp4")
    read = cv2.imread(str(folder / "timeline.png"), cv2.IMREAD_COLOR_RGB)
    assert read is not None
    return read


def test_the_picture_stands_over_the_curves_with_its_marks(tmp_path: Path) -> None:
    rgb = drawn(tmp_path, [coloured(number, {"green": BLOCK}) for number in range(90)]).astype(int)
    strip = rgb[TOP_PX : TOP_PX + STRIP_PX, 110:]
    rows, columns = np.nonzero((strip[..., 1] > 180) & (strip[..., ::2].max(axis=2) < 60))
    assert (np.ptp(columns), np.ptp(rows)) == pytest.approx((84 / 256 * 80, 84 / 256 * 130), abs=4)
    left, top = columns.min() - round(84 / 256 * 130), rows.min() - round(84 / 256 * 60)
    picture = strip[top : top + 84, left : left + 84]
    rows, columns = np.nonzero((picture == 255).all(axis=2))
    assert (columns.min(), rows.min()) == pytest.approx((84 / 256 * 130, 84 / 256 * 60), abs=7)
    assert (columns.max(), rows.max()) == pytest.approx((84 / 256 * 210, 84 / 256 * 190), abs=7)


def test_the_curves_are_those_of_the_whole_picture(tmp_path: Path) -> None:
    frames = [coloured(number, {"green": BLOCK}) for number in range(90)]
    plain = drawn(tmp_path, frames)
    zone = Zone("nothing there", 0, 0, 100, 40)
    with_zone = drawn(tmp_path, frames, zones=(zone,))
    assert np.array_equal(with_zone[: len(plain) - 60], plain[:-60])


def test_run_gives_zones_a_row(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "c.mp4", every(Fraction(1, 25), 80), size_px=(320, 240))
    invoke = invoke_with(capsys, Doubles(Engines(SeesColours(), None, "double")))
    heights = []
    for options in ([], ["--zone", "till=60,10,200,220"]):
        code, _, err = invoke("run", clip, "--on", "0.4", "--timeline", tmp_path / "t.png", *options)
        assert (code, err) == (0, "")
        heights.append(cv2.imread(str(tmp_path / "t.png")).shape[0])
    assert heights[1] == heights[0] + ROW_PX
