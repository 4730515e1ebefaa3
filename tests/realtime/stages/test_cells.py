"""From the cells that engines compute to where an action is, through the whole recogniser."""

import json
from fractions import Fraction
from typing import Any

import jsonschema
import numpy as np
import pytest

from engines.head import Head
from realtime.outputs.log import SCHEMA, output_line
from realtime.recognizer import Output, Recognizer
from realtime.sources.upright import Turn
from realtime.stages.cells import ENOUGH_CELLS, Cells, calibrated
from realtime.stages.fuse import fuse, softmax
from realtime.types import Box, Event, Frame, Prediction
from tests.support.colours import SeesColours, coloured

CELL = 32.0


def run(recognizer: Recognizer, items: list[Frame]) -> list[Output]:
    return [out for item in items for out in recognizer.push(item)] + recognizer.flush()


def of_kind(outputs: list[Output], kind: type[Any]) -> list[Any]:
    return [out for out in outputs if isinstance(out, kind)]


def clip(blocks: dict[str, Box], count: int = 120, **known: Any) -> list[Frame]:
    return [coloured(i, blocks, **known) for i in range(count)]


def random_cells(columns: int = 7) -> Cells:
    rng = np.random.default_rng(0)
    heads = {
        name: Head(rng.standard_normal((5, 16), np.float32), rng.standard_normal(5, np.float32))
        for name in ("rgb", "flow")
    }
    cells = {name: rng.standard_normal((7, columns, 16), np.float32) for name in heads}
    return Cells(cells, heads, {"rgb": 1.0, "flow": 0.5})


@pytest.mark.parametrize("columns", [7, 21])
def test_the_mean_of_the_scores_of_all_streams_is_the_fused_logit(columns: int) -> None:
    cells = random_cells(columns)
    logits = {name: cells.heads[name](own.mean(axis=(0, 1))) for name, own in cells.by_stream.items()}
    fused = fuse(logits, cells.weights)
    for number in range(5):
        assert cells.scores(number).mean() == pytest.approx(fused[number], abs=1e-5)
        assert cells.fused[..., number] == pytest.approx(cells.scores(number), abs=1e-5)
    everything = np.full((1, 7, columns), 1 / (7 * columns), np.float32)
    assert fuse(cells.logits(everything), cells.weights)[0] == pytest.approx(fused, abs=1e-5)


def test_logits_of_a_part_are_the_mean_scores_of_its_cells() -> None:
    cells = random_cells()
    part = np.zeros((2, 7, 7), np.float32)
    part[0, 2, 3], part[1, :4, 3:] = 1, 1 / 16
    one, some = fuse(cells.logits(part), cells.weights)
    for number in range(5):
        scores = cells.scores(number)
        assert one[number] == pytest.approx(scores[2, 3], abs=1e-5)
        assert some[number] == pytest.approx(scores[:4, 3:].mean(), abs=1e-5)


def test_small_parts_are_calibrated_and_large_ones_need_not_be() -> None:
    logits = np.array([3.0, 1.0, 0.0], np.float32)
    for cells in (ENOUGH_CELLS, 49, 147):
        assert calibrated(logits, cells) == pytest.approx(softmax(logits))
    both = calibrated(np.stack([logits, logits]), np.array([[4], [8]], np.float32))
    assert both == pytest.approx(softmax(np.stack([logits / 4, logits / 2])))


@pytest.mark.parametrize("mode", ["continual", "preview"])
def test_a_prediction_says_where_its_action_is(mode: Any) -> None:
    block = (112.0, 48.0, 96.0, 64.0)  # whole cells of the crop, which begins at 16, 16
    predictions = of_kind(run(Recognizer({"rgb": SeesColours(mode)}), clip({"green": block})), Prediction)
    assert {p.label for p in predictions} == {"green"}
    assert {p.settled for p in predictions} == ({True} if mode == "continual" else {True, False})
    for prediction in predictions:
        assert prediction.where == pytest.approx(block, abs=CELL / 2)
        assert prediction.heat is None


def test_an_event_says_where_it_was() -> None:
    first, second = (16.0, 16.0, 64.0, 64.0), (144.0, 144.0, 64.0, 64.0)
    items = [coloured(i, {"red": first if i < 104 else second}) for i in range(208)]
    (event,) = of_kind(run(Recognizer({"rgb": SeesColours()}, smooth=1), items), Event)
    assert event.label == "red"
    assert event.where == pytest.approx((80, 80, 64, 64), abs=CELL / 2)


def test_a_place_is_given_in_px_of_the_picture_that_the_source_stores() -> None:
    turn, block = Turn(transposed=True, flip_x=True), (160.0, 48.0, 64.0, 96.0)
    known = {"size_px": (256, 256), "turn": turn, "pixel_aspect": Fraction(2)}
    predictions = of_kind(run(Recognizer({"rgb": SeesColours()}), clip({"red": block}, **known)), Prediction)
    # Flipped back, x begins at 256 - 160 - 64; then rows and columns change places; then pixels are twice as wide.
    assert predictions[0].where == pytest.approx((48 / 2, 32, 96 / 2, 64), abs=CELL / 2)


def test_in_a_full_view_a_place_may_be_anywhere() -> None:
    block = (560.0, 80.0, 64.0, 64.0)
    items = clip({"blue": block}, size_px=(256, 640))
    predictions = of_kind(run(Recognizer({"rgb": SeesColours()}, region="full"), items), Prediction)
    assert predictions[0].where == pytest.approx(block, abs=CELL / 2)


def test_heat_is_the_map_of_the_label_and_goes_to_the_log() -> None:
    items = clip({"red": (16.0, 16.0, 224.0, 32.0)})
    outputs = run(Recognizer({"rgb": SeesColours()}, heat=True), items)
    schema = json.loads(SCHEMA.read_text())
    for prediction in of_kind(outputs, Prediction):
        assert prediction.heat.shape == (7, 7)
        assert prediction.heat[0] == pytest.approx(22.5, abs=0.01)
        assert prediction.heat[1:] == pytest.approx(-2.5, abs=0.01)
    for out in outputs:
        line = output_line(out)
        jsonschema.validate(line, schema)
        assert line["where"] == [16, 16, 224, pytest.approx(32, abs=16)]
    assert output_line(outputs[0])["heat"][0] == [22.5] * 7


def test_where_no_cell_supports_the_label_there_is_no_place() -> None:
    outputs = run(Recognizer({"rgb": SeesColours()}), clip({}))
    assert {output_line(out)["where"] for out in outputs} == {None}


def test_places_of_both_streams_add_with_the_weights_of_the_logits() -> None:
    cells = random_cells()
    alone = Cells({"rgb": cells.by_stream["rgb"]}, cells.heads, cells.weights).scores(2)
    other = Cells({"flow": cells.by_stream["flow"]}, cells.heads, {"flow": 1.0}).scores(2)
    assert cells.scores(2) == pytest.approx(alone + other / 2, abs=1e-5)
