"""Inception-V1 on each frame and an LSTM over the frames (arXiv 1705.07750, section 2.1)."""

from torch import Tensor, nn

from engines.nets.inception import InceptionBase
from engines.nets.two_stream import snapshots


class ConvNetLSTM(nn.Module):
    """Takes one frame in `every_ticks`; the paper trains on the outputs of all steps and tests on the last one."""

    def __init__(
        self, num_classes: int = 400, dropout: float = 0.5, divide: int = 1, every_ticks: int = 5
    ) -> None:
        super().__init__()
        self.every_ticks = every_ticks
        self.base = InceptionBase(divide=divide)
        features, hidden = self.base.out_channels, 512 // divide
        self.bn = nn.BatchNorm1d(features, eps=0.001)
        self.lstm = nn.LSTM(features, hidden, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(hidden, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, T, H, W) in [-1, 1] -> class scores: (N, steps, classes) in training, else those of the last step,
        (N, 1, classes)."""
        pictures = snapshots(x, self.every_ticks)
        features = self.bn(self.base.features(pictures.flatten(0, 1)))
        steps, _ = self.lstm(features.reshape(*pictures.shape[:2], -1))
        if not self.training:
            steps = steps[:, -1:]
        scores: Tensor = self.fc(self.dropout(steps))
        return scores
