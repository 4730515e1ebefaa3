"""OpenVINO's engines in 8 bits. Quantising takes most of the time of these tests, so each engine is made once."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engines.backends.openvino import run as openvino
from engines.backends.pytorch import WholeVideo
from engines.engine import Engine
from engines.errors import EngineError, NoClip
from engines.runtime.whole_clip import clip_logits
from engines.spec import MODES
from tests.engines.test_cells import PX, TENSORS, average_to_its_logit
from tests.support.networks import noise, plan

RGB_ENGINES = [(mode, 3) for mode in MODES]


@pytest.fixture(scope="module")
def made(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Engine, Path, np.ndarray]:
    """An engine for pictures of four cells, its files, and the ticks that it was calibrated on."""
    mode, channels = request.param
    ticks = noise(128, channels, px=PX)
    folder = tmp_path_factory.mktemp("int8")
    wanted = plan(mode, channels, "int8")
    wanted = replace(wanted, spec=replace(wanted.spec, crop_px=PX))
    openvino.build(wanted, TENSORS[channels], folder, ticks[0])
    return openvino.load(wanted, folder, TENSORS[channels]), folder, ticks


@pytest.mark.parametrize("made", RGB_ENGINES, indirect=True, ids=str)
def test_int8_is_near_the_reference(made: tuple[Engine, Path, np.ndarray]) -> None:
    """Random weights have logits of about 1, of which int8 keeps 7 bits per layer: 0.01 on average was seen, and the
    best class is the same."""
    engine, folder, ticks = made
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


@pytest.mark.parametrize("made", [*RGB_ENGINES, ("continual", 2)], indirect=True, ids=str)
def test_the_scores_of_a_class_in_the_cells_average_to_its_logit(
    made: tuple[Engine, Path, np.ndarray],
) -> None:
    average_to_its_logit(made[0])


def test_int8_needs_a_clip_and_a_long_enough_one(tmp_path: Path) -> None:
    with pytest.raises(NoClip, match=r"calibrated on a real clip: name one with .* --clip"):
        openvino.build(plan("continual", precision="int8"), TENSORS[3], tmp_path, None)
    with pytest.raises(EngineError, match=r"80 ticks \(3.2 s\) or more, this clip has 40"):
        openvino.build(plan("continual", precision="int8"), TENSORS[3], tmp_path, noise(40)[0])
