"""From frames to rows of features, each with its time in the source."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from engines.engine import Engine
from engines.spec import StreamSpec
from realtime.features.conventions import MODEL_FPS, Convention
from realtime.features.crops import FlowCrops, RgbCrops
from realtime.features.rows import Row, Rows, rows_for
from realtime.pictures import resize_short_side
from realtime.stages.resample import MAX_GAP, Resample, Resampled
from realtime.types import Frame, Gap, Image, ResizedTick, Submit, Tick
from realtime.worker_threads import immediately

Floats = NDArray[np.float32]
Span = tuple[Fraction, Fraction]
"""Start and end, in seconds."""


@dataclass(frozen=True, eq=False)
class TimedRow:
    """Features of the time from `start_s` to `end_s`."""

    start_s: Fraction
    end_s: Fraction
    by_stream: Mapping[str, Floats]
    """By stream, float32 (crops, features)."""


@dataclass
class Counts:
    """What has gone through so far."""

    frames: int = 0
    ticks: int = 0
    left_over: int = 0
    """Ticks that no row stands for: the end of a section that fills no clip, or between clips."""
    unseen: int = 0
    """Frames that no tick shows, because there are more of them than ticks."""
    gaps: list[Gap] = field(default_factory=list)


class EveryFrame:
    """Stage: a tick for each frame, whatever the video's rate; for the flow, all are equally far apart."""

    def __init__(self) -> None:
        self._last: Frame | None = None
        self._count = 0
        self.unseen_frames = 0
        """None, as of `Resample`."""

    def push(self, frame: Frame) -> list[Resampled]:
        last, self._last = self._last, frame
        out: list[Resampled] = []
        if last is not None and (frame.after_gap or frame.pts - last.pts > MAX_GAP):
            out.append(Gap(min(last.pts + last.duration, frame.pts), frame.pts, "frames lost or missing"))
        out.append(Tick(self._count, replace(frame, pts=self._count / MODEL_FPS), repeated=False))
        self._count += 1
        return out

    def flush(self) -> list[Resampled]:
        return []


@dataclass(eq=False)
class Stream:
    """One stream: what its network is given, and the rows that come of it."""

    crops: RgbCrops | FlowCrops
    rows: Rows
    waiting: deque[Row] = field(default_factory=deque)
    """Those that another stream does not have yet."""

    def push(self, resized: ResizedTick) -> None:
        for index, inputs in self.crops.push(resized):
            self.waiting += self.rows.push(index, inputs)

    def flush(self, *, alone: bool) -> None:
        for index, inputs in self.crops.flush():
            self.waiting += self.rows.push(index, inputs)
        self.waiting += self.rows.flush(alone=alone)


class FeatureRows:
    """Stage: frames in, `TimedRow`s out. No row spans a gap."""

    def __init__(
        self,
        engines: Mapping[str, Engine],
        convention: Convention,
        *,
        flow: str = "tvl1",
        submit: Submit = immediately,
        clip_ticks: int | None = None,
    ) -> None:
        """`engines`: by stream; in `continual` mode, or in `window` mode with windows of `convention.clip` ticks.
        `flow`: a method of `realtime.flow.methods`. `submit`: where engines and flow run, by default in the caller's
        thread; the rows are the same. `clip_ticks`: the length of a video that is tested as one clip, in spite of gaps;
        see `realtime.features.rows.ContinualRows`."""
        self._fps, self._in_parts = convention.fps, clip_ticks is None
        rate = convention.fps or MODEL_FPS
        self._ticks = Resample(rate) if convention.fps else EveryFrame()
        self._short_side_px = next(iter(engines.values())).spec.short_side_px

        def crops(spec: StreamSpec) -> RgbCrops | FlowCrops:
            if spec.modality == "rgb":
                return RgbCrops(spec, convention.crops)
            threads = None if submit is immediately else submit
            return FlowCrops(replace(spec, fps=rate), flow, convention.crops, threads)

        self._streams = {
            name: Stream(crops(engine.spec), rows_for(engine, convention, submit, clip_ticks))
            for name, engine in engines.items()
        }
        self._times: deque[tuple[int, Span]] = deque()
        self._covered = 0
        self._section_ticks = 0
        self._resized: tuple[Frame, Image] | None = None
        """The newest frame, and what the networks' crops are cut from."""
        self.counts = Counts()

    def push(self, frame: Frame) -> list[TimedRow]:
        """The next frame, in order of pts."""
        self.counts.frames += 1
        out: list[TimedRow] = []
        for item in self._ticks.push(frame):
            if isinstance(item, Gap):
                self.counts.gaps.append(item)
                out += self._end_section(alone=False) if self._in_parts else []
            elif isinstance(item, Tick):
                out += self._tick(item, frame)
        return out

    def flush(self) -> list[TimedRow]:
        """End of the video. A video without gaps that is too short for a row is repeated until it fills one."""
        out: list[TimedRow] = []
        for item in self._ticks.flush():
            if isinstance(item, Tick):
                out += self._tick(item, item.frame)
        out += self._end_section(alone=not (self.counts.gaps and self._in_parts))
        self.counts.unseen = self._ticks.unseen_frames
        return out

    def _tick(self, tick: Tick, frame: Frame) -> list[TimedRow]:
        self.counts.ticks += 1
        self._section_ticks += 1
        if self._fps:
            span = tick.index / self._fps, (tick.index + 1) / self._fps
        else:
            span = frame.pts, frame.pts + frame.duration
        self._times.append((tick.index, span))
        if self._resized is None or self._resized[0] is not tick.frame:
            self._resized = tick.frame, resize_short_side(tick.frame.rgb, self._short_side_px)
        for stream in self._streams.values():
            stream.push(ResizedTick(tick, self._resized[1]))
        return self._complete()

    def _end_section(self, *, alone: bool) -> list[TimedRow]:
        for stream in self._streams.values():
            stream.flush(alone=alone)
        out = self._complete()
        self.counts.left_over += self._section_ticks
        self._section_ticks = 0
        self._times.clear()
        self._resized = None
        return out

    def _complete(self) -> list[TimedRow]:
        """The rows that all streams have."""
        out = []
        while all(stream.waiting for stream in self._streams.values()):
            rows = {name: stream.waiting.popleft() for name, stream in self._streams.items()}
            row = next(iter(rows.values()))
            out.append(self._timed(row, {name: each.features for name, each in rows.items()}))
        return out

    def _timed(self, row: Row, by_stream: Mapping[str, Floats]) -> TimedRow:
        while len(self._times) > 1 and self._times[0][0] < row.start:  # one stays for rows of a repeated clip
            self._times.popleft()
        spans = [span for index, span in self._times if index < row.stop]
        begun = max(row.start, self._covered)
        self._covered = row.start + len(spans)
        self._section_ticks -= max(0, self._covered - begun)
        return TimedRow(spans[0][0], spans[-1][1], by_stream)


@dataclass(frozen=True, eq=False)
class Features:
    """The rows of a whole video."""

    by_stream: Mapping[str, Floats]
    """By stream, float32 (rows, crops, features)."""
    spans: list[Span]
    """The time of each row."""
    counts: Counts


def extract(frames: Iterable[Frame], stage: FeatureRows) -> Features:
    """All rows of a video. `stage`: new."""
    rows: list[TimedRow] = []
    for frame in frames:
        rows += stage.push(frame)
    rows += stage.flush()
    names = rows[0].by_stream if rows else ()
    by_stream = {name: np.stack([row.by_stream[name] for row in rows]) for name in names}
    return Features(by_stream, [(row.start_s, row.end_s) for row in rows], stage.counts)
