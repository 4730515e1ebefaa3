"""`i3d-live run`: sources to predictions, events, pictures."""

import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from engines.load import Engines
from realtime.clock import Stopwatch
from realtime.commands.options import (
    DEFAULT_MODE_NAME,
    BackendOption,
    FlowName,
    FlowOption,
    FlowRegion,
    FlowRegionOption,
    ImageFpsOption,
    ModelOption,
    ModeOption,
    PrecisionOption,
    RtspTransport,
    SquarePixelsOption,
    StreamsName,
    StreamsOption,
    engines_for,
    rate,
)
from realtime.commands.outputs import (
    Write,
    clips_sink,
    log_writer,
    metrics_server,
    mqtt_writer,
    picture_sinks,
    together,
)
from realtime.commands.sources import Opened, open_sources, parse_sources
from realtime.commands.terminal import Terminal
from realtime.errors import UsageError
from realtime.outputs.log import Log
from realtime.recognizer import DEFAULT_STRIDE_TICKS, Recognizer
from realtime.session import Session, Sink, run_sessions, session_line
from realtime.signals import stop_on_signals
from realtime.sources.address import STALL_LIMIT_S
from realtime.sources.open import open_video
from realtime.sources.reconnect import Reconnecting
from realtime.stages.events import EventOptions
from realtime.stages.region import parse_region
from realtime.threads import beside

if TYPE_CHECKING:
    from realtime.outputs.metrics import Metrics

STALE_S = 2.0
"""A live source that waited longer than this for the engine is opened again."""
FILE_STALL_S = 60.0
"""Without a frame of a file for so long something is wrong."""


def run(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="[NAME=]SOURCE",
            help="File, folder of images, webcam:0, rtsp://, http(s)://, - for stdin.",
        ),
    ],
    log: Annotated[Path | None, typer.Option(help="Write JSON lines here too.")] = None,
    log_mb: Annotated[int | None, typer.Option(min=1, help="Begin a new log file at this size,")] = None,
    log_hours: Annotated[float | None, typer.Option(min=0.001, help="or after so long.")] = None,
    log_keep: Annotated[int, typer.Option(min=0, help="Older log files to keep.")] = 10,
    annotate: Annotated[
        Path | None, typer.Option(help="Write the video with the answers drawn over it.")
    ] = None,
    timeline: Annotated[Path | None, typer.Option(help="Write a picture of the answers over time.")] = None,
    save_clips: Annotated[
        Path | None, typer.Option(help="Save each event as a video in this folder.")
    ] = None,
    clips_mb: Annotated[int, typer.Option(min=1, help="Most that it may hold; the oldest go.")] = 1000,
    metrics: Annotated[
        str | None, typer.Option(metavar="[HOST:]PORT", help="Serve /metrics for Prometheus, and /health.")
    ] = None,
    mqtt: Annotated[
        str | None, typer.Option(metavar="URL", help="Publish: mqtt://user:password@host/topic.")
    ] = None,
    model: ModelOption = None,
    backend: BackendOption = "auto",
    precision: PrecisionOption = None,
    mode: ModeOption = DEFAULT_MODE_NAME,
    streams: StreamsOption = StreamsName.auto,
    stride: Annotated[
        int, typer.Option(min=1, help="Ticks (of 1/25 s) between windows.")
    ] = DEFAULT_STRIDE_TICKS,
    smooth: Annotated[
        int | None, typer.Option(min=1, help="Answers to average; default 1 in window mode, else 3.")
    ] = None,
    on: Annotated[
        float, typer.Option(min=0, max=1, help="Probability at which an event begins.")
    ] = EventOptions.on,
    off: Annotated[
        float, typer.Option(min=0, max=1, help="Probability below which it ends.")
    ] = EventOptions.off,
    min_event: Annotated[
        float, typer.Option(min=0, help="Shortest event, in seconds.")
    ] = EventOptions.min_length_s,
    region: Annotated[str, typer.Option(help="Look only at x,y,width,height in px; or full.")] = "",
    flow: FlowOption = FlowName.tvl1,
    flow_region: FlowRegionOption = FlowRegion.square,
    watch: Annotated[list[str] | None, typer.Option(help="Choose among these labels; repeat it.")] = None,
    max_gap: Annotated[float, typer.Option(min=0, help="Seconds without frames that end a window.")] = 1.0,
    fps: ImageFpsOption = None,
    square_pixels: SquarePixelsOption = True,
    rtsp_transport: Annotated[
        RtspTransport, typer.Option(help="How RTSP sends its packets.")
    ] = RtspTransport.tcp,
    reconnect: Annotated[
        bool, typer.Option("--reconnect/--no-reconnect", help="Open a live source again when it is lost.")
    ] = True,
    readable: Annotated[bool, typer.Option("--readable", help="Readable lines even into a pipe.")] = False,
) -> None:
    """Watch SOURCES. On a terminal, a line whenever the leading action changes; in a pipe, JSON lines."""
    if off > on:
        raise typer.BadParameter(f"{off} is above --on {on}; it must be at most that", param_hint="--off")
    if len(sources) > 1 and (annotate or timeline):
        raise UsageError("--annotate and --timeline draw one source; give one, or use --save-clips")
    look_at = parse_region(region)
    opener = partial(
        open_video, image_fps=rate(fps), square_pixels=square_pixels, rtsp_transport=rtsp_transport.value
    )
    with ExitStack() as stack:
        began_s = time.monotonic()
        opened, failures = open_sources(parse_sources(sources), opener, reconnect=reconnect)
        for source in opened:
            stack.callback(source.video.close)
        writers = [log_writer(stack, log, log_mb, log_hours, log_keep)] if log else []
        writers += [mqtt_writer(stack, mqtt)] if mqtt else []
        server = metrics_server(stack, metrics) if metrics else None
        engines = engines_for(model, backend, precision, mode.value, streams, at_once=True)
        make_ready(opened, engines, time.monotonic() - began_s)

        def make_recognizer(stopwatch: Stopwatch) -> Recognizer:
            return Recognizer(
                engines.by_stream,
                stride_ticks=stride,
                smooth=smooth,
                events=EventOptions(on, off, min_event),
                max_gap=Fraction(max_gap).limit_denominator(1000),
                flow=flow.value,
                flow_region=flow_region.value,
                region=look_at,
                watch=watch or None,
                stopwatch=stopwatch,
                beside=beside,
            )

        def make_sinks(source: Opened, recognizer: Recognizer) -> list[Sink]:
            sinks = picture_sinks(source.video, recognizer, annotate, timeline)
            return sinks + ([clips_sink(save_clips, recognizer, source.name, clips_mb)] if save_clips else [])

        readable = readable or sys.stdout.isatty()
        failures += watch_all(opened, engines, make_recognizer, make_sinks, writers, server, readable)
    for error in failures:
        raise error


def make_ready(opened: Sequence[Opened], engines: Engines, waited_s: float) -> None:
    """Live sources do not wait: engines run once before, since the first time is slow, and old pictures are let go."""
    live = [source.video for source in opened if source.video.live]
    if live:
        for engine in engines.by_stream.values():
            spec = engine.spec
            engine.step(np.zeros((1, engine.chunk_ticks, *spec.tick_shape), spec.dtype), engine.start())
    for video in live:
        if waited_s > STALE_S and isinstance(video, Reconnecting):
            video.renew()


def watch_all(
    opened: Sequence[Opened],
    engines: Engines,
    make_recognizer: Callable[[Stopwatch], Recognizer],
    make_sinks: Callable[[Opened, Recognizer], list[Sink]],
    writers: Sequence[Write],
    server: "Metrics | None",
    readable: bool,
) -> list[Exception]:
    """Run to the end, with progress on a terminal; on stdout readable lines or JSON lines. What made sources fail."""
    terminal = Terminal(opened[0].video.duration_s if len(opened) == 1 else None)
    write = together(
        [
            *writers,
            *([server.write] if server else []),
            terminal.write if readable else Log("-").write,
        ]
    )
    sessions = []
    with terminal:
        for source in opened:
            stopwatch = Stopwatch()
            recognizer = make_recognizer(stopwatch)
            session = Session(
                source.video,
                recognizer,
                name=source.name,
                write=write,
                sinks=make_sinks(source, recognizer),
                stopwatch=stopwatch,
                progress=terminal.progress,
            )
            session.write(session_line(source.video, engines, recognizer))
            sessions.append(session)
            if server:
                stall_s = STALL_LIMIT_S.get(source.kind, FILE_STALL_S)
                server.watch(source.name or source.video.name, session.figures, stall_s)
        with stop_on_signals([session.mailbox.stop for session in sessions]) as came:
            errors = run_sessions(sessions, failed=tell_failed)
    if signal.SIGINT in came:
        raise KeyboardInterrupt
    return errors


def tell_failed(session: Session, error: Exception) -> None:
    """At once, while the others go on; a single source says it at the end."""
    if session.name is not None:
        print(f"i3d-live: {session.name}: {error}", file=sys.stderr)
