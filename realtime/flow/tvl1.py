"""TV-L1 optical flow on one CPU core, compiled by Numba. `realtime.flow.tvl1_plan` says what is computed.

The inner loops run along rows of one array that is padded left and right, so that they need no branch and the compiler
vectorises them. Several iterations follow one another down the picture, a row apart, and find their rows in the
second-level cache; the arithmetic is that of one iteration after the other.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from realtime.flow.numba_loops import (
    FLOAT,
    GREY,
    INT,
    LINE,
    PAIRS,
    PICTURE,
    STATE,
    compiled,
    inlined,
    row_loop,
)
from realtime.flow.tvl1_plan import CUBIC, FLAT, LAMBDA, RELAXATION, Scale, scales

f32, i32, u32, u64 = np.float32, np.int32, np.uint32, np.uint64
PAD = LANES = 16
"""Columns left and right of a row of the state: the neighbours of its first and last pixel. They fill a cache line, so
that the rows of an aligned state start on one."""
LEVELS = f32(256)
"""Steps per grey level when the second picture is sampled: two pixels then fit into 32 bits, and one look-up fetches
both. The two finest scales are exact in these steps; the others are rounded by at most 1/512."""
EDGE = 2
"""Pixels around a picture that repeat its border."""
BLOCK = 16
"""Iterations that follow one another down the picture."""
# Channels of a row of the state: the field and the dual variables of its gradients; gradient, constant part and inverse
# squared gradient of the linearised difference; the field extrapolated.
U, V, U_X, U_Y, V_X, V_Y, G_X, G_Y, REST, INVERSE, U_BAR, V_BAR = range(12)
CHANNELS, CARRIED = 12, 6

Grey = NDArray[np.uint8]
Plane = NDArray[np.float32]
Pairs = NDArray[np.uint32]
Row = tuple[Plane, ...]
ZERO, ONE, TWO, THREE, A = f32(0), f32(1), f32(2), f32(3), f32(CUBIC)
HALF, STEP, TO_NEXT = f32(0.5), f32(1 / LEVELS), i32(2)
MINIMUM, OVER = f32(FLAT), f32(RELAXATION)


@compiled(PICTURE)
def repeat_border(picture: Plane) -> None:
    height, width = picture.shape
    for y in range(EDGE, height - EDGE):
        for x in range(EDGE):
            picture[y, x] = picture[y, EDGE]
            picture[y, width - 1 - x] = picture[y, width - 1 - EDGE]
    for y in range(EDGE):
        for x in range(width):
            picture[y, x] = picture[EDGE, x]
            picture[height - 1 - y, x] = picture[height - 1 - EDGE, x]


@compiled(GREY, PICTURE)
def load(grey: Grey, picture: Plane) -> None:
    for y in range(grey.shape[0]):
        for x in range(grey.shape[1]):
            picture[y + EDGE, x + EDGE] = grey[y, x]
    repeat_border(picture)


@compiled(PICTURE, PICTURE, LINE)
def halve(fine: Plane, coarse: Plane, line: Plane) -> None:
    """Every second pixel of `fine` after smoothing by (1, 4, 6, 4, 1) / 16 along both axes."""
    for y in range(coarse.shape[0] - 2 * EDGE):
        a, b, c, d, e = fine[2 * y], fine[2 * y + 1], fine[2 * y + 2], fine[2 * y + 3], fine[2 * y + 4]
        for x in range(fine.shape[1]):
            line[x] = (a[x] + e[x] + f32(4) * (b[x] + d[x]) + f32(6) * c[x]) * f32(1 / 256)
        for x in range(coarse.shape[1] - 2 * EDGE):
            ends, sides = line[2 * x] + line[2 * x + 4], line[2 * x + 1] + line[2 * x + 3]
            coarse[y + EDGE, x + EDGE] = ends + f32(4) * sides + f32(6) * line[2 * x + 2]
    repeat_border(coarse)


@compiled(PICTURE, PAIRS)
def pair_up(picture: Plane, pairs: Pairs) -> None:
    """Each pixel and its right neighbour, in steps of 1 / `LEVELS`, as the lower and upper half of 32 bits."""
    height, width = picture.shape
    for y in range(height):
        row, out = picture[y], pairs[y * width : (y + 1) * width]
        for x in range(width - 1):
            i = u64(x)
            left, right = i32(row[i] * LEVELS + HALF), i32(row[i + u64(1)] * LEVELS + HALF)
            out[i] = u32(left) | u32(right) << u32(16)


@row_loop
def both(pair: np.uint32) -> tuple[np.float32, np.float32]:
    """The two pixels that `pair_up` put together."""
    return f32(i32(pair & u32(0xFFFF))), f32(i32(pair >> u32(16)))


@compiled(STATE, INT, STATE, INT, LINE)
def enlarge(coarse: Plane, coarse_width: int, fine: Plane, width: int, line: Plane) -> None:
    """Field (doubled) and dual variables of a scale from those of the next coarser one, interpolated linearly.

    Dual variables that point out of the picture are zero at the coarser scale, and therefore at this one.
    """
    coarse_height, height = coarse.shape[0] - 1, fine.shape[0] - 1
    for y in range(height):
        lower = min(y // 2 + y % 2, coarse_height - 1)
        for c in range(CARRIED):
            factor = ONE if c <= V else f32(0.5)
            above, below, row = coarse[y // 2 + 1, c], coarse[lower + 1, c], fine[y + 1, c]
            for x in range(coarse_width):
                line[x] = (above[PAD + x] + below[PAD + x]) * factor
            line[coarse_width] = line[coarse_width - 1]
            for x in range((width + 1) // 2):
                row[PAD + 2 * x] = line[x]
                row[PAD + 2 * x + 1] = (line[x] + line[x + 1]) * f32(0.5)


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
    pairs: Pairs, pitch: np.int32, height: int, y: int, previous: Plane, row: Row, rounding: np.float32
) -> None:
    width = previous.size
    for x in range(width):
        i = u64(x)
        u, v = row[U][i], row[V][i]
        to_x, to_y = f32(x) + u, f32(y) + v
        at_x, at_y = min(max(to_x, ZERO), f32(width - 1)), min(max(to_y, ZERO), f32(height - 1))
        column, line = i32(at_x), i32(at_y)
        w0, w1, w2, w3 = cubic(at_x - f32(column))
        s0, s1, s2, s3 = cubic_slope(at_x - f32(column))
        down = at_y - f32(line)
        first = (line + i32(EDGE - 1)) * pitch + column + i32(EDGE - 1)
        value, g_x, g_y = ZERO, ZERO, ZERO
        for weight, slope in zip(cubic(down), cubic_slope(down)):  # noqa: B905
            (p0, p1), (p2, p3) = both(pairs[u32(first)]), both(pairs[u32(first + TO_NEXT)])
            across = w0 * p0 + w1 * p1 + w2 * p2 + w3 * p3
            value += weight * across
            g_y += slope * across
            g_x += weight * (s0 * p0 + s1 * p1 + s2 * p2 + s3 * p3)
            first += pitch
        # A pixel that leaves the picture is not compared: only its neighbours move it.
        seen = STEP if (to_x == at_x) & (to_y == at_y) else ZERO
        g_x, g_y = g_x * seen, g_y * seen
        row[G_X][i], row[G_Y][i] = g_x, g_y
        row[REST][i] = value * STEP - previous[i] - g_x * u - g_y * v
        row[INVERSE][i] = rounding / max(g_x * g_x + g_y * g_y, MINIMUM)


@compiled(PAIRS, PICTURE, STATE, FLOAT)
def linearise(pairs: Pairs, previous: Plane, state: Plane, rounding: np.float32) -> None:
    """Samples the second picture and its gradient where the field points: the difference to `previous`, linear in u
    and v."""
    height, width = previous.shape[0] - 2 * EDGE, previous.shape[1] - 2 * EDGE
    for y in range(height):
        line, row = previous[y + EDGE, EDGE : EDGE + width], channels(state, y + 1, PAD)
        linearise_row(pairs, i32(width + 2 * EDGE), height, y, line, row, rounding)


@row_loop
def primal_row(row: Row, left: Row, above: Row, width: int, tau: np.float32, limit: np.float32) -> None:
    """Step along the divergence of the dual variables, then towards the minimum of the data term, by at most `limit`
    |g|."""
    for x in range(width):
        i = u64(x)
        u_was, v_was, g_x, g_y = row[U][i], row[V][i], row[G_X][i], row[G_Y][i]
        u = u_was + tau * (row[U_X][i] - left[U_X][i] + row[U_Y][i] - above[U_Y][i])
        v = v_was + tau * (row[V_X][i] - left[V_X][i] + row[V_Y][i] - above[V_Y][i])
        step = min(max(-(row[REST][i] + g_x * u + g_y * v) * row[INVERSE][i], -limit), limit)
        u += step * g_x
        v += step * g_y
        row[U_BAR][i], row[V_BAR][i] = TWO * u - u_was, TWO * v - v_was
        row[U][i], row[V][i] = u_was + OVER * (u - u_was), v_was + OVER * (v - v_was)


@row_loop
def dual_row(row: Row, right: Row, below: Row, width: int, sigma: np.float32) -> None:
    """Step along the gradient of the extrapolated field, then back onto the unit disc."""
    for x in range(width):
        i = u64(x)
        u_x_was, u_y_was, v_x_was, v_y_was = row[U_X][i], row[U_Y][i], row[V_X][i], row[V_Y][i]
        u, v = row[U_BAR][i], row[V_BAR][i]
        u_x, u_y = u_x_was + sigma * (right[U_BAR][i] - u), u_y_was + sigma * (below[U_BAR][i] - u)
        v_x, v_y = v_x_was + sigma * (right[V_BAR][i] - v), v_y_was + sigma * (below[V_BAR][i] - v)
        of_u = ONE / np.sqrt(max(ONE, u_x * u_x + u_y * u_y))
        of_v = ONE / np.sqrt(max(ONE, v_x * v_x + v_y * v_y))
        row[U_X][i], row[U_Y][i] = (
            u_x_was + OVER * (u_x * of_u - u_x_was),
            u_y_was + OVER * (u_y * of_u - u_y_was),
        )
        row[V_X][i], row[V_Y][i] = (
            v_x_was + OVER * (v_x * of_v - v_x_was),
            v_y_was + OVER * (v_y * of_v - v_y_was),
        )


@compiled(STATE, INT, INT, FLOAT, FLOAT, FLOAT)
def solve(
    state: Plane, width: int, iterations: int, tau: np.float32, sigma: np.float32, limit: np.float32
) -> None:
    """Run primal-dual iterations. The dual update of a row needs no more than the primal update of the row below it."""
    height = state.shape[0] - 1
    lanes = state.shape[2] - 2 * PAD  # values computed right of the picture never flow back into it
    end = PAD + width
    for start in range(0, iterations, BLOCK):
        block = min(BLOCK, iterations - start)
        for front in range(1, height + block + 1):
            for y in range(min(front, height + 1), max(front - block, 0), -1):
                if y <= height:
                    here = channels(state, y, PAD)
                    primal_row(
                        here, channels(state, y, PAD - 1), channels(state, y - 1, PAD), lanes, tau, limit
                    )
                    state[y, U_BAR, end], state[y, V_BAR, end] = (
                        state[y, U_BAR, end - 1],
                        state[y, V_BAR, end - 1],
                    )
                if y > 1:  # the last row counts as the one below itself: no gradient leads out of the picture
                    below = channels(state, min(y, height), PAD)
                    dual_row(
                        channels(state, y - 1, PAD), channels(state, y - 1, PAD + 1), below, lanes, sigma
                    )


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
        self._pairs = [np.zeros(picture.size, u32) for picture in self._following]
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
        for k, (scale, state) in reversed(list(enumerate(zip(self.plan, self._states, strict=True)))):
            if k + 1 < len(self.plan):
                enlarge(self._states[k + 1], self.plan[k + 1].width, state, scale.width, self._line)
            pair_up(self._following[k], self._pairs[k])
            for _ in range(scale.warps):
                linearise(self._pairs[k], self._previous[k], state, f32(scale.rounding))
                tau, sigma = f32(scale.tau), f32(scale.sigma)
                solve(state, scale.width, scale.iterations, tau, sigma, f32(LAMBDA) * tau)
        field = self._states[0][1:, :2, PAD : PAD + self.plan[0].width]
        return np.ascontiguousarray(np.moveaxis(field, 1, 0))
