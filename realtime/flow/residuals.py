"""How well a flow field explains two pictures."""

import numpy as np
from numpy.typing import NDArray

from realtime.flow.tvl1_plan import LAMBDA

Grey = NDArray[np.uint8]
Field = NDArray[np.float32]


def residuals(previous: Grey, following: Grey, field: Field) -> tuple[float, float, float]:
    """Mean absolute difference of two pictures in grey levels: as they are, with the second warped back along the
    flow, and along its opposite. For a good field the second is the smallest. Sampled linearly, every second pixel
    both ways."""
    import cv2

    height, width = previous.shape
    first = previous[::2, ::2].astype(np.float32)
    x, y = np.meshgrid(np.arange(0, width, 2, dtype=np.float32), np.arange(0, height, 2, dtype=np.float32))
    u, v = field[0, ::2, ::2], field[1, ::2, ::2]
    second = following.astype(np.float32)

    def left(sign: int) -> float:
        moved = cv2.remap(
            second, x + sign * u, y + sign * v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        return float(np.abs(moved - first).mean())

    return float(np.abs(second[::2, ::2] - first).mean()), left(1), left(-1)


def energy(previous: Grey, following: Grey, field: Field, *, cubic: float = -0.75) -> float:
    """What TV-L1 minimises: mean(0.15 |I1(x + u) - I0(x)| + |grad u1| + |grad u2|), bicubic sampling, border repeated.

    `cubic`: parameter of the bicubic kernel; -0.75 is OpenCV's, -0.5 the other common one.
    """
    height, width = previous.shape
    y, x = np.mgrid[:height, :width]
    at_x = np.clip(x + field[0].astype(np.float64), 0, width - 1)
    at_y = np.clip(y + field[1].astype(np.float64), 0, height - 1)
    column, line = at_x.astype(int), at_y.astype(int)
    padded = np.pad(following.astype(np.float64), ((1, 2), (1, 2)), mode="edge")
    value = np.zeros((height, width))
    across = [_kernel(at_x - column - k, cubic) for k in (-1, 0, 1, 2)]
    for j in range(4):
        weighted = sum(across[i] * padded[line + j, column + i] for i in range(4))
        value += _kernel(at_y - line - (j - 1), cubic) * weighted
    to_right = np.diff(field, axis=2, append=field[:, :, -1:]).astype(np.float64)
    to_below = np.diff(field, axis=1, append=field[:, -1:]).astype(np.float64)
    variation = np.hypot(to_right, to_below).sum(0)
    return float((LAMBDA * np.abs(value - previous) + variation).mean())


def _kernel(distance: NDArray[np.float64], a: float) -> NDArray[np.float64]:
    t = np.abs(distance)
    near, far = ((a + 2) * t - (a + 3)) * t * t + 1, (((t - 5) * t + 8) * t - 4) * a
    return np.where(t < 1, near, far)
