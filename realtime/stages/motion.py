"""How much moves in the part of the picture that the network sees.

The grey picture is reduced to blocks of 4 x 4 px. Their mean over the last few ticks is compared with a background that
follows slowly, which also shows what moves too slowly to differ from one tick to the next. A block moves if it differs
by more than is explained by

exposure      brightness and contrast of the whole picture, fitted to the blocks that differ least; overexposed pixels
              may become any other bright ones while the exposure changes
noise         what most blocks differ by at the same tick: sensor noise, and the flicker of compression, which changes
              the whole picture at a key frame
edges         a share of the contrast around the block: there compression flickers most, and a trembling camera shows

The tick before is not compared with: the short mean shows all that it would, and in compressed video single blocks jump
by 5 to 15 grey levels from one tick to the next although nothing moves.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.head import Floats
from engines.spec import StreamSpec
from realtime.stages.region import rgb_input
from realtime.types import Image

Blocks = NDArray[np.float32]
"""float32 (views, rows, columns), grey levels."""
Means = NDArray[np.float32]
"""float32 (2, views, rows, columns): mean grey level of each block, and the share of its pixels that are overexposed,
times 255."""

BLOCK_PX = 4
NEWEST = np.float32(0.3)
"""Share of the newest tick in the short mean, which thus covers about five ticks."""
BACKGROUND_S = 5.0
"""Time constant of the background. What stops moving belongs to it after two to three of these."""
FACTOR = np.float32(7)
"""A block moves if it differs by more than this many times what noise and edges explain."""
LEAST_NOISE, MOST_NOISE = 0.3, 2.3
"""Grey levels. In a picture without noise a block moves from 2 grey levels on, however noisy it is from 16 on: a large
person who moves must not count as noise."""
NOISE_SHARE = 0.6
"""Of what three quarters of the blocks stay below."""
EDGE_SHARE = np.float32(0.015)
"""Of the range of grey levels in the 3 x 3 blocks around."""
WHITE = 250
"""Level of its strongest colour from which on a pixel counts as overexposed."""
WHITE_SHARE = np.float32(0.03 * 255)
"""A block with more of these is excused while the exposure changes,"""
CHANGED = 2.0
"""that is, until white that has changed by more grey levels has become background."""
STEADY = 1.0
"""Grey levels squared: the contrast of a picture that varies by less is hardly fitted."""
FITS = 2


class Motion:
    """Ticks of one section in, how much moves out."""

    def __init__(self, spec: StreamSpec) -> None:
        """`spec`: of a stream of the network, for the part of a view that it sees."""
        self._spec = spec
        self._slowest = 1 / (BACKGROUND_S * float(spec.fps))
        self.reset()

    def reset(self) -> None:
        """Forget all ticks."""
        self._ticks = 0
        self._changed = 0.0
        self._short: Means = np.zeros((2, 0, 0, 0), np.float32)
        self._background: Means = np.zeros((2, 0, 0, 0), np.float32)

    def push(self, views: Sequence[Image]) -> float:
        """The next tick: each view of its frame, resized, uint8 (H, W, 3), always equally many -> how much the block
        that moves most does. Something moves above 1."""
        means = np.stack([_means(rgb_input(view, self._spec)) for view in views], axis=1)
        self._ticks += 1
        if self._ticks == 1:
            self._short, self._background = means, means.copy()
            return 0.0
        self._short += NEWEST * (means - self._short)
        differences = np.abs(self._unexplained())
        noise = LEAST_NOISE + NOISE_SHARE * _quartile(differences)
        explained = min(noise, MOST_NOISE) + EDGE_SHARE * _ranges(self._background[0])
        self._background += np.float32(max(self._slowest, 1 / self._ticks)) * (means - self._background)
        return float((differences / (FACTOR * explained)).max())

    def _unexplained(self) -> Blocks:
        """What the blocks differ by from the background at the same exposure."""
        now, background = self._short, self._background
        bright, was_bright = now[1] > WHITE_SHARE, background[1] > WHITE_SHARE
        usable = ~(bright | was_bright)
        gain, offset = _exposure(now[0][usable], background[0][usable])
        difference: Blocks = now[0] - np.clip(gain * background[0] + offset, 0, 255)
        self._changed = max(abs(255 * float(gain) + float(offset) - 255), self._changed * (1 - self._slowest))
        if self._changed > CHANGED:
            # What was overexposed may have been brighter than could be seen, and what is cannot get as bright.
            difference[was_bright] = np.minimum(difference[was_bright], 0)
            difference[bright] = np.maximum(difference[bright], 0)
        return difference


def _means(image: Image) -> Means:
    """Of one view, float32 (2, rows, columns)."""
    import cv2

    size = (image.shape[1] // BLOCK_PX, image.shape[0] // BLOCK_PX)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    white = cv2.threshold(image, WHITE - 1, 255, cv2.THRESH_BINARY)[1]  # colour by colour
    means, shares = (cv2.resize(each, size, interpolation=cv2.INTER_AREA) for each in (grey, white))
    return np.stack([means, shares.max(axis=2)]).astype(np.float32)


def _ranges(background: Blocks) -> Blocks:
    """Grey levels between the darkest and the brightest of each 3 x 3 blocks."""
    import cv2

    around = np.ones((3, 3), np.uint8)
    return np.stack([np.asarray(cv2.morphologyEx(each, cv2.MORPH_GRADIENT, around)) for each in background])


def _quartile(values: NDArray[Any]) -> float:
    """What three quarters of the values stay below."""
    place = values.size * 3 // 4
    return float(np.partition(values, place, axis=None)[place])


def _exposure(now: Floats, background: Floats) -> tuple[np.float32, np.float32]:
    """Gain and offset that make the background what is now, fitted to three quarters of the blocks (n,)."""
    if now.size == 0:
        return np.float32(1), np.float32(0)
    x, y = background.astype(np.float64), now.astype(np.float64)
    gain, offset = 1.0, float(np.median(y - x))
    for _ in range(FITS):
        left = np.abs(y - gain * x - offset)
        kept = left <= _quartile(left)
        mean_x, mean_y = x[kept].mean(), y[kept].mean()
        spread = ((x[kept] - mean_x) ** 2).mean()
        together = ((x[kept] - mean_x) * (y[kept] - mean_y)).mean()
        gain = (together + STEADY) / (spread + STEADY)
        offset = mean_y - gain * mean_x
    return np.float32(gain), np.float32(offset)
