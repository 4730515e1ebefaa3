"""The input of each stream's network, tick by tick."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from engines.engine import POSITION_TICKS
from engines.spec import StreamSpec
from realtime.clock import INPUT_STAGES, StageName, Timer
from realtime.overload import Level
from realtime.pictures import resize_short_side
from realtime.stages.region import rgb_input, view_count, views
from realtime.stages.where import Part, region_in_frame
from realtime.types import FlowRegion, Frame, Image, Picture, ResizedTick, Submit, Tick

if TYPE_CHECKING:
    from realtime.flow.stage import FlowFeed, FlowHealth

Input = tuple[int, NDArray[Any]]
"""Number of a tick and the network's input for it."""


class Feed(Protocol):
    """Stage: ticks in, network inputs out, in order, one for each tick; flow is known a few ticks later."""

    def push(self, resized: ResizedTick) -> list[Input]:
        """The next tick -> the inputs that are known with it."""

    def flush(self) -> list[Input]:
        """The remaining inputs; no tick follows."""

    def reset(self) -> None:
        """Forget all ticks."""


class RgbFeed:
    """The centre crop of every tick, without delay: uint8 (224, 224, 3)."""

    def __init__(self, spec: StreamSpec) -> None:
        self._spec = spec

    def push(self, resized: ResizedTick) -> list[Input]:
        return [(resized.tick.index, rgb_input(resized.image, self._spec))]

    def flush(self) -> list[Input]:
        return []

    def reset(self) -> None:
        pass


class JointFeed:
    """RGB, scaled to [-1, 1], and flow of the same tick as one: float16 (224, 224, 5). RGB waits for its flow."""

    def __init__(self, spec: StreamSpec, flow: "FlowFeed") -> None:
        self._spec, self._flow = spec, flow
        self._waiting: deque[NDArray[Any]] = deque()

    def push(self, resized: ResizedTick) -> list[Input]:
        self._waiting.append(rgb_input(resized.image, self._spec))
        return self._joined(self._flow.push(resized))

    def flush(self) -> list[Input]:
        return self._joined(self._flow.flush())

    def reset(self) -> None:
        self._waiting.clear()
        self._flow.reset()

    @property
    def health(self) -> "FlowHealth":
        """Statistics of the flow so far."""
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


NewFeed = Callable[[StreamSpec], Feed]


def feed_for(
    spec: StreamSpec, flow: str, flow_region: FlowRegion = "square", submit: Submit | None = None
) -> Feed:
    """The feed of a stream. The other arguments say how flow is computed, see `realtime.flow.stage`."""
    if spec.modality == "rgb":
        return RgbFeed(spec)
    from realtime.flow.stage import FlowFeed

    feed = FlowFeed(spec, flow, region=flow_region, submit=submit)
    return JointFeed(spec, feed) if spec.with_rgb else feed


@dataclass(frozen=True, eq=False)
class TickInputs:
    """The networks' inputs for one tick."""

    index: int
    """Number of the tick."""
    by_stream: Mapping[str, list[NDArray[Any]]]
    """(crop_px, crop_px, C) for each view of the frame; without streams that are paused."""
    picture: Picture | None = None
    """Of its frame."""


@dataclass(eq=False)
class StreamView:
    """One stream of one view of the frames."""

    stream: str
    view: int
    spec: StreamSpec
    feed: Feed
    waiting: deque[Input] = field(default_factory=deque)
    """Known inputs whose counterparts from another stream are not known yet."""

    def reset(self) -> None:
        self.feed.reset()
        self.waiting.clear()


class Inputs:
    """Stage: ticks in, `TickInputs` out once all streams have theirs: RGB waits for flow, which needs the next frame.

    At a level without flow that stream is paused. It rejoins with a fresh state when the next chunk begins, so that the
    positions of all engines are aligned. If flow is the only stream it is never paused.
    """

    def __init__(
        self, specs: Mapping[str, StreamSpec], region: Part, new_feed: NewFeed, timer: Timer
    ) -> None:
        """`specs`: by stream. `new_feed`: makes the feed of a stream, one for each view of the frames."""
        self._region, self._timer = region, timer
        self._short_side_px = next(iter(specs.values())).short_side_px
        self._streams = [
            StreamView(stream, view, spec, new_feed(spec))
            for stream, spec in specs.items()
            for view in range(view_count(region))
        ]
        self._pausable = [each for each in self._streams if each.stream == "flow"] if len(specs) > 1 else []
        self._flow_wanted = True
        self.reset()

    @property
    def flow_health(self) -> "FlowHealth | None":
        """Statistics of the flow so far; None without a flow stream."""
        return getattr(self._flow_feed, "health", None)

    @property
    def flow_field(self) -> NDArray[np.float32] | None:
        """The newest field (2, H, W), px a tick; None without a flow stream, or before its first field."""
        return getattr(self._flow_feed, "field", None)

    @property
    def _flow_feed(self) -> Feed | None:
        """Of the view in the middle."""
        feeds = [each.feed for each in self._streams if each.spec.modality == "flow"]
        return feeds[len(feeds) // 2] if feeds else None

    def reset(self) -> None:
        """Forget all ticks; the level stays."""
        for each in self._streams:
            each.reset()
        self._paused = False
        self._start: int | None = None
        self._pictures: deque[Picture] = deque()
        self._resized: tuple[Frame, list[Image]] | None = None

    def push(self, item: Any) -> list[Any]:
        if isinstance(item, Tick):
            return self._push_tick(item)
        if isinstance(item, Level):
            self._flow_wanted = item.flow
        return [item]

    def flush(self) -> list[TickInputs]:
        """The feeds' remaining inputs."""
        for each in self._running:
            each.waiting += each.feed.flush()
        out = self._complete()
        self.reset()
        return out

    @property
    def _running(self) -> list[StreamView]:
        return [each for each in self._streams if not (self._paused and each in self._pausable)]

    def _push_tick(self, tick: Tick) -> list[TickInputs]:
        if self._start is None:
            self._start = tick.index
        self._pause_or_resume(begins_chunk=(tick.index - self._start) % POSITION_TICKS == 0)
        images = self.views(tick)
        self._pictures.append(picture_of(tick.frame))
        for each in self._running:
            with self._timer(INPUT_STAGES[each.spec.modality]):
                each.waiting += each.feed.push(ResizedTick(tick, images[each.view]))
        return self._complete()

    def views(self, tick: Tick) -> Sequence[Image]:
        """Each view of the frame, its shorter side at the size that the networks' crops are cut from."""
        if self._region in tick.resized:
            return tick.resized[self._region]
        frame = tick.frame
        if self._resized is None or self._resized[0] is not frame:
            with self._timer(StageName.RESIZE):
                cut = views(frame.rgb, region_in_frame(self._region, picture_of(frame)))
                self._resized = frame, [resize_short_side(view, self._short_side_px) for view in cut]
        return self._resized[1]

    def _complete(self) -> list[TickInputs]:
        """The ticks for which all running streams have their inputs."""
        out, running = [], self._running
        while all(each.waiting for each in running):
            by_stream: dict[str, list[NDArray[Any]]] = {}
            for each in running:
                index, value = each.waiting.popleft()
                by_stream.setdefault(each.stream, []).append(value)
            out.append(TickInputs(index, by_stream, self._pictures.popleft()))
        return out

    def _pause_or_resume(self, *, begins_chunk: bool) -> None:
        if not self._flow_wanted and not self._paused:
            for each in self._pausable:
                each.reset()
            self._paused = True
        elif self._flow_wanted and begins_chunk:
            self._paused = False


def picture_of(frame: Frame) -> Picture:
    """What has to be known of a frame to place things in it."""
    return Picture(frame.size_px, frame.turn, frame.pixel_aspect)
