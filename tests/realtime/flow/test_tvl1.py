"""The project's TV-L1 on the processor: known motion, energy, and that nothing but the two pictures decides the
field."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from realtime.flow.methods import flow_method
from realtime.flow.residuals import energy
from realtime.flow.tvl1 import TvL1
from realtime.flow.tvl1_plan import scales
from tests.conftest import ROOT
from tests.support.scenes import (
    Scene,
    clip_pairs,
    known_motions,
    occlusion,
    rotation,
    translation,
    zoom,
)

SMALL = [
    translation(0.1, 96),
    translation(1, 96),
    translation(5, 96),
    rotation(1, 96),
    rotation(-6, 96),
    zoom(1.02, 96),
    zoom(0.95, 96),
    occlusion(2, 96),
    occlusion(6, 96),
]


def error_px(field: np.ndarray, scene: Scene) -> float:
    return float(np.hypot(*(field - scene.flow))[scene.visible].mean())


@pytest.mark.parametrize("scene", SMALL, ids=lambda scene: scene.name)
def test_known_motion_is_found_as_well_as_by_opencv(scene: Scene) -> None:
    ours = error_px(flow_method("tvl1")(scene.previous, scene.following), scene)
    theirs = error_px(flow_method("opencv-tvl1")(scene.previous, scene.following), scene)
    assert ours < 0.15
    assert ours <= 1.2 * theirs


@pytest.mark.slow
@pytest.mark.parametrize("scene", known_motions(), ids=lambda scene: scene.name)
def test_every_known_motion_is_found_at_full_size(scene: Scene) -> None:
    ours = error_px(flow_method("tvl1")(scene.previous, scene.following), scene)
    theirs = error_px(flow_method("opencv-tvl1")(scene.previous, scene.following), scene)
    assert ours <= 1.2 * theirs


def energy_ratios(pairs: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    ours, theirs = flow_method("tvl1"), flow_method("opencv-tvl1")
    return np.array([energy(*pair, ours(*pair)) / energy(*pair, theirs(*pair)) for pair in pairs])


def test_energy_of_real_pairs_is_no_higher_than_opencvs(clips: Path) -> None:
    pairs = [clip_pairs(clips / name, 1, first=12)[0] for name in ("eat.mkv", "v_Punch_g03_c01.avi")]
    assert energy_ratios(pairs).max() <= 1.01


@pytest.mark.slow
def test_energy_of_many_real_and_rendered_pairs_is_no_higher_than_opencvs(clips: Path) -> None:
    files = sorted(clips.glob("*.[ma][pkv][4vi]"))
    pairs = [pair for file in files for pair in clip_pairs(file, 12)]
    pairs += [(scene.previous, scene.following) for scene in known_motions()]
    ratio = energy_ratios(pairs)
    assert len(ratio) >= 60
    assert np.median(ratio) <= 0.96
    assert np.percentile(ratio, 90) <= 1.01
    assert ratio.max() <= 1.25


def test_u_is_first_and_points_right() -> None:
    """Right is +u, down is +v; the field lives on the first picture."""
    scene = occlusion(6, 96)
    u, v = flow_method("tvl1")(scene.previous, scene.following)
    middle = (48, 45 - 3)
    assert u[middle] == pytest.approx(6, abs=0.3)
    assert v[middle] == pytest.approx(0, abs=0.3)


def test_earlier_pairs_leave_no_trace() -> None:
    first, other = translation(2, 64), rotation(6, 64)
    flow = TvL1(64, 64)
    fresh = flow(first.previous, first.following)
    flow(other.previous, other.following)
    assert np.array_equal(flow(first.previous, first.following), fresh)


def test_later_pairs_do_not_change_a_field_that_was_given() -> None:
    first, other = translation(2, 64), rotation(6, 64)
    flow = TvL1(64, 64)
    field = flow(first.previous, first.following)
    kept = field.copy()
    flow(other.previous, other.following)
    assert np.array_equal(field, kept)


def test_threads_change_nothing() -> None:
    scene = rotation(3, 96)
    alone = TvL1(96, 96)(scene.previous, scene.following)
    with ThreadPoolExecutor(4) as pool:
        fields = list(pool.map(lambda _: TvL1(96, 96)(scene.previous, scene.following), range(8)))
    assert all(np.array_equal(field, alone) for field in fields)


def test_blocks_of_iterations_are_one_iteration_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty iterations, more than a block holds, equal forty times one."""
    from realtime.flow.tvl1 import CHANNELS, OVER, PAD, STEP, solve

    rng = np.random.default_rng(0)
    state = rng.normal(0, 1, (20, CHANNELS, 24 + 2 * PAD)).astype(np.float32)
    state[0] = state[:, :, :PAD] = 0
    together, apart = state.copy(), state.copy()
    solve(together, 21, 40, STEP, OVER)
    for _ in range(40):
        solve(apart, 21, 1, STEP, OVER)
    assert np.array_equal(together[1:, :6, PAD : PAD + 21], apart[1:, :6, PAD : PAD + 21])


@pytest.mark.parametrize(
    ("height", "width"), [(1, 1), (1, 40), (40, 1), (2, 3), (17, 33), (33, 64), (63, 95), (96, 65)]
)
def test_pictures_of_any_size_give_a_field(height: int, width: int) -> None:
    """Narrow and odd sizes; a picture that moves by a pixel is followed where there is room to see it."""
    scene = translation(1, 128)
    cut = np.s_[16 : 16 + height, 16 : 16 + width]
    field = flow_method("tvl1")(scene.previous[cut], scene.following[cut])
    assert field.shape == (2, height, width)
    assert field.dtype == np.float32
    assert np.isfinite(field).all()
    if min(height, width) > 30:
        assert np.median(field[0]) == pytest.approx(0.8, abs=0.1)


def patterns() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    y, x = np.mgrid[:64, :64]
    return {
        "black": np.zeros((64, 64), np.uint8),
        "white": np.full((64, 64), 255, np.uint8),
        "noise": rng.integers(0, 256, (64, 64), dtype=np.uint8),
        "saturated": (rng.integers(0, 2, (64, 64)) * 255).astype(np.uint8),
        "checkerboard": ((x + y) % 2 * 255).astype(np.uint8),
    }


@pytest.mark.parametrize("before", patterns())
@pytest.mark.parametrize("after", patterns())
def test_hard_patterns_give_finite_fields(before: str, after: str) -> None:
    field = flow_method("tvl1")(patterns()[before], patterns()[after])
    assert np.isfinite(field).all()
    if before == after:  # coarse scales of the second picture are rounded by up to 1/512 of a grey level
        assert np.abs(field).max() < 2e-3


def test_the_pyramid_halves_down_to_sixteen() -> None:
    assert [(s.height, s.width) for s in scales(256, 340)] == [
        (256, 340),
        (128, 170),
        (64, 85),
        (32, 43),
        (16, 22),
    ]
    assert [(s.height, s.width) for s in scales(31, 500)] == [(31, 500)]


PROBE = """
from realtime.flow import tvl1
print(sum(tvl1.solve.stats.cache_hits.values()), sum(tvl1.solve.stats.cache_misses.values()))
"""


@pytest.mark.slow
def test_compiled_code_is_kept_in_the_users_cache_folder(tmp_path: Path) -> None:
    def probe(cache: Path) -> str:
        environment = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
        environment |= {"XDG_CACHE_HOME": str(cache)}
        run = [sys.executable, "-c", PROBE]
        return subprocess.run(
            run, env=environment, cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout

    assert probe(tmp_path).split() == ["0", "1"]
    assert list(tmp_path.rglob("*.nbc"))
    assert probe(tmp_path).split() == ["1", "0"]


@pytest.mark.slow
def test_where_no_cache_can_be_written_it_compiles_without_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
    environment |= {"XDG_CACHE_HOME": str(tmp_path / "file")}
    subprocess.run([sys.executable, "-c", PROBE], env=environment, cwd=ROOT, check=True)
