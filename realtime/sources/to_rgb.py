"""From FFmpeg's pictures to upright RGB with square pixels."""

from fractions import Fraction
from typing import Any

from realtime.sources.upright import CLOCKWISE, Turn, turn_of
from realtime.types import Image

CONVERTIBLE_MATRICES = frozenset({0, 1, 2, 4, 5, 6, 7, 9})
"""Colour matrices (ITU-T H.273) that swscale converts from; others (YCgCo, ICtCp, reserved) are treated as not
stated."""
UNSTATED_MATRIX = 2


class ToRgb:
    """Converts pictures of one source, by the colour matrix, range and display matrix that each states."""

    def __init__(self, reformatter: Any, pixel_aspect: Fraction | None, rotate: int = 0) -> None:
        """`reformatter`: av's VideoReformatter. `pixel_aspect`: width over height of a pixel; None keeps pixels as
        they are. `rotate`: degrees clockwise, for a camera that hangs askew and does not say so."""
        absurd = pixel_aspect is None or not Fraction(1, 8) <= pixel_aspect <= 8
        self._aspect = Fraction(1) if absurd else Fraction(pixel_aspect or 1)
        self._reformatter, self._rotate = reformatter, CLOCKWISE[rotate]

    def size_px(self, picture: Any) -> tuple[int, int]:
        """(width, height) of what `__call__` returns."""
        width, height = self._square_size(picture)
        return (height, width) if turn_of(picture).transposed != self._rotate.transposed else (width, height)

    def __call__(self, picture: Any) -> Image:
        """av's VideoFrame in any pixel format -> uint8 (H, W, 3)."""
        if picture.colorspace not in CONVERTIBLE_MATRICES:
            picture.colorspace = UNSTATED_MATRIX
        width, height = self._square_size(picture)
        # One thread: more would compete with the decoder's.
        rgb = self._reformatter.reformat(picture, width=width, height=height, format="rgb24", threads=1)
        return self._rotate(turn_of(picture)(rgb.to_ndarray()))

    def turn(self, picture: Any) -> Turn:
        """What puts it upright, `rotate` included."""
        return turn_of(picture).then(self._rotate)

    def pixel_aspect(self, picture: Any) -> Fraction:
        """By how much its width is scaled, rounding to whole px included."""
        return Fraction(self._square_size(picture)[0], picture.width)

    def _square_size(self, picture: Any) -> tuple[int, int]:
        return max(1, round(picture.width * self._aspect)), picture.height
