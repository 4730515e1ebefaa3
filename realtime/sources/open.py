"""Frames from files, folders of images, cameras and addresses, and H.264 files from frames. The only file that imports
av.

`realtime.sources.timestamps` gives a frame its media time, `realtime.sources.address` parses a source's name.
"""

import sys
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, cast

from realtime.errors import SourceError, SourceLost, UsageError
from realtime.sources.address import (
    OPEN_LIMIT_S,
    STALL_LIMIT_S,
    Address,
    Rotation,
    Transport,
    check_url,
    ffmpeg_input,
    parse_source,
)
from realtime.sources.choose_stream import choose_stream, discard_others
from realtime.sources.ffmpeg_errors import INDEX_BEHIND, reason
from realtime.sources.hardware import Decode, Device, device_for
from realtime.sources.http_pictures import open_http
from realtime.sources.image_folder import ImageFeed, read_image
from realtime.sources.packets import keeper_for
from realtime.sources.stdin import StandardInput
from realtime.sources.timestamps import Stamped, plausible_rate
from realtime.sources.to_rgb import ToRgb
from realtime.sources.upright import CLOCKWISE
from realtime.sources.video import Decoded
from realtime.sources.video import Video as Video

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.error import FFmpegError
    from av.packet import Packet

NO_TIMESTAMPS, TS_DISCONT = 0x80, 0x200
"""FFmpeg's flags of a container without times, and of one whose times may jump."""
ONE_CORE_MAX_PX = 1920 * 1088
"""Up to this size one core decodes a camera in real time. Frame threads are faster, but each one delays pictures by a
frame."""
KEY_WAIT_PACKETS = 500
"""Joining between key frames gives broken pictures until the next one; but some streams never mark any."""
MOST_FAULTS = 1000
"""Consecutive reads that may fail in a source of unknown size before it counts as ended."""
BYTES_A_FAULT = 4096
"""FFmpeg skips more than this at each failed read, which bounds the failures in a file of known size."""


def open_video(
    source: str | Path,
    *,
    image_fps: Fraction | None = None,
    square_pixels: bool = True,
    rtsp_transport: Transport = "tcp",
    rotate: Rotation = 0,
    keep_packets: bool = False,
    decode: Decode = "cpu",
) -> Video:
    """Open `source` and decode its first frame.

    source: path of a video, folder of images, "webcam:0", "rtsp(s)://...", "http(s)://..." (a file, HLS or MJPEG), or
        "-" for standard input. A `Path` is always a path.
    image_fps: frames per second of a source that states no times: needed for a folder of images and for a raw stream
        without a rate (MJPEG), overrides the rate of other raw streams (H.264), an error elsewhere.
    square_pixels: scale the width if pixels are stated not to be square, so that shapes are right.
    rtsp_transport: "tcp", or "udp" for cameras that offer nothing else.
    rotate: degrees clockwise, applied after the orientation that the source states.
    keep_packets: keep the newest packets beside the decoder (`Frame.packet`), where another file can hold them.
    decode: where, if it is not a folder of images; the CPU takes over what the device cannot, see `Video.decoding`.

    Raises UsageError for text that names no source and for options that do not fit it, SourceError for a source that
    is missing, unreadable, refused or without a picture.
    """
    if rtsp_transport not in ("tcp", "udp"):
        raise UsageError(f"RTSP transport {rtsp_transport!r} is not known; choose tcp or udp")
    if rotate not in CLOCKWISE:
        raise UsageError(f"a picture cannot be rotated by {rotate} degrees; give 0, 90, 180 or 270")
    address = parse_source(source)
    if address.kind in ("rtsp", "http"):
        check_url(address)
    if address.kind != "images":
        device = device_for(decode)
        feed = _StreamFeed(address, rtsp_transport, image_fps, device, keep_packets=keep_packets)
        return Video(feed, ToRgb(feed.pixel_aspect if square_pixels else None, rotate))
    if image_fps is None or image_fps <= 0:
        raise UsageError(f"{address.name}: a folder of images; state its rate, more than 0 frames per second")
    return Video(ImageFeed(address, Fraction(image_fps), read_image), ToRgb(None, rotate, one_stream=False))


def frame_times(
    source: str | Path, *, image_fps: Fraction | None = None
) -> Iterator[tuple[Fraction, Fraction]]:
    """(pts, duration) in seconds of every frame that `open_video` yields for a file or folder. Decodes, but converts
    no pixels."""
    with open_video(source, image_fps=image_fps) as video:
        if video.live:
            raise UsageError(f"{video.name}: a live source has no known end; give a file")
        yield from video.times()


class _StreamFeed:
    """Frames of what FFmpeg opens, with the container's time stamps."""

    def __init__(
        self,
        address: Address,
        transport: Transport,
        fps: Fraction | None,
        device: Device,
        *,
        keep_packets: bool,
    ) -> None:
        """`fps`: rate of a file that states no times, see `open_video`."""
        self.address, self._name = address, address.name
        self.corrupt_packets = 0
        self._after_loss = False
        self._given = 0
        self.stopping = Event()
        self._stall_limit_s = STALL_LIMIT_S.get(address.kind, 0.0)
        self._container = container = self._open(transport, device)
        self._bytes = 0 if container.format.name == "hls" else max(0, container.size)
        known_end = container.duration is not None or self._bytes > 0
        self.live = address.kind in ("webcam", "rtsp") or (address.kind == "http" and not known_end)
        flags = container.format.flags
        # Raw streams, MJPEG over HTTP and sequences of pictures have no times; FFmpeg makes them up.
        self.stamped = not (flags & NO_TIMESTAMPS or container.format.name.endswith("_pipe"))
        self.joined = bool(flags & TS_DISCONT)
        self._fps = fps
        try:
            self._stream = stream = choose_stream(container, self._name, live=self.live)
            self.average_fps = self._rate()
        except (SourceError, UsageError):
            self.shut()
            raise
        self.duration_s = None if self.live or container.duration is None else container.duration / 1e6
        self.pixel_aspect = stream.sample_aspect_ratio
        self.decoding = device.said(stream.codec_context)
        self._keeper = keeper_for(container, stream, stamped=self.stamped) if keep_packets else None
        discard_others(container, stream, self._keeper.sound_index if self._keeper else None)
        slices = self.live and stream.width * stream.height <= ONE_CORE_MAX_PX
        stream.thread_type = "SLICE" if slices else "AUTO"

    def frames(self) -> Iterator[Stamped[Decoded]]:
        rated = self.live or self.stamped or self.average_fps
        for frame in self._pictures():
            self._given += 1
            if self._given > 1 and not rated:  # a single picture needs no rate
                raise SourceError(
                    f"{self._name}: it states neither times nor a rate; give --fps, such as --fps 25, or convert it to .mp4"
                )
            yield frame
        if not self._given and self._index_is_behind():
            raise SourceError(f"{self._name}: {INDEX_BEHIND}")

    def _index_is_behind(self) -> bool:
        """Whether an MP4 gives nothing because its index comes last, and its source cannot seek."""
        return self._container.format.name.startswith("mov") and self.address.kind in ("stdin", "http")

    def _pictures(self) -> Iterator[Stamped[Decoded]]:
        try:
            for packet in self._packets():
                yield from self._decode(packet)
        except SourceError:
            yield from self._decode(None)  # frames still in the decoder are from before the loss
            raise
        yield from self._decode(None)

    def shut(self) -> None:
        self._container.close()

    def _open(self, transport: Transport, device: Device) -> "InputContainer":
        import av
        from av.device import enumerate_input_devices

        devices = enumerate_input_devices("dshow") if sys.platform == "win32" else []
        cameras = [device.name for device in devices if "video" in device.media_types]
        target, file_format, options = ffmpeg_input(self.address, transport, cameras)
        file: Any = StandardInput(self.stopping) if self.address.kind == "stdin" else target
        limits = (OPEN_LIMIT_S, self._stall_limit_s) if self._stall_limit_s else None
        try:
            if self.address.kind == "http":
                return open_http(target, options, limits, device.accelerator())
            accelerator = device.accelerator()
            opened = av.open(file, "r", file_format, options, timeout=limits, hwaccel=accelerator)
            return cast("InputContainer", opened)
        except av.error.FFmpegError as error:
            raise SourceError(f"{self._name}: cannot be opened: {self._reason(error)}") from error

    def _rate(self) -> Fraction | None:
        """Frames per second as stated; FFmpeg makes up 25 for raw streams, whose codec may state another."""
        if not self.stamped and not self.live:
            stated = self._stream.codec_context.framerate
            guess = self._stream.guessed_rate if stated else None  # MPEG-4 may state only a time base
            return self._fps or plausible_rate(stated) or plausible_rate(guess)
        if self._fps is not None:
            how = "states when each picture is shown" if self.stamped else "counts pictures as they come"
            raise UsageError(
                f"{self._name}: a rate is for images and raw streams, and this {how}: leave it out"
            )
        if not self.stamped:
            return None
        return plausible_rate(self._stream.average_rate) or plausible_rate(self._stream.guessed_rate)

    def _packets(self) -> "Iterator[Packet[Any]]":
        """Complete packets of the video, to the end or as far as the source can be read."""
        wait_packets = KEY_WAIT_PACKETS if self.live and self.address.kind != "webcam" else 0
        self._heard_s = time.monotonic()
        for packet in self._demuxed():
            if packet.stream_index != self._stream.index or packet.size == 0:
                if self._keeper is not None and packet.size:
                    self._keeper.add(packet)
                continue
            wait_packets = 0 if packet.is_keyframe else max(0, wait_packets - 1)
            self.corrupt_packets += packet.is_corrupt
            if not (wait_packets or packet.is_corrupt):
                if self._keeper is not None:
                    self._keeper.add(packet)
                yield packet
            self._heard_s = time.monotonic()
        if self.live and not self.stopping.is_set():
            raise SourceLost(f"{self._name}: the stream has ended or the connection is lost; connect again")

    def _demuxed(self) -> "Iterator[Packet[Any]]":
        """Packets of all kinds, including those after an unreadable place."""
        import av

        faults = 0
        while faults <= MOST_FAULTS + self._bytes // BYTES_A_FAULT:
            try:
                for packet in self._container.demux():
                    self._check_patience()
                    if self.stopping.is_set():
                        return
                    faults = 0 if packet.size else faults
                    yield packet
                return
            except (av.error.InvalidDataError, av.error.BlockingIOError):
                self._check_patience()
                self.corrupt_packets += not faults
                self._after_loss = True
                faults += 1
            except av.error.FFmpegError as error:
                self._break_off(error)
                return

    def _check_patience(self) -> None:
        """FFmpeg's own limits do not catch servers that send everything but video, and restart after a silence."""
        if (
            self.live
            and not self.stopping.is_set()
            and time.monotonic() - self._heard_s > self._stall_limit_s
        ):
            raise SourceLost(f"{self._name}: no video for {self._stall_limit_s:.0f} s; connect again")

    def _break_off(self, error: "FFmpegError") -> None:
        """Reading failed: because of `close`, a lost connection, or the end of a source that states no length."""
        if not self._given and self._index_is_behind():
            raise SourceError(f"{self._name}: {INDEX_BEHIND}") from error
        remote = self.live or self.address.kind == "http"
        if remote and not self._bytes and not self.live:
            self.corrupt_packets += 1
        elif not self.stopping.is_set():
            kind = SourceLost if remote else SourceError
            raise kind(f"{self._name}: cannot be read any further: {self._reason(error)}") from error

    def _reason(self, error: "FFmpegError") -> str:
        error.args = error.args[:2]  # the rest holds the address, with its password
        return reason(error, self.address)

    def _decode(self, packet: "Packet[Any] | None") -> Iterator[Stamped[Decoded]]:
        import av

        try:
            pictures = self._stream.codec_context.decode(packet)
        except av.error.FFmpegError:
            self.corrupt_packets += 1
            return
        time_base = Fraction(self._stream.time_base or 1)
        arrived = Fraction(round(time.monotonic() * 1000), 1000) if self.live else None
        for picture in pictures:
            if picture.is_corrupt:
                self.corrupt_packets += 1  # the decoder guesses the damaged part
                continue
            shown, decoded = (None if t is None else t * time_base for t in (picture.pts, picture.dts))
            duration = None if self._fps else max(0, picture.duration) * time_base
            item = Decoded(picture, self._keeper.kept(picture) if self._keeper else None)
            yield Stamped(shown, decoded, duration, item, arrived, self._after_loss)
            self._after_loss = False
