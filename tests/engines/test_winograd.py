"""Fewer multiplications, the same answer."""

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.nets.continual import Continual
from engines.nets.i3d import I3D, Triple, Unit3D, fold
from engines.nets.winograd import WinogradUnit, minimal_filter, tiling, with_fewer_multiplications
from tests.engines.nets import CLASSES, DIVIDE, SMALL_PX, noise, random_tensors, small

TOLERANCE = 1e-5
"""Of outputs of about 1: float32 in another order, with factors up to 8."""


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
    st.sampled_from([5, 6]),
)
@settings(max_examples=40, deadline=None)
def test_a_unit_gives_what_it_gave(
    length: int, layer: tuple[Triple, Triple], padding: tuple[int, int], points: int
) -> None:
    kernel, stride = layer
    if length + sum(padding) < kernel[0]:
        length = kernel[0]
    torch.manual_seed(length)
    unit = Unit3D(3, 4, kernel, stride).eval().requires_grad_(False)
    unit.bn.bias.fill_(0.1)
    unit = fold(unit)
    x = torch.randn(2, 3, length, 9, 11)
    around = (1, 2, 2, 1, *padding)
    torch.testing.assert_close(
        WinogradUnit(unit, points).over(x, around), unit.over(x, around), rtol=0, atol=TOLERANCE
    )


def test_all_layers_along_time_are_replaced_and_the_network_is_the_same() -> None:
    tensors = random_tensors()
    net = fold(small(I3D(CLASSES, divide=DIVIDE), tensors))
    x = torch.randn(1, 3, 64, SMALL_PX, SMALL_PX).clamp(-1, 1)
    wanted = net(x)
    faster = with_fewer_multiplications(net)
    along_time = [m for m in faster.modules() if isinstance(m, Unit3D) and m.kernel[0] > 1]
    assert len(along_time) == 20
    assert all(isinstance(m, WinogradUnit) for m in along_time)
    torch.testing.assert_close(faster(x), wanted, rtol=0, atol=1e-4)


@pytest.mark.parametrize("preview", [False, True])
def test_a_step_is_the_same(preview: bool) -> None:
    net = small(Continual(CLASSES, preview=preview, divide=DIVIDE), random_tensors())
    assert isinstance(net, Continual)
    folded = fold(net)
    memories = [torch.rand(m.shape) if m.is_floating_point() else m for m in net.fresh(1, SMALL_PX)]
    chunk = torch.from_numpy(noise(8))
    wanted = folded(chunk, *memories)
    found = with_fewer_multiplications(folded)(chunk, *memories)
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-4)


def test_just_the_named_layers_are_replaced() -> None:
    net = with_fewer_multiplications(
        fold(small(I3D(CLASSES, divide=DIVIDE), random_tensors())), 5, ("Conv3d_1a_7x7", "Mixed_3c.b1b")
    )
    replaced = [name for name, unit in net.named_modules() if isinstance(unit, WinogradUnit)]
    assert replaced == ["Conv3d_1a_7x7", "Mixed_3c.b1b"]
