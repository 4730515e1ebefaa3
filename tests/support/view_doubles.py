"""An engine that costs nothing and names the colour of what it sees, and hubs that use it."""

import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from queue import Queue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.engine import Positions
from engines.load import Engines
from engines.spec import FLOW, RGB, Mode, StreamSpec, Weights
from realtime.clock import Clock
from realtime.errors import EngineError
from realtime.outputs.video_file import VideoWriter
from realtime.sources.open import open_video
from realtime.types import Frame
from realtime.view.hub import Hub
from realtime.view.settings import Settings
from tests.support.doubles import everywhere, no_head

LABELS = ("painting red", "painting green", "painting blue", "resting", "waving", "walking", "tai chi")


class Colours:
    """Double of an engine: the mean colour of a position's ticks decides among the first three labels."""

    backend, precision, device = "double", "float32", "none"
    engines_at_a_time = 1

    def __init__(self, mode: Mode = "preview", spec: StreamSpec = RGB) -> None:
        self.mode, self.spec = mode, spec
        self.chunk_ticks = 64 if mode == "window" else 8
        self.weights = Weights("made", spec.modality, LABELS, "0" * 64, "made for a test", "none")
        self.head = no_head(len(LABELS))

    def start(self, batch: int = 1, lead_ticks: int = 0) -> tuple[NDArray[np.float32], ...]:
        return ()

    def step(
        self, chunk: NDArray[Any], state: tuple[Any, ...], *, preview: bool = True
    ) -> tuple[Positions, tuple[Any, ...]]:
        state = (*state, self._logits(chunk))
        if self.mode == "window":
            return everywhere(state[-1][None, None], np.zeros(1, np.int64), settled=1), ()
        count = 8 if self.mode == "preview" and preview else 1
        rows = np.stack(([np.zeros_like(state[0])] * 8 + list(state))[-8:][:count])
        return everywhere(rows[None], np.array([len(state) - 8], np.int64), settled=1), state

    def flush(self, tail: NDArray[Any], state: tuple[Any, ...]) -> Positions:
        rows = np.stack(state[-7:]) if state else np.zeros((0, len(LABELS)), np.float32)
        return everywhere(rows[None], np.array([len(state) - len(rows)], np.int64), settled=len(rows))

    def _logits(self, chunk: NDArray[Any]) -> NDArray[np.float32]:
        logits = np.linspace(1, 0, len(LABELS), dtype=np.float32)
        mean = chunk[0, -8:].astype(np.float32).mean(axis=(0, 1, 2))
        if self.spec is RGB:
            logits[:3] += 5 * (mean - mean.mean()) / 64
        return logits


def load(settings: Settings) -> Engines:
    """Like `Prepare.engines`; there is no flow unless it is asked for, and no precision int8."""
    if settings.precision == "int8":
        raise EngineError("double cannot be built in int8 here; choose float32")
    flow = Colours(settings.mode, FLOW) if settings.streams in ("flow", "both") else None
    rgb = None if settings.streams == "flow" else Colours(settings.mode)
    return Engines(rgb, flow, "double float32 (made for a test); weights made")


def no_demo() -> Path:
    raise EngineError("no demo clip in a test")


def hub(*sources: str | Path, record_to: Path | None = None, idle_s: float | None = None) -> Hub:
    names = [str(source) for source in sources]
    return Hub(names, load, open_video, no_demo, record_to=record_to, new_writer=VideoWriter, idle_s=idle_s)


class Pushed:
    """Source: frames that a test puts in, of one colour each; ends when it is closed or told to."""

    name, corrupt_packets = "pushed", 0

    def __init__(self, *, live: bool = True, clock: Clock | None = None) -> None:
        self.live, self._clock = live, clock or Clock()
        self._frames: Queue[Frame | BaseException | None] = Queue()
        self._count = 0
        self.closed = False

    def put(self, colour: tuple[int, int, int], count: int, waited_s: float = 0.0) -> None:
        """`waited_s`: how long ago they were taken."""
        taken_s = self._clock.now_s() - waited_s
        rgb = np.full((64, 80, 3), colour, np.uint8)
        for _ in range(count):
            self._frames.put(Frame(rgb, Fraction(self._count, 25), Fraction(1, 25), taken_s=taken_s))
            self._count += 1

    def end(self, error: BaseException | None = None) -> None:
        self._frames.put(error)

    def __iter__(self) -> Iterator[Frame]:
        while (item := self._frames.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item

    def close(self) -> None:
        self.closed = True
        self._frames.put(None)


RED, GREEN, BLUE = (200, 0, 0), (0, 200, 0), (0, 0, 200)


def until(holds: Callable[[], object], within_s: float = 60.0) -> None:
    """Wait for something that another thread does."""
    stop_s = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < stop_s, "did not happen in time"
        time.sleep(0.005)
