"""From the inputs of one stream's network to rows of features."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from engines.engine import POSITION_SPAN_TICKS, POSITION_TICKS, Engine, Positions
from engines.head import mean_of_cells
from engines.runtime.whole_clip import clip_positions, lead_ticks, repeat_to
from realtime.features.conventions import Convention
from realtime.types import Submit

Floats = NDArray[np.float32]
Inputs = Sequence[NDArray[Any]]
"""Of one tick: the network's input for each crop."""
Done = list["Row"]

ONE_BY_ONE = ("openvino",)
"""Backends that run the clips of a batch one after the other anyway."""
BATCH = 8
"""Clips in a step of the other backends."""


@dataclass(frozen=True, eq=False)
class Row:
    """Features of the ticks [start, stop)."""

    start: int
    stop: int
    features: Floats
    """float32 (crops, features)."""


class Rows(Protocol):
    """Stage: a stream's inputs in, `Row`s out, which may lag behind by a step of the engine that still runs."""

    def push(self, index: int, inputs: Inputs) -> list[Row]:
        """The next tick."""

    def flush(self, *, alone: bool) -> list[Row]:
        """End of the section: the remaining rows. `alone`: it is the whole video, and must not be without a row; one
        that is too short is repeated from its start."""


def rows_for(engine: Engine, convention: Convention, submit: Submit, clip_ticks: int | None = None) -> Rows:
    """The stage for a convention. `submit`: runs an engine's step while the next inputs are prepared. `clip_ticks`: as
    for `ContinualRows`."""
    if convention.clip is None:
        return ContinualRows(engine, convention.crops, submit, clip_ticks)
    return WindowRows(engine, convention, submit)


class _Pending:
    """At most one step that still runs."""

    def __init__(self, submit: Submit) -> None:
        self._submit = submit
        self._wait: Callable[[], Done] | None = None

    def next(self, step: Callable[[], Done]) -> Done:
        """Begin a step; the rows of the one before."""
        done = self.rest()
        self._wait = self._submit(step)
        return done

    def rest(self) -> Done:
        """The rows of the step that still runs."""
        wait, self._wait = self._wait, None
        return [] if wait is None else wait()


class WindowRows:
    """Rows that look at their own ticks and at no others."""

    def __init__(self, engine: Engine, convention: Convention, submit: Submit) -> None:
        """`engine`: in `window` mode, for windows of `convention.clip` ticks."""
        assert convention.clip == engine.chunk_ticks
        self._engine, self._clip, self._stride = engine, convention.clip, convention.stride
        self._centred = convention.centred
        self._batch = 1 if engine.backend in ONE_BY_ONE else BATCH
        self._pending = _Pending(submit)
        self._clear()

    def _clear(self) -> None:
        self._held: deque[Inputs] = deque()
        self._first: int | None = None
        self._start = 0
        self._skip = 0
        self._clips: list[tuple[int, list[Inputs]]] = []

    def push(self, index: int, inputs: Inputs) -> list[Row]:
        if self._first is None:
            self._first = self._start = index
            if self._centred:
                self._start -= self._clip // 2
                self._held.extend([inputs] * (self._clip // 2))
        return self._take(inputs)

    def _take(self, inputs: Inputs) -> list[Row]:
        if self._skip:
            self._skip -= 1
            return []
        self._held.append(inputs)
        if len(self._held) < self._clip:
            return []
        self._clips.append((self._start, list(self._held)))
        for _ in range(min(self._stride, self._clip)):
            self._held.popleft()
        self._skip = max(0, self._stride - self._clip)
        self._start += self._stride
        return self._run() if len(self._clips) == self._batch else []

    def _run(self) -> list[Row]:
        clips, self._clips = self._clips, []
        return self._pending.next(lambda: self._rows(clips)) if clips else self._pending.rest()

    def flush(self, *, alone: bool) -> list[Row]:
        done: list[Row] = []
        if self._first is not None:
            if self._centred:
                for _ in range(self._clip - 1 - self._clip // 2):
                    done += self._take(self._held[-1])
            elif alone and self._start == self._first:
                done += self._repeated()
        done += self._run() + self._pending.rest()
        self._clear()
        return done

    def _repeated(self) -> list[Row]:
        assert self._first is not None
        held = list(self._held)
        clip = [held[i % len(held)] for i in range(self._clip)]
        rows = self._rows([(self._first, clip)])
        return [Row(row.start, row.start + len(held), row.features) for row in rows]

    def _rows(self, clips: list[tuple[int, list[Inputs]]]) -> list[Row]:
        by_crop = [np.stack(ticks) for _, clip in clips for ticks in zip(*clip, strict=True)]
        features = np.concatenate(
            [self._features(by_crop[i : i + self._batch]) for i in range(0, len(by_crop), self._batch)]
        )
        per_clip = features.reshape(len(clips), -1, features.shape[1])
        starts = [start + self._clip // 2 if self._centred else start for start, _ in clips]
        ticks = 1 if self._centred else self._clip
        return [Row(start, start + ticks, row) for start, row in zip(starts, per_clip, strict=True)]

    def _features(self, clips: list[NDArray[Any]]) -> Floats:
        """(clips, features): the mean over the positions of each."""
        positions, _ = self._engine.step(np.stack(clips), self._engine.start(len(clips)))
        features: Floats = mean_of_cells(positions.cells).mean(axis=1)
        return features


class ContinualRows:
    """A row for each position of a network that sees the whole video: see `engines.nets.continual`."""

    def __init__(self, engine: Engine, crops: int, submit: Submit, clip_ticks: int | None = None) -> None:
        """`engine`: in `continual` mode. `clip_ticks`: the length of a video that is tested as a whole, see
        `engines.runtime.whole_clip`; one that is shorter than a window is repeated until it fills one."""
        self._engine, self._crops, self._pending = engine, crops, _Pending(submit)
        self._clip_ticks = clip_ticks
        self._filled_ticks = POSITION_SPAN_TICKS if clip_ticks is None else engine.spec.window_ticks
        self._least_ticks = POSITION_TICKS + 1 if clip_ticks is None else self._filled_ticks
        self._clear()

    def _clear(self) -> None:
        lead = 0 if self._clip_ticks is None else lead_ticks(self._clip_ticks)
        self._states = [self._engine.start(lead_ticks=lead) for _ in range(self._crops)]
        self._chunk: list[Inputs] = []
        self._begun: list[Inputs] = []
        self._first: int | None = None

    def push(self, index: int, inputs: Inputs) -> list[Row]:
        if self._first is None:
            self._first = index
        if len(self._begun) < self._least_ticks:
            self._begun.append(inputs)
        self._chunk.append(inputs)
        if len(self._chunk) < self._engine.chunk_ticks:
            return []
        chunk, self._chunk = self._chunk, []
        return self._pending.next(lambda: self._step(chunk))

    def flush(self, *, alone: bool) -> list[Row]:
        done = self._pending.rest()
        if self._first is not None:
            if len(self._begun) == self._least_ticks:
                done += self._rest()
            elif alone:
                done = self._repeated()
        self._clear()
        return done

    def _step(self, chunk: list[Inputs]) -> list[Row]:
        found = []
        for crop, ticks in enumerate(zip(*chunk, strict=True)):
            positions, self._states[crop] = self._engine.step(np.stack(ticks)[None], self._states[crop])
            found.append(positions)
        return self._rows(found)

    def _rest(self) -> list[Row]:
        """The ticks that fill no step, and the positions that waited for them."""
        spec = self._engine.spec
        tails = [np.stack(ticks) for ticks in zip(*self._chunk, strict=True)] or [
            np.empty((0, *spec.tick_shape), spec.dtype) for _ in self._states
        ]
        found = [
            self._engine.flush(tail[None], state) for tail, state in zip(tails, self._states, strict=True)
        ]
        return self._rows(found)

    def _repeated(self) -> list[Row]:
        """Of a video that is too short."""
        clips = [repeat_to(np.stack(ticks), self._filled_ticks) for ticks in zip(*self._begun, strict=True)]
        by_crop = [clip_positions(self._engine, clip, len(clip)) for clip in clips]
        return [row for found in zip(*by_crop, strict=True) for row in self._rows(found)]

    def _rows(self, found: Sequence[Positions]) -> list[Row]:
        """`found`: by crop."""
        assert self._first is not None
        features = np.stack([mean_of_cells(positions.cells[0]) for positions in found], axis=1)
        rows = []
        for i, row in enumerate(features[: found[0].settled]):
            position = int(found[0].first[0]) + i
            if position >= 0:
                start = self._first + POSITION_TICKS * position
                rows.append(Row(start, start + POSITION_SPAN_TICKS, row))
        return rows
