"""Videos in which a square moves at times, and nothing does at others."""

from fractions import Fraction

import numpy as np

from realtime.types import Frame, Image

SIDE_PX = 256


def picture(shift_px: int, side_px: int = 32) -> Image:
    """Grey, with a white square somewhere."""
    rgb = np.full((side_px, side_px, 3), 90, np.uint8)
    left = side_px // 4 + shift_px % (side_px // 4)
    rgb[side_px // 4 : side_px // 2, left : left + side_px // 8] = 240
    return rgb


def moving(stretches: list[tuple[int, int]], count: int) -> list[int]:
    """How far the square is at each tick, if it moves by 2 px at each tick of these stretches."""
    moves = [any(start <= tick < stop for start, stop in stretches) for tick in range(count)]
    return [2 * int(n) for n in np.cumsum(moves)]


def filmed(shifts: list[int], fps: Fraction) -> list[Frame]:
    """Frames whose square moves. The first pixel that the network sees has the number of the frame in its blue."""
    out = []
    for number, shift in enumerate(shifts):
        rgb = picture(shift, SIDE_PX)
        rgb[16, 16] = 0, 0, number % 256
        out.append(Frame(rgb, number / fps, 1 / fps))
    return out
