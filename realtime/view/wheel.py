"""Flow as colours, in the usual way: the hue is the direction, the saturation the speed, no motion is white."""

import numpy as np
from numpy.typing import NDArray

from realtime.types import Image

FULL_COLOUR_PX = 8.0
"""px a tick that are shown in full colour; a fixed scale, so that calm and haste look different."""


def flow_picture(field: NDArray[np.float32]) -> Image:
    """float32 (2, H, W), u then v in px a tick -> uint8 (H, W, 3). Rightward is red, downward yellow-green, as on the page."""
    import cv2

    u, v = field
    speed, angle = cv2.cartToPolar(u, v, angleInDegrees=True)
    hsv = np.empty((*u.shape, 3), np.uint8)
    hsv[..., 0] = angle / 2
    hsv[..., 1] = np.minimum(speed * (255 / FULL_COLOUR_PX), 255)
    hsv[..., 2] = 255
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.uint8)
