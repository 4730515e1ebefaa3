"""Pictures become RGB once, when it is asked for, as swscale's own call makes it."""

import gc
import threading
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from realtime.sources.open import open_video
from realtime.sources.to_rgb import ToRgb, Unconverted
from realtime.sources.upright import Turn
from tests.support.made_clips import every, picture, read_number, write_clip

FORMATS = (
    *("yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuv411p", "nv12", "yuyv422", "uyvy422"),
    *(
        "gray",
        "gray10le",
        "yuv420p10le",
        "yuv422p10le",
        "p010le",
        "rgb24",
        "bgr24",
        "bgra",
        "gbrp",
        "rgb48le",
    ),
)
"""Of files, webcams and hardware decoders."""


def noisy(pixel_format: str, size_px: tuple[int, int] = (130, 98), seed: int = 0) -> VideoFrame:
    """A picture of chance values."""
    made = VideoFrame(*size_px, pixel_format)
    for plane in made.planes:
        values = np.random.default_rng(seed).integers(0, 256, plane.buffer_size, np.uint8)
        if "10le" in pixel_format:
            values[1::2] &= 0 if pixel_format == "p010le" else 3
        plane.update(values.tobytes())
    return made


def reference(raw: VideoFrame, width: int | None = None) -> Any:
    """What swscale makes of it by itself, in memory that is new for each picture."""
    made = VideoReformatter().reformat(raw, width=width, height=raw.height, format="rgb24", threads=1)
    return made.to_ndarray()


@pytest.mark.parametrize("pixel_format", FORMATS)
@pytest.mark.parametrize("size_px", [(130, 98), (131, 97), (64, 48)])
def test_every_pixel_format_is_converted_as_swscale_does(pixel_format: str, size_px: tuple[int, int]) -> None:
    to_rgb = ToRgb(None)
    for seed in range(3):  # in the same buffers
        assert np.array_equal(
            to_rgb(noisy(pixel_format, size_px, seed)).rgb, reference(noisy(pixel_format, size_px, seed))
        )


@pytest.mark.parametrize("matrix", [0, 1, 2, 4, 5, 6, 7, 9])
@pytest.mark.parametrize("colour_range", [0, 1, 2])
def test_every_matrix_and_range_is_converted_as_swscale_does(matrix: int, colour_range: int) -> None:
    to_rgb = ToRgb(None)
    for pixel_format in ("yuv420p", "yuv444p", "nv12"):
        raw, again = noisy(pixel_format), noisy(pixel_format)
        for each in (raw, again):
            each.colorspace, each.color_range = matrix, colour_range
        assert np.array_equal(to_rgb(raw).rgb, reference(again))


def test_pixels_that_are_not_square_are_scaled_as_swscale_does() -> None:
    assert np.array_equal(ToRgb(Fraction(4, 3))(noisy("yuv420p")).rgb, reference(noisy("yuv420p"), 173))


@pytest.mark.parametrize("stated", [{"colorspace": 8}, {"color_trc": 3}, {"color_primaries": 3}])
def test_what_swscale_refuses_counts_as_not_stated(stated: dict[str, int]) -> None:
    raw = noisy("yuv420p")
    for name, value in stated.items():
        setattr(raw, name, value)
    assert np.array_equal(ToRgb(None)(raw).rgb, reference(noisy("yuv420p")))


def test_a_source_whose_pictures_change_is_converted_on() -> None:
    to_rgb = ToRgb(None)
    kinds = [("yuv420p", (64, 48), 1, 1), ("yuv420p", (64, 48), 1, 2), ("yuv420p", (64, 48), 5, 2)]
    kinds += [("nv12", (64, 48), 5, 2), ("nv12", (96, 64), 5, 2), ("yuv420p", (64, 48), 1, 1)]
    for pixel_format, size_px, matrix, colour_range in kinds:
        raw, again = noisy(pixel_format, size_px), noisy(pixel_format, size_px)
        for each in (raw, again):
            each.colorspace, each.color_range = matrix, colour_range
        assert np.array_equal(to_rgb(raw).rgb, reference(again))


def test_frames_that_wait_keep_their_pictures_after_their_source_is_closed(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", every(Fraction(1, 25), 80), b_frames=3)
    with open_video(path) as video:
        waiting = list(video)
    assert [read_number(frame.rgb) for frame in reversed(waiting)] == list(range(79, -1, -1))
    assert [read_number(frame.rgb) for frame in waiting] == list(range(80))


def test_pictures_are_gone_as_soon_as_nobody_holds_them(tmp_path: Path) -> None:
    """Otherwise their buffers pile up until Python collects garbage."""
    path = write_clip(tmp_path / "clip.mp4", every(Fraction(1, 25), 40))

    def decoded() -> int:
        return sum(type(each) is VideoFrame for each in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        before = decoded()
        with open_video(path) as video:
            assert sum(frame.rgb.size > 0 for frame in video) == 40
        del video
        assert decoded() - before <= 4
    finally:
        gc.enable()


class Counted(ToRgb):
    """Counts its conversions."""

    def __init__(self) -> None:
        super().__init__(None)
        self.conversions = 0

    def rgb(self, picture: Any, turn: Turn) -> Any:
        self.conversions += 1
        return super().rgb(picture, turn)


def test_a_picture_is_converted_when_it_is_asked_for_and_once() -> None:
    to_rgb = Counted()
    frames = [to_rgb(VideoFrame.from_ndarray(picture(number))) for number in range(8)]
    assert frames[0].shape == picture(0).shape
    assert to_rgb.conversions == 0

    def ask(frame: Unconverted) -> None:
        start.wait()
        seen.append(read_number(frame.rgb))

    start, seen = threading.Barrier(16), list[int]()
    threads = [threading.Thread(target=ask, args=(frame,)) for frame in frames * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == sorted([*range(8)] * 2)
    assert to_rgb.conversions == 8
