"""From a frame to what the network sees: shorter side to 256, centre crop of 224."""

import numpy as np

from engines.spec import StreamSpec
from realtime.types import Image

WIDEST = 4
"""Frames that are longer than this many times their shorter side are cut to it before the resize: only the middle is
used, and a frame of 1 x 10,000 px would become one of 256 x 2,560,000."""


def resize_short_side(image: Image, short_side_px: int) -> Image:
    """uint8 (H, W, C) -> the same with its shorter side at `short_side_px`, aspect kept, bilinear (OpenCV INTER_LINEAR)."""
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


def centre_crop(image: Image, height_px: int, width_px: int) -> Image:
    """The middle (height_px, width_px) of (H, W, C), as a view."""
    y = (image.shape[0] - height_px) // 2
    x = (image.shape[1] - width_px) // 2
    return image[y : y + height_px, x : x + width_px]


def rgb_input(resized: Image, spec: StreamSpec) -> Image:
    """What the RGB network takes of a resized frame: uint8 (crop_px, crop_px, 3)."""
    return centre_crop(resized, spec.crop_px, spec.crop_px)
