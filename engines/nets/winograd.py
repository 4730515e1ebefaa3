"""Convolutions along time with fewer multiplications: Winograd's minimal filtering, F(m, r) of Lavin and Gray (arXiv 1509.09308).

m outputs of a filter with r taps take m + r - 1 multiplications instead of m r: a 3x3x3 convolution at 4 new positions is six
3x3 convolutions of mixed pictures instead of twelve. Only time is treated so: its positions lie one after the other in
memory, and mixing them costs next to nothing. In float32 the answer is the same but for rounding (2e-5 of a logit), and in
bfloat16 it is as far off as without (0.04 on average), unless the sixth point is used: then by up to 0.56 instead of 0.36. In
8 bits, logits of the demo clip were off by 0.19 on average with it, by 0.23 without: mixed weights are quantised each by itself.
"""

from collections.abc import Collection, Sequence
from fractions import Fraction
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.nets.i3d import Net, Padding, Unit3D

POINTS = tuple(map(Fraction, ("0", "1", "-1", "2", "-2", "1/2")))
"""Where the polynomials are evaluated, besides infinity; small numbers round least."""
POINTS_IN_FEW_BITS = 5
"""In bfloat16 and in 8 bits."""
LAYERS_IN_8_BITS = ("Conv3d_1a_7x7", "Conv3d_2c_3x3", "Mixed_3b.b1b", "Mixed_3c.b1b")
"""Those where it saves more than the mixing costs."""
OUTPUTS = (4, 3, 2)
"""The m to choose from."""
SEPARATE_TILES = 4
"""Up to so many tiles are computed one by one: no copies. More are computed at once: fewer operations to compile."""
Matrix = list[list[Fraction]]


def minimal_filter(outputs: int, taps: int) -> tuple[Matrix, Matrix, Matrix]:
    """Matrices A (m x n), G (n x r), B (n x n), n = m + r - 1, with y = A ((G g) * (B d)) for
    y[i] = sum_j d[i + j] g[j].

    Toom and Cook's multiplication of polynomials, transposed: G evaluates the filter at n - 1 points and at infinity, A does
    so for the transposed output, and B is what makes the product right, rows of the Lagrange polynomials.
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
    """The m that need no more than `points` of `POINTS`."""
    return [m for m in OUTPUTS if m + taps - 2 <= points]


@cache
def tiling(positions: int, taps: int, points: int = len(POINTS)) -> tuple[int, ...]:
    """The m of each tile, two positions or more in all, that takes the fewest multiplications. `points`: the most to use."""
    if positions == 0:
        return ()
    possible = possible_outputs(taps, points)
    fitting = [m for m in possible if positions == m or positions - m > 1]
    choices = [(m, *tiling(positions - m, taps, points)) for m in fitting]
    return min(choices, key=lambda tiles: (sum(tiles) + len(tiles) * (taps - 1), len(tiles)))


def mix(row: Sequence[Fraction], tensors: Sequence[Tensor]) -> Tensor:
    """Sum of the tensors with these factors, in as few operations as it takes."""
    mixed: Tensor | None = None
    for factor, x in zip(row, tensors, strict=True):
        if factor == 0:
            continue
        term = x if abs(factor) == 1 else x * float(abs(factor))
        if mixed is None:
            mixed = term if factor > 0 else -term
        else:
            mixed = mixed + term if factor > 0 else mixed - term
    assert mixed is not None
    return mixed


class WinogradUnit(Unit3D):
    """A folded `Unit3D` that looks along time, computed in fewer multiplications.

    With a stride s in time, s positions side by side count as one of s times the channels. So do the halves of a filter that is
    too long for the points that can be used: its second half looks at the picture as many positions on.
    """

    def __init__(self, unit: Unit3D, points: int = len(POINTS)) -> None:
        """`points`: the most to use of `POINTS`."""
        nn.Module.__init__(self)
        self.points = points
        self.kernel, self.stride, self.anchored = unit.kernel, unit.stride, unit.anchored
        self.conv3d, self.bn, self.classifier = unit.conv3d, unit.bn, unit.classifier
        step = self.stride[0]
        taps = -(-self.kernel[0] // step)
        weight = F.pad(unit.conv3d.weight.double(), (0, 0, 0, 0, 0, taps * step - self.kernel[0]))
        weight = torch.cat([weight[:, :, i::step] for i in range(step)], 1)
        self.folds = 1 if taps % 2 or OUTPUTS[0] in possible_outputs(taps, points) else 2
        self.taps = taps // self.folds
        weight = torch.cat(weight.split(self.taps, 2), 1)  # type: ignore[no-untyped-call]
        self._kernels = {m: self._mixed_kernels(weight, m) for m in possible_outputs(self.taps, points)}

    def _mixed_kernels(self, weight: Tensor, outputs: int) -> list[Tensor]:
        """One for each multiplication, (out, in, 1, kH, kW)."""
        _, g, _ = minimal_filter(outputs, self.taps)
        matrix = torch.tensor([[float(x) for x in row] for row in g], dtype=torch.double)
        mixed = torch.einsum("nj,ocjhw->nochw", matrix, weight).to(self.conv3d.weight.dtype)
        return [kernel.unsqueeze(2) for kernel in mixed]

    def over(self, x: Tensor, padding: Padding) -> Tensor:
        """See `Unit3D.over`."""
        *sides, front, behind = padding
        step = self.stride[0]
        # int: while it is traced a size is a tensor, which no cache knows again.
        positions = int((x.shape[2] + front + behind - self.kernel[0]) // step + 1)
        if positions == 1:
            return super().over(x, padding)
        seen = positions + self.taps - 1
        length = step * (seen + (self.folds - 1) * self.taps)
        x = F.pad(x, (0, 0, 0, 0, front, length - front - x.shape[2]))
        firsts = [step * self.taps * fold + i for fold in range(self.folds) for i in range(step)]
        x = torch.cat([x[:, :, first : first + step * seen : step] for first in firsts], 1)
        tiles = tiling(positions, self.taps, self.points)
        if len(tiles) > SEPARATE_TILES:
            groups = [(m, tiles.count(m)) for m in OUTPUTS if m in tiles]
        else:
            groups = [(m, 1) for m in tiles]
        done, parts = 0, []
        for outputs, count in groups:
            parts += self._tiles(x, sides, done, outputs, count)
            done += outputs * count
        return torch.cat(parts, 2)

    def _tiles(self, x: Tensor, sides: Sequence[int], start: int, outputs: int, count: int) -> list[Tensor]:
        """`count` tiles of as many positions, from `start` on: one part a position."""
        a, _, b = minimal_filter(outputs, self.taps)
        last = outputs * (count - 1) + 1
        seen = [x[:, :, start + i : start + i + last : outputs] for i in range(len(b))]
        products = [
            F.conv3d(F.pad(mix(row, seen), (*sides, 0, 0)), kernel, stride=(1, *self.stride[1:]))
            for row, kernel in zip(b, self._kernels[outputs], strict=True)
        ]
        assert self.conv3d.bias is not None
        bias = self.conv3d.bias[:, None, None, None]
        rows = [F.relu(mix(row, products) + bias).split(1, 2) for row in a]  # type: ignore[no-untyped-call]
        return [row[tile] for tile in range(count) for row in rows]


def with_fewer_multiplications(
    net: Net, points: int = len(POINTS), layers: Collection[str] | None = None
) -> Net:
    """A folded network with its convolutions along time replaced; changes `net` itself and returns it.

    `points`: the most to use of `POINTS`; `POINTS_IN_FEW_BITS` there. `layers`: names of those to replace, by default all.
    """
    for name, unit in list(net.named_modules()):
        if isinstance(unit, Unit3D) and unit.kernel[0] > 1 and (layers is None or name in layers):
            parent, _, leaf = name.rpartition(".")
            setattr(net.get_submodule(parent), leaf, WinogradUnit(unit, points))
    return net
