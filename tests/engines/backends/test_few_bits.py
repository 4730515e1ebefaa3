"""OpenVINO's engines in bfloat16 and in 8 bits. Making them takes most of the time of these tests, so each is made
once."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engines.backends.openvino import device, forms
from engines.backends.openvino import run as openvino
from engines.backends.pytorch import WholeVideo
from engines.engine import Engine
from engines.errors import EngineError, NoClip
from engines.runtime.whole_clip import clip_logits
from engines.spec import MODES
from tests.engines.test_cells import PX, TENSORS, average_to_its_logit
from tests.support.networks import noise, plan

Made = tuple[Engine, Path, np.ndarray]
RGB_ENGINES = [(precision, mode, 3) for precision in ("bfloat16", "int8") for mode in MODES]
FLOW_ENGINES = [("bfloat16", "continual", 2), ("int8", "continual", 2)]


@pytest.fixture(scope="module")
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """An engine for pictures of four cells, its files, and the ticks that it was calibrated on."""
    precision, mode, channels = request.param
    if precision not in device.precisions():
        pytest.skip(f"this processor does not compute in {precision}")
    ticks = noise(128, channels, px=PX)
    folder = tmp_path_factory.mktemp(precision)
    wanted = plan(mode, channels, precision)
    wanted = replace(wanted, spec=replace(wanted.spec, crop_px=PX))
    if precision == "int8" and (mode, channels) != ("continual", 3):
        wanted = replace(wanted, form=forms.NONE)  # made in two thirds of the time
    openvino.build(wanted, TENSORS[channels], folder, ticks[0])
    return openvino.load(wanted, folder, TENSORS[channels]), folder, ticks


@pytest.mark.parametrize("made", RGB_ENGINES, indirect=True, ids=str)
def test_it_is_near_the_reference(made: Made) -> None:
    """Random weights have logits of about 1, of which bfloat16 keeps 8 bits per layer and int8 keeps 7: 0.03 and 0.01
    on average were seen."""
    engine, folder, ticks = made
    if engine.precision == "int8":
        graph = "window" if engine.mode == "window" else "interior"
        assert (folder / f"{graph}.xml").read_text().count("FakeQuantize") > 40
    found = clip_logits(engine, iter(ticks[0]), 128)
    reference = WholeVideo(TENSORS[3])
    if engine.mode == "window":
        wanted = np.concatenate([reference(ticks[:, i : i + 64])[0] for i in (0, 64)])
    else:
        wanted = reference(ticks)[0]
    difference = np.abs(found - wanted)
    assert 0 < difference.mean() < 0.05, difference.mean()


@pytest.mark.parametrize("made", [*RGB_ENGINES, *FLOW_ENGINES], indirect=True, ids=str)
def test_the_scores_of_a_class_in_the_cells_average_to_its_logit(made: Made) -> None:
    average_to_its_logit(made[0])


@pytest.mark.parametrize(
    "made", [("bfloat16", mode, 3) for mode in ("continual", "preview")], indirect=True, ids=str
)
def test_memories_are_of_the_type_that_is_computed_in_but_for_the_smallest(made: Made) -> None:
    _, folder, _ = made
    memories = device.core().read_model(folder / "interior.xml").inputs[1:]
    smallest_px = min(port.shape[2] for port in memories)
    halves = {port.element_type.to_string() for port in memories if port.shape[2] > smallest_px}
    whole = {port.element_type.to_string() for port in memories if port.shape[2] == smallest_px}
    assert (halves, whole) == ({"bf16"}, {"f32"})


def test_int8_needs_a_clip_and_a_long_enough_one(tmp_path: Path) -> None:
    with pytest.raises(NoClip, match=r"calibrated on a real clip: name one with .* --clip"):
        openvino.build(plan("continual", precision="int8"), TENSORS[3], tmp_path, None)
    with pytest.raises(EngineError, match=r"80 ticks \(3.2 s\) or more, this clip has 40"):
        openvino.build(plan("continual", precision="int8"), TENSORS[3], tmp_path, noise(40)[0])
