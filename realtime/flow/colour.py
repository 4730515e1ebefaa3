"""Flow as a picture, in the colours of the Middlebury benchmark (Baker et al. 2011): hue is direction, white is no
motion."""

import numpy as np
from numpy.typing import NDArray

from realtime.types import Image

ARCS = (15, 6, 4, 11, 13, 6)
"""Steps from red to yellow, green, cyan, blue, magenta and back to red: fewer where the eye distinguishes fewer
hues."""


def wheel() -> NDArray[np.float64]:
    """(55, 3) R, G, B in [0, 1] around the circle, from red."""
    corners = np.array([(1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 1, 1), (0, 0, 1), (1, 0, 1), (1, 0, 0)], float)
    arcs = [
        np.linspace(start, end, steps, endpoint=False)
        for start, end, steps in zip(corners, corners[1:], ARCS, strict=False)
    ]
    return np.concatenate(arcs)


def flow_picture(field: NDArray[np.float32], full_px: float | None = None) -> Image:
    """float32 (2, H, W), px -> uint8 RGB (H, W, 3): right is red, down yellow, left cyan, up violet; no motion is
    white.

    `full_px`: length that is shown in full colour; longer vectors are darkened. None takes the field's longest vector.
    """
    u, v = field.astype(np.float64)
    length = np.hypot(u, v)
    full = float(length.max()) if full_px is None else full_px
    share = length / full if full > 0 else length
    hues = wheel()
    # Position on the wheel: 0 points right, a quarter turn points down, since image rows count downwards.
    at = np.arctan2(v, u) / (2 * np.pi) % 1 * len(hues)
    first = at.astype(int) % len(hues)
    part = (at - np.floor(at))[..., None]
    hue = (1 - part) * hues[first] + part * hues[(first + 1) % len(hues)]
    pale = 1 - np.minimum(share, 1)[..., None] * (1 - hue)
    dark = np.where(share > 1, 0.75, 1.0)[..., None]
    return np.asarray(np.rint(255 * pale * dark), np.uint8)
