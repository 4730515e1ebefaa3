"""The flow stream: from ticks to flow fields, and from those to the flow network's input.

The field of tick t is the motion from its frame to the one that follows, so it is known one distinct frame later.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial

import numpy as np
from numpy.typing import NDArray

from engines.spec import StreamSpec
from realtime.flow.methods import Field, Flow, Grey, flow_method
from realtime.flow.residuals import residuals
from realtime.pictures import centre_crop
from realtime.types import FlowRegion, Image, ResizedTick, Submit
from realtime.worker_threads import immediately

CUT_BEFORE, CUT_AFTER = 35.0, 8.0
"""Mean difference of two frames, in grey levels, before and after the flow is taken out: a cut exceeds both. Between
frames half a second apart in five real clips the figures are at most 28 and 10, across cuts between the clips at least
56 and 11."""
BLANK_PX = 0.01
"""A field whose longest vector is shorter than this is blank."""
LEVELS = (np.arange(256, dtype=np.float32) / np.float32(127.5) - 1).astype(np.float16)
"""The network's input value for each of the 256 levels of the paper's release."""
BEHIND = 1
"""Pairs of frames still being computed when the next one arrives, if flow is computed on worker threads."""


@dataclass(frozen=True)
class Pair:
    """Two distinct frames whose flow is being computed."""

    shape: tuple[int, ...]
    ticks: list[int]
    """Ticks that show the first of the two."""
    ticks_between: float
    measured: Callable[[], tuple[Field, float, float, float]] | None
    """Waits for the field, in px, and `residuals`. None if the two differ in size."""


@dataclass
class FlowHealth:
    """Statistics of a stream's flow; a wrong range or sign shows here before it shows in the labels."""

    fields: int = 0
    blank: int = 0
    """Fields without any motion."""
    cuts: int = 0
    """Scene cuts: pairs of frames without flow between them."""
    clipped: float = 0.0
    """Sum over the fields of the share of values beyond the bound, which are clipped."""
    largest_px: float = 0.0
    residual_before: float = 0.0
    residual_after: float = 0.0
    """Sums over the fields of the mean grey difference of two frames, without and with the flow taken out."""
    backwards: int = 0
    """Fields that explain the frames worse than their opposites do."""

    def report(self) -> dict[str, float | int | str]:
        """Means and a verdict, for the log."""
        n = max(self.fields, 1)
        moving = max(self.fields - self.blank, 1)
        verdict = "good"
        if self.backwards > moving / 2:
            verdict = "the sign is wrong: fields explain the frames worse than their opposites"
        elif self.clipped / n > 0.2:
            verdict = "the range is wrong or motion is too fast: over a fifth of the values is clipped"
        return {
            "fields": self.fields,
            "blank_share": round(self.blank / n, 4),
            "clipped_share": round(self.clipped / n, 4),
            "largest_px": round(self.largest_px, 2),
            "residual_before": round(self.residual_before / n, 3),
            "residual_after": round(self.residual_after / n, 3),
            "cuts": self.cuts,
            "verdict": verdict,
        }


class FlowStage:
    """Stage: ticks in, (tick number, field) out; fields are float32 (2, H, W), u then v, in px per tick.

    Flow is computed between distinct frames and divided by the number of ticks between them, so that a tick that
    repeats a frame gets the same share of the motion as the tick before: a slower camera gives equal fields, not
    doubled and blank ones in turn. Across a scene cut there is no flow: the frame before the cut keeps the previous
    field.
    """

    def __init__(
        self,
        fps: Fraction,
        method: str | Callable[[], Flow] = "tvl1",
        *,
        side_px: int = 256,
        bound_px: float = 20.0,
        region: FlowRegion = "square",
        submit: Submit | None = None,
    ) -> None:
        """`method`: a name for `flow_method`, or a function that makes a method. `region`: "square" takes the central
        side_px x side_px, "frame" the whole resized frame, as in the paper's release.

        `submit`: computes two pairs in parallel; the fields are the same, each one distinct frame later.
        """
        self._fps, self._region, self._side_px, self._bound_px = fps, region, side_px, bound_px
        self._submit: Submit = submit or immediately
        self._behind = BEHIND if submit else 0
        # Each has its scratch memory, and serves one pair at a time.
        new_flow = method if callable(method) else partial(flow_method, method)
        self._flows = deque(new_flow() for _ in range(self._behind + 1))
        self._pairs: deque[Pair] = deque()
        self.health = FlowHealth()
        self.reset()

    def reset(self) -> None:
        """Forget all frames; the health statistics continue."""
        for pair in self._pairs:
            if pair.measured is not None:
                pair.measured()  # it uses the scratch memory
        self._pairs.clear()
        self._grey: Grey | None = None
        self._pts = Fraction(0)
        self._owed: list[int] = []
        self._last: Field | None = None

    @property
    def field(self) -> Field | None:
        """The newest field; None before the first."""
        return self._last

    def push(self, resized: ResizedTick) -> list[tuple[int, Field]]:
        """The next tick, its picture's shorter side at `side_px` -> the fields known by then."""
        tick = resized.tick
        if tick.repeated and self._grey is not None:
            self._owed.append(tick.index)
            return []
        grey, before = self._to_grey(resized.image), self._grey
        if before is not None:
            self._begin(before, grey, float((tick.frame.pts - self._pts) * self._fps))
        self._grey, self._pts, self._owed = grey, tick.frame.pts, [tick.index]
        return self._finish(self._behind)

    def flush(self) -> list[tuple[int, Field]]:
        """The last frame has no successor: its ticks keep the previous motion, or none."""
        out = self._finish(0)
        if self._grey is not None and self._last is None:
            self._last = np.zeros((2, *self._grey.shape), np.float32)
        out += [(index, self._last) for index in self._owed if self._last is not None]
        self.reset()
        return out

    def _begin(self, before: Grey, after: Grey, ticks_between: float) -> None:
        measured = None
        if before.shape == after.shape:
            measured = self._submit(_measure, self._flows[0], before, after)
            self._flows.rotate()
        self._pairs.append(Pair(before.shape, self._owed, ticks_between, measured))

    def _finish(self, but: int) -> list[tuple[int, Field]]:
        """The fields of all pairs except the last `but`."""
        out: list[tuple[int, Field]] = []
        while len(self._pairs) > but:
            pair = self._pairs.popleft()
            field = self._last = self._field(pair)
            out += [(index, field) for index in pair.ticks]
        return out

    def _to_grey(self, image: Image) -> Grey:
        import cv2

        if self._region == "square":
            image = np.ascontiguousarray(centre_crop(image, self._side_px, self._side_px))
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)

    def _field(self, pair: Pair) -> Field:
        """The field between two distinct frames, in px per tick; the previous field across a cut."""
        if pair.measured is None:
            return self._cut(pair)
        raw, was, left, opposite = pair.measured()
        if was > CUT_BEFORE and CUT_AFTER < left < was:
            return self._cut(pair)
        health = self.health
        health.fields += 1
        health.residual_before += was
        health.residual_after += left
        health.backwards += opposite < left
        field = raw if pair.ticks_between == 1 else raw / np.float32(pair.ticks_between)
        largest = float(max(field.max(), -field.min()))
        if largest > self._bound_px:
            health.clipped += float((np.abs(field) > self._bound_px).mean())
        health.blank += largest < BLANK_PX
        health.largest_px = max(health.largest_px, largest)
        return field

    def _cut(self, pair: Pair) -> Field:
        self.health.cuts += 1
        if self._last is not None and self._last.shape[1:] == pair.shape:
            return self._last
        return np.zeros((2, *pair.shape), np.float32)


def _measure(flow: Flow, before: Grey, after: Grey) -> tuple[Field, float, float, float]:
    """The field and `residuals`."""
    raw = flow(before, after)
    return raw, *residuals(before, after, raw)


class FlowFeed:
    """Stage: input of the flow network, the centre of each field, clipped, quantised and in [-1, 1], as (224, 224,
    2)."""

    def __init__(
        self,
        spec: StreamSpec,
        method: str = "tvl1",
        *,
        region: FlowRegion = "square",
        quantise: bool = True,
        submit: Submit | None = None,
    ) -> None:
        self._spec, self._quantise = spec, quantise
        side_px, bound_px = spec.short_side_px, spec.flow_bound_px
        self.stage = FlowStage(
            spec.fps, method, side_px=side_px, bound_px=bound_px, region=region, submit=submit
        )

    def push(self, resized: ResizedTick) -> list[tuple[int, NDArray[np.float16]]]:
        return [(index, self._input(field)) for index, field in self.stage.push(resized)]

    def flush(self) -> list[tuple[int, NDArray[np.float16]]]:
        return [(index, self._input(field)) for index, field in self.stage.flush()]

    def reset(self) -> None:
        self.stage.reset()

    @property
    def health(self) -> FlowHealth:
        """Statistics of the flow so far."""
        return self.stage.health

    @property
    def field(self) -> Field | None:
        """The newest field; None before the first."""
        return self.stage.field

    def _input(self, field: Field) -> NDArray[np.float16]:
        side, bound = self._spec.crop_px, self._spec.flow_bound_px
        cropped = centre_crop(np.moveaxis(field, 0, 2), side, side)
        return network_input(cropped, bound, quantise=self._quantise)


def network_input(field: Field, bound_px: float, *, quantise: bool = True) -> NDArray[np.float16]:
    """Flow (..., 2) in px per tick -> float16 in [-1, 1].

    Clipped to [-bound, bound] and, as the paper's release did, truncated to 256 levels: a still background becomes
    -0.0039, not 0.
    """
    clipped = np.clip(field, -bound_px, bound_px)
    if not quantise:
        return (clipped / bound_px).astype(np.float16)
    levels = ((clipped + bound_px) * np.float32(255 / (2 * bound_px))).astype(np.uint8)
    return LEVELS[levels]
