"""Resizing, cropping and compressing pictures."""

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


def resize_on_one_thread() -> None:
    """From now on, for the whole process: where each core has a video of its own, more threads only cost time."""
    import cv2

    cv2.setNumThreads(1)


def to_jpeg(rgb: Image, longest_px: int, quality: int) -> bytes:
    """uint8 (H, W, 3) -> JPEG, made smaller where a side is longer than `longest_px`. `quality`: 0 to 100."""
    import cv2

    height, width = rgb.shape[:2]
    scale = longest_px / max(height, width)
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        rgb = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    return bytes(cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1])


def centre_crop(image: NDArray[Scalar], height_px: int, width_px: int) -> NDArray[Scalar]:
    """The middle (height_px, width_px) of (H, W, C), as a view."""
    y = (image.shape[0] - height_px) // 2
    x = (image.shape[1] - width_px) // 2
    return image[y : y + height_px, x : x + width_px]
