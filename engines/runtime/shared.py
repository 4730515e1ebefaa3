"""An engine that several threads use."""

from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from numpy.typing import NDArray

from engines.engine import Engine, Positions
from engines.head import Head
from engines.spec import Mode, StreamSpec, Weights


@dataclass(frozen=True, eq=False)
class SharedEngine:
    """Runs one step at a time, whatever the thread: others wait for their turn. See `engines.engine.Engine`."""

    engine: Engine
    _lock: Lock = field(default_factory=Lock, init=False, repr=False)

    @property
    def spec(self) -> StreamSpec:
        return self.engine.spec

    @property
    def weights(self) -> Weights:
        return self.engine.weights

    @property
    def head(self) -> Head:
        return self.engine.head

    @property
    def mode(self) -> Mode:
        return self.engine.mode

    @property
    def backend(self) -> str:
        return self.engine.backend

    @property
    def precision(self) -> str:
        return self.engine.precision

    @property
    def device(self) -> str:
        return self.engine.device

    @property
    def chunk_ticks(self) -> int:
        return self.engine.chunk_ticks

    @property
    def engines_at_a_time(self) -> int:
        return self.engine.engines_at_a_time

    def start(self, batch: int = 1, lead_ticks: int = 0) -> Any:
        return self.engine.start(batch, lead_ticks)

    def step(self, chunk: NDArray[Any], state: Any, *, preview: bool = True) -> tuple[Positions, Any]:
        with self._lock:
            return self.engine.step(chunk, state, preview=preview)

    def flush(self, tail: NDArray[Any], state: Any) -> Positions:
        with self._lock:
            return self.engine.flush(tail, state)
