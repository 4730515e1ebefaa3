"""`i3d-live run`: sources to predictions, events, pictures."""

import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from engines.load import Engines
from realtime.clock import Stopwatch
from realtime.commands.options import ModelOptions, RecognizerOptions
from realtime.commands.outputs import (
    LogOptions,
    OutputOptions,
    Write,
    check_outputs,
    log_writer,
    metrics_server,
    mqtt_writer,
    sinks_of,
    together,
)
from realtime.commands.prepare import PREPARE, Prepare
from realtime.commands.sources import Opened, SourceOptions, open_sources, parse_sources, rate
from realtime.commands.terminal import STANDING, Terminal
from realtime.errors import UsageError
from realtime.outputs.log import Line, Log
from realtime.recognizer import Recognizer
from realtime.session import Session, Sink, run_sessions, session_line
from realtime.signals import stop_on_signals
from realtime.sources.address import STALL_LIMIT_S
from realtime.sources.reconnect import Reconnecting

if TYPE_CHECKING:
    from realtime.outputs.metrics import Metrics

STALE_S = 2.0
"""A live source that waited longer than this for the engine is opened again."""
FILE_STALL_S = 60.0
"""Seconds without a frame of a file after which something is wrong."""


def run(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="[NAME=]SOURCE",
            help="File, folder of images, webcam:0, rtsp://, http(s)://, - for stdin.",
        ),
    ],
    log: LogOptions = LogOptions(),
    outputs: OutputOptions = OutputOptions(),
    model: ModelOptions = ModelOptions(),
    look: RecognizerOptions = RecognizerOptions(),
    source: SourceOptions = SourceOptions(),
    readable: Annotated[bool, typer.Option("--readable", help="Readable lines even into a pipe.")] = False,
    *,
    prepare: Prepare = PREPARE,
) -> None:
    """Watch SOURCES. On a terminal, a line whenever the leading action changes; in a pipe, JSON lines."""
    look.check()
    if len(sources) > 1 and (outputs.annotate or outputs.timeline):
        raise UsageError("--annotate and --timeline draw one source; give one, or use --save-clips")
    opener = source.opener()
    if (images_fps := rate(source.fps)) is not None:  # each picture stands for so long: no gap
        look = replace(look, max_gap=max(look.max_gap, float(2 / images_fps)))
    named = parse_sources(sources)
    check_outputs([each.text for each in named], log, outputs)
    readable = readable or sys.stdout.isatty()
    with ExitStack() as stack:
        began_s = time.monotonic()
        opened, failures = open_sources(named, opener, reconnect=source.reconnect)
        for each in opened:
            stack.callback(each.video.close)
        on_stdout = str(log.log) == "-" and not readable  # where the lines are anyway
        writers = [log_writer(stack, log.log, log)] if log.log and not on_stdout else []
        writers += [mqtt_writer(stack, outputs.mqtt)] if outputs.mqtt else []
        server = metrics_server(stack, outputs.metrics) if outputs.metrics else None
        engines = prepare.engines(model, concurrent=True)
        make_ready(opened, engines, time.monotonic() - began_s)

        def make_recognizer(stopwatch: Stopwatch) -> Recognizer:
            return look.recognizer(engines, stopwatch)

        def make_sinks(each: Opened, recognizer: Recognizer) -> list[Sink]:
            return sinks_of(outputs, each.video, recognizer, each.name)

        failures += watch_all(opened, engines, make_recognizer, make_sinks, writers, server, readable)
    for error in failures:
        raise error


def make_ready(opened: Sequence[Opened], engines: Engines, waited_s: float) -> None:
    """Live sources do not wait: engines run once first, because the first step is slow, and old pictures are
    dropped."""
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
    """Run to the end, with progress on a terminal, and readable or JSON lines on stdout. Returns why sources failed."""
    terminal = Terminal(opened[0].video.duration_s if len(opened) == 1 else None)
    write = together(
        [
            *writers,
            *([server.write] if server else []),
            terminal.write if readable else Log("-").write,
            *([] if readable else [GapHint().write]),
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


class GapHint:
    """Says on stderr, once, what a gap without frames may be."""

    def __init__(self) -> None:
        self._told = False

    def write(self, line: Line) -> None:
        if line["kind"] == "gap" and line["cause"] == "no frames" and not self._told:
            self._told = True
            span = f"from {line['start_s']:.2f} to {line['end_s']:.2f} s"
            print(f"i3d-live: no frames {span}: {STANDING}", file=sys.stderr)


def tell_failed(session: Session, error: Exception) -> None:
    """Immediately, while the others continue; the error of a single source is reported at the end."""
    if session.name is not None:
        print(f"i3d-live: {session.name}: {error}", file=sys.stderr)
