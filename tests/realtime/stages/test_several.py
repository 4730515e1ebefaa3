"""Several coloured blocks at a time, through the whole recogniser: each is found where it is, and followed."""

import json
from typing import Any

import jsonschema
import numpy as np
import pytest

from engines.head import Head
from engines.spec import RGB
from realtime.outputs.log import SCHEMA, output_line
from realtime.recognizer import Output, Recognizer
from realtime.stages.cells import Cells, Reading
from realtime.stages.events import EventOptions
from realtime.stages.fuse import top_labels
from realtime.stages.several import MEMORY_TICKS, Several
from realtime.types import Action, Box, Event, Frame, Picture, Prediction
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
    for found in actions(outputs)[4:]:
        assert {action.label: action.id for action in found} == {"blue": 1, "red": 2}
        for action in found:
            assert action.where == pytest.approx(LEFT if action.label == "red" else RIGHT, abs=16)
    ended = {event.label: event for event in events(outputs)}
    assert {label: event.id for label, event in ended.items()} == {"blue": 1, "red": 2}
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
    assert first.end_s == pytest.approx(104 / 25, abs=MEMORY_TICKS / 2 / 25)
    assert (second.start_s, second.end_s) == (0.0, 208 / 25)


def faded(brightness: list[int]) -> list[set[str]]:
    """The actions after each 8 ticks of a red block of this brightness beside a blue one."""
    items = []
    for i, value in enumerate(np.repeat(brightness, 8)):
        frame = coloured(i, {"red": LEFT, "blue": RIGHT})
        frame.rgb[:, :128, 0] = np.minimum(frame.rgb[:, :128, 0], value)
        items.append(frame)
    outputs = run(recognizer(events=EventOptions(off=0.6)), items)
    return [{action.label for action in found} for found in actions(outputs)]


def test_an_action_begins_surely_and_lasts_down_to_off() -> None:
    dim = next(value for value in range(20, 250, 4) if "red" in faded([250] * 8 + [value] * 12)[-1])
    assert dim > 20, "it lasts whatever its probability"
    assert all("red" not in found for found in faded([dim] * 20))


def test_parts_count_once_enough_has_been_seen() -> None:
    found = actions(run(recognizer(), clip((80, {"red": LEFT, "blue": RIGHT}))))
    assert [len(each) for each in found[:5]] == [0, 0, 0, 0, 2]


def test_the_same_action_in_two_places_is_two_actions_in_a_full_view() -> None:
    shown = {"red": (16.0, 48.0, 128.0, 128.0)}
    items = []
    for i in range(120):
        frame = coloured(i, shown, size_px=(256, 768))
        frame.rgb[48:176, 624:752, 0] = 250
        items.append(frame)
    found = actions(run(recognizer(region="full"), items))[-1]
    assert [(action.label, action.id) for action in found] == [("red", 1), ("red", 2)]
    assert sorted(action.where or () for action in found) == [
        pytest.approx((16, 48, 128, 128), abs=20),
        pytest.approx((624, 48, 128, 128), abs=20),
    ]


def test_somebody_in_two_overlapping_views_is_one_action() -> None:
    """The views of 16:9 are 100 px apart and 256 px wide."""
    shown: dict[str, Box] = {"red": (160.0, 48.0, 128.0, 160.0)}
    items = [coloured(i, shown, size_px=(256, 456)) for i in range(120)]
    told = actions(run(recognizer(region="full"), items))
    assert [[(action.label, action.id) for action in found] for found in told] == [[("red", 1)]] * len(told)
    assert told[-1][0].where == pytest.approx(shown["red"], abs=20)


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
    assert next(each for each in numbers if each) == {None}, "before it has begun for good"
    assert {1, 2} in numbers


@pytest.mark.parametrize("cut", [80, 131])
def test_later_frames_change_nothing_and_flush_starts_afresh(cut: int) -> None:
    found, items = recognizer(), clip((cut, {"red": LEFT, "blue": RIGHT}))
    fresh = exact(out for item in items for out in found.push(item))
    run(found, clip((80, {"green": BELOW})))
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


def reading(scores: dict[str, float], whole: float, number: int = 0, *, columns: int = 7) -> Reading:
    """One whose left and right thirds score this much for "a" and "b"; its whole picture has "c" with `whole`."""
    of_cells = np.zeros((7, columns, 3), np.float32)
    of_cells[:, :3, 0], of_cells[:, -3:, 1] = scores["a"], scores["b"]
    head = Head(np.eye(3, dtype=np.float32), np.zeros(3, np.float32))
    probabilities = np.array([(1 - whole) / 2, (1 - whole) / 2, whole], np.float32)
    prediction = Prediction(
        start_tick=8 * number,
        stop_tick=8 * number + 64,
        start_s=8 * number / 25,
        end_s=(8 * number + 64) / 25,
        probabilities=probabilities,
        top=top_labels(probabilities, ("a", "b", "c")),
        streams=("rgb",),
        mode="continual",
    )
    return Reading(prediction, Cells({"rgb": of_cells}, {"rgb": head}, {"rgb": 1.0}), Picture((256, 256)))


def labels_told(items: list[Reading]) -> list[set[str]]:
    stage = Several(EventOptions(), ("a", "b", "c"), RGB)
    told = [stage.push(item)[0].prediction.actions for item in items]
    return [{action.label for action in actions} for actions in told]


def test_parts_count_only_if_they_are_surer_together_than_the_whole_picture() -> None:
    """At 9 the sum over 15 cells makes 0.9996: a surplus of 0.1 each."""
    assert labels_told([reading({"a": 9, "b": 9}, whole=0.99)]) == [{"a", "b"}]
    assert labels_told([reading({"a": 3.5, "b": 3.5}, whole=0.99)]) == [{"c"}], "0.03 each against 0.09"
    assert labels_told([reading({"a": 9, "b": 0}, whole=0.6)]) == [set()], "one part alone"
    assert labels_told([reading({"a": 9, "b": 0}, whole=0.75)]) == [{"c"}]


def test_a_class_that_no_cell_supports_is_not_found() -> None:
    """Every softmax is sure of the least negative."""
    found = reading({"a": -1, "b": -1}, whole=0.4)
    found.cells.by_stream["rgb"][..., 2] = -20
    assert labels_told([found]) == [set()]
    found.cells.by_stream["rgb"][...] = -20
    found.cells.by_stream["rgb"][:, :3, 0], found.cells.by_stream["rgb"][:, -3:, 1] = -1, -1
    assert labels_told([reading({"a": -1, "b": -1}, whole=0.4), found]) == [set(), set()]


def test_evidence_is_averaged_over_what_was_seen_lately() -> None:
    seen = [reading({"a": 9, "b": 9}, 0.6, number) for number in range(2)]
    faded = [reading({"a": 9, "b": -3}, 0.6, number) for number in range(2, 12)]
    told = labels_told(seen + faded)
    assert told[:2] == [{"a", "b"}] * 2
    assert told[-1] == set(), "nothing of it is remembered"
    assert "b" in told[2], "it does not end with one reading that does not show it"


def test_boxes_of_two_actions_do_not_share_a_cell() -> None:
    item = reading({"a": 9, "b": 9}, whole=0.6)
    of_cells = item.cells.by_stream["rgb"]
    of_cells[:, 3, :2], of_cells[:, 4, :2] = (8, 6), (6, 9)
    actions = Several(EventOptions(), ("a", "b", "c"), RGB).push(item)[0].prediction.actions
    sides = {action.label: (action.where[0], action.where[0] + action.where[2]) for action in actions}
    assert sides["a"] == pytest.approx((16, 144), abs=16)
    assert sides["b"] == pytest.approx((144, 240), abs=16)
