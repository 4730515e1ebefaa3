"""TV-L1 optical flow on one CPU core, compiled by Numba. `realtime.flow.tvl1_plan` says what is computed.

The inner loops run along rows of one array that is padded left and right, so that they need no branch and the compiler
vectorises them. Several iterations follow one another down the picture, a row apart, and find their rows in the
second-level cache; the arithmetic is that of one iteration after the other.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from realtime.flow.numba_loops import (
    FLOAT,
    INT,
    LINE,
    PICTURE,
    STATE,
    WORDS,
    compiled,
    inlined,
    row_loop,
)
from realtime.flow.tvl1_plan import CUBIC, EDGE, FLAT, LAMBDA, RELAXATION, Scale, Warp, scales
from realtime.flow.tvl1_pyramid import (
    LEVELS,
    Four,
    Grey,
    Plane,
    Words,
    from_pairs,
    from_quads,
    halve,
    load,
    pack_pairs,
    pack_quads,
)

f32, i32, u32, u64 = np.float32, np.int32, np.uint32, np.uint64
PAD = LANES = 16
"""Columns left and right of a row of the state: the neighbours of its first and last pixel. They fill a cache line, so
that the rows of an aligned state start on one."""
BLOCK = 16
"""Iterations that follow one another down the picture."""
# Channels of a row of the state: the field and the dual variables of its gradients; gradient and constant part of the
# linearised difference, and the bound of a step along that gradient; the field extrapolated. Their units leave an
# iteration few multiplications, which are what it takes longest for: the field is in `unit`s, the dual variables are
# divided by RELAXATION, and the difference is scaled such that, within the bound, it is the step itself.
U, V, U_X, U_Y, V_X, V_Y, G_X, G_Y, REST, BOUND, U_BAR, V_BAR = range(12)
CHANNELS, CARRIED = 12, 6

Row = tuple[Plane, ...]
Fetch = Callable[[Words, np.int32], Four]
ZERO, ONE, TWO, THREE, A = f32(0), f32(1), f32(2), f32(3), f32(CUBIC)
HALF = f32(0.5)
MINIMUM, OVER = f32(FLAT), f32(RELAXATION)
STEP = f32(1 / 8)
"""Product of the primal and the dual step."""
LIMIT = f32(LAMBDA / 8 / RELAXATION)


@row_loop
def mean_row(above: Plane, below: Plane, line: Plane, width: int, factor: np.float32) -> None:
    for x in range(width):
        i = u64(x)
        line[i] = (above[i] + below[i]) * factor


@row_loop
def spread_row(line: Plane, right: Plane, row: Plane, width: int) -> None:
    for x in range(width):
        i = u64(x)
        row[u64(2) * i] = line[i]
        row[u64(2) * i + u64(1)] = (line[i] + right[i]) * HALF


@compiled(STATE, INT, STATE, INT, LINE)
def enlarge(coarse: Plane, coarse_width: int, fine: Plane, width: int, line: Plane) -> None:
    """Field (doubled) and dual variables of a scale from those of the next coarser one, interpolated linearly.

    Dual variables that point out of the picture are zero at the coarser scale, and therefore at this one.
    """
    coarse_height, height = coarse.shape[0] - 1, fine.shape[0] - 1
    for y in range(height):
        lower = min(y // 2 + y % 2, coarse_height - 1)
        for c in range(CARRIED):
            above, below = coarse[y // 2 + 1, c, PAD:], coarse[lower + 1, c, PAD:]
            mean_row(above, below, line, coarse_width, ONE if c <= V else HALF)
            line[coarse_width] = line[coarse_width - 1]
            spread_row(line, line[1:], fine[y + 1, c, PAD:], (width + 1) // 2)


@row_loop
def cubic(t: np.float32) -> tuple[np.float32, np.float32, np.float32, np.float32]:
    """Weights of the four pixels around the point t beyond the second."""
    s = ONE - t
    first, last = A * t * s * s, A * s * t * t
    second = ((A + TWO) * t - (A + THREE)) * t * t + ONE
    return first, second, ONE - first - second - last, last


@row_loop
def cubic_slope(t: np.float32) -> tuple[np.float32, np.float32, np.float32, np.float32]:
    """Derivatives of `cubic`."""
    s = ONE - t
    first, last = A * s * (ONE - THREE * t), A * t * (TWO - THREE * t)
    second = (THREE * (A + TWO) * t - TWO * (A + THREE)) * t
    return first, second, -first - second - last, last


@inlined
def channels(state: Plane, y: int, x: int) -> Row:
    """Each channel of row y of the state, starting at column x."""
    row = state[y]
    return (
        row[0, x:], row[1, x:], row[2, x:], row[3, x:], row[4, x:], row[5, x:],
        row[6, x:], row[7, x:], row[8, x:], row[9, x:], row[10, x:], row[11, x:],
    )  # fmt: skip


@row_loop
def linearise_row(
    four: Fetch,
    words: Words,
    size: tuple[int, int],
    y: int,
    previous: Plane,
    row: Row,
    units: tuple[np.float32, ...],
) -> None:
    (height, width), (level, pixel, unit, rounding) = size, units
    root, limit = np.sqrt(rounding), LIMIT / rounding
    pitch = i32(width + 2 * EDGE)
    for x in range(width):
        i = u64(x)
        u, v = row[U][i] * pixel, row[V][i] * pixel
        to_x, to_y = f32(x) + u, f32(y) + v
        at_x, at_y = min(max(to_x, ZERO), f32(width - 1)), min(max(to_y, ZERO), f32(height - 1))
        column, line = i32(at_x), i32(at_y)
        w0, w1, w2, w3 = cubic(at_x - f32(column))
        s0, s1, s2, s3 = cubic_slope(at_x - f32(column))
        down = at_y - f32(line)
        first = (line + i32(EDGE - 1)) * pitch + column + i32(EDGE - 1)
        value, g_x, g_y = ZERO, ZERO, ZERO
        for weight, slope in zip(cubic(down), cubic_slope(down)):  # noqa: B905
            p0, p1, p2, p3 = four(words, first)
            across = w0 * p0 + w1 * p1 + w2 * p2 + w3 * p3
            value += weight * across
            g_y += slope * across
            g_x += weight * (s0 * p0 + s1 * p1 + s2 * p2 + s3 * p3)
            first += pitch
        # A pixel that leaves the picture is not compared: only its neighbours move it.
        seen = level if (to_x == at_x) & (to_y == at_y) else ZERO
        g_x, g_y = g_x * seen, g_y * seen
        squared = max(g_x * g_x + g_y * g_y, MINIMUM)
        factor = root / np.sqrt(squared)
        row[U][i], row[V][i] = u * unit, v * unit
        row[G_X][i], row[G_Y][i] = g_x * factor, g_y * factor
        row[REST][i] = (value * level - previous[i] - g_x * u - g_y * v) * factor * unit
        row[BOUND][i] = limit * squared * factor


@compiled(WORDS, PICTURE, STATE, FLOAT, FLOAT, FLOAT)
def linearise(
    words: Words, previous: Plane, state: Plane, pixel: np.float32, unit: np.float32, rounding: np.float32
) -> None:
    """Samples the second picture and its gradient where the field points: the difference to `previous`, linear in u
    and v. `pixel`: what the field's unit was, in px; `unit`: what a px will be."""
    size = previous.shape[0] - 2 * EDGE, previous.shape[1] - 2 * EDGE
    for y in range(size[0]):
        line, row = previous[y + EDGE, EDGE : EDGE + size[1]], channels(state, y + 1, PAD)
        linearise_row(from_pairs, words, size, y, line, row, (ONE / LEVELS, pixel, unit, rounding))


@compiled(WORDS, PICTURE, STATE, FLOAT, FLOAT, FLOAT)
def linearise_finest(
    words: Words, previous: Plane, state: Plane, pixel: np.float32, unit: np.float32, rounding: np.float32
) -> None:
    """`linearise` for pictures of whole grey levels."""
    size = previous.shape[0] - 2 * EDGE, previous.shape[1] - 2 * EDGE
    for y in range(size[0]):
        line, row = previous[y + EDGE, EDGE : EDGE + size[1]], channels(state, y + 1, PAD)
        linearise_row(from_quads, words, size, y, line, row, (ONE, pixel, unit, rounding))


@row_loop
def primal_row(row: Row, left: Row, above: Row, width: int, step: np.float32, over: np.float32) -> None:
    """Step along the divergence of the dual variables, then towards the minimum of the data term, within the bound."""
    for x in range(width):
        i = u64(x)
        u_was, v_was, g_x, g_y, bound = row[U][i], row[V][i], row[G_X][i], row[G_Y][i], row[BOUND][i]
        u = u_was + step * (row[U_X][i] - left[U_X][i] + row[U_Y][i] - above[U_Y][i])
        v = v_was + step * (row[V_X][i] - left[V_X][i] + row[V_Y][i] - above[V_Y][i])
        move = min(max(row[REST][i] + g_x * u + g_y * v, -bound), bound)
        u -= move * g_x
        v -= move * g_y
        to_u, to_v = u - u_was, v - v_was
        row[U_BAR][i], row[V_BAR][i] = u + to_u, v + to_v
        row[U][i], row[V][i] = u_was + over * to_u, v_was + over * to_v


@row_loop
def dual_row(row: Row, right: Row, below: Row, width: int, back: np.float32, least: np.float32) -> None:
    """Step along the gradient of the extrapolated field, then back onto the disc, whose radius is 1 / RELAXATION."""
    for x in range(width):
        i = u64(x)
        u_x_was, u_y_was, v_x_was, v_y_was = row[U_X][i], row[U_Y][i], row[V_X][i], row[V_Y][i]
        u, v = row[U_BAR][i], row[V_BAR][i]
        u_x, u_y = u_x_was + (right[U_BAR][i] - u), u_y_was + (below[U_BAR][i] - u)
        v_x, v_y = v_x_was + (right[V_BAR][i] - v), v_y_was + (below[V_BAR][i] - v)
        of_u = ONE / np.sqrt(max(least, u_x * u_x + u_y * u_y))  # RELAXATION, or less outside of the disc
        of_v = ONE / np.sqrt(max(least, v_x * v_x + v_y * v_y))
        row[U_X][i], row[U_Y][i] = u_x * of_u - back * u_x_was, u_y * of_u - back * u_y_was
        row[V_X][i], row[V_Y][i] = v_x * of_v - back * v_x_was, v_y * of_v - back * v_y_was


@compiled(STATE, INT, INT, FLOAT, FLOAT)
def solve(state: Plane, width: int, iterations: int, step: np.float32, over: np.float32) -> None:
    """Run primal-dual iterations. The dual update of a row needs no more than the primal update of the row below it."""
    height = state.shape[0] - 1
    lanes = state.shape[2] - 2 * PAD  # values computed right of the picture never flow back into it
    end, back, least = PAD + width, over - ONE, ONE / (over * over)
    for start in range(0, iterations, BLOCK):
        block = min(BLOCK, iterations - start)
        for front in range(1, height + block + 1):
            for y in range(min(front, height + 1), max(front - block, 0), -1):
                if y <= height:
                    here, left, above = (
                        channels(state, y, PAD),
                        channels(state, y, PAD - 1),
                        channels(state, y - 1, PAD),
                    )
                    primal_row(here, left, above, lanes, step, over)
                    state[y, U_BAR, end], state[y, V_BAR, end] = (
                        state[y, U_BAR, end - 1],
                        state[y, V_BAR, end - 1],
                    )
                if y > 1:  # the last row counts as the one below itself: no gradient leads out of the picture
                    here, right = channels(state, y - 1, PAD), channels(state, y - 1, PAD + 1)
                    dual_row(here, right, channels(state, min(y, height), PAD), lanes, back, least)


def unit(warp: Warp) -> float:
    """What a field of one px is in the state."""
    return warp.sigma / RELAXATION


def aligned(shape: tuple[int, ...]) -> Plane:
    """Zeros, starting at a cache line."""
    room = np.zeros(math.prod(shape) + LANES, f32)
    start = -room.ctypes.data % (4 * LANES) // 4
    return room[start : start + math.prod(shape)].reshape(shape)


class TvL1:
    """Flow between two grey pictures of one size; holds the scratch memory for it."""

    def __init__(self, height: int, width: int, plan: Sequence[Scale] | None = None) -> None:
        """`plan`: a pyramid to use instead of `scales`, finest scale first."""
        self.plan = list(plan or scales(height, width))
        padded = [(scale.height + 2 * EDGE, scale.width + 2 * EDGE) for scale in self.plan]
        self._previous, self._following = ([np.zeros(shape, f32) for shape in padded] for _ in range(2))
        self._words = [np.zeros(picture.size, u32) for picture in self._following]
        self._states = [
            aligned((scale.height + 1, CHANNELS, (scale.width + LANES - 1) // LANES * LANES + 2 * PAD))
            for scale in self.plan
        ]
        self._line = np.zeros(width + 2 * PAD, f32)

    def __call__(self, previous: Grey, following: Grey) -> Plane:
        """uint8 (H, W) twice -> float32 (2, H, W): displacement of each pixel of `previous`, px, u then v."""
        for grey, pyramid in ((previous, self._previous), (following, self._following)):
            load(np.ascontiguousarray(grey), pyramid[0])
            for fine, coarse in pairwise(pyramid):
                halve(fine, coarse, self._line)
        self._states[-1][:, :CARRIED] = 0
        pixel = 1.0
        for k, (scale, state) in reversed(list(enumerate(zip(self.plan, self._states, strict=True)))):
            if k + 1 < len(self.plan):
                enlarge(self._states[k + 1], self.plan[k + 1].width, state, scale.width, self._line)
            pack, sample = (pack_pairs, linearise) if k else (pack_quads, linearise_finest)
            pack(self._following[k], self._words[k])
            for warp in scale.warps:
                units = f32(pixel), f32(unit(warp))
                sample(self._words[k], self._previous[k], state, *units, f32(warp.rounding))
                solve(state, scale.width, scale.iterations, STEP, OVER)
                pixel = 1 / unit(warp)
        field = np.moveaxis(self._states[0][1:, :2, PAD : PAD + self.plan[0].width], 1, 0)
        return np.multiply(field, f32(pixel), order="C")
