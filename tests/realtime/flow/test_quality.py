"""Residuals and energy against cases that can be worked out by hand."""

import cv2
import numpy as np
import pytest

from realtime.flow.residuals import energy, residuals
from tests.support.scenes import occlusion, translation


def flat(u: float, v: float, size: int = 32) -> np.ndarray:
    return np.stack([np.full((size, size), u), np.full((size, size), v)]).astype(np.float32)


def test_energy_of_no_motion_is_the_difference() -> None:
    previous, following = np.full((8, 8), 10, np.uint8), np.full((8, 8), 30, np.uint8)
    assert energy(previous, following, flat(0, 0, 8)) == pytest.approx(0.15 * 20)


def test_energy_of_a_whole_pixel_shift_is_what_the_border_lacks() -> None:
    rng = np.random.default_rng(0)
    previous = rng.integers(0, 256, (16, 16), dtype=np.uint8)
    following = np.roll(previous, 1, axis=1)
    lacking = np.abs(previous[:, -1].astype(float) - following[:, -1]).sum()
    assert energy(previous, following, flat(1, 0, 16)) == pytest.approx(0.15 * lacking / 256)


def test_total_variation_of_a_step_and_of_a_slope() -> None:
    grey = np.zeros((10, 10), np.uint8)
    step, slope = flat(0, 0, 10), flat(0, 0, 10)
    step[0, :, 5:] = 3
    slope[1] = np.arange(10)[:, None] * 0.5
    assert energy(grey, grey, step) == pytest.approx(3 * 10 / 100)
    assert energy(grey, grey, slope) == pytest.approx(0.5 * 90 / 100)


def test_sampling_is_the_bicubic_of_opencv() -> None:
    scene = translation(0.5, 64)
    field = np.random.default_rng(1).integers(-96, 96, (2, 64, 64)).astype(np.float32) / 32
    x, y = np.meshgrid(np.arange(64, dtype=np.float32), np.arange(64, dtype=np.float32))
    inside = np.s_[6:-6, 6:-6]
    moved = cv2.remap(scene.following.astype(np.float32), x + field[0], y + field[1], cv2.INTER_CUBIC)
    data = 0.15 * np.abs(moved - scene.previous)[inside]
    to_right = np.diff(field, axis=2, append=field[:, :, -1:])
    to_below = np.diff(field, axis=1, append=field[:, -1:])
    own = [energy(scene.previous, scene.following, field), np.hypot(to_right, to_below).sum(0).mean()]
    assert own[0] - own[1] == pytest.approx(data.mean(), rel=0.1)


def test_a_true_field_leaves_least_and_its_opposite_most() -> None:
    scene = occlusion(5, 96)
    before, left, opposite = residuals(scene.previous, scene.following, scene.flow)
    assert left < 0.25 * before
    assert opposite > before


def test_residuals_of_equal_pictures_are_nothing() -> None:
    grey = translation(1, 33).previous
    assert residuals(grey, grey, flat(0, 0, 33)) == (0, 0, 0)
