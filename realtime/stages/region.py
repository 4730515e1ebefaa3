"""Which part of a frame the network looks at. Resizing and cropping: `realtime.pictures`."""

import re
from typing import Literal

from engines.errors import UsageError
from engines.spec import StreamSpec
from realtime.pictures import centre_crop
from realtime.types import Image

Region = tuple[int, int, int, int] | Literal["full"] | None
"""Part of a frame to look at: x, y, width, height in px; "full" for all of it in three squares; None for the frame as
it is, of which the network sees the middle square. In options, px are those of the source as it stores its pictures, in
`views` and `view_boxes` those of the frame: `realtime.stages.where.region_in_frame` converts."""
LEAST_REGION_PX = 16
"""A smaller picture shows too little to recognise an action."""


def parse_region(text: str) -> Region:
    """ "" or "middle", "full", or "x,y,width,height" in px of the source as it stores its pictures. Raises
    UsageError for anything else."""
    if text in ("", "middle"):
        return None
    if text == "full":
        return "full"
    numbers = [int(part) for part in text.split(",") if re.fullmatch(r"\s*[0-9]{1,5}\s*", part)]
    if len(numbers) != 4 or text.count(",") != 3 or min(numbers[2:]) < LEAST_REGION_PX:
        raise UsageError(
            f"region {text[:60]!r}: give x,y,width,height in px of the source, at least {LEAST_REGION_PX} px each way, "
            "or full for the whole picture"
        )
    return (numbers[0], numbers[1], numbers[2], numbers[3])


def view_count(region: object) -> int:
    """How many `views` there are of each frame."""
    return 3 if region == "full" else 1


def views(image: Image, region: Region) -> list[Image]:
    """The parts of a frame (H, W, 3) to look at, as views; cut before the resize.

    A rectangle that reaches over the edge of the frame is clipped, and one outside it becomes the nearest pixel,
    because cameras change their size while they run. "full": a square at each end of the longer side and one in the
    middle.
    """
    boxes = view_boxes((image.shape[0], image.shape[1]), region)
    return [image[y : y + height, x : x + width] for x, y, width, height in boxes]


def view_boxes(frame_px: tuple[int, int], region: Region) -> list[tuple[int, int, int, int]]:
    """x, y, width and height of the `views` of a frame (height, width)."""
    height, width = frame_px
    if region is None:
        return [(0, 0, width, height)]
    if region == "full":
        side = min(height, width)
        return [((width - side) * i // 2, (height - side) * i // 2, side, side) for i in range(3)]
    x, y = min(max(region[0], 0), width - 1), min(max(region[1], 0), height - 1)
    right, bottom = max(region[0] + region[2], x + 1), max(region[1] + region[3], y + 1)
    return [(x, y, min(right, width) - x, min(bottom, height) - y)]


def rgb_input(resized: Image, spec: StreamSpec) -> Image:
    """The RGB network's input from a resized frame: uint8 (crop_px, crop_px, 3)."""
    return centre_crop(resized, spec.crop_px, spec.crop_px)
