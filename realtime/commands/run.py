"""`i3d-live run`: sources to predictions, events, pictures."""

import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from threading import Event
from typing import Annotated

import numpy as np
import typer

from engines.load import Engines
from realtime.commands.flags import Given
from realtime.commands.options import ModelOptions, RecognizerOptions
from realtime.commands.outputs import (
    LogOptions,
    OutputOptions,
    Write,
    log_writer,
    metrics_server,
    mqtt_queue,
    together,
    webhook_writer,
)
from realtime.commands.prepare import PREPARE, Prepare
from realtime.commands.sessions import Plan, Sessions, load
from realtime.commands.site_options import read_site, site_path
from realtime.commands.sources import Opened, SourceOptions, open_sources, parse_sources
from realtime.commands.terminal import Terminal
from realtime.errors import I3DLiveError
from realtime.outputs.log import Log
from realtime.outputs.queued import Queued
from realtime.session import Session
from realtime.signals import stop_on_signals
from realtime.sources.reconnect import Reconnecting
from realtime.turns import run_sessions
from realtime.worker_threads import cores

STALE_S = 2.0
"""A live source that waited longer than this for the engine is opened again."""


def run(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="[NAME=]SOURCE",
            help="File, image folder, webcam:0, rtsp://, http(s)://, - (stdin), or a site.toml.",
        ),
    ],
    log: LogOptions = LogOptions(),
    outputs: OutputOptions = OutputOptions(),
    model: ModelOptions = ModelOptions(),
    look: RecognizerOptions = RecognizerOptions(),
    source: SourceOptions = SourceOptions(),
    *,
    prepare: Prepare = PREPARE,
    given: Given = Given(),
) -> None:
    """Watch SOURCES. On a terminal, a line whenever the leading action changes; in a pipe, JSON lines."""
    site = site_path(sources)

    def plan() -> Plan:
        if site is None:
            return Plan(tuple(parse_sources(sources, source)), log, outputs, model, look)
        said = read_site(site, given)
        return Plan(
            said.cameras,
            given.over(log, said.said),
            given.over(outputs, said.said),
            given.over(model, said.said),
            given.over(look, said.said),
        )

    first = plan()
    first.check()
    with ExitStack() as stack:
        began_s = time.monotonic()
        opened, failures = open_sources(first.sources, keep_packets=first.outputs.keep_packets)
        for each in opened:
            stack.callback(each.video.close)
        readable = first.outputs.readable or sys.stdout.isatty()
        writers = writers_of(stack, first, readable)
        mqtt = mqtt_of(stack, first, [each.video.live for each in opened], site is not None)
        server = metrics_server(stack, first.outputs.metrics) if first.outputs.metrics else None
        loaded = load(prepare, first, threads=cores() if len(first.sources) > 1 else 1)
        make_ready(opened, loaded.every)
        if time.monotonic() - began_s > STALE_S:
            opened = [without_old_pictures(each, first.outputs.keep_packets) for each in opened]
            for each in opened:
                stack.callback(each.video.close)
        terminal = Terminal(opened[0].video.duration_s if len(opened) == 1 else None)
        writers += [mqtt.push] if mqtt else []
        writers += [server.write] if server else []
        write = together([*writers, terminal.write if readable else Log("-").write])
        left_out = (lambda name: {mqtt.name: mqtt.left_out[name]}) if mqtt else (lambda name: {})
        sessions = Sessions(first, prepare, loaded, write, server, terminal.progress, left_out)
        with terminal:
            for each in opened:
                sessions.begin(each)
            failures += watch_all(sessions, None if site is None else plan)
    for error in failures:
        raise error


def writers_of(stack: ExitStack, plan: Plan, readable: bool) -> list[Write]:
    """Where the lines go, besides stdout, Prometheus and MQTT."""
    on_stdout = str(plan.log.log) == "-" and not readable  # where the lines are anyway
    writers = [log_writer(stack, plan.log.log, plan.log)] if plan.log.log and not on_stdout else []
    return writers + ([webhook_writer(stack, plan.outputs.webhook)] if plan.outputs.webhook else [])


def mqtt_of(stack: ExitStack, plan: Plan, live: Sequence[bool], may_change: bool) -> Queued | None:
    """Where lines are published. Only where nothing but files is read, now and later, may it be waited for."""
    url, home_assistant = plan.outputs.mqtt, plan.outputs.home_assistant
    if url is None:
        return None
    return mqtt_queue(stack, url, home_assistant=home_assistant, wait=not any(live) and not may_change)


def make_ready(opened: Sequence[Opened], loaded: Sequence[Engines]) -> None:
    """Live sources do not wait: engines run once first, because the first step is slow."""
    if any(source.video.live for source in opened):
        for engine in (engine for engines in loaded for engine in engines.by_stream.values()):
            spec = engine.spec
            engine.step(np.zeros((1, engine.chunk_ticks, *spec.tick_shape), spec.dtype), engine.start())


def without_old_pictures(source: Opened, keep_packets: bool) -> Opened:
    """A source that waited for the engine, opened again if it is live: what waits in its buffers is old, and would be
    taken for new where pictures are timed by their arrival."""
    video = source.video
    if isinstance(video, Reconnecting):
        video.renew()
    elif video.live and source.kind in ("webcam", "rtsp", "http"):
        video.close()
        return replace(source, video=source.named.open(may_be_away=False, keep_packets=keep_packets))
    return source


def watch_all(sessions: Sessions, read_again: Callable[[], Plan] | None) -> list[Exception]:
    """Run to the end. What made sources fail. `read_again`: the plan as it is now, read at SIGHUP."""
    hung_up = Event()

    def after_turn() -> None:
        if read_again is None or not hung_up.is_set():
            return
        hung_up.clear()
        try:
            sessions.follow(read_again())
        except (I3DLiveError, typer.BadParameter) as error:
            print(f"i3d-live: {error}; it goes on as before", file=sys.stderr)

    reload = None if read_again is None else hung_up.set
    with stop_on_signals([sessions.stop], reload=reload) as came:
        errors = run_sessions(sessions.every, tell_failed, after_turn, sessions.threads)
    if signal.SIGINT in came:
        raise KeyboardInterrupt
    return errors + sessions.failures


def tell_failed(session: Session, error: Exception) -> None:
    """Immediately, while the others continue; the error of a single source is reported at the end."""
    if session.name is not None:
        print(f"i3d-live: {session.name}: {error}", file=sys.stderr)
