"""Training examples from whole clips, as in *Quo Vadis* (arXiv 1705.07750, section 2.5). Pure NumPy.

A clip is uint8 (T, H, W, C) with its shorter side as the data contract says: pixels for rgb, and for flow the
contract's 256 levels, floor((f + 20) / 40 * 255), which `value / 127.5 - 1` maps to [-1, 1] like pixels.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.runtime.whole_clip import repeat_to
from engines.spec import Modality

Levels = NDArray[np.uint8]


def flow_levels(flow: NDArray[Any]) -> Levels:
    """Flow in [-1, 1] as engines take it, of any shape -> its 256 levels."""
    return np.round((flow.astype(np.float32) + 1) * 127.5).astype(np.uint8)


def mirror(ticks: Levels, modality: Modality) -> Levels:
    """(T, H, W, C) mirrored: left and right are swapped, and the x component of flow changes sign."""
    mirrored = ticks[:, :, ::-1].copy()
    if modality == "flow":
        # Levels were rounded down, so the negative of level q is 254 - q: 127, no motion, stays 127.
        mirrored[..., 0] = 254 - np.minimum(mirrored[..., 0], 254)
    return mirrored


def cut(
    ticks: NDArray[np.uint8], start_tick: int, wanted_ticks: int, top_px: int, left_px: int, size_px: int
) -> Levels:
    """(T, H, W, C) -> (wanted_ticks, size, size, C) from that position on; a clip that is too short is repeated."""
    window = repeat_to(ticks[start_tick : start_tick + wanted_ticks], wanted_ticks)
    return window[:, top_px : top_px + size_px, left_px : left_px + size_px]


def random_example(
    clip: Mapping[Modality, Levels],
    wanted_ticks: int,
    size_px: int,
    rng: np.random.Generator,
    *,
    mirrors: bool = True,
) -> dict[Modality, Levels]:
    """A random window that starts early enough to be complete, a random square, mirrored half of the time; the same
    for all streams.

    `mirrors`: False if left and right distinguish classes.
    """
    length, height, width = _common_shape(clip, size_px)
    start = int(rng.integers(max(length - wanted_ticks, 0) + 1))
    top, left = int(rng.integers(height - size_px + 1)), int(rng.integers(width - size_px + 1))
    mirrored = mirrors and bool(rng.integers(2))
    example: dict[Modality, Levels] = {}
    for modality, ticks in clip.items():
        window = cut(ticks[:length], start, wanted_ticks, top, left, size_px)
        example[modality] = mirror(window, modality) if mirrored else window
    return example


def centre_example(
    clip: Mapping[Modality, Levels], wanted_ticks: int, size_px: int
) -> dict[Modality, Levels]:
    """The middle of the clip in time and space."""
    length, height, width = _common_shape(clip, size_px)
    start, top, left = max(length - wanted_ticks, 0) // 2, (height - size_px) // 2, (width - size_px) // 2
    return {m: cut(ticks[:length], start, wanted_ticks, top, left, size_px) for m, ticks in clip.items()}


def _common_shape(clip: Mapping[Modality, Levels], size_px: int) -> tuple[int, int, int]:
    """(T, H, W); a clip may have one flow field fewer than frames."""
    shapes = {ticks.shape[1:3] for ticks in clip.values()}
    if len(shapes) != 1:
        raise ValueError(f"the streams of a clip must be of one size, got {sorted(shapes)}")
    height, width = shapes.pop()
    if min(height, width) < size_px:
        raise ValueError(f"frames of {width} x {height} are smaller than the crop of {size_px}")
    return min(len(ticks) for ticks in clip.values()), height, width
