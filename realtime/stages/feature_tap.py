"""The features of a stream as it is watched, for whoever asked for them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.engine import Engine
from engines.head import mean_of_cells
from realtime.stages.run_engines import Scores


@dataclass(frozen=True, eq=False)
class FeatureRow:
    """What the network makes of a stretch of media time, before its last layer."""

    start_s: float
    end_s: float
    """Seconds of media time, [start_s, end_s)."""
    by_stream: Mapping[str, NDArray[np.float32]]
    """By stream, float32 (features,); without streams that are paused."""


class FeatureTap:
    """Stage: passes everything on, and keeps the features of settled `Scores` until they are taken."""

    def __init__(self, engines: Mapping[str, Engine]) -> None:
        """`engines`: by stream."""
        self.engines = engines
        self._fps = next(iter(engines.values())).spec.fps
        self.wanted = False
        """Whether somebody takes them; until then none are kept."""
        self._rows: list[FeatureRow] = []

    def push(self, item: Any) -> list[Any]:
        if self.wanted and isinstance(item, Scores) and item.settled:
            (position,) = item.positions
            features = {name: mean_of_cells(cells) for name, cells in position.cells.items()}
            self._rows.append(
                FeatureRow(float(position.start / self._fps), float(item.stop / self._fps), features)
            )
        return [item]

    def flush(self) -> list[Any]:
        return []

    def reset(self) -> None:
        """Rows that nobody has taken yet stay."""

    def take(self) -> list[FeatureRow]:
        """The rows since the last call."""
        rows, self._rows = self._rows, []
        return rows
