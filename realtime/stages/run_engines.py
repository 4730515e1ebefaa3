"""Runs engines over spans of ticks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from engines.engine import POSITION_SPAN_TICKS, POSITION_TICKS, Engine, Positions
from engines.runtime.whole_clip import clip_positions, repeat_to
from realtime.clock import ENGINE_STAGES, StageName, Timer
from realtime.stages.smooth import Logits
from realtime.stages.spans import Span
from realtime.types import Picture, Submit

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Position:
    """What the engines say of one position, or of several as their mean."""

    start: int
    """Its first tick."""
    logits: Logits
    """By stream, of all classes."""
    cells: Logits
    """By stream, the features of each cell that they come from: float32 (7, 7, features), (7, 21, features) where
    there are three views."""


@dataclass(frozen=True, eq=False)
class Scores:
    """The engines' logits for ticks before `stop`."""

    positions: tuple[Position, ...]
    """One position if settled, else all provisional ones."""
    stop: int
    """They cover the ticks from that of the first position up to, but not including, this one."""
    settled: bool
    """False if later logits for these ticks will replace them."""
    seen_stop: int
    """The engines have seen all ticks before this one."""
    behind_ticks: int
    """As `Span.behind_ticks`."""
    picture: Picture | None = None
    """As `Span.picture`."""


class RunEngines:
    """Stage: `Span`s in, `Scores` out. Logits of several views of a stream are averaged."""

    def __init__(self, engines: Mapping[str, Engine], timer: Timer, submit: Submit | None) -> None:
        """`engines`: by stream. `submit`: runs engines that were loaded for it concurrently; others run in turn."""
        self._engines, self._timer = engines, timer
        shared = len(engines) > 1 and all(engine.engines_at_a_time > 1 for engine in engines.values())
        self._submit = submit if shared else None
        self._states: dict[str, list[Any]] = {}
        """By stream, of each view; a stream that is missing has none, and starts over."""
        self.steps = 0
        """Number of times that the engines have run."""

    def reset(self) -> None:
        """Forget what was seen; the count of steps continues."""
        self._states.clear()

    def push(self, item: Any) -> list[Any]:
        if not isinstance(item, Span):
            return [item]
        if item.kind == "alone":
            return [self._alone(item)]
        positions = self._step(item) if item.kind == "step" else self._rest(item)
        if self._engine.mode == "window":
            return [_settled(item, positions)]
        return _scores(item, positions)

    def flush(self) -> list[Scores]:
        """Nothing is pending: `Spans` gives the rest."""
        self.reset()
        return []

    @property
    def _engine(self) -> Engine:
        """Any of them: they differ only in their stream."""
        return next(iter(self._engines.values()))

    def _step(self, span: Span) -> dict[str, Positions]:
        """By stream, the positions that the engines give for the next chunk.

        Positions of a stream that was paused are counted from where it rejoined: those below zero do not exist.
        """
        preview = span.preview_every > 0 and self.steps % span.preview_every == 0
        self.steps += 1
        for stream in self._states.keys() - span.inputs.keys():
            del self._states[stream]

        def step(stream: str, view: int, ticks: NDArray[Any]) -> Positions:
            states = self._states_of(stream, span)
            positions, states[view] = self._engines[stream].step(ticks[None], states[view], preview=preview)
            return positions

        return {stream: _mean(of_views) for stream, of_views in self._of_each(span, step).items()}

    def _rest(self, span: Span) -> dict[str, Positions]:
        """By stream, the remaining positions, given the last ticks."""

        def flush(stream: str, view: int, ticks: NDArray[Any]) -> Positions:
            return self._engines[stream].flush(ticks[None], self._states_of(stream, span)[view])

        return {stream: _mean(of_views) for stream, of_views in self._of_each(span, flush).items()}

    def _alone(self, span: Span) -> Scores:
        """A separate clip; one that is shorter than a window is repeated from its start until it fills one."""
        window_ticks = self._engine.spec.window_ticks

        def run(stream: str, view: int, ticks: NDArray[Any]) -> Positions:
            repeated = repeat_to(ticks, window_ticks)
            return _joined(list(clip_positions(self._engines[stream], repeated, len(repeated))))

        positions = {stream: _mean(of_views) for stream, of_views in self._of_each(span, run).items()}
        self.steps += max(span.stop - span.start, window_ticks) // self._engine.chunk_ticks
        return _settled(span, positions)

    def _states_of(self, stream: str, span: Span) -> list[Any]:
        if stream not in self._states:
            self._states[stream] = [self._engines[stream].start() for _ in span.inputs[stream]]
        return self._states[stream]

    def _of_each(self, span: Span, work: Callable[[str, int, NDArray[Any]], T]) -> dict[str, list[T]]:
        """By stream, the results of `work` for each view; views of one stream share an engine and run in turn."""

        def of(stream: str) -> list[T]:
            return [work(stream, view, ticks) for view, ticks in enumerate(span.inputs[stream])]

        if self._submit is None or len(span.inputs) < 2:
            found = {}
            for stream in span.inputs:
                with self._timer(ENGINE_STAGES[self._engines[stream].spec.modality]):
                    found[stream] = of(stream)
            return found
        first, *others = span.inputs
        with self._timer(StageName.BOTH_ENGINES):
            begun = {stream: self._submit(of, stream) for stream in others}
            try:
                found = {first: of(first)}
            finally:  # no engine is left running
                rest = {stream: wait() for stream, wait in begun.items()}
            return found | rest


def _settled(span: Span, positions: Mapping[str, Positions]) -> Scores:
    """Settled scores of the whole span: the mean of its positions."""
    logits = {stream: p.logits[0].mean(axis=0) for stream, p in positions.items()}
    cells = {stream: p.cells[0].mean(axis=0) for stream, p in positions.items()}
    whole = Position(span.start, logits, cells)
    return Scores((whole,), span.stop, True, span.stop, span.behind_ticks, span.picture)


def _scores(span: Span, positions: Mapping[str, Positions]) -> list[Scores]:
    """Settled positions one by one, then all that are provisional."""
    oldest = max(positions.values(), key=lambda p: int(p.first[0]))
    out: list[Scores] = []
    provisional: list[Position] = []
    stop = 0
    for i in range(oldest.logits.shape[1]):
        position = int(oldest.first[0]) + i
        if position < 0:
            continue
        start = span.section_start + POSITION_TICKS * position
        stop = start + POSITION_SPAN_TICKS
        if span.kind == "rest":  # there are no ticks after it
            stop = min(stop, span.stop)
        known = {name: p for name, p in positions.items() if int(p.first[0]) + i >= 0}
        logits = {name: p.logits[0, i] for name, p in known.items()}
        cells = {name: p.cells[0, i] for name, p in known.items()}
        if i < oldest.settled:
            one = (Position(start, logits, cells),)
            out.append(Scores(one, stop, True, span.stop, span.behind_ticks, span.picture))
        else:
            provisional.append(Position(start, logits, cells))
    if provisional:
        out.append(Scores(tuple(provisional), stop, False, span.stop, span.behind_ticks, span.picture))
    return out


def _mean(group: list[Positions]) -> Positions:
    if len(group) == 1:
        return group[0]
    logits = np.mean([positions.logits for positions in group], axis=0)
    cells = np.concatenate([positions.cells for positions in group], axis=3)  # side by side, in order
    return Positions(logits, cells, group[0].first, group[0].settled)


def _joined(parts: list[Positions]) -> Positions:
    """One behind the other."""
    logits = np.concatenate([part.logits for part in parts], axis=1)
    cells = np.concatenate([part.cells for part in parts], axis=1)
    return Positions(logits, cells, parts[0].first, sum(part.settled for part in parts))
