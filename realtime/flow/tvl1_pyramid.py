"""The pictures of a pyramid on the CPU, as `realtime.flow.tvl1` reads them."""

import numpy as np
from numpy.typing import NDArray

from realtime.flow.numba_loops import GREY, LINE, PICTURE, WORDS, compiled, row_loop
from realtime.flow.tvl1_plan import EDGE

f32, i32, u32, u64 = np.float32, np.int32, np.uint32, np.uint64
Grey = NDArray[np.uint8]
Plane = NDArray[np.float32]
Words = NDArray[np.uint32]
Four = tuple[np.float32, np.float32, np.float32, np.float32]
HALF = f32(0.5)
LEVELS = f32(256)
"""Steps per grey level in a word of two pixels: the second finest scale is exact in these, the others are rounded by at
most 1/512. The finest is whole levels, so a word holds four. Four at every scale, rounded to whole levels, end at a
higher energy (docs/log.md, 2026-11-30)."""


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


@compiled(PICTURE, WORDS)
def pack_pairs(picture: Plane, words: Words) -> None:
    """Each pixel and its right neighbour, in steps of 1 / `LEVELS`, as the lower and upper half of 32 bits."""
    height, width = picture.shape
    for y in range(height):
        row, out = picture[y], words[y * width : (y + 1) * width]
        for x in range(width - 1):
            i = u64(x)
            left, right = i32(row[i] * LEVELS + HALF), i32(row[i + u64(1)] * LEVELS + HALF)
            out[i] = u32(left) | u32(right) << u32(16)


@compiled(PICTURE, WORDS)
def pack_quads(picture: Plane, words: Words) -> None:
    """Each pixel of whole grey levels and the three right of it, as the bytes of 32 bits, the first lowest."""
    height, width = picture.shape
    for y in range(height):
        row, out = picture[y], words[y * width : (y + 1) * width]
        for x in range(width - 3):
            i = u64(x)
            near = u32(i32(row[i])) | u32(i32(row[i + u64(1)])) << u32(8)
            out[i] = near | u32(i32(row[i + u64(2)])) << u32(16) | u32(i32(row[i + u64(3)])) << u32(24)


@row_loop
def bits(word: np.uint32, start: int, mask: int) -> np.float32:
    return f32(i32((word >> u32(start)) & u32(mask)))


@row_loop
def from_pairs(words: Words, at: np.int32) -> Four:
    """Four pixels in a row, in steps of 1 / `LEVELS`, by two look-ups."""
    near, far = words[u32(at)], words[u32(at + i32(2))]
    return bits(near, 0, 0xFFFF), bits(near, 16, 0xFFFF), bits(far, 0, 0xFFFF), bits(far, 16, 0xFFFF)


@row_loop
def from_quads(words: Words, at: np.int32) -> Four:
    """Four pixels in a row by one look-up; look-ups are most of the cost of a linearisation."""
    quad = words[u32(at)]
    return bits(quad, 0, 0xFF), bits(quad, 8, 0xFF), bits(quad, 16, 0xFF), bits(quad, 24, 0xFF)
