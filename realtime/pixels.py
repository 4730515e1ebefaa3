"""What a picture is made of: an array of RGB, or something that RGB is made from when it is asked for."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]


class Orientation(Protocol):
    """How a picture that is stored was put upright: first transposed, then flipped; `realtime.sources.upright.Turn`."""

    @property
    def transposed(self) -> bool: ...

    @property
    def flip_x(self) -> bool: ...

    @property
    def flip_y(self) -> bool: ...


class Pixels(Protocol):
    """A picture as it was decoded; `realtime.sources.to_rgb.Unconverted` is one. May be used from any thread."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(H, W, 3), of `rgb`."""

    @property
    def rgb(self) -> Image:
        """uint8 (H, W, 3), upright; made at the first call."""
