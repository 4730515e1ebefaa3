"""Training examples from whole clips, as in *Quo Vadis* (arXiv 1705.07750, section 2.5). Pure NumPy.

A clip is uint8 (T, H, W, C) with its shorter side as the data contract says: pixels for rgb, for flow the 256 levels of
the contract, floor((f + 20) / 40 * 255), which `value / 127.5 - 1` brings to [-1, 1] like the pixels.
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
    """(T, H, W, C) seen from behind: left and right change places, and the x component of flow its sign."""
    mirrored = ticks[:, :, ::-1].copy()
    if modality == "flow":
        # Levels were cut down to whole numbers, so the negative of level q is 254 - q: a still 127 stays 127.
        mirrored[..., 0] = 254 - np.minimum(mirrored[..., 0], 254)
    return mirrored


def cut(
    ticks: NDArray[np.uint8], start_tick: int, wanted_ticks: int, top_px: int, left_px: int, size_px: int
) -> Levels:
    """(T, H, W, C) -> (wanted_ticks, size, size, C) from that place on; a clip that is too short is repeated."""
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
    """A random window that starts early enough to be whole, a random square, mirrored every other time; as one for all streams.

    `mirrors`: false where left and right tell classes apart.
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
    """(T, H, W); the flow of a clip may have one field less than it has frames."""
    shapes = {ticks.shape[1:3] for ticks in clip.values()}
    if len(shapes) != 1:
        raise ValueError(f"the streams of a clip must be of one size, got {sorted(shapes)}")
    height, width = shapes.pop()
    if min(height, width) < size_px:
        raise ValueError(f"frames of {width} x {height} are smaller than the crop of {size_px}")
    return min(len(ticks) for ticks in clip.values()), height, width
