"""TV-L1 optical flow of a batch of pairs on an NVIDIA GPU: the kernels, in Triton, and the graph that launches them.

`realtime.flow.tvl1_plan` says what is computed; the arithmetic is that of `realtime.flow.tvl1`, pixel by pixel, in
other units. Everything stays on the device: a call copies two batches of pictures, replays one CUDA graph and returns
without waiting. Triton's interpreter (TRITON_INTERPRET=1, before this file is imported) runs the same kernels on the
CPU, slowly; tests do that.
"""

# Triton has no types, and what it compiles is not Python.
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

import os
from typing import Any

# Triton warns if this is unset, because its default is about to change.
os.environ.setdefault("TRITON_DEFAULT_FP_FUSION", "1")

import numpy as np
import torch
import triton
import triton.language as tl
from numpy.typing import NDArray
from torch import Tensor

from engines.errors import UsageError
from realtime.flow.tvl1_plan import CUBIC, FLAT, LAMBDA, RELAXATION, Scale, Warp, scales

BLOCK = 512
"""Pixels per program."""
CHANNELS, CARRIED = 12, 6
"""Planes of a scale's state, in the order of `planes`, and how many of them are passed to the next finer scale."""
Pictures = NDArray[np.uint8] | Tensor


@triton.jit
def _pixels(height, width, BLOCK: tl.constexpr):
    """Offset, row and column of this program's pixels in their picture, and which of them exist."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    return at, at // width, at % width, at < height * width


@triton.jit
def halve(fine, coarse, fine_height, fine_width, height, width, BLOCK: tl.constexpr):
    """Every second pixel of a picture after smoothing by (1, 4, 6, 4, 1) / 16 along both axes."""
    at, y, x, exists = _pixels(height, width, BLOCK)
    fine += tl.program_id(1).to(tl.int64) * fine_height * fine_width
    coarse += tl.program_id(1).to(tl.int64) * height * width
    total = tl.zeros([BLOCK], tl.float32)
    for j in tl.static_range(-2, 3):
        line = tl.minimum(tl.maximum(2 * y + j, 0), fine_height - 1) * fine_width
        for i in tl.static_range(-2, 3):
            weight = (6 if j == 0 else (4 if j * j == 1 else 1)) * (6 if i == 0 else (4 if i * i == 1 else 1))
            column = tl.minimum(tl.maximum(2 * x + i, 0), fine_width - 1)
            total += weight * tl.load(fine + line + column, mask=exists, other=0.0)
    tl.store(coarse + at, total * (1 / 256), mask=exists)


@triton.jit
def enlarge(coarse, fine, coarse_height, coarse_width, height, width, BLOCK: tl.constexpr):
    """Field (doubled) and dual variables of a scale from those of the next coarser one, interpolated linearly.

    The third axis of the grid is the plane: u, v, u_x, u_y, v_x, v_y.
    """
    at, y, x, exists = _pixels(height, width, BLOCK)
    pair, plane = tl.program_id(1).to(tl.int64), tl.program_id(2)
    coarse += (pair * 12 + plane) * coarse_height * coarse_width
    fine += (pair * 12 + plane) * height * width
    above, left = y // 2 * coarse_width, x // 2
    below = tl.minimum((y + 1) // 2, coarse_height - 1) * coarse_width
    right = tl.minimum((x + 1) // 2, coarse_width - 1)
    total = tl.load(coarse + above + left, mask=exists, other=0.0)
    total += tl.load(coarse + above + right, mask=exists, other=0.0)
    total += tl.load(coarse + below + left, mask=exists, other=0.0)
    total += tl.load(coarse + below + right, mask=exists, other=0.0)
    tl.store(fine + at, total * tl.where(plane < 2, 0.5, 0.25), mask=exists)


@triton.jit
def _cubic(t, k: tl.constexpr, A: tl.constexpr):
    """Weight of pixel k - 1 at the point t beyond pixel 0, k from 0 to 3, and its derivative."""
    s = 1 - t
    if k == 0:
        weight, slope = A * t * s * s, A * s * (1 - 3 * t)
    elif k == 1:
        weight, slope = ((A + 2) * t - (A + 3)) * t * t + 1, (3 * (A + 2) * t - 2 * (A + 3)) * t
    elif k == 2:
        weight, slope = ((A + 2) * s - (A + 3)) * s * s + 1, -(3 * (A + 2) * s - 2 * (A + 3)) * s
    else:
        weight, slope = A * s * t * t, A * t * (2 - 3 * t)
    return weight, slope


@triton.jit
def linearise(
    previous,
    following,
    state,
    height,
    width,
    rounding,
    A: tl.constexpr,
    FLAT: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Samples `following` and its gradient where the field points: the difference to `previous`, linear in u and v."""
    at, y, x, exists = _pixels(height, width, BLOCK)
    size, pair = height * width, tl.program_id(1).to(tl.int64)
    previous += pair * size
    following += pair * size
    state += pair * 12 * size
    u = tl.load(state + at, mask=exists, other=0.0)
    v = tl.load(state + size + at, mask=exists, other=0.0)
    to_x, to_y = x.to(tl.float32) + u, y.to(tl.float32) + v
    at_x = tl.minimum(tl.maximum(to_x, 0.0), (width - 1).to(tl.float32))
    at_y = tl.minimum(tl.maximum(to_y, 0.0), (height - 1).to(tl.float32))
    column, line = at_x.to(tl.int32), at_y.to(tl.int32)
    value = tl.zeros([BLOCK], tl.float32)
    g_x, g_y = tl.zeros([BLOCK], tl.float32), tl.zeros([BLOCK], tl.float32)
    for j in tl.static_range(4):
        down, down_slope = _cubic(at_y - line.to(tl.float32), j, A)
        start = tl.minimum(tl.maximum(line + j - 1, 0), height - 1) * width
        for i in tl.static_range(4):
            across, across_slope = _cubic(at_x - column.to(tl.float32), i, A)
            place = start + tl.minimum(tl.maximum(column + i - 1, 0), width - 1)
            grey = tl.load(following + place, mask=exists, other=0.0)
            value += down * across * grey
            g_x += down * across_slope * grey
            g_y += down_slope * across * grey
    seen = (to_x == at_x) & (to_y == at_y)  # a pixel that leaves the picture is not compared
    g_x, g_y = tl.where(seen, g_x, 0.0), tl.where(seen, g_y, 0.0)
    rest = value - tl.load(previous + at, mask=exists, other=0.0) - g_x * u - g_y * v
    tl.store(state + 6 * size + at, g_x, mask=exists)
    tl.store(state + 7 * size + at, g_y, mask=exists)
    tl.store(state + 8 * size + at, rest, mask=exists)
    tl.store(state + 9 * size + at, rounding / tl.maximum(g_x * g_x + g_y * g_y, FLAT), mask=exists)


@triton.jit
def primal(state, height, width, tau, limit, OVER: tl.constexpr, BLOCK: tl.constexpr):
    """Step along the divergence of the dual variables, then towards the minimum of the data term, by at most `limit`
    |g|."""
    at, y, x, exists = _pixels(height, width, BLOCK)
    size = height * width
    here = state + tl.program_id(1).to(tl.int64) * 12 * size + at
    u_was, v_was = tl.load(here, mask=exists, other=0.0), tl.load(here + size, mask=exists, other=0.0)
    left, above = exists & (x > 0), exists & (y > 0)
    u_out = tl.load(here + 2 * size, mask=exists, other=0.0) - tl.load(
        here + 2 * size - 1, mask=left, other=0.0
    )
    u_out += tl.load(here + 3 * size, mask=exists, other=0.0)
    u_out -= tl.load(here + 3 * size - width, mask=above, other=0.0)
    v_out = tl.load(here + 4 * size, mask=exists, other=0.0) - tl.load(
        here + 4 * size - 1, mask=left, other=0.0
    )
    v_out += tl.load(here + 5 * size, mask=exists, other=0.0)
    v_out -= tl.load(here + 5 * size - width, mask=above, other=0.0)
    u, v = u_was + tau * u_out, v_was + tau * v_out
    g_x = tl.load(here + 6 * size, mask=exists, other=0.0)
    g_y = tl.load(here + 7 * size, mask=exists, other=0.0)
    rest = tl.load(here + 8 * size, mask=exists, other=0.0)
    step = -(rest + g_x * u + g_y * v) * tl.load(here + 9 * size, mask=exists, other=0.0)
    step = tl.minimum(tl.maximum(step, -limit), limit)
    u += step * g_x
    v += step * g_y
    tl.store(here + 10 * size, 2 * u - u_was, mask=exists)
    tl.store(here + 11 * size, 2 * v - v_was, mask=exists)
    tl.store(here, u_was + OVER * (u - u_was), mask=exists)
    tl.store(here + size, v_was + OVER * (v - v_was), mask=exists)


@triton.jit
def dual(state, height, width, sigma, OVER: tl.constexpr, BLOCK: tl.constexpr):
    """Step along the gradient of the extrapolated field, then back onto the unit disc; axis 2 of the grid: u or v."""
    at, y, x, exists = _pixels(height, width, BLOCK)
    size, component = height * width, tl.program_id(2)
    state += tl.program_id(1).to(tl.int64) * 12 * size + at
    bar, p_x, p_y = (
        state + (10 + component) * size,
        state + (2 + 2 * component) * size,
        state + (3 + 2 * component) * size,
    )
    here = tl.load(bar, mask=exists, other=0.0)
    right = tl.where(x < width - 1, tl.load(bar + 1, mask=exists & (x < width - 1), other=0.0), here)
    below = tl.where(y < height - 1, tl.load(bar + width, mask=exists & (y < height - 1), other=0.0), here)
    x_was, y_was = tl.load(p_x, mask=exists, other=0.0), tl.load(p_y, mask=exists, other=0.0)
    x_new, y_new = x_was + sigma * (right - here), y_was + sigma * (below - here)
    scale = 1 / tl.sqrt(tl.maximum(x_new * x_new + y_new * y_new, 1.0))
    tl.store(p_x, x_was + OVER * (x_new * scale - x_was), mask=exists)
    tl.store(p_y, y_was + OVER * (y_new * scale - y_was), mask=exists)


def require_gpu() -> None:
    """Raises UsageError if torch finds no NVIDIA GPU."""
    if not torch.cuda.is_available():
        raise UsageError("flow method 'tvl1-cuda' needs an NVIDIA GPU and torch for CUDA; use tvl1")


class TvL1Cuda:
    """Flow of `batch` pairs of grey pictures of one size; holds the device memory and the graph for it."""

    def __init__(
        self, batch: int, height: int, width: int, *, device: str = "cuda", plan: list[Scale] | None = None
    ) -> None:
        """`device`: "cpu" works only with Triton's interpreter. Raises UsageError without an NVIDIA GPU."""
        if device != "cpu":
            require_gpu()
        self._batch, self._plan = batch, plan or scales(height, width)
        self._inputs = torch.zeros((2, batch, height, width), dtype=torch.uint8, device=device)
        self._pictures = [
            torch.zeros((2, batch, s.height, s.width), dtype=torch.float32, device=device) for s in self._plan
        ]
        self._states = [
            torch.zeros((batch, CHANNELS, s.height, s.width), dtype=torch.float32, device=device)
            for s in self._plan
        ]
        self._graph: Any = None
        if device != "cpu":
            self._capture()

    def __call__(self, previous: Pictures, following: Pictures) -> Tensor:
        """uint8 (B, H, W) twice, arrays or tensors -> float32 (B, 2, H, W) on the device, px, u then v. Does not wait
        for it."""
        for held, given in zip(self._inputs, (previous, following), strict=True):
            if isinstance(given, np.ndarray):  # torch requires writable memory, even to read it
                given = torch.from_numpy(np.require(given, requirements=["C", "W"]))
            held.copy_(given, non_blocking=True)
        if self._graph is None:
            self._launch()
        else:
            self._graph.replay()
        return self._states[0][:, :2].clone()

    def _capture(self) -> None:
        """Run once, which compiles the kernels, then once more to capture the graph."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            self._launch()
        torch.cuda.current_stream().wait_stream(stream)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._launch()

    def _grid(self, scale: Scale, pictures: int, planes: int = 1) -> tuple[int, int, int]:
        return (triton.cdiv(scale.height * scale.width, BLOCK), pictures, planes)

    def _launch(self) -> None:
        self._pictures[0].copy_(self._inputs)
        for k in range(1, len(self._plan)):
            fine, s = self._plan[k - 1], self._plan[k]
            sizes = (fine.height, fine.width, s.height, s.width)
            halve[self._grid(s, 2 * self._batch)](*self._pictures[k - 1 : k + 1], *sizes, BLOCK=BLOCK)
        self._states[-1].zero_()
        for k in reversed(range(len(self._plan))):
            s, state = self._plan[k], self._states[k]
            if k + 1 < len(self._plan):
                coarse = self._plan[k + 1]
                sizes = (coarse.height, coarse.width, s.height, s.width)
                enlarge[self._grid(s, self._batch, CARRIED)](self._states[k + 1], state, *sizes, BLOCK=BLOCK)
            for warp in s.warps:
                self._solve(s, warp, self._pictures[k], state)

    def _solve(self, s: Scale, warp: Warp, pictures: Tensor, state: Tensor) -> None:
        size, one, two = (s.height, s.width), self._grid(s, self._batch), self._grid(s, self._batch, 2)
        linearise[one](*pictures, state, *size, warp.rounding, A=CUBIC, FLAT=FLAT, BLOCK=BLOCK)
        for _ in range(s.iterations):
            primal[one](state, *size, warp.tau, LAMBDA * warp.tau, OVER=RELAXATION, BLOCK=BLOCK)
            dual[two](state, *size, warp.sigma, OVER=RELAXATION, BLOCK=BLOCK)
