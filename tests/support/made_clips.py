"""Tiny clips whose every frame is known: each picture carries its number, and frame i has the i-th of the given stamps.

write_clip(path, every(Fraction(1, 30), 12))       # 12 frames at 30 a second, H.264
[read_number(frame.rgb) for frame in video]        # [0, 1, ... 11]
"""

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame
from numpy.typing import NDArray

SIZE_PX = (64, 48)
"""(width, height)"""
BITS = 8
FINE_S = Fraction(1, 90_000)
"""Time base of the clips: stamps that are multiples of it are exact."""
X264_OPTIONS = {"preset": "ultrafast", "qp": "12"}
UPPER = {"dark": (30, 30, 30), "bright": (220, 220, 220)}
LOWER = {"left": (200, 40, 30), "right": (30, 180, 60)}


def every(step_s: Fraction, count: int, start_s: Fraction = Fraction(0)) -> list[Fraction]:
    """Stamps at a constant rate."""
    return [start_s + i * step_s for i in range(count)]


def picture(number: int, size_px: tuple[int, int] = SIZE_PX) -> NDArray[np.uint8]:
    """uint8 (H, W, 3). The upper half shows `number` (0 to 255) in binary, one vertical bar per bit, the lowest first;
    the lower half is red at the left and green at the right, so that a rotated or miscoloured picture is noticed."""
    width, height = size_px
    rgb = np.empty((height, width, 3), np.uint8)
    bits = number >> (np.arange(width) * BITS // width) & 1
    rgb[: height // 2] = np.where(bits[:, None], UPPER["bright"], UPPER["dark"])
    rgb[height // 2 :, : width // 2] = LOWER["left"]
    rgb[height // 2 :, width // 2 :] = LOWER["right"]
    return rgb


def read_number(rgb: NDArray[np.uint8]) -> int:
    """The number in a picture of any size from 8 x 8 on."""
    height, width = rgb.shape[:2]
    columns = (2 * np.arange(BITS) + 1) * width // (2 * BITS)
    bright = rgb[: max(1, height // 4), columns].mean((0, 2)) > 125
    return int((bright << np.arange(BITS)).sum())


def write_clip(
    path: Path,
    stamps_s: Sequence[Fraction],
    *,
    size_px: tuple[int, int] = SIZE_PX,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    b_frames: int = 0,
    key_every: int = 12,
    rotation: int = 0,
    pixel_aspect: Fraction | None = None,
    colour: tuple[int, int] | None = None,
    sound_s: Fraction | None = None,
    time_base_s: Fraction = FINE_S,
    encoder_options: dict[str, str] = X264_OPTIONS,
) -> Path:
    """One frame per stamp; the suffix chooses the container.

    rotation: degrees anticlockwise that a player must turn it. colour: (matrix, range) in the numbers of ITU-T H.273.
    sound_s: length of a silent sound track. time_base_s: of the encoder; MPEG-4 needs 1/1000 s, MPEG-2 1/25 s.
    """
    options = {"max_interleave_delta": "0"}  # interleave sound and pictures, however long the sound
    if path.suffix == ".mp4":
        options["movflags"] = "faststart"  # the index in front, so that a cut file keeps it
    steps = [b - a for a, b in pairwise(stamps_s)] or [Fraction(1, 25)]
    with av.open(str(path), "w", options=options) as file:
        stream: Any = file.add_stream(codec, rate=25, options=encoder_options)
        stream.width, stream.height = size_px
        stream.pix_fmt = pix_fmt
        encoder = stream.codec_context
        encoder.max_b_frames, encoder.gop_size = b_frames, key_every
        if path.suffix != ".avi":  # AVI has no stamps, only a rate
            encoder.time_base = time_base_s
        encoder.sample_aspect_ratio = pixel_aspect or Fraction(0)
        encoder.colorspace, encoder.color_range = colour or (2, 0)
        if rotation:
            stream.set_display_rotation(rotation)
        if sound_s is not None:
            _add_silence(file, sound_s)
        matrix = {"dst_colorspace": colour[0], "dst_color_range": colour[1]} if colour else {}
        for number, (stamp, step) in enumerate(zip(stamps_s, [*steps, steps[-1]], strict=False)):
            frame = VideoFrame.from_ndarray(picture(number, size_px)).reformat(format=pix_fmt, **matrix)
            frame.time_base = FINE_S
            frame.pts, frame.duration = round(stamp / FINE_S), round(step / FINE_S)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path


def write_stamped(
    path: Path, stamps_s: Sequence[Fraction], sizes_px: Sequence[tuple[int, int]] = (SIZE_PX,)
) -> Path:
    """A Matroska file of JPEG pictures whose stamps, whole milliseconds, may be negative, jump and run backwards.

    sizes_px: sizes of the pictures, each for three in a row, in turn.
    """
    with av.open(str(path), "w", options={"avoid_negative_ts": "disabled"}) as file:
        stream: Any = file.add_stream("mjpeg", rate=25)
        stream.width, stream.height = sizes_px[0]
        stream.pix_fmt = "yuvj420p"
        for number, stamp in enumerate(stamps_s):
            packet = jpeg(picture(number, sizes_px[number // 3 % len(sizes_px)]))
            packet.stream, packet.time_base = stream, Fraction(1, 1000)
            packet.pts = round(stamp * 1000)
            packet.dts = number - 10_000_000  # not stored, but must increase and lie before pts
            file.mux(packet)
    return path


def jpeg(rgb: NDArray[np.uint8]) -> Any:
    """A packet with one JPEG picture."""
    encoder: Any = av.CodecContext.create("mjpeg", "w")
    encoder.height, encoder.width = rgb.shape[:2]
    encoder.pix_fmt, encoder.time_base = "yuvj420p", Fraction(1, 25)
    return (encoder.encode(VideoFrame.from_ndarray(rgb).reformat(format="yuvj420p")) + encoder.encode())[0]


def write_sound(path: Path, seconds: Fraction, cover: NDArray[np.uint8] | None = None) -> Path:
    """A silent sound track alone; in Matroska, with a cover if given, which FFmpeg shows as a video track."""
    with av.open(str(path), "w") as file:
        if cover is not None:
            file.add_attachment("cover.jpg", "image/jpeg", bytes(jpeg(cover)))
        _add_silence(file, seconds)
    return path


def write_images(folder: Path, count: int, suffix: str = ".png") -> Path:
    """frame0, frame1, ... in a new folder."""
    folder.mkdir()
    for number in range(count):
        VideoFrame.from_ndarray(picture(number)).save(folder / f"frame{number}{suffix}")
    return folder


def cut_off(path: Path, share: float) -> Path:
    """Keep the first `share` of a file's bytes."""
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    return path


def damage(path: Path, numbers: Sequence[int], share: float = 1) -> Path:
    """Overwrite the last `share` of some packets of an MP4 file; `numbers` count them in the order of the file."""
    with av.open(str(path)) as file:
        places = [(packet.pos, packet.size) for packet in file.demux(video=0) if packet.size]
    content = bytearray(path.read_bytes())
    for start, size in (places[number] for number in numbers):
        sound = int(size * (1 - share))
        content[start + sound : start + size] = b"\xff" * (size - sound)
    path.write_bytes(content)
    return path


def _add_silence(file: Any, seconds: Fraction) -> None:
    """The sound lies before the video in the file, and starts at time zero."""
    stream = file.add_stream("aac", rate=48_000)
    for start in range(0, int(seconds * 48_000), 1024):
        frame = AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts = 48_000, start
        file.mux(stream.encode(frame))
    file.mux(stream.encode())
