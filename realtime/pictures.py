"""Resizing and cutting of pictures."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from realtime.types import Image

Scalar = TypeVar("Scalar", bound=np.generic)

WIDEST = 4
"""Frames that are longer than this many times their shorter side are cut to it before the resize: only the middle is
used, and a frame of 1 x 10,000 px would become one of 256 x 2,560,000."""


def resize_short_side(image: Image, short_side_px: int) -> Image:
    """uint8 (H, W, C) -> the same with its shorter side at `short_side_px`, aspect kept, bilinear (OpenCV
    INTER_LINEAR)."""
    import cv2

    height, width = image.shape[:2]
    short = min(height, width)
    if max(height, width) > WIDEST * short:
        image = centre_crop(image, min(height, WIDEST * short), min(width, WIDEST * short))
        height, width = image.shape[:2]
    if short == short_side_px:
        return image
    size = (width * short_side_px // short, height * short_side_px // short)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def centre_crop(image: NDArray[Scalar], height_px: int, width_px: int) -> NDArray[Scalar]:
    """The middle (height_px, width_px) of (H, W, C), as a view."""
    y = (image.shape[0] - height_px) // 2
    x = (image.shape[1] - width_px) // 2
    return image[y : y + height_px, x : x + width_px]
