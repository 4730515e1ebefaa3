"""Two Inception-V1 whose 7x7 maps meet in a 3D convolution (arXiv 1705.07750, section 2.3).

After *Convolutional Two-Stream Network Fusion for Video Action Recognition* (Feichtenhofer et al., 2016). The paper
does not say which stride the pool has and how the fully connected layer takes the pooled maps. Here the pool has
stride 2, and the layer is applied to every position of its output and averaged over space, as I3D's classifier is: one
layer over all positions together would add 3.7 M parameters for training windows alone and fix the length of the
video.
"""

import torch
from torch import Tensor, nn

from engines.nets.inception import InceptionBase
from engines.nets.two_stream import snapshots

SNAPSHOT_TICKS = 10


class FusedTwoStream(nn.Module):
    """Takes a picture and the ten flow fields that start at it, every ten ticks; one network from both streams to the
    class scores."""

    def __init__(self, num_classes: int = 400, dropout: float = 0.5, divide: int = 1) -> None:
        super().__init__()
        self.rgb = InceptionBase(3, divide)
        self.flow = InceptionBase(2 * SNAPSHOT_TICKS, divide)
        joined, maps = self.rgb.out_channels + self.flow.out_channels, 512 // divide
        self.fuse = nn.Sequential(
            nn.Conv3d(joined, maps, 3, padding=1, bias=False),
            nn.BatchNorm3d(maps, eps=0.001),
            nn.ReLU(),
            nn.MaxPool3d(3, 2, padding=1),
        )
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(maps, num_classes)
        # The paper initialises the new layers with Gaussian noise, but does not state its scale.
        for weight in (self.fuse.get_parameter("0.weight"), self.fc.weight):
            nn.init.normal_(weight, std=0.01)

    def grids(self, net: InceptionBase, pictures: Tensor) -> Tensor:
        """(N, S, C, H, W) -> (N, 1024, S, 7, 7)."""
        grid = net.grid(pictures.flatten(0, 1))
        return grid.reshape(*pictures.shape[:2], *grid.shape[1:]).transpose(1, 2)

    def forward(self, rgb: Tensor, flow: Tensor) -> Tensor:
        """(N, 3, T, H, W) and (N, 2, T, H, W) in [-1, 1], T a multiple of 10 -> class scores (N, T / 20, classes)."""
        pictures = snapshots(rgb, SNAPSHOT_TICKS)
        stacks = snapshots(flow, SNAPSHOT_TICKS, SNAPSHOT_TICKS)
        joined = torch.cat((self.grids(self.rgb, pictures), self.grids(self.flow, stacks)), dim=1)
        positions = self.fuse(joined).mean(dim=(3, 4)).transpose(1, 2)
        scores: Tensor = self.fc(self.dropout(positions))
        return scores
