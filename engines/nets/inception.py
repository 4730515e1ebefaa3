"""Inception-V1 with batch norm for single pictures: the base of the paper's other architectures.

Parameter names are those of torchvision's GoogLeNet, without its auxiliary heads, so that its ImageNet weights load.
Like torchvision it has a 3x3 kernel where the first Inception paper has 5x5: the weights come from TensorFlow's
Inception-V1, as I3D's layers do. Padding is TensorFlow's SAME as in `engines.nets.i3d`. torchvision pads its first
convolution by 3 on every side instead, which moves the grid by one pixel against the one the weights were trained on.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.nets.i3d_shapes import INCEPTION
from engines.nets.padding import same_padding

I3D_BLOCKS: dict[str, str] = {
    "inception3a": "Mixed_3b",
    "inception3b": "Mixed_3c",
    "inception4a": "Mixed_4b",
    "inception4b": "Mixed_4c",
    "inception4c": "Mixed_4d",
    "inception4d": "Mixed_4e",
    "inception4e": "Mixed_4f",
    "inception5a": "Mixed_5b",
    "inception5b": "Mixed_5c",
}
"""Name of each block here -> its name in I3D, where "a" is the pool before the blocks."""


def pad_same_2d(x: Tensor, kernel: int, stride: int) -> Tensor:
    """Pad (N, C, H, W) with zeros so that every stride-th position has an output."""
    h, w = (same_padding(n, kernel, stride) for n in x.shape[2:])
    return F.pad(x, (*w, *h))


class BasicConv2d(nn.Module):
    """SAME convolution, batch norm, ReLU."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int = 1, stride: int = 1) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, bias=False)
        self.bn = nn.BatchNorm2d(out_channels, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn(self.conv(pad_same_2d(x, self.kernel, self.stride)))
        return F.relu(x)


class MaxPool2dSame(nn.Module):
    """SAME max pool. It always follows a ReLU, so padding with zeros changes no maximum."""

    def __init__(self, kernel: int, stride: int) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(pad_same_2d(x, self.kernel, self.stride), self.kernel, self.stride)


class Inception(nn.Module):
    """Four branches over the same input, joined along the channels."""

    def __init__(self, in_channels: int, channels: Sequence[int]) -> None:
        super().__init__()
        b1, b2_in, b2, b3_in, b3, b4 = channels
        self.branch1 = BasicConv2d(in_channels, b1)
        self.branch2 = nn.Sequential(BasicConv2d(in_channels, b2_in), BasicConv2d(b2_in, b2, 3))
        self.branch3 = nn.Sequential(BasicConv2d(in_channels, b3_in), BasicConv2d(b3_in, b3, 3))
        self.branch4 = nn.Sequential(MaxPool2dSame(3, 1), BasicConv2d(in_channels, b4))
        self.out_channels = b1 + b2 + b3 + b4

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)), dim=1)


class InceptionBase(nn.Module):
    """Everything before the last average pool. `divide` (1, 2, 4, 8) divides the width of each layer, for tests."""

    def __init__(self, in_channels: int = 3, divide: int = 1) -> None:
        super().__init__()
        self.conv1 = BasicConv2d(in_channels, 64 // divide, 7, 2)
        self.maxpool1 = MaxPool2dSame(3, 2)
        self.conv2 = BasicConv2d(64 // divide, 64 // divide)
        self.conv3 = BasicConv2d(64 // divide, 192 // divide, 3)
        self.maxpool2 = MaxPool2dSame(3, 2)
        self.maxpool3 = MaxPool2dSame(3, 2)
        self.maxpool4 = MaxPool2dSame(2, 2)
        channels = 192 // divide
        for name, i3d_name in I3D_BLOCKS.items():
            block = Inception(channels, [c // divide for c in INCEPTION[i3d_name]])
            self.add_module(name, block)
            channels = block.out_channels
        self.out_channels = channels

    def grid(self, x: Tensor) -> Tensor:
        """(N, C, H, W) in [-1, 1] -> (N, 1024, H / 32, W / 32), rounded up: 7 x 7 for 224 x 224."""
        x = self.maxpool2(self.conv3(self.conv2(self.maxpool1(self.conv1(x)))))
        for name in I3D_BLOCKS:
            if name == "inception4a":
                x = self.maxpool3(x)
            elif name == "inception5a":
                x = self.maxpool4(x)
            x = self.get_submodule(name)(x)
        return x

    def features(self, x: Tensor) -> Tensor:
        """(N, C, H, W) in [-1, 1] -> (N, 1024), the mean over space."""
        return self.grid(x).mean(dim=(2, 3))


class InceptionV1(InceptionBase):
    """The whole network."""

    def __init__(
        self, num_classes: int = 400, in_channels: int = 3, dropout: float = 0.5, divide: int = 1
    ) -> None:
        super().__init__(in_channels, divide)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(self.out_channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) in [-1, 1] -> class scores (N, classes)."""
        scores: Tensor = self.fc(self.dropout(self.features(x)))
        return scores
