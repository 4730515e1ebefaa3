"""Test doubles: frames that carry their number, and an engine that reports which ticks it saw."""

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.engine import Positions
from engines.head import Head
from engines.spec import FLOW, RGB, Mode, StreamSpec, Weights
from realtime.recognizer import Output
from realtime.types import Frame

FPS = Fraction(25)
CELLS_A_SIDE = 7


def frame(
    number: int,
    pts: Fraction | int,
    duration: Fraction = Fraction(1, 25),
    *,
    size_px: int = 256,
    after_gap: bool = False,
) -> Frame:
    """A square frame whose pixels are its number, in base 256 over the three colours."""
    rgb = np.empty((size_px, size_px, 3), np.uint8)
    rgb[:] = number % 256, number // 256 % 256, number // 65536
    return Frame(rgb, Fraction(pts), duration, after_gap)


def frames(
    stamps: Iterable[Fraction], duration: Fraction = Fraction(1, 25), *, size_px: int = 256
) -> list[Frame]:
    return [frame(i, pts, duration, size_px=size_px) for i, pts in enumerate(stamps)]


def exact(items: Iterable[Output]) -> list[tuple[Any, ...]]:
    """Everything in the items, to the last bit, so that `==` compares it. (Their `repr` is rounded.)"""
    values = [(type(item), *vars(item).values()) for item in items]
    return [tuple(v.tobytes() if isinstance(v, np.ndarray) else v for v in each) for each in values]


def constant_rate(count: int, fps: Fraction) -> list[Frame]:
    return frames([i / fps for i in range(count)], 1 / fps)


def no_head(classes: int) -> Head:
    """Logits are the features."""
    return Head(np.eye(classes, dtype=np.float32), np.zeros(classes, np.float32))


def everywhere(logits: NDArray[np.float32], first: NDArray[np.int64], settled: int) -> Positions:
    """Positions with the same logits in every cell, for an engine with `no_head`."""
    cells = np.broadcast_to(
        logits[:, :, None, None], (*logits.shape[:2], CELLS_A_SIDE, CELLS_A_SIDE, logits.shape[2])
    )
    return Positions(logits, cells, first, settled)


class SawTicks:
    """Double of an engine in `window` mode: its logits are the frame numbers of the first and last tick of the window,
    the count of ticks, and 1 where all numbers rise by one, so a test can read off exactly what it was given."""

    backend, precision, device = "double", "none", "none"
    engines_at_a_time = 1

    def __init__(self, spec: StreamSpec = RGB, chunk_ticks: int = 64, mode: Mode = "window") -> None:
        self.spec, self.mode, self.chunk_ticks = spec, mode, chunk_ticks
        labels = ("first", "last", "count", "consecutive")
        self.weights = Weights("made", spec.modality, labels, "0" * 64, "made for a test", "none")
        self.head = no_head(len(labels))
        self.chunks: list[NDArray[Any]] = []

    def start(self, batch: int = 1, lead_ticks: int = 0) -> None:
        return None

    def step(self, chunk: NDArray[Any], state: None, *, preview: bool = True) -> tuple[Positions, None]:
        assert chunk.dtype == self.spec.dtype
        assert chunk.shape == (1, self.chunk_ticks, 224, 224, self.spec.channels)
        self.chunks.append(chunk.copy())
        numbers = self.numbers(chunk[0])
        row = [numbers[0], numbers[-1], len(numbers), float(np.all(np.diff(numbers) == 1))]
        logits = np.array([[row]], np.float32)
        return everywhere(logits, np.zeros(1, np.int64), settled=1), None

    def flush(self, tail: NDArray[Any], state: None) -> Positions:
        return everywhere(np.zeros((1, 0, 4), np.float32), np.zeros(1, np.int64), settled=0)

    def numbers(self, ticks: NDArray[Any]) -> NDArray[np.float64]:
        """Frame number of each tick (T, H, W, C), as `frame` wrote it."""
        pixel = ticks[:, 0, 0].astype(np.float64)
        return pixel @ (256.0 ** np.arange(ticks.shape[-1]))


class PositionTicks(SawTicks):
    """Double of a `continual` or `preview` engine with a delay of 7 positions: position t gives the number of
    the frame at tick 8 t, ready once tick 8 t + 63 is in. `preview` adds provisional predictions for the
    newer positions."""

    def __init__(self, mode: Mode = "continual", spec: StreamSpec = RGB) -> None:
        super().__init__(spec, chunk_ticks=8, mode=mode)

    def start(self, batch: int = 1, lead_ticks: int = 0) -> Any:
        return ()

    def step(self, chunk: NDArray[Any], state: Any, *, preview: bool = True) -> tuple[Positions, Any]:
        assert chunk.shape == (1, 8, 224, 224, self.spec.channels)
        seen = (*state, self.numbers(chunk[0])[0])
        first = len(seen) - 8
        last = len(seen) - 2 if preview and self.mode == "preview" else first
        return self._positions(seen, first, last, settled=1), seen

    def flush(self, tail: NDArray[Any], state: Any) -> Positions:
        seen = (*state, *self.numbers(tail[0])[:1])
        return self._positions(seen, len(state) - 7, len(seen) - 2, settled=len(seen) - len(state) + 6)

    def _positions(self, seen: tuple[float, ...], first: int, last: int, settled: int) -> Positions:
        rows = [[seen[p] if p >= 0 else np.nan, p, 0, 0] for p in range(first, last + 1)]
        logits = np.array(rows, np.float32).reshape(1, len(rows), 4)
        return everywhere(logits, np.array([first], np.int64), settled)


RGB_ONLY = {"rgb": SawTicks()}
__all__ = [
    "FLOW",
    "FPS",
    "RGB",
    "RGB_ONLY",
    "PositionTicks",
    "SawTicks",
    "constant_rate",
    "everywhere",
    "exact",
    "frame",
    "frames",
    "no_head",
]
