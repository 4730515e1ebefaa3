"""A file as a whole: the network inputs of all its ticks, through the same stages as a stream."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.spec import StreamSpec
from realtime.pictures import resize_short_side
from realtime.stages.inputs import feed_for
from realtime.stages.resample import Resample, Resampled
from realtime.types import Frame, ResizedTick, Tick
from realtime.worker_threads import submit


def ticks_of(frames: Iterable[Frame], fps: Fraction) -> Iterator[Tick]:
    """All ticks of a video. Gaps are ignored: a clip is treated as one section."""
    resample = Resample(fps)
    for frame in frames:
        yield from _ticks(resample.push(frame))
    yield from _ticks(resample.flush())


def _ticks(items: list[Resampled]) -> list[Tick]:
    return [item for item in items if isinstance(item, Tick)]


def clip_inputs(frames: Iterable[Frame], spec: StreamSpec, flow: str = "tvl1") -> Iterator[NDArray[Any]]:
    """The network input (224, 224, C) of a stream for each tick of a video."""
    feed = feed_for(spec, flow, submit=submit)
    last: Frame | None = None
    for tick in ticks_of(frames, spec.fps):
        if last is not tick.frame:
            last, resized = tick.frame, resize_short_side(tick.frame.rgb, spec.short_side_px)
        yield from (value for _, value in feed.push(ResizedTick(tick, resized)))
    yield from (value for _, value in feed.flush())


def count_ticks(times: Iterable[tuple[Fraction, Fraction]], fps: Fraction) -> int:
    """Ticks of a video whose frames have these (pts, duration), in seconds."""
    blank = np.zeros((1, 1, 3), np.uint8)
    return sum(1 for _ in ticks_of((Frame(blank, pts, duration) for pts, duration in times), fps))
