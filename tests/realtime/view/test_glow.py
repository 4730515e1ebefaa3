"""What the page is told of where labels are seen."""

import json
from typing import Any

import numpy as np
import pytest

from realtime.recognizer import Recognizer
from realtime.sources.upright import CLOCKWISE
from realtime.view.glow import glow_state
from realtime.view.page_state import Board
from realtime.view.settings import Settings
from tests.support.colours import SeesColours, coloured

LEFT, RIGHT = (16.0, 16.0, 96.0, 96.0), (144.0, 144.0, 96.0, 96.0)


def seen(frames: int = 80, **options: Any) -> Recognizer:
    recognizer = Recognizer({"rgb": SeesColours()}, smooth=1, **options)
    for number in range(frames):
        recognizer.push(coloured(number, {"red": LEFT, "blue": RIGHT}))
    return recognizer


def test_before_the_first_prediction_there_is_nothing() -> None:
    assert glow_state(None, ["red"]) is None
    assert glow_state(seen(8), ["red"]) is None


def test_each_label_scores_where_it_is_and_the_mean_is_its_logit() -> None:
    recognizer = seen()
    prediction = next(out for out in recognizer.push(coloured(80, {})) if hasattr(out, "top"))
    told = glow_state(recognizer, ["red", "blue", "nobody knows this"])
    assert told == json.loads(json.dumps(told))
    assert told is not None
    assert told["squares"] == [[16, 16, 224, 224]]
    assert list(told["labels"]) == ["red", "blue"]
    logits = {}
    for label, places in (("red", np.s_[:3, :3]), ("blue", np.s_[4:, 4:])):
        probability, colour, maps = told["labels"][label]
        scores = np.array(maps).reshape(1, 7, 7)[0]
        above = np.zeros((7, 7), bool)
        above[places] = True
        assert np.array_equal(scores > 0, above)
        assert len(colour) == 7
        assert probability == pytest.approx(dict(prediction.top)[label], abs=1e-4)
        logits[label] = scores.mean()
    ratio = dict(prediction.top)["red"] / dict(prediction.top)["blue"]
    assert np.exp(logits["red"] - logits["blue"]) == pytest.approx(ratio, abs=0.05)


def test_three_squares_of_a_full_picture() -> None:
    recognizer = Recognizer({"rgb": SeesColours()}, smooth=1, region="full")
    for number in range(80):
        recognizer.push(coloured(number, {"green": (400.0, 0.0, 112.0, 256.0)}, (256, 512)))
    told = glow_state(recognizer, ["green"])
    assert told is not None
    assert [round(x) for x, *_ in told["squares"]] == [16, 144, 272]
    highest = [max(part) for part in told["labels"]["green"][2]]
    assert highest[0] < 0 < highest[2]


def test_it_stays_at_the_end() -> None:
    recognizer = seen()
    recognizer.flush()
    assert glow_state(recognizer, ["red"]) is not None


def test_boxes_of_actions_are_those_of_the_picture_that_the_page_shows() -> None:
    """The file stores it lying on its side."""
    recognizer, board = Recognizer({"rgb": SeesColours()}, smooth=1, several=True), Board()
    for number in range(120):
        frame = coloured(number, {"red": LEFT, "blue": RIGHT}, turn=CLOCKWISE[90])
        board.push(frame)
        for out in recognizer.push(frame):
            board.push(out)
    actions = {action["label"]: action for action in board.state(None, Settings())["answer"]["actions"]}
    assert actions["red"]["box"] == pytest.approx(LEFT, abs=16)
    assert actions["blue"]["box"] == pytest.approx(RIGHT, abs=16)
    assert {action["id"] for action in actions.values()} == {1, 2}
