"""The interface of every engine, independent of its backend and mode. Imports no torch.

    state = engine.start(batch=1)
    positions, state = engine.step(chunk, state)      # again and again
    positions = engine.flush(tail, state)             # at the end of the video

A `window` engine takes 64 ticks a step and remembers nothing. A `continual` or `preview` engine takes 8 new ticks a
step and keeps the rest in its state, which belongs to the caller: one engine serves any number of streams. For files
there are windows of other lengths, and steps of more than 8 ticks: see `engines.load.Bulk`.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from engines.head import Head
from engines.spec import Mode, StreamSpec, Weights

POSITION_TICKS = 8
"""Ticks from one temporal position of the network to the next: position t covers ticks 8 t .. 8 t + 15."""
POSITION_SPAN_TICKS = 16
"""Ticks that one position covers (its receptive field is wider)."""
POSITION_BEHIND_TICKS = 44
"""How many ticks before its first one a position sees; it sees ahead up to the step that makes it final."""
SEEN_TICKS = 6
"""Ticks before the 8 new ones that the first layer looks at again: they come along with each step."""
CELL_PX = 32
"""Side of the square that a cell stands for in the picture that the network sees; it looks at far more than that."""
STEP_TICKS = SEEN_TICKS + POSITION_TICKS
"""Ticks in the input of a step's graph."""
SETTLED_AFTER_STEPS = 8
"""The k-th step of 8 ticks makes position k - 8 final: a position sees that far ahead."""


@dataclass(frozen=True, eq=False)
class Positions:
    """What consecutive temporal positions of each stream of a batch show."""

    logits: NDArray[np.float32]
    """float32 (B, positions, classes): the engine's head, applied to the mean of the cells."""
    cells: NDArray[np.float32]
    """float32 (B, positions, 7, 7, 1024): the features of each cell of `CELL_PX` x `CELL_PX` pixels, from the top
    left. See `engines.head.cell_scores`."""
    first: NDArray[np.int64]
    """int64 (B,): number of the position at logits[b, 0], counted from the start of the stream (of the chunk in
    `window` mode). Positions below zero do not exist: the stream is still too short."""
    settled: int
    """How many leading positions are final; those after them are provisional and will be replaced."""


class Engine(Protocol):
    """One network for one stream kind, ready to run."""

    @property
    def spec(self) -> StreamSpec: ...

    @property
    def weights(self) -> Weights: ...

    @property
    def head(self) -> Head:
        """From the features of a cell to logits."""

    @property
    def mode(self) -> Mode: ...

    @property
    def backend(self) -> str:
        """ "torch", "openvino", "tensorrt", ..."""

    @property
    def precision(self) -> str:
        """ "float32", "bfloat16", "float16" or "int8"."""

    @property
    def device(self) -> str:
        """Processor or GPU that it runs on, as its maker names it."""

    @property
    def chunk_ticks(self) -> int:
        """Ticks in one step: those of a window in `window` mode, else the new ones, a multiple of 8."""

    @property
    def engines_at_a_time(self) -> int:
        """How many engines, this one included, run concurrently; each gets an equal share of the CPU."""

    def start(self, batch: int = 1, lead_ticks: int = 0) -> Any:
        """Fresh state of `batch` streams. `lead_ticks`: for a clip of known length, see
        `engines.runtime.whole_clip.lead_ticks`."""

    def step(self, chunk: NDArray[Any], state: Any, *, preview: bool = True) -> tuple[Positions, Any]:
        """uint8 (B, chunk_ticks, 224, 224, 3) or float16 (B, chunk_ticks, 224, 224, 2) -> positions, next state.

        The state that was passed in must not be used again. `preview`: if False, an engine in `preview` mode gives only
        settled positions, for less than half of the work; its memories are the same.
        """

    def flush(self, tail: NDArray[Any], state: Any) -> Positions:
        """The last 0 to chunk_ticks - 1 ticks (B, ticks, 224, 224, C) -> the remaining positions."""
