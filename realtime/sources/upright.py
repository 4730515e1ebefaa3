"""How to turn and mirror a decoded picture so that it is upright, from the display matrix that FFmpeg attaches to
it."""

from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from realtime.types import Image

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

UNNAMED_SIDE_DATA = range(28, 40)
"""Kinds that FFmpeg attaches but PyAV has no name for, such as EXIF (31): with one of them, PyAV refuses to list
any."""


class Turn(NamedTuple):
    """One of the eight orientations of a picture: first transposed, then flipped."""

    transposed: bool = False
    """Rows become columns."""
    flip_x: bool = False
    flip_y: bool = False

    def __call__(self, rgb: Image) -> Image:
        """uint8 (H, W, 3) -> the same pixels, upright."""
        upright = rgb.transpose(1, 0, 2) if self.transposed else rgb
        return np.ascontiguousarray(upright[:: -1 if self.flip_y else 1, :: -1 if self.flip_x else 1])

    def then(self, other: "Turn") -> "Turn":
        """This turn followed by another."""
        flip_x, flip_y = (self.flip_y, self.flip_x) if other.transposed else (self.flip_x, self.flip_y)
        return Turn(self.transposed != other.transposed, flip_x != other.flip_x, flip_y != other.flip_y)


CLOCKWISE = {
    0: Turn(),
    90: Turn(transposed=True, flip_x=True),
    180: Turn(flip_x=True, flip_y=True),
    270: Turn(transposed=True, flip_y=True),
}
"""Quarter turns, by their degrees."""


def turn_of(picture: "VideoFrame") -> Turn:
    """The nearest of the eight turns: other angles would leave corners empty, and no recorder writes them."""
    matrix = _display_matrix(picture)
    if matrix is None:
        return Turn()
    # A point (x, y) is shown at (a x + c y, b x + d y), and rows of the matrix are (a, b, _), (c, d, _).
    a, b, c, d = (int(matrix[i]) for i in (0, 1, 3, 4))
    if abs(b) + abs(c) > abs(a) + abs(d):
        return Turn(True, c < 0, b < 0)
    return Turn(False, a < 0, d < 0)


def _display_matrix(picture: "VideoFrame") -> Any:
    """int32 (9,), or None if the picture is shown as it is stored."""
    try:
        data: Any = picture.side_data.get("DISPLAYMATRIX")
    except ValueError:
        data = _with_named_side_data(picture).side_data.get("DISPLAYMATRIX")
    return None if data is None else np.frombuffer(bytes(data), np.int32)


def _with_named_side_data(picture: "VideoFrame") -> "VideoFrame":
    """The same picture without the side data that PyAV has no name for. Copies no pixels; takes 0.25 ms."""
    import av

    graph = av.filter.Graph()
    chain = [
        graph.add_buffer(
            width=picture.width, height=picture.height, format=picture.format, time_base=Fraction(1)
        ),
        *(graph.add("sidedata", f"mode=delete:type={kind}") for kind in UNNAMED_SIDE_DATA),
        graph.add("buffersink"),
    ]
    graph.link_nodes(*chain).configure()
    chain[0].push(picture)
    return graph.pull()  # type: ignore[return-value]
