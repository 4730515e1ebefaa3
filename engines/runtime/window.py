"""The engine of the `window` mode: the paper's network on 64 ticks at a time, without memory. Imports no torch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.engine import CELL_PX, Positions
from engines.head import Head, mean_of_cells
from engines.spec import Mode, StreamSpec, Weights


def check_chunk(chunk: NDArray[Any], spec: StreamSpec, ticks: int | None) -> None:
    """Raises ValueError unless `chunk` is (B, ticks, 224, 224, C) of the stream's type; any length if `ticks` is
    None."""
    length = chunk.shape[1] if ticks is None and chunk.ndim == 5 else ticks
    shape = ("B", length, spec.crop_px, spec.crop_px, spec.channels)
    if chunk.ndim != 5 or chunk.shape[1:] != shape[1:] or chunk.dtype != spec.dtype:
        wanted = ", ".join(map(str, shape))
        raise ValueError(
            f"a chunk of {spec.modality} must be {spec.dtype} ({wanted}), got {chunk.dtype} {chunk.shape}"
        )


@dataclass(frozen=True, eq=False)
class WindowEngine:
    """See `engines.engine.Engine`. Its state is the number of streams."""

    spec: StreamSpec
    weights: Weights
    backend: str
    precision: str
    device: str
    run: Callable[[NDArray[Any]], NDArray[np.float32]]
    """Chunk (B, 64, 224, 224, C) -> cells (B, positions, 7, 7, features)."""
    head: Head
    mode: Mode = "window"
    engines_at_a_time: int = 1

    @property
    def chunk_ticks(self) -> int:
        return self.spec.window_ticks

    def start(self, batch: int = 1, lead_ticks: int = 0) -> int:
        return batch

    def step(self, chunk: NDArray[Any], state: int, *, preview: bool = True) -> tuple[Positions, int]:
        check_chunk(chunk, self.spec, self.chunk_ticks)
        cells = self.run(chunk)
        logits = self.head(mean_of_cells(cells))
        return Positions(logits, cells, np.zeros(len(chunk), np.int64), settled=logits.shape[1]), state

    def flush(self, tail: NDArray[Any], state: int) -> Positions:
        """Nothing is pending: an incomplete window gives no prediction."""
        classes, features = self.head.kernel.shape
        side = self.spec.crop_px // CELL_PX
        cells = np.empty((state, 0, side, side, features), np.float32)
        logits = np.empty((state, 0, classes), np.float32)
        return Positions(logits, cells, np.zeros(state, np.int64), settled=0)
