"""The strip of small pictures above the timeline's curves: events, each over its most probable moment."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from realtime.outputs.marks import clipped, corners, draw_bars
from realtime.outputs.text import Colour
from realtime.outputs.thumbnails import LARGEST_PX, Thumbnail, length_s
from realtime.types import Event, Image

EDGE_PX, GAP_PX, LEADER_PX = 4, 8, 16
"""The edge under a picture, the gap between two, and the height of the lines that lead to their times."""
STRIP_PX = LARGEST_PX[1] + EDGE_PX + LEADER_PX
NO_ROW: Colour = (153, 153, 153)
Column = Callable[[float], Any]
"""Seconds -> distance from the left end of the time axis, px."""


def draw_strip(
    strip: Image, thumbnails: Sequence[Thumbnail], column: Column, colours: Mapping[Event, Colour]
) -> None:
    """Draw as many as have room.

    Args:
        strip: uint8 (STRIP_PX, W, 3), as wide as the time axis.
        thumbnails: in any order.
        column: of the time axis.
        colours: of events; joined ones that stand for others are missing.
    """
    import cv2

    shown = chosen(thumbnails, strip.shape[1])
    shown.sort(key=lambda each: each.time_s)
    middles = [float(column(each.time_s)) for each in shown]
    lefts = spread(middles, [each.rgb.shape[1] for each in shown], strip.shape[1])
    canvas = np.ascontiguousarray(strip)
    for each, left, middle in zip(shown, lefts, middles, strict=True):
        colour = colours.get(each.event, NO_ROW)
        picture = _marked(each)
        height, width = picture.shape[:2]
        top = LARGEST_PX[1] - height
        canvas[top : top + height, left : left + width] = picture
        canvas[top + height : top + height + EDGE_PX, left : left + width] = colour
        end = (min(max(round(middle), 0), strip.shape[1] - 1), STRIP_PX - 1)
        cv2.line(canvas, (left + width // 2, LARGEST_PX[1] + EDGE_PX), end, colour, 1, cv2.LINE_AA)
    strip[:] = canvas


def chosen(thumbnails: Sequence[Thumbnail], room_px: int) -> list[Thumbnail]:
    """As many as fit beside one another: the longest event of each label, then the second longest, and so on; of two as
    long, the more probable one."""
    counts: Counter[str] = Counter()
    order: list[tuple[int, int, Thumbnail]] = []
    for each in sorted(thumbnails, key=lambda each: (-length_s(each.event), -each.event.probability)):
        order.append((counts[each.event.label], len(order), each))
        counts[each.event.label] += 1
    out, used_px = [], -GAP_PX
    for _, _, each in sorted(order, key=lambda ranked: ranked[:2]):
        needed_px = GAP_PX + each.rgb.shape[1]
        if used_px + needed_px <= room_px:
            out.append(each)
            used_px += needed_px
    return out


def spread(middles: Sequence[float], widths: Sequence[int], room_px: int) -> list[int]:
    """The left edge of each picture: as near as possible to its middle, in order, apart, and inside the strip.

    The pictures with the gaps between them must not be wider than the room.
    """
    lefts: list[int] = []
    free = 0
    for middle, width in zip(middles, widths, strict=True):
        lefts.append(max(free, round(middle - width / 2)))
        free = lefts[-1] + width + GAP_PX
    limit = room_px
    for number in reversed(range(len(lefts))):
        lefts[number] = min(lefts[number], limit - widths[number])
        limit = lefts[number] - GAP_PX
    return lefts


def _marked(thumbnail: Thumbnail) -> Image:
    """The picture with quiet corner marks around the action."""
    picture = thumbnail.rgb.copy()
    place = None if thumbnail.box is None else clipped(thumbnail.box, picture)
    if place is not None:
        draw_bars(picture, list(corners(place, 1)), (255, 255, 255), edge_px=1)
    return picture
