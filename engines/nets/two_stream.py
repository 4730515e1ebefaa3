"""Networks that look at a video in snapshots, and the averaging of two streams.

*Two-Stream Convolutional Networks for Action Recognition in Videos* (Simonyan and Zisserman, 2014) on Inception-V1, as
in *Quo Vadis* (arXiv 1705.07750, section 2.3): one network gets a picture, the other ten stacked flow fields.
"""

import torch
from torch import Tensor, nn

from engines.nets.inception import InceptionV1


def snapshots(x: Tensor, every_ticks: int, stack: int = 1) -> Tensor:
    """Video (N, C, T, H, W) -> pictures (N, S, stack * C, H, W): one every `every_ticks`, with `stack` ticks as
    channels.

    Channels run u0 v0 u1 v1 ... for a stack of flow fields. T >= stack.
    """
    count = (x.shape[2] - stack) // every_ticks + 1
    ticks = [x[:, :, start::every_ticks][:, :, :count] for start in range(stack)]
    return torch.stack(ticks, dim=1).permute(0, 3, 1, 2, 4, 5).flatten(2, 3)


class Snapshots(nn.Module):
    """A network for pictures, applied to each snapshot of a video separately."""

    def __init__(self, net: InceptionV1, every_ticks: int, stack: int = 1) -> None:
        super().__init__()
        self.net, self.every_ticks, self.stack = net, every_ticks, stack

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, T, H, W) in [-1, 1] -> class scores (N, snapshots, classes)."""
        pictures = snapshots(x, self.every_ticks, self.stack)
        scores: Tensor = self.net(pictures.flatten(0, 1))
        return scores.reshape(*pictures.shape[:2], -1)


class TwoStream(nn.Module):
    """Two networks for video, one per stream, whose class scores are averaged."""

    def __init__(self, rgb: nn.Module, flow: nn.Module) -> None:
        super().__init__()
        self.rgb, self.flow = rgb, flow

    def forward(self, rgb: Tensor, flow: Tensor) -> Tensor:
        """(N, 3, T, H, W) and (N, 2, T, H, W) in [-1, 1] -> class scores (N, positions, classes)."""
        scores: Tensor = (self.rgb(rgb) + self.flow(flow)) / 2
        return scores
