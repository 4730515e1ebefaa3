"""From FFmpeg's pictures to upright RGB with square pixels, when it is asked for."""

from collections.abc import Callable
from fractions import Fraction
from functools import partial
from threading import Lock
from typing import Any

import numpy as np

from realtime.pixels import Image
from realtime.sources.upright import CLOCKWISE, Turn, turn_of

CONVERTIBLE_MATRICES = frozenset({0, 1, 2, 4, 5, 6, 7, 9})
"""Colour matrices (ITU-T H.273) that swscale converts from; others (YCgCo, ICtCp, reserved) are treated as not
stated."""
UNSTATED = 2
"""In the numbers of ITU-T H.273, of a matrix, of primaries and of a transfer function."""


class ToRgb:
    """Converts pictures of one source, by the colour matrix, range and display matrix that each states."""

    def __init__(self, pixel_aspect: Fraction | None, rotate: int = 0, *, one_stream: bool = True) -> None:
        """`pixel_aspect`: width over height of a pixel; None keeps pixels as they are. `rotate`: degrees clockwise, for
        a camera that hangs askew and does not say so. `one_stream`: a picture is mirrored if the one before it is."""
        absurd = pixel_aspect is None or not Fraction(1, 8) <= pixel_aspect <= 8
        self._aspect = Fraction(1) if absurd else Fraction(pixel_aspect or 1)
        self._rotate = CLOCKWISE[rotate]
        self._one_stream = one_stream
        self._lock = Lock()
        self._scaler: _Scaler | None = None
        self._like: tuple[object, ...] = ()
        self._turn = Turn()
        """Of the newest picture that was not like the one before it."""

    def size_px(self, picture: Any) -> tuple[int, int]:
        """(width, height) of what is made of it."""
        width, height = self._square_size(picture)
        return (height, width) if self.turn(picture).transposed else (width, height)

    def __call__(self, picture: Any) -> "Unconverted":
        """`picture`: av's VideoFrame in any pixel format."""
        width, height = self.size_px(picture)
        return Unconverted(picture, (height, width, 3), partial(self.rgb, turn=self.turn(picture)))

    def rgb(self, picture: Any, turn: Turn) -> Image:
        """uint8 (H, W, 3), put upright by `turn`. May be called from any thread."""
        with self._lock:
            if self._scaler is None or not self._scaler.fits(picture):
                self._scaler = _Scaler(picture, self._square_size(picture))
            return turn(self._scaler.rgb(picture))

    def turn(self, picture: Any) -> Turn:
        """What puts it upright, `rotate` included.

        In a stream the display matrix is read where a picture is not like the one before it: what PyAV reads it with
        refers to the picture and the picture to that, so such a picture keeps its buffer until Python's garbage
        collector comes by, and the decoder needs new memory instead.
        """
        like = picture.rotation, picture.width, picture.height
        if like != self._like or not self._one_stream:
            self._like, self._turn = like, turn_of(picture).then(self._rotate)
        return self._turn

    def pixel_aspect(self, picture: Any) -> Fraction:
        """By how much its width is scaled, rounding to whole px included."""
        return Fraction(self._square_size(picture)[0], picture.width)

    def _square_size(self, picture: Any) -> tuple[int, int]:
        return max(1, round(picture.width * self._aspect)), picture.height


class Unconverted:
    """`realtime.pixels.Pixels` of a decoded picture: RGB takes twice the memory, and is not always asked for. Where a
    source is faster than 25 fps, or frames are dropped because they came late, nobody does."""

    def __init__(self, picture: Any, shape: tuple[int, ...], to_rgb: Callable[[Any], Image]) -> None:
        """`picture`: av's VideoFrame; its buffer is the decoder's, and goes back to it after the conversion. `shape`:
        (H, W, 3) of what `to_rgb` makes of it."""
        self.shape = shape
        self._to_rgb, self._picture, self._lock = to_rgb, picture, Lock()
        self._rgb: Image | None = None

    @property
    def rgb(self) -> Image:
        """uint8 (H, W, 3), upright."""
        with self._lock:  # outputs on threads of their own may ask while the recogniser does
            if self._rgb is None:
                self._rgb, self._picture = self._to_rgb(self._picture), None
            return self._rgb


class _Scaler:
    """swscale in a graph of filters, whose pictures are made in buffers that are used again and again: memory that is
    new for each picture costs several times as much as the conversion, because every page of it has to be mapped."""

    def __init__(self, picture: Any, size_px: tuple[int, int]) -> None:
        """`picture`: the first one. `size_px`: (width, height) of what is made of it."""
        import av

        self._kind = picture.format.name, picture.width, picture.height
        self._graph = av.filter.Graph()
        # One thread: more would compete with the decoder's.
        self._graph.threads = 1
        self._source = self._graph.add_buffer(
            width=picture.width, height=picture.height, format=picture.format, time_base=Fraction(1)
        )
        scale = self._graph.add("scale", f"{size_px[0]}:{size_px[1]}:flags=bilinear")
        rgb, sink = self._graph.add("format", "pix_fmts=rgb24"), self._graph.add("buffersink")
        self._graph.link_nodes(self._source, scale, rgb, sink).configure()

    def fits(self, picture: Any) -> bool:
        """Whether it converts a picture like this one; matrix and range may change from picture to picture."""
        return self._kind == (picture.format.name, picture.width, picture.height)

    def rgb(self, picture: Any) -> Image:
        """uint8 (H, W, 3), in a buffer of the graph."""
        if picture.colorspace not in CONVERTIBLE_MATRICES:
            picture.colorspace = UNSTATED
        picture.color_trc = picture.color_primaries = UNSTATED  # swscale refuses those that it does not know
        self._source.push(picture)
        made: Any = self._graph.pull()
        return np.asarray(made.to_ndarray(), np.uint8)
