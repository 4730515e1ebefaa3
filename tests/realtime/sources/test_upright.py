"""Pictures that are stored rotated or mirrored. The numbers are those of EXIF: 1 is upright, 2 is mirrored, 3 upside
down ..."""

import struct
import zlib
from collections.abc import Callable
from fractions import Fraction
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from realtime.errors import UsageError
from realtime.sources.address import Rotation
from realtime.sources.open import open_video
from realtime.sources.upright import Turn
from realtime.types import Image
from tests.support.made_clips import every, picture, write_clip, write_images

SIZE_PX = (96, 64)
ONE, LAST = 1 << 16, 1 << 30
MATRIX = {
    1: (ONE, 0, 0, ONE),
    2: (-ONE, 0, 0, ONE),
    3: (-ONE, 0, 0, -ONE),
    4: (ONE, 0, 0, -ONE),
    5: (0, ONE, ONE, 0),
    6: (0, ONE, -ONE, 0),
    7: (0, -ONE, -ONE, 0),
    8: (0, -ONE, ONE, 0),
}
"""a, b, c, d of the display matrix."""
UPRIGHT: dict[int, Callable[[Image], Image]] = {
    1: lambda stored: stored,
    2: np.fliplr,
    3: lambda stored: np.rot90(stored, 2),
    4: np.flipud,
    5: lambda stored: stored.transpose(1, 0, 2),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: np.rot90(stored, 2).transpose(1, 0, 2),
    8: np.rot90,
}
"""As the EXIF standard describes them: where row 0 and column 0 are shown."""


def set_matrix(path: Path, a: int, b: int, c: int, d: int) -> Path:
    """Set the display matrix of the first track of an MP4 file."""
    content = bytearray(path.read_bytes())
    box = content.find(b"tkhd")
    place = box + 4 + (36 if content[box + 4] else 24) + 16
    struct.pack_into(">9i", content, place, a, b, 0, c, d, 0, 0, 0, LAST)
    path.write_bytes(content)
    return path


def exif(orientation: int) -> bytes:
    """A little-endian TIFF with this one entry."""
    return struct.pack("<2sHIHHHIII", b"II", 42, 8, 1, 0x112, 3, 1, orientation, 0)


def set_orientation(path: Path, orientation: int) -> None:
    content, tiff = path.read_bytes(), exif(orientation)
    if path.suffix == ".jpg":
        body = b"Exif\0\0" + tiff
        path.write_bytes(content[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + content[2:])
    else:
        check = zlib.crc32(b"eXIf" + tiff)
        chunk = struct.pack(">I", len(tiff)) + b"eXIf" + tiff + struct.pack(">I", check)
        header = 8 + 25
        path.write_bytes(content[:header] + chunk + content[header:])


def difference(seen: Image, wanted: Image) -> float:
    """Mean difference without the edges, which chroma at half size blurs."""
    assert seen.shape == wanted.shape
    return float(np.abs(seen.astype(int) - wanted)[4:-4, 4:-4].mean())


@pytest.mark.parametrize("orientation", MATRIX)
def test_every_display_matrix_of_a_file_is_applied(tmp_path: Path, orientation: int) -> None:
    path = write_clip(tmp_path / "clip.mp4", every(Fraction(1, 25), 2), size_px=SIZE_PX)
    with open_video(set_matrix(path, *MATRIX[orientation])) as video:
        rgb = next(video).rgb
    wanted = UPRIGHT[orientation](picture(0, SIZE_PX))
    assert video.size_px == (wanted.shape[1], wanted.shape[0])
    assert difference(rgb, wanted) < 6
    assert rgb.flags.c_contiguous


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("orientation", MATRIX)
def test_every_orientation_of_images_is_applied(tmp_path: Path, orientation: int, suffix: str) -> None:
    folder = write_images(tmp_path / "images", 3, suffix)
    for path in folder.iterdir():
        set_orientation(path, orientation)
    with open_video(folder, image_fps=Fraction(1)) as video:
        seen = [frame.rgb for frame in video]
    with open_video(folder / f"frame2{suffix}") as video:
        seen.append(next(video).rgb)
    for rgb, number in zip(seen, (0, 1, 2, 2), strict=True):
        assert difference(rgb, UPRIGHT[orientation](picture(number))) < 6


def test_images_of_one_folder_may_be_mirrored_differently(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "images", 8, ".jpg")
    for orientation, path in enumerate(sorted(folder.iterdir()), start=1):
        set_orientation(path, orientation)
    with open_video(folder, image_fps=Fraction(1)) as video:
        for number, frame in enumerate(video):
            assert difference(frame.rgb, UPRIGHT[number + 1](picture(number))) < 6


@pytest.mark.parametrize(
    ("degrees", "turn"),
    [
        (10, Turn()),
        (80, Turn(True, True, False)),
        (-100, Turn(True, False, True)),
        (170, Turn(False, True, True)),
    ],
)
def test_other_angles_are_rounded_to_a_quarter_turn(tmp_path: Path, degrees: int, turn: Turn) -> None:
    angle = np.deg2rad(degrees)
    cosine, sine = round(np.cos(angle) * ONE), round(np.sin(angle) * ONE)
    path = write_clip(tmp_path / "clip.mp4", [Fraction(0)], size_px=SIZE_PX)
    with open_video(set_matrix(path, cosine, sine, -sine, cosine)) as video:
        assert difference(next(video).rgb, turn(picture(0, SIZE_PX))) < 6


def test_a_matrix_of_zeros_is_read_as_none(tmp_path: Path) -> None:
    path = set_matrix(write_clip(tmp_path / "clip.mp4", [Fraction(0)], size_px=SIZE_PX), 0, 0, 0, 0)
    with open_video(path) as video:
        assert difference(next(video).rgb, picture(0, SIZE_PX)) < 6


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
@pytest.mark.parametrize("orientation", [1, 6])
def test_the_option_rotate_turns_the_picture_clockwise(
    tmp_path: Path, orientation: int, rotate: Rotation
) -> None:
    path = write_clip(tmp_path / "clip.mp4", every(Fraction(1, 25), 2), size_px=SIZE_PX)
    with open_video(set_matrix(path, *MATRIX[orientation]), rotate=rotate) as video:
        rgb = next(video).rgb
    wanted = np.rot90(UPRIGHT[orientation](picture(0, SIZE_PX)), -rotate // 90)
    assert video.size_px == (wanted.shape[1], wanted.shape[0])
    assert difference(rgb, wanted) < 6
    assert rgb.flags.c_contiguous


def test_other_angles_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="45 degrees; give 0, 90, 180 or 270"):
        open_video(write_images(tmp_path / "images", 2), image_fps=Fraction(1), rotate=45)  # type: ignore[arg-type]


def test_a_frame_records_what_put_it_upright(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", [Fraction(0)], size_px=SIZE_PX, pixel_aspect=Fraction(3, 2))
    with open_video(set_matrix(clip, *MATRIX[6])) as video:
        frame = next(video)
    assert (frame.turn, frame.pixel_aspect) == (Turn(transposed=True, flip_x=True), Fraction(3, 2))
    assert frame.rgb.shape == (96 * 3 // 2, 64, 3)


@pytest.mark.parametrize("first", [Turn(*flags) for flags in product((False, True), repeat=3)])
@pytest.mark.parametrize("then", [Turn(*flags) for flags in product((False, True), repeat=3)])
def test_two_turns_combine_into_one(first: Turn, then: Turn) -> None:
    stored = picture(0, SIZE_PX)
    assert np.array_equal(first.then(then)(stored), then(first(stored)))
