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
    Transport,
    ffmpeg_input,
    parse_source,
)
from realtime.sources.ffmpeg_errors import reason
from realtime.sources.image_folder import ImageFeed
from realtime.sources.stdin import StandardInput
from realtime.sources.timestamps import Stamped, plausible_rate
from realtime.sources.to_rgb import ToRgb
from realtime.sources.video import Video as Video

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.error import FFmpegError
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

ONE_CORE_MAX_PX = 1920 * 1088
"""Up to this size one core decodes a camera in real time. Frame threads are faster, but each one delays pictures by a
frame."""
ENOUGH_LINES = 480
"""Of the sizes that HLS offers, the smallest with this many lines is taken, or else the largest: more would be scaled
away."""
KEY_WAIT_PACKETS = 500
"""Packets to wait for a key frame: joining between key frames gives broken pictures until the next one, but some
streams never mark any."""


def open_video(
    source: str | Path,
    *,
    image_fps: Fraction | None = None,
    square_pixels: bool = True,
    rtsp_transport: Transport = "tcp",
) -> Video:
    """Open `source` and decode its first frame.

    source: path of a video or folder of images, "webcam:0", "rtsp(s)://...", "http(s)://..." (a file, HLS or MJPEG),
        or "-" for standard input. A `Path` is always a path.
    image_fps: frames per second of a folder of images; required for one, an error for anything else.
    square_pixels: scale the width if the source states that its pixels are not square, so that shapes are right.
    rtsp_transport: "tcp", or "udp" for cameras that offer nothing else.

    Raises UsageError for text that names no source and for options that do not fit it, SourceError for a source that
    is missing, unreadable, refused or without a picture.
    """
    from av.video.reformatter import VideoReformatter

    if rtsp_transport not in ("tcp", "udp"):
        raise UsageError(f"RTSP transport {rtsp_transport!r} is not known; choose tcp or udp")
    address = parse_source(source)
    if address.kind != "images":
        if image_fps is not None:
            raise UsageError(f"{address.name}: an image rate is for folders of images; leave it out")
        feed = _StreamFeed(address, rtsp_transport)
        return Video(feed, ToRgb(VideoReformatter(), feed.pixel_aspect if square_pixels else None))
    if image_fps is None or image_fps <= 0:
        raise UsageError(f"{address.name}: a folder of images; state its rate, more than 0 frames per second")
    return Video(ImageFeed(address, Fraction(image_fps), _read_image), ToRgb(VideoReformatter(), None))


def frame_times(
    source: str | Path, *, image_fps: Fraction | None = None
) -> Iterator[tuple[Fraction, Fraction]]:
    """(pts, duration) in seconds of every frame that `open_video` yields for a file or folder. Decodes, but converts
    no pixels."""
    with open_video(source, image_fps=image_fps) as video:
        if video.live:
            raise UsageError(f"{video.name}: a live source has no known end; give a file")
        yield from video.times()


def _read_image(path: str, options: dict[str, str]) -> "VideoFrame | None":
    import av

    try:
        with av.open(path, "r", options=options) as image:
            return next(image.decode(video=0), None)
    except (av.error.FFmpegError, IndexError):
        return None


class _StreamFeed:
    """Frames of what FFmpeg opens, with the container's time stamps."""

    def __init__(self, address: Address, transport: Transport) -> None:
        self.address, self._name = address, address.name
        self.corrupt_packets = 0
        self.stopping = Event()
        self._stall_limit_s = STALL_LIMIT_S.get(address.kind, 0.0)
        self._container = container = self._open(transport)
        try:
            self._stream = stream = self._choose_stream()
        except SourceError:
            self.shut()
            raise
        self._bytes = 0 if container.format.name == "hls" else max(0, container.size)
        known_end = container.duration is not None or self._bytes > 0
        self.live = address.kind in ("webcam", "rtsp") or (address.kind == "http" and not known_end)
        self.average_fps = plausible_rate(stream.average_rate) or plausible_rate(stream.guessed_rate)
        self.duration_s = None if self.live or container.duration is None else container.duration / 1e6
        self.pixel_aspect = stream.sample_aspect_ratio
        slices = self.live and stream.width * stream.height <= ONE_CORE_MAX_PX
        stream.thread_type = "SLICE" if slices else "AUTO"

    def frames(self) -> "Iterator[Stamped[VideoFrame]]":
        try:
            for packet in self._packets():
                yield from self._decode(packet)
        except SourceError:
            yield from self._decode(None)  # what the decoder holds came before the loss
            raise
        yield from self._decode(None)

    def shut(self) -> None:
        self._container.close()

    def _open(self, transport: Transport) -> "InputContainer":
        import av
        from av.device import enumerate_input_devices

        devices = enumerate_input_devices("dshow") if sys.platform == "win32" else []
        cameras = [device.name for device in devices if "video" in device.media_types]
        target, file_format, options = ffmpeg_input(self.address, transport, cameras)
        file: Any = StandardInput(self.stopping) if self.address.kind == "stdin" else target
        limits = (OPEN_LIMIT_S, self._stall_limit_s) if self._stall_limit_s else None
        try:
            return cast("InputContainer", av.open(file, "r", file_format, options, timeout=limits))
        except av.error.FFmpegError as error:
            raise SourceError(f"{self._name}: cannot be opened: {self._reason(error)}") from error

    def _choose_stream(self) -> "VideoStream":
        from av.stream import Discard, Disposition

        streams, file_format = self._container.streams, self._container.format.name
        videos = [video for video in streams.video if not video.disposition & Disposition.attached_pic]
        if not videos:
            only = ", only sound or text" if len(streams) else ""
            raise SourceError(f"{self._name}: no video in it{only}; give a video that plays elsewhere")
        if file_format == "hls":
            stream = max(videos, key=lambda video: (min(video.height, ENOUGH_LINES), -video.height))
        else:
            best = streams.best("video")
            stream = next((video for video in videos if best and video.index == best.index), videos[0])
        if stream.codec_context is None or file_format == "tty":
            raise SourceError(f"{self._name}: nothing that decodes as video; convert it to H.264 first")
        for other in streams:
            if other.index != stream.index:
                other.discard = Discard.all
        return stream

    def _packets(self) -> "Iterator[Packet[Any]]":
        """The undamaged packets of the video, up to its end or to where the source breaks off."""
        import av

        wait_packets = KEY_WAIT_PACKETS if self.live and self.address.kind != "webcam" else 0
        heard_s = time.monotonic()
        try:
            for packet in self._container.demux():
                if self.stopping.is_set():
                    return
                if self.live and time.monotonic() - heard_s > self._stall_limit_s:
                    # FFmpeg's own limits miss servers that send everything but video, and start again after a silence.
                    raise SourceLost(f"{self._name}: no video for {self._stall_limit_s:.0f} s; connect again")
                if packet.stream_index != self._stream.index or packet.size == 0:
                    continue
                wait_packets = 0 if packet.is_keyframe else max(0, wait_packets - 1)
                self.corrupt_packets += packet.is_corrupt
                if not (wait_packets or packet.is_corrupt):
                    yield packet
                heard_s = time.monotonic()
        except av.error.FFmpegError as error:
            self._break_off(error)
        if self.live and not self.stopping.is_set():
            raise SourceLost(f"{self._name}: the stream has ended or the connection is lost; connect again")

    def _break_off(self, error: "FFmpegError") -> None:
        """Reading failed: because of `close`, a lost connection, or the end of a file that is cut off or states no
        length."""
        import av

        remote = self.live or self.address.kind == "http"
        cut_off = isinstance(error, av.error.InvalidDataError) or (remote and not self._bytes)
        if cut_off and not self.live:
            self.corrupt_packets += 1
        elif not self.stopping.is_set():
            kind = SourceLost if remote else SourceError
            raise kind(f"{self._name}: cannot be read any further: {self._reason(error)}") from error

    def _reason(self, error: "FFmpegError") -> str:
        error.args = error.args[:2]  # the rest holds the address, with its password
        return reason(error, self.address)

    def _decode(self, packet: "Packet[Any] | None") -> "Iterator[Stamped[VideoFrame]]":
        import av

        try:
            pictures = self._stream.codec_context.decode(packet)
        except av.error.FFmpegError:
            self.corrupt_packets += 1
            return
        time_base = Fraction(self._stream.time_base or 1)
        for picture in pictures:
            if picture.is_corrupt:
                self.corrupt_packets += 1  # the decoder guesses the damaged part
                continue
            shown, decoded = (None if t is None else t * time_base for t in (picture.pts, picture.dts))
            yield Stamped(shown, decoded, max(0, picture.duration) * time_base, picture)
