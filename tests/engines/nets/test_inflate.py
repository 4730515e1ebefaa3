"""Inflated weights answer for a boring video (one image, repeated) as the 2D network does for the image."""

import pytest
import torch
from torch import Tensor, nn

from engines.errors import WeightsError
from engines.nets.i3d import I3D
from engines.nets.inception import I3D_BLOCKS, InceptionV1
from engines.nets.inflate import adapt_channels, inflate_inception, inflate_kernel

TICKS = 112
# The sides of 32 leave one pixel at the last blocks: enough, as time is what differs.
PX = 32

# Each layer: name of the 2D one, of the 3D one, and its kernel and stride over time.
LAYERS = [
    ("conv1", "Conv3d_1a_7x7", 7, 2),
    ("maxpool1", "MaxPool3d_2a_3x3", 1, 1),
    ("conv2", "Conv3d_2b_1x1", 1, 1),
    ("conv3", "Conv3d_2c_3x3", 3, 1),
    ("maxpool2", "MaxPool3d_3a_3x3", 1, 1),
    ("inception3a", "Mixed_3b", 3, 1),
    ("inception3b", "Mixed_3c", 3, 1),
    ("maxpool3", "MaxPool3d_4a_3x3", 3, 2),
    ("inception4a", "Mixed_4b", 3, 1),
    ("inception4b", "Mixed_4c", 3, 1),
    ("inception4c", "Mixed_4d", 3, 1),
    ("inception4d", "Mixed_4e", 3, 1),
    ("inception4e", "Mixed_4f", 3, 1),
    ("maxpool4", "MaxPool3d_5a_2x2", 2, 2),
    ("inception5a", "Mixed_5b", 3, 1),
    ("inception5b", "Mixed_5c", 3, 1),
]


def trained_like(num_classes: int = 5) -> InceptionV1:
    """Random weights whose signal neither dies nor grows, with batch norms that shift and scale."""
    torch.manual_seed(0)
    net = InceptionV1(num_classes)
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.8, 1.2)
            nn.init.normal_(module.bias, std=0.2)
            nn.init.normal_(module.running_mean, std=0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return net.eval()


@torch.no_grad()
def outputs(net: nn.Module, names: list[str], x: Tensor) -> dict[str, Tensor]:
    """Output of each named layer while the network works on x up to its last average pool."""
    found: dict[str, Tensor] = {}
    hooks = [
        net.get_submodule(name).register_forward_hook(lambda m, a, out, name=name: found.update({name: out}))
        for name in names
    ]
    net.grid(x) if isinstance(net, InceptionV1) else net.trunk(x)
    for hook in hooks:
        hook.remove()
    return found


@pytest.fixture(scope="module")
def flat() -> InceptionV1:
    return trained_like()


@pytest.fixture(scope="module")
def inflated(flat: InceptionV1) -> I3D:
    net = I3D(num_classes=5)
    missing = net.load_state_dict(inflate_inception(flat.state_dict()), strict=False).missing_keys
    assert all(name.endswith("num_batches_tracked") for name in missing)
    return net.eval()


@pytest.fixture(scope="module")
def both(flat: InceptionV1, inflated: I3D) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Outputs of every layer: of the 2D network for an image, of the 3D one for its boring video."""
    image = torch.rand(1, 3, PX, PX, generator=torch.Generator().manual_seed(1)) * 2 - 1
    video = image.unsqueeze(2).repeat(1, 1, TICKS, 1, 1)
    two = outputs(flat, [name for name, *_ in LAYERS], image)
    return two, outputs(inflated, [name for _, name, *_ in LAYERS], video)


def touched(length: int, front: int, behind: int, kernel: int, stride: int) -> tuple[int, int, int]:
    """(length, positions at the front, behind) after a SAME layer, of those that zeros beyond the video can reach."""
    out = -(-length // stride)
    pad = max(kernel - (length % stride or stride), 0) // 2
    # Output t reads the inputs t * stride - pad up to t * stride - pad + kernel - 1.
    reads = [(t * stride - pad, t * stride - pad + kernel - 1) for t in range(out)]
    return out, sum(a < front for a, _ in reads), sum(b >= length - behind for _, b in reads)


def test_a_boring_video_is_the_image_at_the_inner_positions_of_every_layer(
    both: tuple[dict[str, Tensor], dict[str, Tensor]],
) -> None:
    two, three = both
    length, front, behind = TICKS, 0, 0
    for name2d, name3d, kernel, stride in LAYERS:
        length, front, behind = touched(length, front, behind, kernel, stride)
        image, video = two[name2d].unsqueeze(2), three[name3d]
        off = (video - image).abs().amax(dim=(0, 1, 3, 4)) / image.abs().max()
        assert len(off) == length
        assert front + behind < length, f"{name3d} has no inner position, the video is too short"
        assert off[front : length - behind].max() < 5e-6, name3d
        # Zeros before the first and behind the last frame take away from the sums, so the borders differ: by up to 0.53
        # of the largest activation (measured, last position of Mixed_3b) and less the fewer zeros reach a position.
        start, end = off[:front], off[length - behind :].flip(0)
        assert start[0] > 0.02, name3d
        assert end[0] > 0.02, name3d
        for border in (start, end):
            assert (border.diff() < 0).all(), name3d
    assert (length, front, behind) == (14, 6, 6)


def test_the_borders_of_the_first_layer_fall_short_by_the_taps_that_lie_beyond_the_video(
    flat: InceptionV1, inflated: I3D
) -> None:
    image = torch.rand(1, 3, PX, PX, generator=torch.Generator().manual_seed(2)) * 2 - 1
    kernel2d, kernel3d = flat.conv1.conv, inflated.Conv3d_1a_7x7.conv3d
    found: dict[str, Tensor] = {}
    hooks = [
        conv.register_forward_hook(lambda m, a, out, key=key: found.update({key: out}))
        for key, conv in (("2d", kernel2d), ("3d", kernel3d))
    ]
    with torch.no_grad():
        flat.conv1(image)
        inflated.Conv3d_1a_7x7(image.unsqueeze(2).repeat(1, 1, 16, 1, 1))
    for hook in hooks:
        hook.remove()
    # SAME puts 2 zeros before the first frame and 3 behind the last: of the 7 equal taps 5 are left at the
    # first position, 6 at the last but one and 4 at the last.
    shares = [5 / 7, 1, 1, 1, 1, 1, 6 / 7, 4 / 7]
    for position, share in enumerate(shares):
        torch.testing.assert_close(found["3d"][:, :, position], found["2d"] * share, rtol=1e-4, atol=1e-5)


def test_the_answer_for_a_boring_video_is_the_answer_for_the_image(
    flat: InceptionV1, inflated: I3D, both: tuple[dict[str, Tensor], dict[str, Tensor]]
) -> None:
    two, three = both
    middle = three["Mixed_5c"][:, :, 6:8]
    with torch.no_grad():
        answer = inflated.logits(middle.mean(dim=(2, 3, 4), keepdim=True)).flatten()
        torch.testing.assert_close(
            answer, flat.fc(two["inception5b"].mean(dim=(2, 3))).flatten(), rtol=1e-4, atol=1e-4
        )


def test_kernels_are_repeated_and_divided() -> None:
    kernel = torch.arange(8.0).reshape(1, 2, 2, 2)
    inflated = inflate_kernel(kernel, 4)
    assert inflated.shape == (1, 2, 4, 2, 2)
    torch.testing.assert_close(inflated.sum(dim=2), kernel)
    torch.testing.assert_close(inflated[:, :, 0], inflated[:, :, 3])


def test_flow_starts_from_the_mean_over_the_colours(flat: InceptionV1) -> None:
    first = inflate_inception(flat.state_dict(), in_channels=2)["Conv3d_1a_7x7.conv3d.weight"]
    assert first.shape == (64, 2, 7, 7, 7)
    mean = flat.conv1.conv.weight.mean(dim=1)
    torch.testing.assert_close(first.sum(dim=2), torch.stack((mean, mean), dim=1))
    assert adapt_channels(flat.conv1.conv.weight, 20).shape == (64, 20, 7, 7)


def test_names_are_those_of_torchvision(flat: InceptionV1) -> None:
    names = flat.state_dict().keys()
    # Written down from torchvision's googlenet.py: a stem of three, nine blocks of six convolutions, a classifier.
    assert {"conv1.conv.weight", "conv3.bn.running_var", "fc.weight", "fc.bias"} <= names
    branches = ("branch1", "branch2.0", "branch2.1", "branch3.0", "branch3.1", "branch4.1")
    blocks = [f"inception{b}" for b in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")]
    assert blocks == list(I3D_BLOCKS)
    convolutions = [
        "conv1",
        "conv2",
        "conv3",
        *(f"{block}.{branch}" for block in blocks for branch in branches),
    ]
    parts = (
        "conv.weight",
        "bn.weight",
        "bn.bias",
        "bn.running_mean",
        "bn.running_var",
        "bn.num_batches_tracked",
    )
    assert names == {f"{c}.{part}" for c in convolutions for part in parts} | {"fc.weight", "fc.bias"}


def test_auxiliary_heads_are_left_out_and_anything_else_unknown_is_an_error(flat: InceptionV1) -> None:
    state = flat.state_dict()
    assert (
        inflate_inception(state | {"aux1.fc1.weight": torch.zeros(1)}).keys()
        == inflate_inception(state).keys()
    )
    with pytest.raises(WeightsError, match="layer4"):
        inflate_inception(state | {"layer4.weight": torch.zeros(1)})


def test_a_missing_or_misshapen_tensor_is_named(flat: InceptionV1) -> None:
    state = flat.state_dict()
    with pytest.raises(WeightsError, match=r"conv2\.conv\.weight is missing"):
        inflate_inception({k: v for k, v in state.items() if k != "conv2.conv.weight"})
    five = state | {"inception3a.branch3.1.conv.weight": torch.zeros(32, 16, 5, 5)}
    with pytest.raises(WeightsError, match=r"Mixed_3b\.b2b.*3x3"):
        inflate_inception(five)
