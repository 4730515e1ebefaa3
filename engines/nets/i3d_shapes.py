"""The layers of I3D as plain numbers, for code that must know its tensors without importing torch."""

from collections.abc import Iterator

Triple = tuple[int, int, int]

# Channels of an Inception block: b0 1x1 | b1 1x1 -> 3x3x3 | b2 1x1 -> 3x3x3 | b3 pool -> 1x1.
INCEPTION: dict[str, tuple[int, int, int, int, int, int]] = {
    "Mixed_3b": (64, 96, 128, 16, 32, 32),
    "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "Mixed_4b": (192, 96, 208, 16, 48, 64),
    "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64),
    "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}
FEATURES = 1024
"""Input channels of the classifier."""


def convolutions(in_channels: int) -> Iterator[tuple[str, int, int, Triple]]:
    """(name, output channels, input channels, kernel) of every convolution with batch norm."""
    point, cube = (1, 1, 1), (3, 3, 3)
    yield "Conv3d_1a_7x7", 64, in_channels, (7, 7, 7)
    yield "Conv3d_2b_1x1", 64, 64, point
    yield "Conv3d_2c_3x3", 192, 64, cube
    width = 192
    for block, (b0, b1_in, b1, b2_in, b2, b3) in INCEPTION.items():
        yield f"{block}.b0", b0, width, point
        yield f"{block}.b1a", b1_in, width, point
        yield f"{block}.b1b", b1, b1_in, cube
        yield f"{block}.b2a", b2_in, width, point
        yield f"{block}.b2b", b2, b2_in, cube
        yield f"{block}.b3b", b3, width, point
        width = b0 + b1 + b2 + b3


def parameter_shapes(classes: int, in_channels: int) -> dict[str, tuple[int, ...]]:
    """Shape of each tensor by its pytorch-i3d name, without batch norm's counters, which inference ignores."""
    shapes: dict[str, tuple[int, ...]] = {}
    for name, out_channels, inputs, kernel in convolutions(in_channels):
        shapes[f"{name}.conv3d.weight"] = (out_channels, inputs, *kernel)
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{name}.bn.{part}"] = (out_channels,)
    shapes["logits.conv3d.weight"] = (classes, FEATURES, 1, 1, 1)
    shapes["logits.conv3d.bias"] = (classes,)
    return shapes
