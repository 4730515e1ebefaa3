"""The network that engines are made from against the one that is trained: two descriptions, one result."""

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engines.backends.graphs import graphs, window
from engines.backends.openvino.build import WholeVideo as PlainGraph
from engines.backends.pytorch import WholeVideo
from engines.backends.torch_operations import TorchGraph
from engines.errors import WeightsError
from engines.head import head_of, mean_of_cells
from engines.nets.folded import fold
from tests.support.networks import noise, random_tensors, small_spec

TOLERANCE = 1e-4
"""Logits of about 1 in float32, summed in another order."""
TENSORS = {3: random_tensors(3), 2: random_tensors(2, seed=1)}


@given(st.integers(9, 80), st.sampled_from([3, 2]), st.booleans())
@example(64, 3, False)
@example(61, 2, False)
@example(63, 3, True)
@settings(max_examples=20)
def test_both_descriptions_agree_over_a_whole_video(length: int, channels: int, anchored: bool) -> None:
    ticks = noise(length, channels, batch=2)
    graph = window(small_spec(channels), TENSORS[channels], length, anchored=anchored)
    with torch.inference_mode():
        (cells,) = TorchGraph(graph)(torch.from_numpy(ticks))
    found = head_of(TENSORS[channels])(mean_of_cells(cells.numpy()))
    wanted = WholeVideo(TENSORS[channels], anchored=anchored)(ticks)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("channels", [3, 2])
@pytest.mark.parametrize("anchored", [False, True])
@pytest.mark.parametrize("length", [9, 64, 71])
def test_the_reference_without_torch_agrees_with_torch(length: int, channels: int, anchored: bool) -> None:
    ticks = noise(length, channels, batch=2)
    found = PlainGraph(small_spec(channels), TENSORS[channels], anchored=anchored)(ticks)
    wanted = WholeVideo(TENSORS[channels], anchored=anchored)(ticks)
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=0, atol=TOLERANCE)
    assert np.abs(found).max() > 0.1


def test_half_precision_rounds_what_the_graph_holds() -> None:
    (graph,) = graphs(small_spec(3), "window", TENSORS[3], "float16")
    module = TorchGraph(graph)
    assert {buffer.dtype for buffer in module.buffers()} == {torch.float16}


def test_weights_that_are_not_i3ds_are_refused() -> None:
    name = "Mixed_4c.b2b.bn.bias"
    without = {key: x for key, x in TENSORS[3].items() if key != name}
    for tensors, words in (
        ({}, r"Conv3d_1a_7x7\.\S+ is missing|logits\.\S+ is missing"),
        (without, f"{name} is missing"),
        (TENSORS[3] | {"more": np.zeros(1, np.float32)}, "more is not part of the network"),
        (TENSORS[3] | {name: np.zeros(3, np.float32)}, rf"{name} has shape \(3,\)"),
    ):
        with pytest.raises(WeightsError, match=f"these weights are not I3D's: ({words})"):
            fold(tensors)
