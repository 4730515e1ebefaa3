"""One line of text in a box of a picture.

Text uses OpenCV's built-in scalable font, which has Latin, Greek, Cyrillic, Chinese, Japanese and Korean letters and
needs no file or further package. A `FontFace` stores the size while it draws, so two threads must not share one;
creating one takes a microsecond, so each call does.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from realtime.types import Image

Colour = tuple[int, int, int]
"""R G B, 0 to 255."""
REGULAR, BOLD = 400, 600
MIN_TEXT_SIDE_PX = 72
"""Below this size a picture has no text: letters would be illegible."""


@dataclass(frozen=True)
class Sizes:
    """All lengths, in px, derived from the picture's size; small pictures get relatively larger letters."""

    label: int
    tag: int
    small: int
    line: int
    margin: int
    text: bool
    runners_up: int

    @classmethod
    def of(cls, picture: Image) -> "Sizes":
        height, width = picture.shape[:2]
        unit = min(height, width * 3 // 4)
        small = max(9, round(4.9 + 0.0214 * unit))
        return cls(
            label=max(10, round(6.3 + 0.0405 * unit)),
            tag=max(10, round(5.6 + 0.03 * unit)),
            small=small,
            line=max(1, round(0.5 + unit / 220)),
            margin=round(0.6 * small),
            text=min(height, width) >= MIN_TEXT_SIDE_PX,
            runners_up=4 if unit >= 360 else 0,
        )


def write_line(
    box: Image,
    text: str,
    size_px: int,
    colour: Colour,
    weight: int = REGULAR,
    *,
    least_px: int | None = None,
    right: bool = False,
) -> int:
    """Write one line into `box`, a view of the picture, vertically centred; returns its width in px.

    Nothing is written outside the box, however long or strange the text. Text that is too long is set smaller, down to
    `least_px` (`size_px` unless given), and then ends in an ellipsis. `right`: flush right instead of left.
    """
    import cv2

    height, width = box.shape[:2]
    fitted, size_px, used = _fit(text, size_px, least_px or size_px, weight, width)
    if fitted and height:
        baseline = (height + round(0.68 * size_px)) // 2
        left = width - used if right else 0
        cv2.putText(box, fitted, (left, baseline), colour, cv2.FontFace("sans"), size_px, weight)
    return used


def printable(text: str) -> str:
    """Replaces unprintable characters by blanks: a lone surrogate crashes the process inside OpenCV, a line feed
    starts a second line."""
    return "".join(c if c.isprintable() else " " for c in text)


@lru_cache(maxsize=512)
def _fit(text: str, size_px: int, least_px: int, weight: int, room_px: int) -> tuple[str, int, int]:
    """The part of the text that fits, the size at which it does, and its width in px."""
    clean = printable(text)
    for size in range(size_px, least_px - 1, -1):
        used = width_px(clean, size, weight)
        if used <= room_px:
            return clean, size, used
    fitted = shortened(clean, lambda part: width_px(part, least_px, weight) <= room_px)
    return fitted, least_px, width_px(fitted, least_px, weight)


def shortened(text: str, fits: Callable[[str], bool]) -> str:
    """The text if it `fits`, else as much of it as does, with an ellipsis; "" if not even one letter does."""
    if fits(text):
        return text
    fitting, too_long = 0, len(text)
    while too_long - fitting > 1:
        middle = (fitting + too_long) // 2
        if fits(text[:middle].rstrip(" (") + "…"):
            fitting = middle
        else:
            too_long = middle
    return text[:fitting].rstrip(" (") + "…" if fitting else ""


def width_px(text: str, size_px: int, weight: int = REGULAR) -> int:
    """Width of a line of any text."""
    import cv2

    if not text:
        return 0
    left, _, width, _ = cv2.getTextSize(
        (0, 0), printable(text), (0, 0), cv2.FontFace("sans"), size_px, weight
    )
    return int(left + width)


def dim(panel: Image) -> None:
    """Darken, so that light text on it is legible."""
    import cv2

    panel[:] = cv2.convertScaleAbs(panel, alpha=0.35)


def percent(probability: float) -> str:
    """Never 100%, even where a network is that sure, and 0% for nothing alone."""
    percent = 100 * probability
    if percent > 99:
        return ">99%"
    return "<1%" if 0 < percent < 1 else f"{percent:.0f}%"
