"""Marks on a picture: where something is, what it is called, and a soft glow.

┌─        ─┐
                    corner marks around a box, or a thin rectangle, and a tag
└─        ─┘
▌tai chi 93%

Each line has a dark edge and each tag a dark ground, so both are legible on any picture.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from engines.head import Floats
from realtime.outputs.text import BOLD, REGULAR, Colour, Sizes, dim, percent, width_px, write_line
from realtime.types import Box, Image

Rectangle = tuple[int, int, int, int]
"""Left, top, right, bottom in px of a picture; right and bottom are outside."""
GREY = (175, 175, 175)
WIDEST_TAG = 18
"""Width of a tag, at most, in sizes of its letters."""
GAP_PX = 2
"""Between a tag and what it belongs to."""
GLOW: Colour = (255, 176, 32)
STRONGEST_GLOW = 0.6
"""Share of `GLOW` where it is strongest."""


@dataclass(frozen=True)
class Mark:
    """A part of a picture to point out."""

    box: Box
    """In px of the picture; what reaches out of it is left out."""
    colour: Colour
    name: str = ""
    """For its tag; without a name it has none."""
    probability: float | None = None
    settled: bool = True
    """False for what is provisional: its tag is grey."""
    outlined: bool = False
    """A thin rectangle in place of corner marks."""


def glow_weights(heat: Floats, squares: Sequence[Box], picture_px: tuple[int, int]) -> Floats | None:
    """How much each px of a picture glows, float32 (H, W) from 0 to 1.

    The scores above zero, scaled by their peak, bilinear between the middles of the cells. Past the squares the glow
    fades within half a cell.

    Args:
        heat: scores of the cells of each square, side by side: (7, 7 per square).
        squares: in px of the picture.
        picture_px: its height and width.

    Returns:
        None if no score is above zero.
    """
    import cv2

    peak = float(heat.max())
    if not peak > 0:
        return None
    out = np.zeros(picture_px, np.float32)
    for scores, (x, y, width, height) in zip(np.split(heat, len(squares), axis=1), squares, strict=True):
        cells = np.pad(np.maximum(scores, 0) / peak, 1).astype(np.float32)
        across, down = width / scores.shape[1], height / scores.shape[0]
        to_px = np.array([[across, 0, x - across + across / 2 - 0.5], [0, down, y - down + down / 2 - 0.5]])
        size = (picture_px[1], picture_px[0])
        np.maximum(out, cv2.warpAffine(cells, to_px, size, flags=cv2.INTER_LINEAR), out=out)
    return out


def draw_glow(out: Image, weights: Floats) -> None:
    """Let `out` glow, in place. `weights`: see `glow_weights`."""
    import cv2

    share = np.multiply(weights, STRONGEST_GLOW)
    tinted = np.empty_like(out)
    tinted[:] = GLOW
    out[:] = cv2.blendLinear(tinted, out, share, 1 - share)


def draw_lines(out: Image, sizes: Sizes, marks: Sequence[Mark]) -> None:
    """Draw the corner marks and rectangles of all marks, in place."""
    for mark in marks:
        place = clipped(mark.box, out)
        if place is not None:
            thick_px = max(1, sizes.line // 2) if mark.outlined else sizes.line
            bars = list((_outline if mark.outlined else corners)(place, thick_px))
            draw_bars(out, bars, mark.colour, edge_px=(thick_px + 1) // 2)


def draw_tags(out: Image, sizes: Sizes, marks: Sequence[Mark], taken: Sequence[Rectangle]) -> None:
    """Write the names and probabilities, in place; the first marks have the first choice of place.

    A tag lies beside its mark, in the picture, and overlaps neither another one nor what is `taken`. Where there is no
    room left, it is left out.
    """
    if not sizes.text:
        return
    boxes = [place for mark in marks if (place := clipped(mark.box, out)) is not None]
    used = list(taken)
    for mark in marks:
        place = clipped(mark.box, out)
        if place is None or not mark.name:
            continue
        size = _tag_size(mark, sizes, out.shape[1])
        others = [box for box in boxes if box != place]
        found = free_place(size, place, (out.shape[1], out.shape[0]), used, others, inside=mark.outlined)
        if found is not None:
            used.append(found)
            _write_tag(out[found[1] : found[3], found[0] : found[2]], sizes, mark)


def clipped(box: Box, picture: Image) -> Rectangle | None:
    """The part of a box that lies in the picture; None if there is none."""
    x, y, width, height = box
    left, top = max(0, round(x)), max(0, round(y))
    right, bottom = min(picture.shape[1], round(x + width)), min(picture.shape[0], round(y + height))
    return (left, top, right, bottom) if left < right and top < bottom else None


def corners(place: Rectangle, thick_px: int) -> Iterator[Rectangle]:
    """The two arms of each corner."""
    left, top, right, bottom = place
    arm = max(thick_px, min(min(right - left, bottom - top) // 4, 10 * thick_px))
    for at_right, at_bottom in product((False, True), repeat=2):
        x0, x1 = (right - arm, right) if at_right else (left, left + arm)
        y0, y1 = (bottom - arm, bottom) if at_bottom else (top, top + arm)
        yield (x0, y1 - thick_px, x1, y1) if at_bottom else (x0, y0, x1, y0 + thick_px)
        yield (x1 - thick_px, y0, x1, y1) if at_right else (x0, y0, x0 + thick_px, y1)


def draw_bars(out: Image, bars: Sequence[Rectangle], colour: Colour, edge_px: int) -> None:
    """Fill rectangles, in place, with a darker edge around all of them together."""
    for left, top, right, bottom in bars:
        dim(out[max(0, top - edge_px) : bottom + edge_px, max(0, left - edge_px) : right + edge_px])
    for left, top, right, bottom in bars:
        out[max(0, top) : bottom, max(0, left) : right] = colour


def free_place(
    size: tuple[int, int],
    around: Rectangle,
    picture_px: tuple[int, int],
    used: Sequence[Rectangle],
    others: Sequence[Rectangle] = (),
    *,
    inside: bool = False,
) -> Rectangle | None:
    """A place for a tag of `size` (width, height) at or near a rectangle of a picture (width, height).

    It overlaps nothing `used`, and `others` only if that cannot be avoided at the rectangle. Rather below than above,
    where a face may be; with `inside`, above or in the rectangle. None if nothing is free.
    """
    beside = [
        place
        for place in _beside(size, around, used, inside=inside)
        if _within(place, picture_px) and not _overlaps(place, used)
    ]
    quiet = (place for place in beside if not _overlaps(place, others))
    if beside:
        return next(quiet, beside[0])
    width, height = size
    lefts = {0, picture_px[0] - width, *(x for left, _, right, _ in used for x in (right, left - width))}
    tops = {0, picture_px[1] - height, *(y for _, top, _, bottom in used for y in (bottom, top - height))}
    anywhere = [(left, top, left + width, top + height) for left, top in product(lefts, tops)]
    free = [place for place in anywhere if _within(place, picture_px) and not _overlaps(place, used)]
    return min(free, key=lambda place: (_apart(place, around), place), default=None)


def _beside(
    size: tuple[int, int], around: Rectangle, used: Sequence[Rectangle], *, inside: bool
) -> Iterator[Rectangle]:
    """At the left and right edge of the rectangle: below it, above, beside, inside, and inside next to what is used."""
    width, height = size
    left, top, right, bottom = around
    at_edges = (left, right - width)
    above = [(x, top - height - GAP_PX) for x in at_edges]
    below = [(x, bottom + GAP_PX) for x in at_edges]
    outside = [(right + GAP_PX, top), (left - width - GAP_PX, top)]
    within = [(x + GAP_PX, y) for y in (top + GAP_PX, bottom - height - GAP_PX) for x in at_edges]
    for _, used_top, _, used_bottom in used:
        for y in (used_bottom + GAP_PX, used_top - height - GAP_PX):
            if top <= y <= bottom - height:
                within += [(x + GAP_PX, y) for x in at_edges]
    near = [*above, *within, *below, *outside] if inside else [*below, *above, *outside, *within]
    for x, y in near:
        yield (x, y, x + width, y + height)


def _within(place: Rectangle, picture_px: tuple[int, int]) -> bool:
    left, top, right, bottom = place
    return left >= 0 and top >= 0 and right <= picture_px[0] and bottom <= picture_px[1]


def _overlaps(place: Rectangle, others: Sequence[Rectangle]) -> bool:
    left, top, right, bottom = place
    return any(left < r and x < right and top < b and y < bottom for x, y, r, b in others)


def _apart(one: Rectangle, other: Rectangle) -> float:
    """Square of the distance between two middles, times four."""
    return (one[0] + one[2] - other[0] - other[2]) ** 2 + (one[1] + one[3] - other[1] - other[3]) ** 2


def _outline(place: Rectangle, thick_px: int) -> Iterator[Rectangle]:
    left, top, right, bottom = place
    yield (left, top, right, top + thick_px)
    yield (left, bottom - thick_px, right, bottom)
    yield (left, top, left + thick_px, bottom)
    yield (right - thick_px, top, right, bottom)


def _tag_size(mark: Mark, sizes: Sizes, picture_width_px: int) -> tuple[int, int]:
    """Width and height in px."""
    number = (
        0 if mark.probability is None else sizes.tag // 2 + width_px(percent(mark.probability), sizes.tag)
    )
    name = width_px(mark.name, sizes.tag, BOLD)
    wanted = 3 * _pad(sizes) + name + number
    return min(wanted, WIDEST_TAG * sizes.tag, picture_width_px), round(1.5 * sizes.tag)


def _pad(sizes: Sizes) -> int:
    return max(2, sizes.tag // 3)


def _write_tag(plate: Image, sizes: Sizes, mark: Mark) -> None:
    dim(plate)
    dim(plate)  # bright pictures need it twice
    pad = _pad(sizes)
    plate[:, : max(2, pad // 2)] = mark.colour
    inner = plate[:, 2 * pad : -pad]
    colour, weight = ((255, 255, 255), BOLD) if mark.settled else (GREY, REGULAR)
    if mark.probability is not None:
        used = write_line(inner, percent(mark.probability), sizes.tag, colour, right=True)
        inner = inner[:, : max(0, inner.shape[1] - used - sizes.tag // 2)]
    write_line(inner, mark.name, sizes.tag, colour, weight, least_px=max(9, round(0.75 * sizes.tag)))
