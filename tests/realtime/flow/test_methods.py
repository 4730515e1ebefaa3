"""One signature for every method, and clear words where one cannot run."""

import sys

import numpy as np
import pytest

from engines.errors import UsageError
from realtime.flow.methods import METHODS, compile_ahead, flow_method
from tests.support.scenes import translation

HERE = [name for name in METHODS if name != "tvl1-cuda"]


@pytest.mark.parametrize("name", HERE)
def test_each_method_gives_u_then_v_in_px(name: str) -> None:
    scene = translation(2, 96)
    field = flow_method(name)(scene.previous, scene.following)
    assert field.shape == (2, 96, 96)
    assert field.dtype == np.float32
    assert field.flags.c_contiguous
    assert np.median(field[0]) == pytest.approx(1.6, abs=0.15)
    assert np.median(field[1]) == pytest.approx(1.2, abs=0.15)


@pytest.mark.parametrize("name", HERE)
def test_the_size_may_change_between_pairs(name: str) -> None:
    flow = flow_method(name)
    for size in (64, 96, 64):
        scene = translation(1, size)
        assert flow(scene.previous, scene.following).shape == (2, size, size)


def test_pictures_may_be_views_and_read_only() -> None:
    scene = translation(2, 96)
    previous, following = scene.previous[:, ::-1], scene.following[:, ::-1]
    previous.flags.writeable = False
    field = flow_method("tvl1")(previous, following)
    assert np.median(field[0]) == pytest.approx(-1.6, abs=0.15)


def test_an_unknown_name_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"'farneback' is not known; choose one of tvl1, .*dis"):
        flow_method("farneback")


@pytest.mark.parametrize("name", HERE)
def test_pictures_must_be_two_grey_ones_of_one_size(name: str) -> None:
    grey = np.zeros((32, 32), np.uint8)
    flow = flow_method(name)
    for other in (
        np.zeros((32, 31), np.uint8),
        np.zeros((32, 32, 3), np.uint8),
        np.zeros((32, 32), np.float32),
    ):
        with pytest.raises(ValueError, match="flow needs"):
            flow(grey, other)
        with pytest.raises(ValueError, match="flow needs"):
            flow(other, grey)
    with pytest.raises(ValueError, match="flow needs"):
        flow(grey[:0], grey[:0])


def test_a_picture_too_small_for_opencv_is_an_error() -> None:
    tiny = np.zeros((4, 4), np.uint8)
    with pytest.raises(UsageError, match=r"4x4 px.*use tvl1"):
        flow_method("dis")(tiny, tiny)


def test_without_a_gpu_the_gpu_method_says_so() -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("triton")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(UsageError, match="needs an NVIDIA GPU"):
        flow_method("tvl1-cuda")


def test_without_triton_the_gpu_method_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "triton", None)
    monkeypatch.delitem(sys.modules, "realtime.flow.tvl1_cuda", raising=False)
    with pytest.raises(UsageError, match=r"needs torch for CUDA and its triton.*i3d-live\[torch\].*use tvl1"):
        flow_method("tvl1-cuda")


def test_compiling_ahead_is_done_once_the_module_is_there() -> None:
    compile_ahead()
    from realtime.flow import tvl1

    assert tvl1.solve.signatures  # type: ignore[attr-defined]
