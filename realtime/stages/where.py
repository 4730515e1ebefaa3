"""Where in the picture a class is seen: a box, from what the class scores in each cell (`engines.head.cell_scores`).

A cell covers 32 px of the 224 that the network sees, but depends on far more than that: the box shows roughly
where the action is, not the outline of a person.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from engines.engine import CELL_PX
from engines.head import Floats
from engines.spec import StreamSpec
from realtime.pictures import WIDEST
from realtime.stages.region import Region, view_boxes
from realtime.types import Box, Orientation, Picture
from realtime.zones import Zone

Part = Region | Zone
"""What the network looks at: a region, or an own zone."""
SHARE_OF_PEAK = 0.5
"""A place belongs to the action if it scores more than this share of the best one."""


@dataclass(frozen=True, eq=False)
class Heat:
    """What one class scores where, in one prediction."""

    scores: Floats
    """As `Prediction.heat`."""
    squares: list[Box]
    """The squares that the cells cover, 7 x 7 each, in px of the upright frame."""
    probability: float
    """Of the class in the whole picture."""


def boxes_in_source(
    maps: Iterable[Floats], picture: Picture, region: Part, spec: StreamSpec
) -> list[Box | None]:
    """The boxes of several classes.

    Args:
        maps: what each scores in the cells, float32 (7, 7); if `region` is "full", in those of the three views side by
            side, (7, 21).
        picture: of the upright frame with square pixels that the recogniser was given.
        region: the part of it that was looked at.

    Returns:
        Boxes in px of the source as it stores its pictures, inside it; None where no cell scores above zero.
    """
    squares = seen_squares(picture, region, spec)
    boxes = [box_in_frame(scores, squares, picture.size_px) for scores in maps]
    return [None if box is None else stored(box, picture) for box in boxes]


def box_in_source(scores: Floats, picture: Picture, region: Part, spec: StreamSpec) -> Box | None:
    """`boxes_in_source` of one class."""
    return boxes_in_source([scores], picture, region, spec)[0]


def box_in_frame(scores: Floats, squares: Sequence[Box], frame_px: tuple[int, int]) -> Box | None:
    """The box of a class in px of a frame of (height, width) px, in which the cells cover these squares."""
    left, top = min(x for x, *_ in squares), min(y for _, y, *_ in squares)
    _, _, width, height = squares[0]
    side = len(scores)
    across, down = side * CELL_PX / width, side * CELL_PX / height
    maps, places = [], []
    for number, (x, y, *_) in enumerate(squares):
        part, row, column = _above_zero(scores[:, number * side : (number + 1) * side])
        if part.size:
            maps.append(enlarged(part))
            places.append(
                (round((x - left) * across) + column * CELL_PX, round((y - top) * down) + row * CELL_PX)
            )
    if not maps:
        return None
    whole, (map_x, map_y) = _joined(maps, places)
    found = box_in_map(whole)
    if found is None:
        return None
    x, y, width, height = found
    x, y = left + (map_x + x) / across, top + (map_y + y) / down
    return _inside((x, y, width / across, height / down), frame_px)


def enlarged(scores: Floats) -> Floats:
    """Of cells (rows, columns) -> of px, float32, bilinear between the middles of the cells."""
    import cv2

    rows, columns = scores.shape
    size_px = (columns * CELL_PX, rows * CELL_PX)
    return np.asarray(cv2.resize(scores.astype(np.float32), size_px), dtype=np.float32)


def box_in_map(scores: Floats) -> Box | None:
    """The tightest box around the highest score and everything connected to it above `SHARE_OF_PEAK`.

    `scores`: of each px, float32 (H, W). None if no score is above zero.
    """
    import cv2

    row, column = divmod(int(scores.argmax()), scores.shape[1])
    peak = float(scores[row, column])
    if not peak > 0:
        return None
    above = (scores > SHARE_OF_PEAK * peak).view(np.uint8)
    *_, box = cv2.floodFill(above, None, (column, row), 2, flags=8)
    x, y, width, height = box
    return (x, y, width, height)


def seen_squares(picture: Picture, region: Part, spec: StreamSpec) -> list[Box]:
    """The squares of a frame that the network sees, in its px: one, or three if `region` is "full".

    The inverse of `realtime.stages.region.views`, `realtime.pictures.resize_short_side` and the centre crop.
    """
    return [
        _seen_square(view, spec) for view in view_boxes(picture.size_px, region_in_frame(region, picture))
    ]


def stored(box: Box, picture: Picture) -> Box:
    """A box in a frame as one in the source's picture."""
    aspect = float(picture.pixel_aspect)
    if picture.turn is None:
        x, y, width, height = box
        return (x / aspect, y, width / aspect, height)
    return in_stored_px(box, picture.size_px, picture.turn, aspect)


def upright(box: Box, picture: Picture) -> Box:
    """A box in the source's picture as one in the frame; the inverse of `stored`."""
    x, y, width, height = box
    aspect = float(picture.pixel_aspect)
    x, width = x * aspect, width * aspect
    if picture.turn is None:
        return (x, y, width, height)
    if picture.turn.transposed:
        x, y, width, height = y, x, height, width
    frame_height, frame_width = picture.size_px
    x = frame_width - x - width if picture.turn.flip_x else x
    y = frame_height - y - height if picture.turn.flip_y else y
    return (x, y, width, height)


def zone_in_frame(zone: Zone, picture: Picture) -> Box:
    """A zone in px of the frame. Raises UsageError if it extends outside."""
    return upright(zone.in_px(picture.stored_px), picture)


def region_in_frame(region: Part, picture: Picture) -> Region:
    """A region in px of the source's picture, or an own zone, as a region in px of the frame."""
    if isinstance(region, Zone):
        region = region.place(picture.stored_px)
    if not isinstance(region, tuple):
        return region
    x, y, width, height = upright(region, picture)
    left, top, right, bottom = (round(each) for each in (x, y, x + width, y + height))
    return (left, top, right - left, bottom - top)


def cell_boxes(picture: Picture, region: Part, spec: StreamSpec) -> Floats:
    """x, y, width, height of each cell in px of the frame: float32 (7, 7, 4), or (7, 21, 4) if `region` is "full"."""
    side = spec.crop_px // CELL_PX
    rows, columns = np.indices((side, side))
    views = []
    for x, y, width, height in seen_squares(picture, region, spec):
        across, down = (np.full((side, side), each / side) for each in (width, height))
        views.append(np.stack((x + columns * across, y + rows * down, across, down), axis=-1))
    return np.concatenate(views, axis=1).astype(np.float32)


class MeanBox:
    """The mean of each edge of the boxes that were added."""

    def __init__(self) -> None:
        self._sum, self._count = np.zeros(4), 0

    def add(self, box: Box | None) -> None:
        """None changes nothing."""
        if box is not None:
            self._sum += box
            self._count += 1

    @property
    def box(self) -> Box | None:
        """None if no box was added."""
        if not self._count:
            return None
        x, y, width, height = (float(each) for each in self._sum / self._count)
        return (x, y, width, height)


def in_stored_px(box: Box, frame_px: tuple[int, int], turn: Orientation, pixel_aspect: float) -> Box:
    """A box in a frame as a box in the picture that the file stores, before it was turned upright and scaled.

    Args:
        frame_px: height and width of the frame.
        turn: what turned the picture upright.
        pixel_aspect: width over height of a stored pixel.
    """
    x, y, width, height = box
    frame_height, frame_width = frame_px
    x = frame_width - x - width if turn.flip_x else x
    y = frame_height - y - height if turn.flip_y else y
    if turn.transposed:
        x, y, width, height = y, x, height, width
    return (x / pixel_aspect, y, width / pixel_aspect, height)


def _seen_square(view: tuple[int, int, int, int], spec: StreamSpec) -> Box:
    x, y, width, height = view
    short = min(width, height)
    kept_width, kept_height = min(width, WIDEST * short), min(height, WIDEST * short)
    left, top = x + (width - kept_width) // 2, y + (height - kept_height) // 2
    resized_width, resized_height = (n * spec.short_side_px // short for n in (kept_width, kept_height))
    across, down = kept_width / resized_width, kept_height / resized_height
    crop_left, crop_top = (resized_width - spec.crop_px) // 2, (resized_height - spec.crop_px) // 2
    return (
        left + crop_left * across,
        top + crop_top * down,
        spec.crop_px * across,
        spec.crop_px * down,
    )


def _above_zero(scores: Floats) -> tuple[Floats, int, int]:
    """The cells (rows, columns) that score above zero, with those around them, and the first row and column of these.

    No other cell is in the box of a class. Zones are small: theirs are found in a fraction of the picture.
    """
    import cv2

    x, y, width, height = cv2.boundingRect((scores > 0).view(np.uint8))
    if not width:
        return scores[:0], 0, 0
    row, column = max(y - 1, 0), max(x - 1, 0)
    return scores[row : y + height + 1, column : x + width + 1], row, column


def _joined(maps: list[Floats], places: list[tuple[int, int]]) -> tuple[Floats, tuple[int, int]]:
    """Several maps as one, each with its top left corner at its place, and the place of that one; where they overlap,
    the higher score counts."""
    if len(maps) == 1:
        return maps[0], places[0]
    left, top = (min(place[axis] for place in places) for axis in (0, 1))
    width = max(x + scores.shape[1] for scores, (x, _) in zip(maps, places, strict=True)) - left
    height = max(y + scores.shape[0] for scores, (_, y) in zip(maps, places, strict=True)) - top
    whole = np.full((height, width), -np.inf, np.float32)
    for scores, (x, y) in zip(maps, places, strict=True):
        part = whole[y - top : y - top + scores.shape[0], x - left : x - left + scores.shape[1]]
        np.maximum(part, scores, out=part)
    return whole, (left, top)


def _inside(box: Box, frame_px: tuple[int, int]) -> Box:
    x, y, width, height = box
    left, top = max(x, 0.0), max(y, 0.0)
    right, bottom = min(x + width, float(frame_px[1])), min(y + height, float(frame_px[0]))
    return (left, top, right - left, bottom - top)
