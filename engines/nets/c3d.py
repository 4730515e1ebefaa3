"""C3D (Tran et al., 2015) in the variant of *Quo Vadis* (arXiv 1705.07750, section 2.2).

Batch norm follows every convolution and fully connected layer, and the first pool halves time as well. Video of any
length is cut into clips of 16 ticks, each of which is classified separately.
"""

import torch.nn.functional as F
from torch import Tensor, nn

CLIP_TICKS = 16
# Output channels of the convolutions between consecutive pools.
STAGES: tuple[tuple[int, ...], ...] = ((64,), (128,), (256, 256), (512, 512), (512, 512))


def conv_bn_relu(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(in_channels, out_channels, 3, padding=1, bias=False),
        nn.BatchNorm3d(out_channels, eps=0.001),
        nn.ReLU(),
    )


class C3D(nn.Module):
    """Eight convolutions, five pools, two fully connected layers and the classifier."""

    def __init__(
        self, num_classes: int = 400, dropout: float = 0.5, divide: int = 1, size_px: int = 112
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        ticks = CLIP_TICKS
        for stage in STAGES:
            for out in stage:
                layers.append(conv_bn_relu(channels, out // divide))
                channels = out // divide
            # C3D's pools are 2x2x2; at the last one a single position in time is left.
            layers.append(nn.MaxPool3d((min(2, ticks), 2, 2), ceil_mode=True))
            ticks = -(-ticks // 2)
        self.trunk = nn.Sequential(*layers)
        side = -(-size_px // 2 ** len(STAGES))
        # No biases before batch norm: it would remove them again.
        self.fc6 = nn.Linear(channels * side * side, 4096 // divide, bias=False)
        self.bn6 = nn.BatchNorm1d(4096 // divide, eps=0.001)
        self.fc7 = nn.Linear(4096 // divide, 4096 // divide, bias=False)
        self.bn7 = nn.BatchNorm1d(4096 // divide, eps=0.001)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(4096 // divide, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, T, 112, 112) in [-1, 1], T a multiple of 16 -> class scores (N, T / 16, classes)."""
        n, c, t, h, w = x.shape
        clips = x.reshape(n, c, t // CLIP_TICKS, CLIP_TICKS, h, w).transpose(1, 2)
        x = self.trunk(clips.flatten(0, 1)).flatten(1)
        x = F.relu(self.bn6(self.fc6(x)))
        x = F.relu(self.bn7(self.fc7(self.dropout(x))))
        scores: Tensor = self.fc(self.dropout(x))
        return scores.reshape(*clips.shape[:2], -1)
