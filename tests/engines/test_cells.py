"""Every engine gives the features of each cell, and the scores of a class there average to its logit."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from engines.backends.registry import backend_module
from engines.engine import CELL_PX, Engine, Positions
from engines.errors import EngineError
from engines.head import FILE, Head, cell_scores, head_of, load_head, mean_of_cells, save_head
from engines.nets.i3d import I3D, to_video
from engines.spec import MODES, Mode
from tests.support.networks import CLASSES, DIVIDE, noise, plan, random_tensors, small

SIDE = 2
PX = SIDE * CELL_PX
LENGTH = 92
"""Eleven steps and a tail of four ticks; a multiple of four, so that a live stream and a clip are one network."""
TENSORS = {3: random_tensors(3), 2: random_tensors(2, seed=1)}
TICKS = {channels: noise(LENGTH, channels, px=PX) for channels in (3, 2)}
TOLERANCE = {"float32": 1e-3, "bfloat16": 0.05, "int8": 0.1}
"""By precision, for scores of about 1: the largest difference in float32, else the mean. In int8, 0.055 was seen
(`backends/test_few_bits.py`)."""
ENGINES = [
    ("torch", "float32"),
    ("openvino", "float32"),
]


def built(backend: str, precision: str, mode: Mode, channels: int, folder: Path) -> Engine:
    module = backend_module(backend)
    if precision not in module.precisions():
        pytest.skip(f"this processor does not compute in {precision}")
    wanted = plan(mode, channels, precision)
    wanted = replace(wanted, spec=replace(wanted.spec, crop_px=PX))
    module.build(wanted, TENSORS[channels], folder, TICKS[channels][0])
    return module.load(wanted, folder, TENSORS[channels])


def reference(channels: int, length: int) -> np.ndarray:
    """Cells (positions, 2, 2, features) from the network of `engines.nets.i3d`."""
    net = small(I3D(CLASSES, channels, divide=DIVIDE), TENSORS[channels])
    with torch.inference_mode():
        trunk = net.trunk(to_video(torch.from_numpy(TICKS[channels][:, :length]), torch.float32))
        return F.avg_pool3d(trunk, (2, 1, 1), stride=1)[0].permute(1, 2, 3, 0).numpy()


def answers(engine: Engine, ticks: np.ndarray) -> tuple[list[Positions], np.ndarray]:
    """All that the engine gives, and the cells of the settled positions in their order."""
    state, said = engine.start(), []
    size = engine.chunk_ticks
    whole = len(ticks[0]) // size * size
    for start in range(0, whole, size):
        positions, state = engine.step(ticks[:, start : start + size], state)
        said.append(positions)
    said.append(engine.flush(ticks[:, whole:], state))
    young = [max(0, -int(positions.first[0])) for positions in said]
    settled = [p.cells[0, y : p.settled] for p, y in zip(said, young, strict=True)]
    return said, np.concatenate(settled)


@pytest.mark.parametrize(("mode", "channels"), [*((mode, 3) for mode in MODES), ("continual", 2)])
@pytest.mark.parametrize(("backend", "precision"), ENGINES)
def test_the_scores_of_a_class_in_the_cells_average_to_its_logit(
    backend: str, precision: str, mode: Mode, channels: int, tmp_path: Path
) -> None:
    average_to_its_logit(built(backend, precision, mode, channels, tmp_path))


def average_to_its_logit(engine: Engine) -> None:
    """The scores of each class are those of the reference, and average to the engine's logits."""
    mode, precision, channels = engine.mode, engine.precision, engine.spec.channels
    said, cells = answers(engine, TICKS[channels])
    for positions in said:
        assert positions.cells.dtype == np.float32
        assert positions.cells.shape == (*positions.logits.shape[:2], SIDE, SIDE, 1024 // DIVIDE)
        for number in range(CLASSES):
            scores = cell_scores(positions.cells, engine.head, number)
            np.testing.assert_allclose(scores.mean(axis=(2, 3)), positions.logits[..., number], atol=1e-3)
    wanted = reference(channels, 64 if mode == "window" else LENGTH)
    assert cells.shape == wanted.shape
    head = head_of(TENSORS[channels])
    found_scores, wanted_scores = (
        np.stack([cell_scores(x, head, c) for c in range(CLASSES)]) for x in (cells, wanted)
    )
    difference = np.abs(found_scores - wanted_scores)
    assert (difference.max() if precision == "float32" else difference.mean()) < TOLERANCE[precision]
    assert np.ptp(wanted_scores, axis=(2, 3)).min() > 0.1, "all cells score the same"


def test_a_score_is_given_for_the_cell_that_it_belongs_to() -> None:
    cells = np.zeros((2, 7, 7, 3), np.float32)
    cells[1, 2, 5] = 49, 0, 98
    head = Head(np.array([[1, 0, 0], [0, 1, 0.5]], np.float32), np.array([0.25, -1], np.float32))
    scores = cell_scores(cells, head, 1)
    assert scores.shape == (2, 7, 7)
    assert scores[1, 2, 5] == 48
    assert np.delete(scores.ravel(), 49 + 2 * 7 + 5) == pytest.approx(-1)
    np.testing.assert_allclose(head(mean_of_cells(cells)), [[0.25, -1], [1.25, 0]])


def test_a_stored_head_is_loaded_unchanged(tmp_path: Path) -> None:
    head = head_of(TENSORS[3])
    save_head(head, tmp_path)
    found = load_head(tmp_path)
    np.testing.assert_array_equal(found.kernel, head.kernel)
    np.testing.assert_array_equal(found.bias, head.bias)


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_bytes(b"no array")])
def test_a_missing_or_damaged_head_is_an_error_that_names_it(
    spoil: Callable[[Path], object], tmp_path: Path
) -> None:
    save_head(head_of(TENSORS[3]), tmp_path)
    spoil(tmp_path / FILE)
    with pytest.raises(EngineError, match=r"head\.npy cannot be read: .*build again with --rebuild"):
        load_head(tmp_path)
