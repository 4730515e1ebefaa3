"""MP4 files from a source's own packets: nothing is decoded or encoded."""

import heapq
import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realtime.errors import OutputError
from realtime.outputs.video_file import FRAME_BYTES, HEAD_BYTES
from realtime.outputs.why import why
from realtime.sources.packets import Layout, Packet
from realtime.types import Orientation

if TYPE_CHECKING:
    from av.stream import Stream

TICKS_PER_S = range(1000, 10_000_001)
"""A stated time base that is coarser or finer is taken for none: it may be the rate, and times go by arrival."""
OPTIONS = {
    # A list of fragments until it is closed: what is written stays playable after a kill.
    "movflags": "hybrid_fragmented",
    "frag_duration": "1000000",  # µs
    "flush_packets": "1",
    "max_interleave_delta": "1000000",  # µs that the video waits for a sound that has stopped
}


class PacketFile:
    """An MP4 file of one video and its sound, if it has one. Every failure is an OutputError."""

    def __init__(self, path: Path, layout: Layout, turn: Orientation | None) -> None:
        """`turn`: what puts the pictures upright; the file says so to players."""
        import av

        self._path, self._layout, self._open = path, layout, True
        self.largest_bytes = HEAD_BYTES + 2 * len(layout.headers or b"")
        """Most that the file has when it is closed now."""
        base = layout.time_base
        self._tick_s = (
            base if base.numerator == 1 and base.denominator in TICKS_PER_S else Fraction(1, 90_000)
        )
        self._times = _DecodingTimes(layout.reorder)
        self._sound_tick = -1
        with self._translated():
            # FFmpeg takes what precedes a colon in a relative path for a protocol.
            self._file = av.open(os.path.abspath(path), "w", format="mp4", options=OPTIONS)
            self._video = self._file.add_stream_from_template(layout.video, opaque=True)
            self._video.time_base = self._tick_s
            self._video.set_display_matrix(display_matrix(turn))
            self._video.codec_context.width, self._video.codec_context.height = layout.size_px
            if layout.headers is not None:
                self._video.codec_context.extradata = layout.headers
            self._sound = layout.sound and self._file.add_stream_from_template(layout.sound, opaque=True)
            self._file.start_encoding()
        stated = None if self._sound is None else self._sound.time_base
        self._sound_tick_s = Fraction(stated or Fraction(1, 90_000))

    def write(self, packet: Packet, pts: Fraction) -> None:
        """The next packet in the order of decoding. `pts`: seconds since the file's first picture."""
        if not packet.sound:
            tick, decoded = self._times.next(_ticks(pts, self._tick_s))
            self._mux(packet, self._video, self._tick_s, tick, decoded)
        elif self._sound is not None:
            tick = _ticks(pts, self._sound_tick_s)
            if tick > self._sound_tick:
                self._sound_tick = tick
                self._mux(packet, self._sound, self._sound_tick_s, tick, tick)

    def close(self) -> None:
        """Write the index. Closing again does nothing."""
        if self._open:
            self._open = False
            with self._translated():
                self._file.close()

    def _mux(self, packet: Packet, stream: "Stream", base: Fraction, tick: int, decoded: int) -> None:
        from av.packet import Packet as AvPacket

        made: AvPacket[Any] = AvPacket(packet.data)
        made.pts, made.dts = tick, decoded
        if packet.duration:
            made.duration = _ticks(packet.duration, base)
        made.time_base, made.stream, made.is_keyframe = base, stream, packet.key
        try:
            self._file.mux_one(made)
        except Exception:
            with self._translated():
                raise
        self.largest_bytes += len(packet.data) + FRAME_BYTES

    @contextmanager
    def _translated(self) -> Iterator[None]:
        import av

        try:
            yield
        except (av.error.FFmpegError, UnicodeError, ValueError) as error:
            raise OutputError(f"cannot write {self._path}: {why(error, self._path)}") from error


def _ticks(seconds: Fraction, tick_s: Fraction) -> int:
    """Rounded. (Fractions divide several times slower.)"""
    above = seconds.numerator * tick_s.denominator
    below = seconds.denominator * tick_s.numerator
    return (2 * above + below) // (2 * below)


class _DecodingTimes:
    """Decoding times from presentation times: where pictures are shown up to `reorder` places later than decoded, each
    is decoded when the one that many places earlier is shown."""

    def __init__(self, reorder: int) -> None:
        self._reorder, self._count, self._last, self._first = reorder, 0, 0, 0
        self._shown: list[int] = []

    def next(self, tick: int) -> tuple[int, int]:
        """When it is shown, and when it is decoded, which increases and is never later."""
        heapq.heappush(self._shown, tick)
        if self._count == 0:
            self._first = tick
        if self._count < self._reorder:
            decoded = self._first - (self._reorder - self._count)
        else:
            decoded = heapq.heappop(self._shown)
        if self._count > 0:
            decoded = max(decoded, self._last + 1)
        self._count, self._last = self._count + 1, decoded
        return max(tick, decoded), decoded


def display_matrix(turn: Orientation | None) -> list[int]:
    """As FFmpeg wants it: three rows, 16.16 fixed, the last column 2.30. See `realtime.sources.upright.turn_of`."""
    one, end = 1 << 16, 1 << 30
    if turn is None:
        return [one, 0, 0, 0, one, 0, 0, 0, end]
    x, y = (-one if turn.flip_x else one), (-one if turn.flip_y else one)
    return [0, y, 0, x, 0, 0, 0, 0, end] if turn.transposed else [x, 0, 0, 0, y, 0, 0, 0, end]
