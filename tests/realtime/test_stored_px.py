"""`where`, zones and regions are in px of the picture as the file stores it, however it is turned, mirrored and
stretched before it is looked at."""

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from realtime.commands.sources import Named
from realtime.errors import UsageError
from realtime.recognizer import Recognizer
from realtime.sources.address import Rotation
from realtime.sources.open import open_video
from realtime.types import Box, Prediction
from realtime.zones import Zone
from tests.realtime.sources.test_upright import MATRIX, set_matrix
from tests.support.colours import SeesColours
from tests.support.made_clips import every, write_clip

SIZE_PX = (384, 256)
BELOW = {"red": (0, 128, 192, 128), "green": (192, 128, 192, 128)}
"""Where a made picture has these colours."""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stored as 384 x 256 px that are three halves as wide as high."""
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    return write_clip(path, every(Fraction(1, 25), 72), size_px=SIZE_PX, pixel_aspect=Fraction(3, 2))


def predictions(path: Path, rotate: Rotation = 0, **options: Any) -> list[Prediction]:
    recognizer = Recognizer({"rgb": SeesColours()}, smooth=1, **options)
    with open_video(path, rotate=rotate) as video:
        outputs = [out for frame in video for out in recognizer.push(frame)] + recognizer.flush()
    return [out for out in outputs if isinstance(out, Prediction)]


def zones(places: Mapping[str, Box]) -> list[Zone]:
    return [Zone(name, *place) for name, place in places.items()]


@pytest.mark.parametrize(
    ("orientation", "rotate"), [*((number, 0) for number in MATRIX), (1, 90), (6, 270), (5, 180)]
)
def test_a_place_is_the_same_as_a_zone_and_as_a_region(
    clip: Path, tmp_path: Path, orientation: int, rotate: Rotation
) -> None:
    path = tmp_path / "turned.mp4"
    path.write_bytes(clip.read_bytes())
    set_matrix(path, *MATRIX[orientation])
    found = [p for p in predictions(path, rotate, zones=zones(BELOW)) if p.zone is not None]
    assert {(p.zone, p.label) for p in found} == {("red", "red"), ("green", "green")}
    places = {p.label: p.where for p in found}
    for label, (x, y, width, height) in places.items():  # type: ignore[misc]
        left, top, wide, high = BELOW[label]
        assert left - 30 <= x <= x + width <= left + wide + 30
        assert top - 30 <= y <= y + height <= top + high
    typed = predictions(path, rotate, zones=zones(places))  # type: ignore[arg-type]
    assert {(p.zone, p.label) for p in typed if p.zone} == {("red", "red"), ("green", "green")}
    for label, region in BELOW.items():
        assert {p.label for p in predictions(path, rotate, region=region)} == {label}


def test_a_zone_has_to_be_in_the_stored_picture(clip: Path, tmp_path: Path) -> None:
    path = tmp_path / "turned.mp4"
    path.write_bytes(clip.read_bytes())
    set_matrix(path, *MATRIX[6])
    Named(str(path), "cam", zones=(Zone("all", 0, 0, *SIZE_PX),)).open(may_be_away=False).close()
    with pytest.raises(UsageError, match="zone tall: it reaches to 10,257, out of the picture of 384x256 px"):
        Named(str(path), "cam", zones=(Zone("tall", 0, 0, 10, 257),)).open(may_be_away=False)
