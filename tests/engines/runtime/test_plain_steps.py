"""Steps without a preview, for a recogniser that is late: the settled logits are the same, and so is all that
follows."""

from collections.abc import Callable
from typing import Any

import numpy as np

from engines.backends import pytorch as torch_backend
from engines.backends.graphs import Graph
from engines.backends.torch_operations import TorchGraph
from engines.engine import POSITION_BEHIND_TICKS
from engines.runtime.continual import StreamingEngine
from tests.support.networks import noise, plan, random_tensors, small_engine

STEPS = 14
TENSORS = random_tensors(3)
VIDEO = noise(8 * STEPS, 3)


def answers(engine: StreamingEngine, previews: list[bool]) -> list[np.ndarray]:
    """Logits of each step, with a preview where it is asked for."""
    state, found = engine.start(), []
    for i, preview in enumerate(previews):
        positions, state = engine.step(VIDEO[:, 8 * i : 8 * i + 8], state, preview=preview)
        found.append(positions.logits)
    return found


def test_a_step_without_a_preview_gives_only_the_settled_position_and_changes_nothing_later() -> None:
    engine = small_engine(TENSORS, "preview", 3)
    wanted = answers(engine, [True] * STEPS)
    previews = [i % 3 == 0 for i in range(STEPS)]
    found = answers(engine, previews)
    for preview, full, got in zip(previews, wanted, found, strict=True):
        assert got.shape[1] == (7 if preview else 1)
        np.testing.assert_allclose(got, full[:, : got.shape[1]], rtol=0, atol=1e-5)


def test_in_the_interior_of_a_video_it_costs_what_a_continual_step_costs() -> None:
    ran: list[str] = []

    def noting(graph: Graph) -> Callable[..., Any]:
        net = TorchGraph(graph)
        return lambda *inputs: ran.append(graph.name) or net(*inputs)

    engine = torch_backend.engine(plan("preview", 3), TENSORS, "torch", noting)
    assert isinstance(engine, StreamingEngine)
    answers(engine, [i % 2 == 0 for i in range(STEPS)])
    assert ran == ["boundary"] * 8 + ["preview", "interior"] * 3


def test_a_position_sees_44_ticks_back_and_no_further() -> None:
    """The recogniser relies on this to tell whether a prediction saw dropped frames."""
    engine = small_engine(TENSORS, "continual", 3)
    position = STEPS - 8
    first = 8 * position - POSITION_BEHIND_TICKS

    def last_answer(changed: int) -> np.ndarray:
        video, state = VIDEO.copy(), engine.start()
        video[:, changed] = 255 - video[:, changed]
        for i in range(STEPS):
            positions, state = engine.step(video[:, 8 * i : 8 * i + 8], state)
        assert positions.first[0] == position
        return positions.logits

    assert first > 0
    np.testing.assert_array_equal(last_answer(first - 1), last_answer(first - 2))
    assert np.abs(last_answer(first) - last_answer(first - 1)).max() > 0
