"""The colour wheel: direction is hue, rest is white, too long is dark."""

import colorsys

import numpy as np
import pytest

from realtime.flow.colour import flow_picture, wheel


def colour_of(u: float, v: float, full_px: float | None = 1.0) -> tuple[int, int, int]:
    picture = flow_picture(np.array([[[u]], [[v]]], np.float32), full_px)
    assert picture.shape == (1, 1, 3)
    assert picture.dtype == np.uint8
    red, green, blue = picture[0, 0]
    return int(red), int(green), int(blue)


def test_the_wheel_has_the_55_colours_of_middlebury() -> None:
    colours = wheel()
    assert colours.shape == (55, 3)
    for index, corner in (
        (0, (1, 0, 0)),
        (15, (1, 1, 0)),
        (21, (0, 1, 0)),
        (25, (0, 1, 1)),
        (36, (0, 0, 1)),
        (49, (1, 0, 1)),
    ):
        assert tuple(colours[index]) == corner


def test_each_direction_has_its_hue() -> None:
    assert colour_of(1, 0) == (255, 0, 0)
    assert colour_of(0, 1) == pytest.approx((255, 234, 0), abs=2)
    assert colour_of(-1, 0) == pytest.approx((0, 197, 255), abs=2)
    assert colour_of(0, -1) == pytest.approx((103, 0, 255), abs=2)


def test_rest_is_white_half_is_pale_and_too_long_is_dark() -> None:
    assert colour_of(0, 0) == (255, 255, 255)
    assert colour_of(0.5, 0) == (255, 128, 128)
    assert colour_of(2, 0) == (191, 0, 0)


def test_without_a_length_the_longest_vector_is_at_full_colour() -> None:
    assert colour_of(7, 0, None) == (255, 0, 0)
    assert colour_of(0, 0, None) == (255, 255, 255)


def test_hue_goes_once_around_without_a_jump() -> None:
    angle = np.linspace(0, 2 * np.pi, 720, endpoint=False)
    picture = flow_picture(np.stack([np.cos(angle), np.sin(angle)])[:, None].astype(np.float32), 1.0)[0] / 255
    hue = np.array([colorsys.rgb_to_hsv(*rgb)[0] for rgb in picture])
    steps = np.diff(np.append(hue, hue[0]))
    steps -= np.rint(steps)
    assert steps.sum() == pytest.approx(1)
    assert np.abs(steps).max() < 0.02
