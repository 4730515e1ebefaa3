"""Inflated Inception-V1 (I3D), layer by layer as in *Quo Vadis, Action Recognition?* (arXiv 1705.07750, figure 3).

For training, and as a reference that shares no line with `engines.nets.network`, which engines are made from.
Parameter names are those of the pytorch-i3d ecosystem, so that its checkpoints load unchanged. Video is (N, C, T, H,
W) in [-1, 1]; temporal position t of the logits covers the frames around 8 t .. 8 t + 15.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.nets.i3d_shapes import INCEPTION, Triple
from engines.nets.padding import anchored_padding, same_padding

Padding = tuple[int, int, int, int, int, int]
"""Positions in front and behind, for W, then H, then T, as `torch.nn.functional.pad` takes them."""


def paddings(size: Sequence[int], kernel: Triple, stride: Triple, *, anchored: bool = False) -> Padding:
    """Padding of (T, H, W) such that every stride-th position has an output, in the order of `F.pad`."""
    t, h, w = (same_padding(n, k, s) for n, k, s in zip(size, kernel, stride, strict=True))
    if anchored:
        t = anchored_padding(size[0], kernel[0], stride[0])
    return (*w, *h, *t)


class Unit3D(nn.Module):
    """SAME convolution, then batch norm and ReLU; the classifier has a bias instead of both."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: Triple = (1, 1, 1),
        stride: Triple = (1, 1, 1),
        *,
        classifier: bool = False,
        anchored: bool = False,
    ) -> None:
        super().__init__()
        self.kernel, self.stride, self.anchored = kernel, stride, anchored
        self.conv3d = nn.Conv3d(in_channels, out_channels, kernel, stride, bias=classifier)
        if not classifier:
            self.bn = nn.BatchNorm3d(out_channels, eps=0.001, momentum=0.01)
        self.classifier = classifier

    def forward(self, x: Tensor) -> Tensor:
        return self.over(x, paddings(x.shape[2:], self.kernel, self.stride, anchored=self.anchored))

    def over(self, x: Tensor, padding: Padding) -> Tensor:
        """Apply the layer with this padding of zeros around `x`."""
        x = self.conv3d(F.pad(x, padding))
        return x if self.classifier else F.relu(self.bn(x))


class MaxPool3dSame(nn.Module):
    """SAME max pool. It always follows a ReLU, so that zeros around it change no maximum."""

    def __init__(self, kernel: Triple, stride: Triple, *, anchored: bool = False) -> None:
        super().__init__()
        self.kernel, self.stride, self.anchored = kernel, stride, anchored

    def forward(self, x: Tensor) -> Tensor:
        return self.over(x, paddings(x.shape[2:], self.kernel, self.stride, anchored=self.anchored))

    def over(self, x: Tensor, padding: Padding) -> Tensor:
        """Apply the layer with this padding of zeros around `x`.

        If torch's own padding, equal on both sides and rounded up, gives the same number of positions, it replaces the
        zeros, which saves a copy of `x`.
        """
        zeros, own = [0] * 6, [0, 0, 0]
        for axis, (n, k, s) in enumerate(zip(x.shape[2:], self.kernel, self.stride, strict=True)):
            front, behind = padding[4 - 2 * axis : 6 - 2 * axis]
            if -((k - n - 2 * front) // s) == (n + front + behind - k) // s:
                own[axis] = front
            else:
                zeros[4 - 2 * axis : 6 - 2 * axis] = front, behind
        x = F.pad(x, zeros) if any(zeros) else x
        return F.max_pool3d(x, self.kernel, self.stride, own, ceil_mode=True)


class InceptionBlock(nn.Module):
    """Four branches over the same input, joined along the channels."""

    def __init__(self, in_channels: int, channels: Sequence[int], divide: int = 1) -> None:
        super().__init__()
        in_channels //= divide
        b0, b1_in, b1, b2_in, b2, b3 = (width // divide for width in channels)
        self.b0 = Unit3D(in_channels, b0)
        self.b1a = Unit3D(in_channels, b1_in)
        self.b1b = Unit3D(b1_in, b1, (3, 3, 3))
        self.b2a = Unit3D(in_channels, b2_in)
        self.b2b = Unit3D(b2_in, b2, (3, 3, 3))
        self.b3a = MaxPool3dSame((3, 3, 3), (1, 1, 1))
        self.b3b = Unit3D(in_channels, b3)
        self.out_channels = b0 + b1 + b2 + b3

    def forward(self, x: Tensor) -> Tensor:
        b1 = self.b1b(self.b1a(x))
        b2 = self.b2b(self.b2a(x))
        return torch.cat((self.b0(x), b1, b2, self.b3b(self.b3a(x))), dim=1)


class AveragePool(nn.Module):
    """Mean over two positions and the whole picture, 7 x 7 for 224 pixels. The size is not fixed: a graph can be
    traced on small pictures."""

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool3d(x.mean((3, 4), keepdim=True), (2, 1, 1), stride=1)


class I3D(nn.Module):
    """The whole network. Any T >= 9, H = W = 224.

    With `anchored`, the padding in front of the strided layers does not depend on the length: this is the network for
    a live stream, whose length is unknown. For lengths divisible by 4 it is the same network.
    """

    def __init__(
        self,
        num_classes: int = 400,
        in_channels: int = 3,
        dropout: float = 0.5,
        *,
        anchored: bool = False,
        divide: int = 1,
    ) -> None:
        """`divide` (1, 2, 4 or 8) divides the width of every layer, for tests."""
        super().__init__()
        self.Conv3d_1a_7x7 = Unit3D(in_channels, 64 // divide, (7, 7, 7), (2, 2, 2), anchored=anchored)
        self.MaxPool3d_2a_3x3 = MaxPool3dSame((1, 3, 3), (1, 2, 2))
        self.Conv3d_2b_1x1 = Unit3D(64 // divide, 64 // divide)
        self.Conv3d_2c_3x3 = Unit3D(64 // divide, 192 // divide, (3, 3, 3))
        self.MaxPool3d_3a_3x3 = MaxPool3dSame((1, 3, 3), (1, 2, 2))
        self.Mixed_3b = InceptionBlock(192, INCEPTION["Mixed_3b"], divide)
        self.Mixed_3c = InceptionBlock(256, INCEPTION["Mixed_3c"], divide)
        self.MaxPool3d_4a_3x3 = MaxPool3dSame((3, 3, 3), (2, 2, 2), anchored=anchored)
        self.Mixed_4b = InceptionBlock(480, INCEPTION["Mixed_4b"], divide)
        self.Mixed_4c = InceptionBlock(512, INCEPTION["Mixed_4c"], divide)
        self.Mixed_4d = InceptionBlock(512, INCEPTION["Mixed_4d"], divide)
        self.Mixed_4e = InceptionBlock(512, INCEPTION["Mixed_4e"], divide)
        self.Mixed_4f = InceptionBlock(528, INCEPTION["Mixed_4f"], divide)
        self.MaxPool3d_5a_2x2 = MaxPool3dSame((2, 2, 2), (2, 2, 2))
        self.Mixed_5b = InceptionBlock(832, INCEPTION["Mixed_5b"], divide)
        self.Mixed_5c = InceptionBlock(832, INCEPTION["Mixed_5c"], divide)
        self.avg_pool = AveragePool()
        self.dropout = nn.Dropout(dropout)
        self.logits = Unit3D(1024 // divide, num_classes, classifier=True)

    def trunk(self, x: Tensor) -> Tensor:
        """(N, C, T, 224, 224) -> Mixed_5c, (N, 1024, ceil(T / 8), 7, 7)."""
        x = self.MaxPool3d_2a_3x3(self.Conv3d_1a_7x7(x))
        x = self.MaxPool3d_3a_3x3(self.Conv3d_2c_3x3(self.Conv3d_2b_1x1(x)))
        x = self.MaxPool3d_4a_3x3(self.Mixed_3c(self.Mixed_3b(x)))
        x = self.Mixed_4f(self.Mixed_4e(self.Mixed_4d(self.Mixed_4c(self.Mixed_4b(x)))))
        features: Tensor = self.Mixed_5c(self.Mixed_5b(self.MaxPool3d_5a_2x2(x)))
        return features

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, T, 224, 224) in [-1, 1] -> logits (N, positions, classes), positions = ceil(T / 8) - 1."""
        logits: Tensor = self.logits(self.dropout(self.avg_pool(self.trunk(x))))
        return logits.flatten(2).transpose(1, 2)


def to_video(chunk: Tensor, dtype: torch.dtype) -> Tensor:
    """uint8 (N, T, H, W, 3) pixels or float (N, T, H, W, 2) flow -> (N, C, T, H, W) in [-1, 1]."""
    scaled = chunk.float() / 127.5 - 1 if chunk.dtype == torch.uint8 else chunk
    return scaled.to(dtype).permute(0, 4, 1, 2, 3)
