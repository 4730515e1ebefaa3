"""Fewer multiplications, the same result."""

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.backends.graphs import Graph, graphs
from engines.backends.torch_operations import TorchGraph, TorchOperations, fresh
from engines.nets.folded import Faster
from engines.nets.i3d_shapes import Triple
from engines.nets.winograd import MinimalConvolution, minimal_filter, tiling
from engines.spec import MODES, Mode
from tests.support.networks import noise, random_tensors, small_spec

TOLERANCE = 4e-5
"""For outputs of about 1: float32 summed in another order, with factors up to 8. At most 1.3e-5 over all 2560 cases
that hypothesis may choose, on Zen 4; other processors sum in other orders."""


@pytest.mark.parametrize(("outputs", "taps"), list(product((2, 3, 4), (2, 3, 4))))
def test_a_minimal_filter_is_the_filter_in_fewer_multiplications(outputs: int, taps: int) -> None:
    a, g, b = (np.array(m, dtype=object) for m in minimal_filter(outputs, taps))
    rng = np.random.default_rng(0)
    data = rng.integers(-9, 9, outputs + taps - 1).astype(object)
    weights = rng.integers(-9, 9, taps).astype(object)
    products = (g @ weights) * (b @ data)
    assert len(products) == outputs + taps - 1
    wanted = [sum(data[i + j] * weights[j] for j in range(taps)) for i in range(outputs)]
    assert list(a @ products) == wanted


@given(st.integers(2, 64), st.sampled_from([3, 4]), st.sampled_from([5, 6]))
def test_tiles_cover_the_positions_at_less_than_the_plain_cost(
    positions: int, taps: int, points: int
) -> None:
    tiles = tiling(positions, taps, points)
    assert sum(tiles) == positions
    assert set(tiles) <= {m for m in (2, 3, 4) if m + taps - 2 <= points}
    assert sum(m + taps - 1 for m in tiles) < positions * taps


@given(
    st.integers(1, 40),
    st.sampled_from([((3, 3, 3), (1, 1, 1)), ((7, 7, 7), (2, 2, 2))]),
    st.tuples(st.integers(0, 3), st.integers(0, 3)),
    st.sampled_from([(0, False), (5, True), (5, False), (6, True)]),
    st.booleans(),
)
@settings(max_examples=80)
def test_a_faster_layer_gives_the_same_result(
    length: int,
    layer: tuple[Triple, Triple],
    padding: tuple[int, int],
    how: tuple[int, bool],
    in_space: bool,
) -> None:
    kernel, stride = layer
    if length + sum(padding) < kernel[0]:
        length = kernel[0]
    rng = np.random.default_rng(length)
    plain = (rng.normal(size=(4, 3, *kernel)) / np.sqrt(3 * np.prod(kernel))).astype(np.float32)
    faster = MinimalConvolution("layer", kernel, stride, *how, in_space and stride[1] == 2)
    arrays = faster.kernels(plain) | {"layer.weight": plain, "layer.bias": np.full(4, 0.1, np.float32)}
    weights = {name: torch.from_numpy(values) for name, values in arrays.items()}
    x = torch.from_numpy(rng.normal(size=(2, 3, length, 9, 11)).astype(np.float32))
    pads = (padding, (2, 1), (1, 2))
    ops = TorchOperations(x.device)
    wanted = ops.relu(ops.conv(x, weights["layer.weight"], weights["layer.bias"], stride, pads, "layer"))
    found = faster.relu_conv(ops, weights.__getitem__, x, pads)
    torch.testing.assert_close(found, wanted, rtol=0, atol=TOLERANCE)


def test_a_long_filter_is_taken_in_halves_or_whole() -> None:
    """Of 7 taps every 2 positions, 4 are left: with 5 points two outputs at a time, in halves of 2 taps four."""
    halves, whole = (
        MinimalConvolution("layer", (7, 7, 7), (2, 2, 2), 5, each).kernels(np.ones((1, 3, 7, 7, 7)))
        for each in (True, False)
    )
    assert {name.split(".")[2] for name in halves} == {"4", "3", "2"}
    assert {name.split(".")[2] for name in whole} == {"3", "2"}
    assert {kernel.shape[1] for kernel in halves.values()} == {12}
    assert {kernel.shape[1] for kernel in whole.values()} == {6}


def inputs_of(graph: Graph) -> list[torch.Tensor]:
    """Ticks, and memories with any values that could be remembered."""
    memories = [torch.rand(m.shape) for m in fresh(graph)] if graph.name != "window" else []
    return [torch.from_numpy(noise(graph.inputs["chunk"].shape[0])), *memories]


@pytest.mark.parametrize("mode", MODES)
def test_the_network_is_the_same(mode: Mode) -> None:
    plain, faster = (
        graphs(small_spec(3), mode, random_tensors(), faster=faster)[-1] for faster in (None, Faster(6))
    )
    assert len(faster.faster) == 20
    inputs = inputs_of(plain)
    wanted, found = (TorchGraph(graph)(*inputs) for graph in (plain, faster))
    assert len(wanted) == len(found)
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-4)
    assert not torch.equal(found[0], wanted[0])


def test_only_the_named_layers_are_replaced() -> None:
    layers = ("Conv3d_1a_7x7", "Mixed_3c.b1b")
    (graph,) = graphs(small_spec(3), "window", random_tensors(), faster=Faster(5, layers))
    assert tuple(graph.faster) == layers
    assert {name.split(".weight.")[0] for name in graph.weights if ".weight." in name} == set(layers)
