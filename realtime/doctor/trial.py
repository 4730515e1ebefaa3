"""Half a minute of a source through a recogniser: what each stage costs, as a share of real time, and what to change.

Decoding runs in its own thread, everything else in sequence in another: they share the cores, but not a thread.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import ceil

from engines.load import Engines
from realtime.clock import ENGINE_STAGES, Clock, StageName, Stopwatch
from realtime.errors import SourceError
from realtime.recognizer import Recognizer
from realtime.session import Session
from realtime.sources.video import Video
from realtime.turns import take_turns
from realtime.types import Figures, Frame

TICKS_PER_S = 25
DECODE_SHARE = 0.2
"""Share of the trial's time in which only decoding is measured."""
ENOUGH = 0.85
"""Share of real time up to which a machine keeps up, with a margin for other work."""
CONTINUAL_WORK, PREVIEW_WORK, WINDOW_WORK = 13.9 / 8, 32 / 8, 111.0
"""GMAC for a tick in the streaming modes, and for a window."""

Open = Callable[[], Video]
MakeRecognizer = Callable[[Stopwatch], Recognizer]


@dataclass
class Loads:
    """Shares of real time."""

    decode: float
    """Share of one core, including conversion to RGB."""
    stages: dict[str, float] = field(default_factory=dict)
    """Of the recogniser, by stage: resize, rgb input, flow input, rgb engine, flow engine, or both engines together."""
    media_s: float = 0.0
    dropped: int = 0
    """Frames of a live source that were dropped as late, with nothing else left out."""
    decoded: int = 0

    @property
    def recogniser(self) -> float:
        return sum(self.stages.values())

    @property
    def flow(self) -> float:
        """What would be saved without flow: half of the time, where two engines share the processor."""
        alone = (self.stages.get(stage, 0.0) for stage in (StageName.FLOW_INPUT, StageName.FLOW_ENGINE))
        return sum(alone) + self.stages.get(StageName.BOTH_ENGINES, 0.0) / 2

    @property
    def engine(self) -> float:
        return sum(share for stage, share in self.stages.items() if stage in ENGINE_STAGES.values())

    @property
    def keeps_up(self) -> bool:
        return max(self.decode, self.recogniser) <= ENOUGH

    @property
    def would_drop(self) -> float:
        """Share of the frames that would be dropped if nothing else is left out."""
        return max(0.0, 1 - 1 / max(self.decode, self.recogniser, 1.0))


def measure(
    open_source: Open, make_recognizer: MakeRecognizer, seconds: float, clock: Clock | None = None
) -> Loads:
    """Run for `seconds`; a shorter file is repeated. Raises what opening and reading raise."""
    clock = clock or Clock()
    video = open_source()
    live = video.live
    video.close()
    decode = _decode_share(open_source, live, seconds * DECODE_SHARE, clock)
    stopwatch = Stopwatch()
    recognizer = make_recognizer(stopwatch)
    end_s = clock.now_s() + seconds * (1 - DECODE_SHARE)
    source = open_source() if live else Repeated(video.name, open_source)
    session = Session(source, recognizer, now_s=clock.now_s)
    session.pace = None  # the question is whether everything can be done
    figures, stage_s = _run_until(end_s, session, stopwatch, clock)
    if not figures.steps:
        raise SourceError(
            "no prediction came in that time: the source is too short or too slow; give more --seconds"
        )
    # The first step comes only when a window is full, later ones at every stride.
    stride_s, media_s = recognizer.stride_ticks / TICKS_PER_S, figures.ticks / TICKS_PER_S
    stages = {
        stage: spent / (figures.steps * stride_s if stage in ENGINE_STAGES.values() else media_s)
        for stage, spent in stage_s.items()
    }
    return Loads(decode, stages, media_s, figures.dropped["late"], figures.frames)


def _run_until(
    end_s: float, session: Session, stopwatch: Stopwatch, clock: Clock
) -> tuple[Figures, dict[str, float]]:
    """Its figures and the seconds of each stage at that time, before the recogniser is flushed."""
    errors: list[Exception] = []
    with closing(take_turns([session], lambda _, error: errors.append(error))) as turns:
        for _ in turns:
            figures, stage_s = session.figures(), dict(stopwatch.seconds)
            if clock.now_s() >= end_s:
                break
    for error in errors:
        raise error
    return figures, stage_s


class Repeated:
    """Source: a file repeated endlessly, as one long video."""

    live, corrupt_packets = False, 0

    def __init__(self, name: str, open_source: Open) -> None:
        self.name, self._open = name, open_source
        self._video: Video | None = None
        self._closed = False

    def __iter__(self) -> Iterator[Frame]:
        shift, frame = Fraction(0), None
        while not self._closed:
            with self._open() as self._video:
                if self._closed:  # while it was being opened
                    return
                for frame in self._video:
                    yield replace(frame, pts=frame.pts + shift)
            if frame is None:
                return
            shift += frame.pts + frame.duration

    def close(self) -> None:
        self._closed = True
        video = self._video
        if video is not None:
            video.close()


def _decode_share(open_source: Open, live: bool, seconds: float, clock: Clock) -> float:
    """Seconds of processor time for a second of video."""
    end_s, cpu_s, media_s = clock.now_s() + seconds, 0.0, 0.0
    while clock.now_s() < end_s and not (live and media_s):
        with open_source() as video:
            before_s, first, last = _cpu_s(), None, None
            for frame in video:
                first = frame.pts if first is None else first
                last = frame.pts + frame.duration
                if clock.now_s() >= end_s:
                    break
            cpu_s += _cpu_s() - before_s
            media_s += float(last - first) if first is not None and last is not None else 0.0
    return cpu_s / media_s if media_s else 0.0


def _cpu_s() -> float:
    times = os.times()
    return times.user + times.system


def advice(
    loads: Loads, engines: Engines, recognizer: Recognizer, precisions: tuple[str, ...]
) -> Iterator[str]:
    """Settings to change, the one that harms predictions least first; nothing where the machine keeps up."""
    if loads.decode > ENOUGH:
        yield "take a smaller picture: most cameras have a second stream at another address"
    if loads.recogniser <= ENOUGH:
        return
    engine = next(iter(engines.by_stream.values()))
    others = loads.recogniser - loads.engine
    faster = [
        name for name in precisions if name != engine.precision and name in ("bfloat16", "float16", "int8")
    ]
    if engine.precision == "float32" and faster:
        yield f"--precision {faster[0]}: a processor that computes in it takes about half the time"
    if recognizer.mode == "window":
        continual = loads.engine * CONTINUAL_WORK * recognizer.stride_ticks / WINDOW_WORK
        yield f"--mode continual: the engine then takes about {percent(continual)}, all together {percent(others + continual)}"
        stride = recognizer.stride_ticks * loads.engine / max(ENOUGH - others, 0.05)
        yield f"--stride {8 * ceil(stride / 8 - 1e-6)}: fewer windows, each as it is"
    elif recognizer.mode == "preview":
        continual = loads.engine * CONTINUAL_WORK / PREVIEW_WORK
        yield f"--mode continual: no provisional predictions; all together about {percent(others + continual)}"
    if "flow" in recognizer.streams and len(recognizer.streams) > 1:
        yield f"--streams rgb: without flow it is {percent(loads.recogniser - loads.flow)}"
    if others > ENOUGH:
        yield "look at less of the picture: --region x,y,width,height instead of full, a smaller stream of the camera"


def percent(share: float) -> str:
    return f"{100 * share:.0f} %"
