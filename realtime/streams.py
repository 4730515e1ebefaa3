"""What each stream's network is fed, tick by tick."""

from typing import Any, Literal, Protocol

from numpy.typing import NDArray

from engines.spec import StreamSpec
from realtime.preprocess import rgb_input
from realtime.types import Image, Tick

FlowRegion = Literal["square", "frame"]
"""Flow of the central square of a resized frame, or of all of it, as in the paper's release; the network sees its centre."""
Input = tuple[int, NDArray[Any]]
"""Number of a tick and what the network takes for it."""


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


def feed_for(spec: StreamSpec, flow: str, flow_region: FlowRegion = "square") -> Feed:
    """The feed of a stream; `flow` and `flow_region` are how the flow stream takes its flow, see `realtime.flow.stage`."""
    if spec.modality == "rgb":
        return RgbFeed(spec)
    from realtime.flow.stage import FlowFeed

    return FlowFeed(spec, flow, region=flow_region)
