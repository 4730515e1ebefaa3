"""Convolutions along time with fewer multiplications: Winograd's minimal filtering, F(m, r) of Lavin and Gray (arXiv
1509.09308).

m outputs of a filter with r taps take m + r - 1 multiplications instead of m r: a 3x3x3 convolution at 4 new positions
is six 3x3 convolutions of mixed pictures instead of twelve. Only time is treated this way: its positions follow one
another in memory, and mixing them costs next to nothing. In float32 the result is the same up to rounding (2e-5 of a
logit), and in bfloat16 it is no further off than without (0.04 on average), unless the sixth point is used: then by up
to 0.56 instead of 0.36. In 8 bits, logits of the demo clip were off by 0.19 on average with it, by 0.23 without: each
mixed weight is quantised separately.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.nets.i3d_shapes import Triple
from engines.nets.operations import Operations, Pads, V

POINTS = tuple(map(Fraction, ("0", "1", "-1", "2", "-2", "1/2")))
"""Where the polynomials are evaluated, besides infinity; small numbers cause the least rounding."""
POINTS_IN_FEW_BITS = 5
"""Number of points for bfloat16 and 8 bits."""
LAYERS_IN_8_BITS = ("Conv3d_1a_7x7", "Conv3d_2c_3x3", "Mixed_3b.b1b", "Mixed_3c.b1b")
"""Layers where it saves more than the mixing costs."""
OUTPUTS = (4, 3, 2)
"""The values of m to choose from."""
SEPARATE_TILES = 4
"""Up to this many tiles are computed one by one, without copies. More are computed together, for fewer operations to
compile."""
Matrix = list[list[Fraction]]


def minimal_filter(outputs: int, taps: int) -> tuple[Matrix, Matrix, Matrix]:
    """Matrices A (m x n), G (n x r), B (n x n), n = m + r - 1, with y = A ((G g) * (B d)) for
    y[i] = sum_j d[i + j] g[j].

    Toom and Cook's multiplication of polynomials, transposed: G evaluates the filter at n - 1 points and at infinity,
    A does so for the transposed output, and B is what makes the product right, rows of the Lagrange polynomials.
    """
    points = POINTS[: outputs + taps - 2]
    zero, one = Fraction(0), Fraction(1)
    a = [[p**i for p in points] + [one if i == outputs - 1 else zero] for i in range(outputs)]
    g, b = [], []
    for p in points:
        others = [q for q in points if q != p]
        scale = product([[p - q] for q in others])[0]
        g.append([p**j / scale for j in range(taps)])
        b.append([*product([[-q, one] for q in others]), zero])
    g.append([zero] * (taps - 1) + [one])
    b.append(product([[-q, one] for q in points]))
    return a, g, b


def product(polynomials: Sequence[Sequence[Fraction]]) -> list[Fraction]:
    """Coefficients, lowest first, of the product of polynomials."""
    result = [Fraction(1)]
    for factor in polynomials:
        terms = [Fraction(0)] * (len(result) + len(factor) - 1)
        for i, x in enumerate(result):
            for j, y in enumerate(factor):
                terms[i + j] += x * y
        result = terms
    return result


def possible_outputs(taps: int, points: int) -> list[int]:
    """The values of m that need no more than `points` of `POINTS`."""
    return [m for m in OUTPUTS if m + taps - 2 <= points]


@cache
def tiling(positions: int, taps: int, points: int = len(POINTS)) -> tuple[int, ...]:
    """The m of each tile, for two or more positions, with the fewest multiplications. `points`: the most to use."""
    if positions == 0:
        return ()
    possible = possible_outputs(taps, points)
    fitting = [m for m in possible if positions == m or positions - m > 1]
    choices = [(m, *tiling(positions - m, taps, points)) for m in fitting]
    return min(choices, key=lambda tiles: (sum(tiles) + len(tiles) * (taps - 1), len(tiles)))


def mix(ops: Operations[V], row: Sequence[Fraction], values: Sequence[V]) -> V:
    """Sum of the values with these factors, in as few operations as possible."""
    mixed: V | None = None
    for factor, x in zip(row, values, strict=True):
        if factor == 0:
            continue
        term = x if abs(factor) == 1 else ops.multiply(x, float(abs(factor)))
        if mixed is None:
            mixed = term if factor > 0 else ops.multiply(term, -1.0)
        else:
            mixed = ops.add(mixed, term) if factor > 0 else ops.subtract(mixed, term)
    assert mixed is not None
    return mixed


@dataclass(frozen=True)
class MinimalConvolution:
    """A convolution along time with fewer multiplications, for any number of positions.

    With a stride of s in time, s neighbouring positions count as one with s times the channels. So may the halves of a
    filter that is too long for the available points: its second half looks that many positions ahead. For four
    positions that is as many multiplications as without, in fewer and larger ones; for eight and more it is a sixth
    more (docs/log.md, 2026-11-30).
    """

    layer: str
    kernel: Triple
    stride: Triple
    points: int
    """The largest number of `POINTS` to use; 0: as many multiplications as ever, only folded into channels."""
    halves: bool = True
    """Whether a filter that is too long is taken in halves."""
    in_space: bool = False
    """Whether a stride of 2 in space is treated like that in time: four neighbouring pixels become one with four times
    the channels, more multiplications in fewer positions."""

    @property
    def folds(self) -> int:
        if not self.points:
            return 1
        taps = -(-self.kernel[0] // self.stride[0])
        whole = taps % 2 or not self.halves or OUTPUTS[0] in possible_outputs(taps, self.points)
        return 1 if whole else 2

    @property
    def taps(self) -> int:
        return -(-self.kernel[0] // self.stride[0]) // self.folds

    def kernels(self, weight: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
        """The layer's kernel (out, in, kT, kH, kW), transformed: by name, one (out, in, 1, kH, kW) per
        multiplication."""
        step = self.stride[0]
        missing = self.taps * self.folds * step - self.kernel[0]
        weight = np.pad(weight.astype(np.float64), [(0, 0), (0, 0), (0, missing), (0, 0), (0, 0)])
        if self.in_space:
            odd = [(0, 0), (0, 0), (0, 0), *((0, size % 2) for size in self.kernel[1:])]
            weight = np.concatenate([np.pad(weight, odd)[..., y::2, x::2] for y in (0, 1) for x in (0, 1)], 1)
        weight = np.concatenate([weight[:, :, i::step] for i in range(step)], 1)
        weight = np.concatenate(np.split(weight, self.folds, 2), 1)
        found = {} if self.points else {self._name(1, 0): weight.astype(np.float32)}
        for outputs in possible_outputs(self.taps, self.points):
            g = np.array(minimal_filter(outputs, self.taps)[1], dtype=np.float64)
            for i, mixed in enumerate(np.einsum("nj,ocjhw->nochw", g, weight)):
                found[self._name(outputs, i)] = mixed[:, :, None].astype(np.float32)
        return found

    def _name(self, outputs: int, i: int) -> str:
        return f"{self.layer}.weight.{outputs}.{i}"

    def relu_conv(self, ops: Operations[V], weight: Callable[[str], V], x: V, pads: Pads) -> V:
        """The layer with its bias and ReLU. `weight`: the results of `kernels`, and the layer's own weights, by
        name."""
        (front, behind), *sides = pads
        length = ops.shape(x)[2]
        positions = (length + front + behind - self.kernel[0]) // self.stride[0] + 1
        if positions == 1:
            kernel, bias = weight(f"{self.layer}.weight"), weight(f"{self.layer}.bias")
            return ops.relu(ops.conv(x, kernel, bias, self.stride, pads, self.layer))
        step, seen = self.stride[0], positions + self.taps - 1
        needed = step * (seen + (self.folds - 1) * self.taps)
        in_time, stride = (front, needed - front - length), self.stride[1:]
        if self.in_space:
            x = _folded_in_space(ops, x, in_time, sides, self.kernel)
            sides, stride = [(0, 0), (0, 0)], (1, 1)
        else:
            x = ops.pad(x, (in_time, (0, 0), (0, 0)))
        firsts = [step * self.taps * fold + i for fold in range(self.folds) for i in range(step)]
        x = ops.concat([ops.slice(x, 2, first, first + step * seen, step) for first in firsts], 1)
        window: tuple[Triple, Pads] = (1, *stride), ((0, 0), sides[0], sides[1])
        if not self.points:
            kernel, bias = weight(self._name(1, 0)), weight(f"{self.layer}.bias")
            return ops.relu(ops.conv(x, kernel, bias, *window, self.layer))
        tiles = tiling(positions, self.taps, self.points)
        if len(tiles) > SEPARATE_TILES:
            groups = [(m, tiles.count(m)) for m in OUTPUTS if m in tiles]
        else:
            groups = [(m, 1) for m in tiles]
        done, parts = 0, []
        for outputs, count in groups:
            parts += self._tiles(ops, weight, x, window, (done, outputs, count))
            done += outputs * count
        return ops.concat(parts, 2)

    def _tiles(
        self,
        ops: Operations[V],
        weight: Callable[[str], V],
        x: V,
        window: tuple[Triple, Pads],
        tiles: tuple[int, int, int],
    ) -> list[V]:
        """`window`: stride and padding. `tiles`: the first position, the outputs per tile, and the number of tiles.
        Returns one part per position."""
        start, outputs, count = tiles
        a, _, b = minimal_filter(outputs, self.taps)
        last = outputs * (count - 1) + 1
        seen = [ops.slice(x, 2, start + i, start + i + last, outputs) for i in range(len(b))]
        products = [
            ops.conv(mix(ops, row, seen), weight(self._name(outputs, i)), None, *window, self.layer)
            for i, row in enumerate(b)
        ]
        bias = ops.unsqueeze(weight(f"{self.layer}.bias"), (1, 2, 3))
        rows = [ops.relu(ops.add(mix(ops, row, products), bias)) for row in a]
        if count == 1:
            return rows
        return [ops.slice(row, 2, tile, tile + 1) for tile in range(count) for row in rows]


def _folded_in_space(
    ops: Operations[V], x: V, in_time: tuple[int, int], sides: Sequence[tuple[int, int]], kernel: Triple
) -> V:
    """(N, C, T, H, W), padded, -> (N, 4 C, T, H / 2, W / 2)."""
    around = []
    for n, (front, behind), size in zip(ops.shape(x)[3:], sides, kernel[1:], strict=True):
        outputs = (n + front + behind - size) // 2 + 1
        around.append((front, 2 * (outputs + (size + 1) // 2 - 1) - n - front))
    x = ops.pad(x, (in_time, around[0], around[1]))
    height, width = ops.shape(x)[3:]
    rows = [ops.slice(x, 3, y, height, 2) for y in (0, 1)]
    return ops.concat([ops.slice(row, 4, first, width, 2) for row in rows for first in (0, 1)], 1)
