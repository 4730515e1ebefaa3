"""What each stream's network is fed, tick by tick."""

from collections import deque
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from engines.spec import StreamSpec
from realtime.stages.region import rgb_input
from realtime.types import Beside, FlowRegion, Image, Tick

if TYPE_CHECKING:
    from realtime.flow.stage import FlowFeed, FlowHealth

Input = tuple[int, NDArray[Any]]
"""Number of a tick and what the network takes for it."""
T = TypeVar("T")


class Feed(Protocol):
    """Stage: ticks in, network inputs out, in order, one a tick; some streams know theirs only a few ticks later."""

    def push(self, tick: Tick, resized: Image) -> list[Input]:
        """`resized`: the tick's frame with its shorter side at 256."""

    def flush(self) -> list[Input]:
        """The inputs that are still owed; no tick follows."""

    def reset(self) -> None:
        """Forget all ticks."""


class RgbFeed:
    """The centre crop of every tick, at once: uint8 (224, 224, 3)."""

    def __init__(self, spec: StreamSpec) -> None:
        self._spec = spec

    def push(self, tick: Tick, resized: Image) -> list[Input]:
        return [(tick.index, rgb_input(resized, self._spec))]

    def flush(self) -> list[Input]:
        return []

    def reset(self) -> None:
        pass


class JointFeed:
    """RGB, scaled to [-1, 1], and flow of the same tick as one: float16 (224, 224, 5). RGB waits until its flow is known."""

    def __init__(self, spec: StreamSpec, flow: "FlowFeed") -> None:
        self._spec, self._flow = spec, flow
        self._waiting: deque[NDArray[Any]] = deque()

    def push(self, tick: Tick, resized: Image) -> list[Input]:
        self._waiting.append(rgb_input(resized, self._spec))
        return self._joined(self._flow.push(tick, resized))

    def flush(self) -> list[Input]:
        return self._joined(self._flow.flush())

    def reset(self) -> None:
        self._waiting.clear()
        self._flow.reset()

    @property
    def health(self) -> "FlowHealth":
        """What the flow looks like so far."""
        return self._flow.health

    @property
    def field(self) -> NDArray[np.float32] | None:
        """The newest field; None before the first."""
        return self._flow.field

    def _joined(self, fields: list[tuple[int, NDArray[np.float16]]]) -> list[Input]:
        return [(index, self._both(self._waiting.popleft(), field)) for index, field in fields]

    def _both(self, rgb: NDArray[np.uint8], field: NDArray[np.float16]) -> NDArray[np.float16]:
        scaled = (rgb / np.float32(127.5) - 1).astype(np.float16)
        return np.concatenate((scaled, field), axis=2)


def feed_for(
    spec: StreamSpec, flow: str, flow_region: FlowRegion = "square", beside: Beside | None = None
) -> Feed:
    """The feed of a stream; the others are how the flow stream takes its flow, see `realtime.flow.stage`."""
    if spec.modality == "rgb":
        return RgbFeed(spec)
    from realtime.flow.stage import FlowFeed

    feed = FlowFeed(spec, flow, region=flow_region, beside=beside)
    return JointFeed(spec, feed) if spec.with_rgb else feed
