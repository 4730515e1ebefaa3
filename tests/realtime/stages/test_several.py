"""Several coloured blocks at a time, through the whole recogniser: each is found where it is, and followed."""

import json
from itertools import pairwise
from typing import Any

import jsonschema
import numpy as np
import pytest

from engines.head import Head
from realtime.outputs.log import SCHEMA, output_line
from realtime.recognizer import Output, Recognizer
from realtime.stages.cells import WHOLE, Cells, calibrated
from realtime.stages.events import EventOptions
from realtime.stages.fuse import softmax
from realtime.stages.several import SIDE, Spot, parts, spots
from realtime.types import Action, Box, Event, Frame, Prediction
from tests.support.colours import SeesColours, coloured
from tests.support.doubles import exact

LEFT, RIGHT, BELOW = (16.0, 16.0, 96.0, 96.0), (144.0, 16.0, 96.0, 96.0), (144.0, 144.0, 96.0, 96.0)


def recognizer(mode: Any = "continual", **options: Any) -> Recognizer:
    return Recognizer({"rgb": SeesColours(mode)}, smooth=1, several=True, **options)


def run(found: Recognizer, items: list[Frame]) -> list[Output]:
    return [out for item in items for out in found.push(item)] + found.flush()


def clip(*stretches: tuple[int, dict[str, Box]]) -> list[Frame]:
    """`count` frames of each."""
    shown = [blocks for count, blocks in stretches for _ in range(count)]
    return [coloured(i, blocks) for i, blocks in enumerate(shown)]


def actions(outputs: list[Output], *, settled: bool = True) -> list[tuple[Action, ...]]:
    found = [out for out in outputs if isinstance(out, Prediction) and out.settled == settled]
    assert all(each.actions is not None for each in found)
    return [each.actions or () for each in found]


def events(outputs: list[Output]) -> list[Event]:
    return [out for out in outputs if isinstance(out, Event) and out.id is not None]


def test_two_actions_are_found_each_where_it_is() -> None:
    outputs = run(recognizer(), clip((120, {"red": LEFT, "blue": RIGHT})))
    for found in actions(outputs):
        assert {action.label: action.id for action in found} == {"red": 1, "blue": 2}
        for action in found:
            assert action.where == pytest.approx(LEFT if action.label == "red" else RIGHT, abs=16)
    ended = {event.label: event for event in events(outputs)}
    assert {label: event.id for label, event in ended.items()} == {"red": 1, "blue": 2}
    for label, box in (("red", LEFT), ("blue", RIGHT)):
        assert (ended[label].start_s, ended[label].end_s) == (0.0, 4.8)
        assert ended[label].where == pytest.approx(box, abs=16)


def test_where_nothing_happens_there_are_no_actions() -> None:
    outputs = run(recognizer(), clip((120, {})))
    assert actions(outputs) == [()] * 14
    assert events(outputs) == []


def test_an_action_that_moves_goes_on_and_one_that_jumps_is_another() -> None:
    steps = [(8, {"red": (16.0 + 4 * i, 16.0, 96.0, 96.0)}) for i in range(24)]
    moved = run(recognizer(), clip(*steps))
    assert {action.id for found in actions(moved) for action in found} == {1}
    jumped = run(recognizer(), clip((104, {"red": LEFT}), (104, {"red": BELOW})))
    assert [(event.id, event.label) for event in events(jumped)] == [(1, "red"), (2, "red")]
    assert [event.where for event in events(jumped)] == [
        pytest.approx(LEFT, abs=16),
        pytest.approx(BELOW, abs=16),
    ]


def test_one_action_ends_while_the_other_goes_on() -> None:
    both, alone = {"red": LEFT, "blue": BELOW}, {"blue": BELOW}
    outputs = run(recognizer(), clip((104, both), (104, alone)))
    first, second = events(outputs)
    assert (first.label, second.label) == ("red", "blue")
    assert first.end_s == pytest.approx(104 / 25, abs=0.33)
    assert (second.start_s, second.end_s) == (0.0, 208 / 25)


def test_an_action_begins_at_on_and_lasts_down_to_off() -> None:
    """A block that fades: the probability of its part falls with its brightness."""

    def faded(brightness: list[int]) -> list[Output]:
        items = []
        for i, value in enumerate(np.repeat(brightness, 8)):
            frame = coloured(i, {"red": LEFT, "blue": RIGHT})
            frame.rgb[:, :128, 0] = np.minimum(frame.rgb[:, :128, 0], value)
            items.append(frame)
        return run(recognizer(events=EventOptions(on=0.8, off=0.6)), items)

    dim = next(p for p in range(0, 251, 2) if 0.6 < of_red(p) < 0.8)
    assert {a.label for found in actions(faded([dim] * 13)) for a in found} == {"blue"}
    outputs = faded([250] * 6 + [dim] * 7)
    assert [{a.label for a in found} for found in actions(outputs)] == [{"red", "blue"}] * 12


def of_red(brightness: int) -> float:
    """Probability of red in its likeliest part."""
    frame = coloured(0, {"red": LEFT, "blue": RIGHT})
    frame.rgb[:, :128, 0] = np.minimum(frame.rgb[:, :128, 0], brightness)
    engine = SeesColours()
    cells = Cells(
        {"rgb": engine.numbers(frame.rgb[None, 16:240, 16:240])[0]}, {"rgb": engine.head}, {"rgb": 1.0}
    )
    return max((spot.probability for spot in spots(cells, 0.0) if spot.number == 0), default=0.0)


def test_the_same_action_in_two_places_is_two_actions_in_a_full_view() -> None:
    shown = {"red": (16.0, 48.0, 128.0, 128.0)}
    items = []
    for i in range(120):
        frame = coloured(i, shown, size_px=(256, 768))
        frame.rgb[48:176, 624:752, 0] = 250
        items.append(frame)
    found = actions(run(recognizer(region="full"), items))[0]
    assert [action.label for action in found] == ["red", "red"]
    assert sorted(action.where or () for action in found) == [
        pytest.approx((16, 48, 128, 128), abs=20),
        pytest.approx((624, 48, 128, 128), abs=20),
    ]


def test_predictions_of_the_whole_picture_are_as_without_actions() -> None:
    items = clip((120, {"red": LEFT, "blue": RIGHT}), (80, {"green": BELOW}))
    plain = run(Recognizer({"rgb": SeesColours()}, smooth=1), items)
    with_actions = run(recognizer(), items)
    whole = [out for out in with_actions if not (isinstance(out, Event) and out.id is not None)]
    for out in whole:
        if isinstance(out, Prediction):
            object.__setattr__(out, "actions", None)
    assert exact(whole) == exact(plain)


def test_preview_settles_on_the_actions_of_continual() -> None:
    items = clip((104, {"red": LEFT, "blue": RIGHT}), (80, {"blue": RIGHT}))
    previewed = run(recognizer("preview"), items)
    assert actions(previewed) == actions(run(recognizer(), items))
    assert events(previewed) == events(run(recognizer(), items))
    numbers = [{a.id for a in found} for found in actions(previewed, settled=False)]
    assert numbers[0] == {None}, "before it has begun for good"
    assert numbers[8] == {1, 2}


@pytest.mark.parametrize("cut", [80, 131])
def test_later_frames_change_nothing_and_flush_starts_afresh(cut: int) -> None:
    found, items = recognizer(), clip((cut, {"red": LEFT, "blue": RIGHT}))
    fresh = exact(out for item in items for out in found.push(item))
    found.flush()
    for tail in ([], clip((60, {"green": BELOW}))):
        early = [out for item in items for out in found.push(item)]
        assert exact(early) == fresh, "it has not forgotten what came before"
        later = [coloured(cut + i, {"green": BELOW}) for i in range(len(tail))]
        run(found, later)
        assert exact(early) == fresh, "what it gave earlier has changed"


def test_lines_of_the_log_are_as_the_schema_says() -> None:
    schema = json.loads(SCHEMA.read_text())
    lines = [
        output_line(out) for out in run(recognizer("preview"), clip((120, {"red": LEFT, "blue": RIGHT})))
    ]
    for line in lines:
        jsonschema.validate(line, schema)
    assert [set(a) for a in lines[-4]["actions"]] == [{"id", "label", "probability", "where"}] * 2
    assert [line["id"] for line in lines if "id" in line] == [1, 2]


def test_parts_are_all_squares_and_are_calibrated_against_the_whole() -> None:
    found = parts(7, 21)
    assert found.shape == (4 * 18, 7, 21)
    assert found.sum(axis=(1, 2)) == pytest.approx(1)
    assert len({part.tobytes() for part in found}) == len(found)
    logits = np.array([3.0, 1.0, 0.0], np.float32)
    assert calibrated(logits, WHOLE) == pytest.approx(softmax(logits))
    assert calibrated(logits, 3 * WHOLE) == pytest.approx(softmax(logits))
    assert calibrated(logits, SIDE**2) == pytest.approx(softmax(logits * 16 / 49))


def test_spots_are_likeliest_first() -> None:
    rng = np.random.default_rng(0)
    cells = Cells(
        {"rgb": rng.standard_normal((7, 7, 9), np.float32) * 5},
        {"rgb": Head(np.eye(9, dtype=np.float32), np.zeros(9, np.float32))},
        {"rgb": 1.0},
    )
    found = spots(cells, 0.05)
    assert all(one.probability >= other.probability for one, other in pairwise(found))
    assert min(spot.probability for spot in found) >= 0.05


def test_a_class_that_no_cell_supports_is_not_likely_anywhere() -> None:
    head = Head(np.eye(2, dtype=np.float32), np.full(2, -1, np.float32))
    assert spots(Cells({"rgb": np.zeros((7, 7, 2), np.float32)}, {"rgb": head}, {"rgb": 1.0}), 0.3) == []
    assert (
        len(spots(Cells({"rgb": np.full((7, 7, 2), 2, np.float32)}, {"rgb": head}, {"rgb": 1.0}), 0.3)) == 32
    )


def test_parts_that_overlap_too_much_exclude_each_other() -> None:
    one = Spot(0, 0, 0, 0.9)
    assert [one.shared(Spot(1, 0, column, 0.9)) for column in range(5)] == [1, 0.75, 0.5, 0.25, 0]
    assert [one.excludes(Spot(1, 0, column, 0.9)) for column in range(4)] == [True, True, False, False]
    assert [one.excludes(Spot(0, 3, column, 0.9)) for column in range(5)] == [True] * 4 + [False]
