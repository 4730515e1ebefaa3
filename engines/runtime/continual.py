"""The engine of the `continual` and `preview` modes: 8 new ticks per step, or a multiple of 8 for files, and the rest
remembered in a state. Imports no torch.

Here is what all backends have in common: which tick a stream is at, where its video begins and ends, and which
positions remain when it ends. A backend provides `Graphs`.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from engines.engine import POSITION_TICKS, SEEN_TICKS, SETTLED_AFTER_STEPS, Positions
from engines.head import Floats, Head, mean_of_cells
from engines.runtime.window import check_chunk
from engines.spec import Mode, StreamSpec, Weights

Bounds = NDArray[np.int32]
"""(B, 2): the first tick of each video and the tick after its last, counted from the first new one."""


class Graphs(Protocol):
    """The compiled network in two forms: for steps in the interior of a video, and for those at its boundaries."""

    def fresh(self, batch: int) -> Any:
        """The memory of `batch` streams before their first tick."""

    def run(self, chunk: NDArray[Any], bounds: Bounds, memory: Any, preview: bool) -> tuple[Floats, Any]:
        """Chunk (B, 6 + ticks, 224, 224, C), the last ticks of the step before and the new ones -> cells (B,
        positions, 7, 7, features) and the next memory.

        In the interior of a video (see `interior`) there is one position for every 8 new ticks, or 7 with a `preview`,
        which only an engine of that mode requests; at its boundaries as many or 7, the settled ones first. At its end
        a preview may be requested of any engine: it is what is left, where there is a graph for it.
        """


def interior(bounds: Bounds, step_ticks: int = POSITION_TICKS) -> NDArray[np.bool_]:
    """(B,): whether everything that the network remembers, at most 64 ticks, and all new ticks are inside the video."""
    return (bounds[:, 0] <= -POSITION_TICKS * SETTLED_AFTER_STEPS) & (bounds[:, 1] >= step_ticks)


@dataclass(frozen=True, eq=False)
class StreamState:
    """An engine's state for the streams of a batch."""

    steps: NDArray[np.int64]
    """(B,): steps so far."""
    lead_ticks: int
    waiting: NDArray[Any]
    """(B, lead_ticks, 224, 224, C): the last ticks, which the blank ones in front have pushed into the next step."""
    seen: NDArray[Any]
    """(B, 6, 224, 224, C): the last ticks of the step before, which the first layer looks at again."""
    memory: Any
    """The backend's memory."""


@dataclass(frozen=True, eq=False)
class StreamingEngine:
    """See `engines.engine.Engine`."""

    spec: StreamSpec
    weights: Weights
    mode: Mode
    backend: str
    precision: str
    device: str
    graphs: Graphs
    head: Head
    chunk_ticks: int = POSITION_TICKS
    engines_at_a_time: int = 1

    def start(self, batch: int = 1, lead_ticks: int = 0) -> StreamState:
        waiting, seen = (
            np.zeros((batch, ticks, *self.spec.tick_shape), self.spec.dtype)
            for ticks in (lead_ticks, SEEN_TICKS)
        )
        return StreamState(np.zeros(batch, np.int64), lead_ticks, waiting, seen, self.graphs.fresh(batch))

    def step(
        self, chunk: NDArray[Any], state: StreamState, *, preview: bool = True
    ) -> tuple[Positions, StreamState]:
        check_chunk(chunk, self.spec, self.chunk_ticks)
        ticks = np.concatenate((state.waiting, chunk), axis=1) if state.lead_ticks else chunk
        preview = preview and self.mode == "preview"
        cells, after = self._run(ticks, state, preview)
        settled = self._positions_a_step
        return self._positions(cells if preview else cells[:, :settled], state, settled), after

    def flush(self, tail: NDArray[Any], state: StreamState) -> Positions:
        check_chunk(tail, self.spec, None)
        ticks = np.concatenate((state.waiting, tail), axis=1)
        before, parts = state, []
        if ticks.shape[1] >= self.chunk_ticks:  # because of the lead; the video does not end in this step
            cells, state = self._run(ticks, state, preview=False)
            parts.append(cells[:, : self._positions_a_step])
            ticks = state.waiting
        # The last position covers 16 ticks: it needs one among the second 8.
        open_positions = SETTLED_AFTER_STEPS - 2 + -(-ticks.shape[1] // POSITION_TICKS)
        parts.append(self._look_behind_the_end(ticks, state, open_positions))
        cells = np.concatenate(parts, axis=1)
        return self._positions(cells, before, settled=cells.shape[1])

    @property
    def _positions_a_step(self) -> int:
        """How many become final in each."""
        return self.chunk_ticks // POSITION_TICKS

    def _positions(self, cells: Floats, before: StreamState, settled: int) -> Positions:
        """`before`: the state that the first of them came out of."""
        first = self._positions_a_step * before.steps + 1 - SETTLED_AFTER_STEPS
        return Positions(self.head(mean_of_cells(cells)), cells, first, settled)

    def _look_behind_the_end(self, ticks: NDArray[Any], state: StreamState, count: int) -> Floats:
        """Cells of the last `count` positions: from one step if the graph looks ahead, else from as many as it takes,
        over blank ticks."""
        cells, state = self._run(ticks, state, preview=True)
        parts, end = [cells], ticks.shape[1]
        while sum(part.shape[1] for part in parts) < count:
            end -= self.chunk_ticks
            cells, state = self._run(state.waiting[:, :0], state, preview=False, end=end)
            parts.append(cells)
        return np.concatenate(parts, axis=1)[:, :count]

    def _run(
        self, ticks: NDArray[Any], state: StreamState, preview: bool, end: int | None = None
    ) -> tuple[Floats, StreamState]:
        """A step over the first of `ticks`, padded with blank ones if there are too few. `end`: of the video, if
        before that."""
        batch, size = len(state.steps), self.chunk_ticks
        new = ticks[:, :size]
        blank = np.zeros((batch, size - new.shape[1], *self.spec.tick_shape), self.spec.dtype)
        chunk = np.concatenate((state.seen, new, blank), axis=1)
        # After a while it does not matter how long ago a video began; the number must stay small.
        begin = np.maximum(state.lead_ticks - size * state.steps, -1024)
        ends = np.full(batch, ticks.shape[1] if end is None else end)
        bounds = np.stack((begin, ends), axis=1).astype(np.int32)
        cells, memory = self.graphs.run(chunk, bounds, state.memory, preview)
        return cells, StreamState(state.steps + 1, state.lead_ticks, ticks[:, size:], chunk[:, size:], memory)
