"""Which ticks the engines run over, and when. A section ends at a gap, or when chunks change to pieces or back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import NDArray

from engines.engine import POSITION_BEHIND_TICKS, Engine
from realtime.overload import Level
from realtime.stages.inputs import TickInputs
from realtime.stages.ring import Ring
from realtime.stages.schedule import Schedule
from realtime.types import Picture


@dataclass(frozen=True, eq=False)
class Span:
    """Ticks [start, stop) for the engines to run over; no tick from `stop` on has been seen."""

    start: int
    stop: int
    inputs: Mapping[str, list[NDArray[Any]]]
    """By stream, ticks (stop - start, crop_px, crop_px, C) of each view of the frame, valid until the next tick. Only
    streams that have all of these ticks."""
    kind: Literal["step", "alone", "rest"]
    """"step": the next chunk. "alone": a separate clip, repeated if it is shorter than a window. "rest": the last
    ticks of the section, fewer than a chunk."""
    section_start: int
    """First tick of its section: positions are counted from there."""
    behind_ticks: int
    """How many ticks the engines see before those that a prediction covers."""
    preview_every: int
    """As `Level.preview_every`."""
    picture: Picture | None = None
    """Of its last tick."""


class EndOfClip:
    """The current section is a whole clip: if it is shorter than a window, it is repeated."""


class Spans:
    """Stage: `TickInputs` in, `Span`s out: chunks every stride, or pieces of a window's length, depending on the
    level."""

    def __init__(self, engines: Mapping[str, Engine], stride_ticks: int, view_count: int) -> None:
        """`engines`: by stream. `stride_ticks`: at the top level. `view_count`: views of each frame."""
        first = next(iter(engines.values()))
        self._window_mode, self._window_ticks = first.mode == "window", first.spec.window_ticks
        self._rings = {
            stream: [
                Ring(self._window_ticks, engine.spec.tick_shape, engine.spec.dtype) for _ in range(view_count)
            ]
            for stream, engine in engines.items()
        }
        self._stride_ticks = stride_ticks
        self._steps = Schedule(first.chunk_ticks, stride_ticks)
        self._pieces = Schedule(self._window_ticks, self._window_ticks)
        self._level = Level("all")
        self.reset()

    def reset(self) -> None:
        """Forget all ticks; the level stays."""
        for ring in self._all_rings():
            ring.clear()
        self._steps.reset()
        self._pieces.reset()
        self._start: int | None = None
        self._stop = 0
        self._whole = False
        self._picture: Picture | None = None

    def push(self, item: Any) -> list[Any]:
        if isinstance(item, TickInputs):
            return self._push_tick(item)
        if isinstance(item, Level):
            self._level = item
            self._steps.stride_ticks = self._stride_ticks * item.stride_factor
        elif isinstance(item, EndOfClip):
            self._whole = True
        else:
            return [item]
        return []

    def flush(self) -> list[Span]:
        """The section's last span: a whole clip shorter than a window, or the ticks that do not fill a chunk."""
        out = self._last_span()
        self.reset()
        return out

    def _push_tick(self, tick: TickInputs) -> list[Span]:
        if self._start is None:
            self._start = tick.index
        self._stop, self._picture = tick.index + 1, tick.picture
        for stream, rings in self._rings.items():
            for view, ring in enumerate(rings):
                if stream in tick.by_stream:
                    ring.append(tick.index, tick.by_stream[stream][view])
                else:  # ticks after a pause do not continue those before it
                    ring.clear()
        if self._level.pieces:
            return [self._span("alone", *span) for span in self._pieces.push(tick.index)]
        return [self._span("step", *span) for span in self._steps.push(tick.index)]

    def _last_span(self) -> list[Span]:
        if self._start is None:
            return []
        if self._stop - self._start < self._window_ticks:
            return [self._span("alone", self._start, self._stop)] if self._whole else []
        rest_start = self._steps.next_start
        if self._window_mode or rest_start is None:  # in pieces
            return []
        return [self._span("rest", rest_start, self._stop)]

    def _span(self, kind: Literal["step", "alone", "rest"], start: int, stop: int) -> Span:
        assert self._start is not None
        inputs = {
            stream: [ring.read(start, stop) for ring in rings]
            for stream, rings in self._rings.items()
            if rings[0].holds(start, stop)
        }
        behind_ticks = 0 if self._window_mode or self._level.pieces else POSITION_BEHIND_TICKS
        every = self._level.preview_every
        return Span(start, stop, inputs, kind, self._start, behind_ticks, every, self._picture)

    def _all_rings(self) -> list[Ring]:
        return [ring for rings in self._rings.values() for ring in rings]
