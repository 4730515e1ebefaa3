"""What counts as motion: people, however small and slow, and neither noise, nor exposure, nor compression."""

from collections.abc import Iterable, Iterator
from functools import cache
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.spec import RGB
from realtime.pictures import resize_short_side
from realtime.sources.open import open_video
from realtime.stages.motion import FACTOR, LEAST_NOISE, Motion
from realtime.types import Image

SIZE_PX = (340, 256)
SETTLED = 50
"""Ticks after which the background is a mean of enough of them."""


@cache
def room(low: int = 20, high: int = 200, size_px: tuple[int, int] = SIZE_PX) -> np.ndarray:
    """Float picture (H, W, 3) with shapes of all sizes, from coarse to fine."""
    generator = np.random.default_rng(5)
    width, height = size_px
    layers = [
        cv2.resize(generator.random((size, size, 3)), size_px, interpolation=cv2.INTER_CUBIC)
        for size in (4, 12, 40, 120)
    ]
    mixed = np.sum(layers, axis=0)
    scaled = (mixed - mixed.min()) / (mixed.max() - mixed.min())
    return (low + (high - low) * scaled).reshape(height, width, 3).astype(np.float32)


def photo(picture: np.ndarray, noise: np.ndarray | float = 0) -> Image:
    return np.clip(picture + noise + 0.5, 0, 255).astype(np.uint8)


def noises(level: float, shape: tuple[int, ...] = (256, 340, 1)) -> Iterator[np.ndarray]:
    """Endless noise of a standard deviation of `level` grey levels; a few pictures of it, shifted."""
    generator = np.random.default_rng(7)
    few = generator.normal(0, level, (8, *shape)).astype(np.float32)
    while True:
        yield np.roll(few[generator.integers(8)], int(generator.integers(shape[0])), axis=0)


def measured(pictures: Iterable[Image]) -> np.ndarray:
    motion = Motion(RGB)
    return np.array([motion.push([resize_short_side(each, RGB.short_side_px)]) for each in pictures])


def moves(pictures: Iterable[Image]) -> bool:
    return bool((measured(pictures)[SETTLED:] > 1).any())


@pytest.mark.parametrize("level", [0, 4, 12])
def test_noise_of_a_sensor_is_no_motion(level: float) -> None:
    assert not moves(photo(room(), noise) for noise in islice(noises(level), 400))


@pytest.mark.parametrize("gain", [0.7, 1.25])
@pytest.mark.parametrize("over_ticks", [1, 30])
def test_another_exposure_is_no_motion(gain: float, over_ticks: int) -> None:
    gains = np.interp(np.arange(200), [100, 100 + over_ticks], [1, gain])
    assert not moves(photo(room() * g, noise) for g, noise in zip(gains, noises(2), strict=False))


def test_brightness_and_the_beat_of_lamps_are_no_motion() -> None:
    beat = 12 * np.sin(2.1 * np.arange(200)) + 15 * (np.arange(200) > 120)
    assert not moves(photo(room() + more, noise) for more, noise in zip(beat, noises(2), strict=False))


@pytest.mark.parametrize("gain", [0.85, 1.3])
def test_parts_that_become_overexposed_or_show_again_are_no_motion(gain: float) -> None:
    gains = [1.0] * 100 + [gain] * 100
    assert not moves(photo(room(40, 300) * g, noise) for g, noise in zip(gains, noises(1), strict=False))


def test_exposure_that_keeps_changing_is_no_motion_even_where_parts_are_overexposed_at_times() -> None:
    """The background is then a mean of different exposures."""
    gains = 1 + 0.25 * np.sin(np.arange(500) / 40)
    assert not moves(photo(room(40, 300) * g, noise) for g, noise in zip(gains, noises(1), strict=False))


def test_somebody_dark_before_an_overexposed_wall_moves_while_the_exposure_changes() -> None:
    def pictures() -> Iterator[Image]:
        for tick, noise in zip(range(160), noises(1), strict=False):
            picture = room(40, 200).copy()
            picture[60:200, 120:260] = 400
            if tick >= 110:
                left = 150 + (tick - 110) // 4
                picture[120:140, left : left + 10] = 60
            yield photo(picture * np.interp(tick, [100, 110], [1, 1.2]), noise)

    found = measured(pictures()) > 1
    assert not found[SETTLED:110].any()
    assert found[110:125].any()


def test_a_camera_that_trembles_is_no_motion() -> None:
    """By a third of a px at most, differently at each half second, in front of a wall with a door."""
    wall = np.full((256, 340, 3), 140, np.float32)
    wall[80:, 130:200] = 40
    ways = np.random.default_rng(3).uniform(-0.33, 0.33, (20, 2)).astype(np.float32)
    scenes = [cv2.warpAffine(wall, np.float32([[1, 0, x], [0, 1, y]]), SIZE_PX) for x, y in ways]
    assert not moves(photo(scenes[tick // 12], n) for tick, n in zip(range(240), noises(0.5), strict=False))


@pytest.mark.parametrize(("codec_bits", "level"), [(60_000, 2), (300_000, 5)])
def test_the_flicker_of_key_frames_is_no_motion(tmp_path: Path, codec_bits: int, level: float) -> None:
    path = write(tmp_path / "still.mp4", [photo(room(), n) for n in islice(noises(level), 250)], codec_bits)
    with open_video(path) as video:
        pictures = [frame.rgb for frame in video]
    assert np.abs(np.diff([each.astype(int)[::4, ::4] for each in pictures], axis=0)).max() > 8, "it flickers"
    assert not moves(pictures)


def write(path: Path, pictures: list[Image], bits_a_second: int) -> Path:
    import av

    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=25, options={"preset": "ultrafast", "g": "25"})
        stream.width, stream.height, stream.pix_fmt = *SIZE_PX, "yuv420p"
        stream.bit_rate = bits_a_second
        for picture in pictures:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode())
    return path


def with_square(x: float, y: float, size_px: tuple[int, int] = (4, 10), contrast: float = 50) -> np.ndarray:
    """The room with something in it at x, y of any fraction of a px."""
    width, height = size_px
    mask = np.zeros((256, 340))
    mask[round(y) : round(y) + height, round(x) : round(x) + width] = 1
    shift = np.float32([[1, 0, x - round(x)], [0, 1, y - round(y)]])
    mask = cv2.warpAffine(mask, shift, (340, 256))[..., None]
    return room() + mask * contrast


@pytest.mark.parametrize("speed_px_s", [0.5, 3, 60])
def test_something_of_ten_px_in_a_corner_moves_at_any_speed(speed_px_s: float) -> None:
    """It was there before; it begins to move after 150 ticks, half a px a second at the slowest."""
    way = np.maximum(np.arange(400) - 150, 0) / 25 * speed_px_s
    found = measured(
        photo(with_square(65 + min(x, 100), 30), n) for x, n in zip(way, noises(2), strict=False)
    )
    assert not (found[SETTLED:150] > 1).any()
    first = SETTLED + int(np.argmax(found[SETTLED:] > 1))
    assert 150 <= first <= 150 + 25 * max(1, 3 / speed_px_s)


@pytest.mark.parametrize("ticks", [1, 2])
def test_something_that_passes_in_a_moment_moves(ticks: int) -> None:
    there = [100 <= tick < 100 + ticks for tick in range(130)]
    pictures = (
        photo(with_square(200, 120) if seen else room(), n) for seen, n in zip(there, noises(2), strict=False)
    )
    found = measured(pictures) > 1
    assert found[100 : 100 + ticks].any()
    assert not found[SETTLED:100].any()


def test_a_person_who_fills_the_picture_is_not_taken_for_noise() -> None:
    def pictures() -> Iterator[Image]:
        for tick, noise in zip(range(200), noises(2), strict=False):
            picture = room()
            left = 60 + round(20 * np.sin(tick / 12))
            picture[20:, left : left + 200] = room()[:236, 100:300] * 0.5
            yield photo(picture, noise)

    assert (measured(pictures())[SETTLED:] > 1).mean() > 0.9


def test_what_has_stopped_belongs_to_the_background_after_a_while() -> None:
    way = np.clip(np.arange(500), 0, 60)
    found = measured(photo(with_square(65 + x, 30), n) for x, n in zip(way, noises(2), strict=False)) > 1
    last = int(np.flatnonzero(found)[-1])
    assert 60 <= last <= 60 + 15 * 25


def test_the_same_ticks_give_the_same_after_a_reset() -> None:
    pictures = [photo(with_square(65 + i, 30)) for i in range(60)]
    motion = Motion(RGB)
    first = [motion.push([each]) for each in pictures]
    motion.reset()
    assert [motion.push([each]) for each in pictures] == first


def test_the_view_in_which_most_moves_counts() -> None:
    still, motion, alone = photo(room()), Motion(RGB), Motion(RGB)
    for i in range(60):
        moving = photo(with_square(65 + i, 30))
        assert motion.push([still, moving, still]) == pytest.approx(alone.push([moving]), rel=0.2)


def test_only_what_the_network_sees_counts() -> None:
    """The middle 224 x 224 px."""
    assert not moves(photo(with_square(10 + i / 10, 100)) for i in range(200))
    assert not moves(photo(with_square(100 + i, 2)) for i in range(200))


def test_a_block_that_differs_by_two_grey_levels_moves_in_a_picture_without_noise() -> None:
    grey = np.full((256, 340, 3), 100.0)
    other = grey.copy()
    for levels, expected in ((2, False), (3, True)):
        other[100:120, 100:120] = 100 + levels
        found = measured([photo(grey)] * 100 + [photo(other)] * 20)
        assert bool((found > 1).any()) == expected
    assert pytest.approx(2.1) == float(FACTOR) * LEAST_NOISE


PEOPLE = {"ta_chi.mp4": (slice(32, 224), 0.78), "clean_and_jerk.mp4": (slice(0, 256), 0.68)}
"""Rows without black bars, and the person's share of them."""


@pytest.mark.parametrize("name", PEOPLE)
@pytest.mark.parametrize("level", [1, 5])
def test_a_person_of_a_twenty_fifth_of_the_height_moves(clips: Path, name: str, level: float) -> None:
    """A clip in the lower right corner of what the network sees, standing still at first. Five seconds are enough, even
    for tai chi."""
    (rows, share), before = PEOPLE[name], 100
    with open_video(clips / name) as video:
        people = [frame.rgb[rows] for frame in islice(video, 150)]
    scene, height = room(size_px=(640, 480)), round(480 * 0.04 / share)
    width = round(height * people[0].shape[1] / people[0].shape[0])

    def pictures() -> Iterator[Image]:
        for person, noise in zip([people[0]] * before + people, noises(level, (480, 640, 1)), strict=False):
            small = cv2.resize(person, (width, height), interpolation=cv2.INTER_AREA)
            picture = scene.copy()
            picture[440 - height : 440, 520 - width : 520] = small
            yield photo(picture, noise)

    found = measured(pictures()) > 1
    assert not found[SETTLED:before].any()
    assert found[before:].any()
