"""The network against independent results, and its padding against a model of TensorFlow's rule."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from engines.nets.i3d import I3D, to_video
from engines.nets.padding import anchored_padding, same_padding
from engines.runtime.whole_clip import lead_ticks, repeat_to
from tests.support.networks import CLASSES, DIVIDE, SMALL_PX, noise, random_tensors, small

GOLDEN_TOLERANCE = 1e-3
"""Float32 summed in another order: 2e-5 was seen."""


@pytest.fixture(scope="module")
def trained() -> I3D:
    from engines.backends.pytorch import network
    from engines.weights.fetch import has_weights, load_weights

    if not has_weights("kinetics", "rgb"):
        pytest.skip("needs the trained weights: i3d-live weights fetch kinetics")
    return network(load_weights("kinetics", "rgb")[1], I3D)


def golden_input(length: int) -> torch.Tensor:
    values = np.random.default_rng(0).random((1, 3, length, 224, 224), dtype=np.float32)
    return torch.from_numpy(values * 2 - 1)


@pytest.mark.weights
def test_golden_features_and_logits_of_a_window(trained: I3D, golden: dict[str, np.ndarray]) -> None:
    with torch.inference_mode():
        features = trained.avg_pool(trained.trunk(golden_input(64)))
        logits = trained.logits(features).flatten(2)[0].T
    np.testing.assert_allclose(features.mean((0, 2, 3, 4)), golden["features_64"], atol=GOLDEN_TOLERANCE)
    np.testing.assert_allclose(logits.mean(0), golden["logits_64"], atol=GOLDEN_TOLERANCE)


@pytest.mark.weights
def test_golden_logits_per_position_of_a_longer_video(trained: I3D, golden: dict[str, np.ndarray]) -> None:
    with torch.inference_mode():
        logits = trained(golden_input(120))[0]
    np.testing.assert_allclose(logits, golden["logits_per_position_120"], atol=GOLDEN_TOLERANCE)


@given(st.integers(1, 300), st.sampled_from([(7, 2), (3, 2), (3, 1), (2, 2), (1, 1), (1, 2)]))
def test_padding_is_tensorflows(length: int, layer: tuple[int, int]) -> None:
    kernel, stride = layer
    positions = -(-length // stride)
    front, behind = same_padding(length, kernel, stride)
    total = max((positions - 1) * stride + kernel - length, 0)
    assert (front, behind) == (total // 2, total - total // 2)
    anchored_front, anchored_behind = anchored_padding(length, kernel, stride)
    assert anchored_front == max(kernel - stride, 0) // 2
    assert (length + anchored_front + anchored_behind - kernel) // stride + 1 == positions


@pytest.mark.parametrize("length", [41, 42, 43, 44])
def test_blank_ticks_in_front_make_the_anchored_network_tensorflows(length: int) -> None:
    """Only layers with zeros in front matter: two layers show it, as all others are the same in both."""
    stem = nn.Conv1d(1, 1, 7, 2, bias=False)
    pool = nn.MaxPool1d(3, 2)
    x = torch.rand(1, 1, length)

    def run(pad: object, lead: int) -> torch.Tensor:
        ticks = nn.functional.pad(x, (lead, 0))
        middle = stem(nn.functional.pad(ticks, pad(ticks.shape[2], 7, 2))).relu()  # type: ignore[operator]
        middle[:, :, : lead // 2] = 0
        return pool(nn.functional.pad(middle, pad(middle.shape[2], 3, 2)))  # type: ignore[operator]

    torch.testing.assert_close(run(anchored_padding, lead_ticks(length)), run(same_padding, 0))


def test_lengths_that_divide_by_4_are_anchored_alike() -> None:
    tensors = random_tensors()
    x = to_video(torch.from_numpy(noise(24)), torch.float32)
    plain, anchored = (small(I3D(CLASSES, anchored=a, divide=DIVIDE), tensors)(x) for a in (False, True))
    torch.testing.assert_close(plain, anchored, rtol=0, atol=0)
    x = x[:, :, :23]
    plain, anchored = (small(I3D(CLASSES, anchored=a, divide=DIVIDE), tensors)(x) for a in (False, True))
    assert (plain - anchored).abs().max() > 1e-3


def test_input_is_scaled_and_channels_come_first() -> None:
    pixels = np.zeros((1, 2, SMALL_PX, SMALL_PX, 3), np.uint8)
    pixels[0, 1, 2, 3] = (0, 255, 51)
    video = to_video(torch.from_numpy(pixels), torch.float32)
    assert video.shape == (1, 3, 2, SMALL_PX, SMALL_PX)
    torch.testing.assert_close(video[0, :, 1, 2, 3], torch.tensor([-1.0, 1.0, -0.6]))
    flow = noise(2, channels=2)
    torch.testing.assert_close(
        to_video(torch.from_numpy(flow), torch.float32)[0, 1, 1, 2, 3],
        torch.tensor(float(flow[0, 1, 2, 3, 1])),
    )


def test_short_clips_are_repeated_from_their_start() -> None:
    assert repeat_to(np.arange(3), 8).tolist() == [0, 1, 2, 0, 1, 2, 0, 1]
    assert repeat_to(np.arange(9), 8).tolist() == list(range(9))
    with pytest.raises(ValueError, match="at least one tick"):
        repeat_to(np.arange(0), 8)
