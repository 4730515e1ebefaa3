"""Pairs of grey pictures whose motion is known exactly, and pairs from the real clips. Used by tests and benchmarks.

A rendered scene is a formula in continuous coordinates, so that any motion, however small, is rendered exactly and not
resampled: the second picture at x shows what the first shows at the place that moves to x.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]
Field = NDArray[np.float64]
Texture = Callable[[Field, Field], Field]


@dataclass(frozen=True, eq=False)
class Scene:
    """Two pictures and the motion from the first to the second."""

    name: str
    previous: Grey
    following: Grey
    flow: NDArray[np.float32]
    """float32 (2, H, W), px: where each pixel of `previous` went, u then v."""
    visible: NDArray[np.bool_]
    """(H, W): True where the pixel of `previous` is seen in `following` too, a little inside the border."""


def texture(seed: int, waves: int = 48) -> Texture:
    """A formula of many waves, 5 to 120 px long, the long ones stronger, as in real pictures; grey 0 to 255."""
    rng = np.random.default_rng(seed)
    length_px = np.exp(rng.uniform(np.log(5), np.log(120), waves))
    angle, phase = rng.uniform(0, 2 * np.pi, (2, waves))
    kx, ky = 2 * np.pi / length_px * np.cos(angle), 2 * np.pi / length_px * np.sin(angle)
    weight = length_px**0.5
    weight *= 48 / np.sqrt((weight**2).sum() / 2)

    def grey_at(x: Field, y: Field) -> Field:
        grey = np.full(np.broadcast(x, y).shape, 128.0)
        for wave in range(waves):
            grey += weight[wave] * np.sin(kx[wave] * x + ky[wave] * y + phase[wave])
        return grey

    return grey_at


def to_grey(values: Field) -> Grey:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def grid(size_px: int) -> tuple[Field, Field]:
    """x and y of each pixel, counted from the middle of the picture."""
    at = np.arange(size_px) - (size_px - 1) / 2
    return np.meshgrid(at, at)


def inside(flow: NDArray[np.float32], border_px: int = 8) -> NDArray[np.bool_]:
    """Where a pixel starts and ends at least `border_px` inside the picture."""
    height, width = flow.shape[1:]
    y, x = np.mgrid[:height, :width]
    ok = np.ones((height, width), dtype=bool)
    for at, size in ((x, width), (x + flow[0], width), (y, height), (y + flow[1], height)):
        ok &= (at >= border_px) & (at <= size - 1 - border_px)
    return ok


def affine(
    name: str, matrix: NDArray[np.float64], shift_px: tuple[float, float], size_px: int, seed: int
) -> Scene:
    """The whole picture moves: x goes to matrix x + shift, about the middle."""
    paint, (x, y) = texture(seed), grid(size_px)
    to_x = matrix[0, 0] * x + matrix[0, 1] * y + shift_px[0]
    to_y = matrix[1, 0] * x + matrix[1, 1] * y + shift_px[1]
    back = np.linalg.inv(matrix)
    bx, by = x - shift_px[0], y - shift_px[1]
    following = to_grey(paint(back[0, 0] * bx + back[0, 1] * by, back[1, 0] * bx + back[1, 1] * by))
    flow = np.stack([to_x - x, to_y - y]).astype(np.float32)
    return Scene(name, to_grey(paint(x, y)), following, flow, inside(flow))


def translation(px: float, size_px: int = 256, seed: int = 1) -> Scene:
    """Everything moves `px` to the right and down, mostly to the right."""
    return affine(f"translation {px:g} px", np.eye(2), (px * 0.8, px * 0.6), size_px, seed)


def rotation(degrees: float, size_px: int = 256, seed: int = 2) -> Scene:
    """The picture turns about its middle; clockwise on the screen if positive."""
    turn = np.deg2rad(degrees)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return affine(f"rotation {degrees:g} degrees", matrix, (0.0, 0.0), size_px, seed)


def zoom(factor: float, size_px: int = 256, seed: int = 3) -> Scene:
    """The picture grows (or shrinks, below 1) about its middle."""
    return affine(f"zoom {factor:g}", np.eye(2) * factor, (0.0, 0.0), size_px, seed)


def occlusion(px: float, size_px: int = 256, seed: int = 4) -> Scene:
    """A textured disc moves `px` to the right over a background that moves a fifth of it to the left."""
    front, back, (x, y) = texture(seed), texture(seed + 1000), grid(size_px)
    radius, back_px = size_px * 0.22, -px / 5
    start_x = -px / 2

    def disc(at_x: Field) -> Field:
        return np.clip(radius + 0.5 - np.hypot(at_x - start_x, y), 0, 1)

    cover, later = disc(x), disc(x - px)
    previous = cover * front(x, y) + (1 - cover) * back(x, y)
    following = later * front(x - px, y) + (1 - later) * back(x - back_px, y)
    flow = np.stack([np.where(cover >= 0.5, px, back_px), np.zeros_like(x)]).astype(np.float32)
    hidden = (cover < 0.5) & (disc(x + back_px - px) > 0)
    return Scene(f"occlusion {px:g} px", to_grey(previous), to_grey(following), flow, inside(flow) & ~hidden)


def known_motions(size_px: int = 256) -> list[Scene]:
    """Every kind of motion from 0.1 to 20 px."""
    return [
        *(translation(px, size_px) for px in (0.1, 0.5, 1, 2, 5, 10, 20)),
        *(rotation(degrees, size_px) for degrees in (0.1, 1, 3, -6)),
        *(zoom(factor, size_px) for factor in (1.002, 1.02, 0.95, 1.1)),
        *(occlusion(px, size_px) for px in (0.5, 2, 5, 10, 20)),
    ]


def clip_pairs(clip: Path, count: int, first: int = 0, size_px: int = 256) -> list[tuple[Grey, Grey]]:
    """`count` pairs of neighbouring frames spread evenly over a clip from frame `first` on: short side to `size_px`,
    grey, central square. A frame that repeats the one before is skipped."""
    reader = cv2.VideoCapture(str(clip))
    frames: list[Grey] = []
    while (read := reader.read())[0]:
        grey = centre_grey(read[1], size_px)
        if not frames or not np.array_equal(grey, frames[-1]):
            frames.append(grey)
    reader.release()
    at = np.linspace(first, len(frames) - 2, count).astype(int)
    return [(frames[i], frames[i + 1]) for i in at]


def centre_grey(bgr: NDArray[np.uint8], size_px: int) -> Grey:
    """Short side to `size_px`, then grey, then the central square."""
    height, width = bgr.shape[:2]
    scale = size_px / min(height, width)
    size = (round(width * scale), round(height * scale))
    grey = cv2.cvtColor(cv2.resize(bgr, size, interpolation=cv2.INTER_LINEAR), cv2.COLOR_BGR2GRAY)
    top, left = (grey.shape[0] - size_px) // 2, (grey.shape[1] - size_px) // 2
    return np.ascontiguousarray(grey[top : top + size_px, left : left + size_px])
