"""The engine of the `continual` and `preview` modes: 8 ticks per step, the rest remembered in a state. Imports no
torch.

Here is what all backends have in common: which tick a stream is at, where its video begins and ends, and which
positions remain when it ends. A backend provides `Graphs`.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from engines.engine import POSITION_TICKS, SEEN_TICKS, SETTLED_AFTER_STEPS, Positions
from engines.runtime.window import check_chunk
from engines.spec import Mode, StreamSpec, Weights

Bounds = NDArray[np.int32]
"""(B, 2): the first tick of each video and the tick after its last, counted from the first new one."""


class Graphs(Protocol):
    """The compiled network in two forms: for steps in the interior of a video, and for those at its boundaries."""

    def fresh(self, batch: int) -> Any:
        """The memory of `batch` streams before their first tick."""

    def run(
        self, chunk: NDArray[Any], bounds: Bounds, memory: Any, preview: bool
    ) -> tuple[NDArray[np.float32], Any]:
        """Chunk (B, 14, 224, 224, C), 6 ticks of the step before and 8 new ones -> logits (B, positions, classes) and
        the next memory.

        In the interior of a video (see `midst`) there is one position, or 7 with a `preview`, which only an engine of
        that mode requests; at its boundaries one or 7, the settled one first.
        """


def midst(bounds: Bounds) -> NDArray[np.bool_]:
    """(B,): whether everything that the network remembers, at most 64 ticks, and the whole chunk are inside the
    video."""
    return (bounds[:, 0] <= -POSITION_TICKS * SETTLED_AFTER_STEPS) & (bounds[:, 1] >= POSITION_TICKS)


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
    chunk_ticks: int = POSITION_TICKS
    at_once: int = 1

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
        positions, state = self._run(ticks, state, preview)
        return (positions if preview else _settled(positions)), state

    def flush(self, tail: NDArray[Any], state: StreamState) -> Positions:
        check_chunk(tail, self.spec, None)
        ticks = np.concatenate((state.waiting, tail), axis=1)
        parts = []
        if ticks.shape[1] >= self.chunk_ticks:  # because of the lead; the video does not end in this step
            positions, state = self._run(ticks, state, preview=False)
            parts.append(_settled(positions))
            ticks = state.waiting
        # The last position covers two steps: it needs a tick in the second.
        open_positions = SETTLED_AFTER_STEPS - 1 if ticks.shape[1] else SETTLED_AFTER_STEPS - 2
        parts.append(self._look_behind_the_end(ticks, state, open_positions))
        logits = np.concatenate([part.logits for part in parts], axis=1)
        return Positions(logits, parts[0].first, settled=logits.shape[1])

    def _look_behind_the_end(self, ticks: NDArray[Any], state: StreamState, count: int) -> Positions:
        """The last `count` positions: from one step if the graph looks ahead, else from `count` steps over blank
        ticks."""
        positions, state = self._run(ticks, state, preview=False)
        logits, end = [positions.logits], ticks.shape[1]
        while sum(part.shape[1] for part in logits) < count:
            end -= self.chunk_ticks
            more, state = self._run(state.waiting[:, :0], state, preview=False, end=end)
            logits.append(more.logits)
        return Positions(np.concatenate(logits, axis=1)[:, :count], positions.first, settled=1)

    def _run(
        self, ticks: NDArray[Any], state: StreamState, preview: bool, end: int | None = None
    ) -> tuple[Positions, StreamState]:
        """A step over the first 8 of `ticks`, padded with blank ones if there are fewer. `end`: of the video, if
        before that."""
        batch, size = len(state.steps), self.chunk_ticks
        new = ticks[:, :size]
        blank = np.zeros((batch, size - new.shape[1], *self.spec.tick_shape), self.spec.dtype)
        chunk = np.concatenate((state.seen, new, blank), axis=1)
        # After a while it does not matter how long ago a video began; the number must stay small.
        begin = np.maximum(state.lead_ticks - size * state.steps, -1024)
        ends = np.full(batch, ticks.shape[1] if end is None else end)
        bounds = np.stack((begin, ends), axis=1).astype(np.int32)
        logits, memory = self.graphs.run(chunk, bounds, state.memory, preview)
        first = state.steps + 1 - SETTLED_AFTER_STEPS
        state = StreamState(state.steps + 1, state.lead_ticks, ticks[:, size:], chunk[:, size:], memory)
        return Positions(logits, first, settled=1), state


def _settled(positions: Positions) -> Positions:
    return Positions(positions.logits[:, : positions.settled], positions.first, positions.settled)
