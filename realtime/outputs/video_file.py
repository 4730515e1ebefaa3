"""H.264 files from pictures with their times."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from realtime.errors import OutputError
from realtime.outputs.why import why
from realtime.types import Image

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.frame import VideoFrame

BT709, LIMITED_RANGE = 1, 1
WRITER_TICKS_PER_S = 9_000_000
"""Exact for stamps in 1/90000 s, microseconds, and the rates 24, 30 and 60 with or without the 1000/1001 of
television."""
LONGEST_STILL_TICKS = 100 * WRITER_TICKS_PER_S
"""MP4 stores a picture's duration in 32 bits: before they overflow, the picture is written again."""
ENCODER_OPTIONS = {"preset": "superfast", "crf": "23", "bf": "0"}


HEAD_BYTES, FRAME_BYTES = 4096, 64
"""Of an MP4 file besides its pictures, at most: once, and for each picture."""


class VideoWriter:
    """An H.264 file (.mp4, .mov) from RGB pictures with their times. A context manager.

    What is written stays playable even after a full disk or a killed process: the file consists of fragments until it
    is closed. Every failure is an OutputError.
    """

    def __init__(
        self, path: str | Path, size_px: tuple[int, int], encoder: Literal["libx264"] = "libx264"
    ) -> None:
        """`size_px`: (width, height), made even; pictures of another size are scaled to it. `encoder`: FFmpeg's name
        of it."""
        import av

        if Path(path).suffix.lower() not in (".mp4", ".m4v", ".mov"):
            raise OutputError(f"cannot write {path}: a video is written as .mp4 or .mov; name it so")
        self._path, self._encoder, self._last, self._open = path, encoder, -1, True
        self.largest_bytes = HEAD_BYTES
        """Most that the file has when it is closed now."""
        self._still: VideoFrame | None = None
        options = {"movflags": "hybrid_fragmented", "flush_packets": "1"}
        with self._translated():
            # FFmpeg takes what precedes a colon in a relative path for a protocol.
            self._file = av.open(os.path.abspath(path), "w", options=options)
            self._stream = self._file.add_stream(encoder, rate=25, options=ENCODER_OPTIONS)
            self._stream.width, self._stream.height = (size + size % 2 for size in size_px)
            codec = self._stream.codec_context
            codec.time_base = Fraction(1, WRITER_TICKS_PER_S)
            codec.colorspace, codec.color_range = BT709, LIMITED_RANGE
            self._file.start_encoding()

    def write(self, rgb: Image, pts: Fraction) -> None:
        """uint8 (H, W, 3) at `pts` seconds, exact to `WRITER_TICKS_PER_S`; left out if it is not later than the last
        one."""
        from av.video.frame import VideoFrame

        ticks = round(pts * WRITER_TICKS_PER_S)
        if ticks <= self._last:
            return
        while self._still is not None and ticks - self._last > LONGEST_STILL_TICKS:
            self._encode(self._still, self._last + LONGEST_STILL_TICKS)
        width, height = self._stream.width, self._stream.height
        self._still = VideoFrame.from_ndarray(np.ascontiguousarray(rgb)).reformat(
            width, height, "yuv420p", dst_colorspace=BT709, dst_color_range=LIMITED_RANGE
        )
        self._encode(self._still, ticks)

    def close(self) -> None:
        """Write what the encoder still holds, and the index. Closing again does nothing."""
        if self._open:
            self._open = False
            with self._translated():
                self._mux(self._stream.encode())
                self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        with suppress(OutputError) if error else nullcontext():
            self.close()

    def _encode(self, picture: "VideoFrame", ticks: int) -> None:
        picture.pts, picture.time_base, self._last = ticks, Fraction(1, WRITER_TICKS_PER_S), ticks
        with self._translated():
            self._mux(self._stream.encode(picture))
            self.largest_bytes += FRAME_BYTES

    def _mux(self, packets: "list[Packet[Any]]") -> None:
        self.largest_bytes += sum(packet.size for packet in packets)
        self._file.mux(packets)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        import av

        try:
            yield
        except av.codec.codec.UnknownCodecError as error:
            reason = f"this FFmpeg has no {self._encoder}; install av from PyPI"
            raise OutputError(f"cannot write {self._path}: {reason}") from error
        except (av.error.FFmpegError, UnicodeError, ValueError) as error:
            raise OutputError(f"cannot write {self._path}: {why(error, self._path)}") from error
