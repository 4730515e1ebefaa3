"""`i3d-live run`: one source to predictions, events, pictures."""

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import typer

from realtime.clock import Stopwatch
from realtime.commands.options import (
    BackendOption,
    ImageFpsOption,
    ModelOption,
    ModeName,
    ModeOption,
    PrecisionOption,
    RtspTransport,
    SquarePixelsOption,
    StreamsName,
    StreamsOption,
    engines_for,
    rate,
)
from realtime.commands.terminal import Terminal
from realtime.errors import OutputError
from realtime.events import EventOptions
from realtime.recognizer import DEFAULT_STRIDE_TICKS, Output, Recognizer
from realtime.session import Session, Sink, run_sessions, session_line
from realtime.sinks.log import Line, Log
from realtime.source import Video, VideoWriter, open_video
from realtime.types import Frame


def run(
    source: Annotated[
        str, typer.Argument(help="File, folder of images, webcam:0, rtsp://, http(s)://, - for stdin.")
    ],
    log: Annotated[Path | None, typer.Option(help="Write JSON lines here too.")] = None,
    annotate: Annotated[
        Path | None, typer.Option(help="Write the video with the answers drawn over it.")
    ] = None,
    timeline: Annotated[Path | None, typer.Option(help="Write a picture of the answers over time.")] = None,
    model: ModelOption = "kinetics",
    backend: BackendOption = "auto",
    precision: PrecisionOption = None,
    mode: ModeOption = ModeName.window,
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
    max_gap: Annotated[float, typer.Option(min=0, help="Seconds without frames that end a window.")] = 1.0,
    fps: ImageFpsOption = None,
    square_pixels: SquarePixelsOption = True,
    rtsp_transport: Annotated[
        RtspTransport, typer.Option(help="How RTSP sends its packets.")
    ] = RtspTransport.tcp,
    readable: Annotated[bool, typer.Option("--readable", help="Readable lines even into a pipe.")] = False,
) -> None:
    """Watch SOURCE. On a terminal, a line whenever the leading action changes; in a pipe, JSON lines."""
    if off > on:
        raise typer.BadParameter(f"{off} is above --on {on}; it must be at most that", param_hint="--off")
    with ExitStack() as stack:
        video = stack.enter_context(
            open_video(
                source, image_fps=rate(fps), square_pixels=square_pixels, rtsp_transport=rtsp_transport.value
            )
        )
        writers = [stack.enter_context(Log(log)).write] if log else []
        engines = engines_for(model, backend, precision, mode.value, streams)
        stopwatch = Stopwatch()
        recognizer = Recognizer(
            engines.by_stream,
            stride_ticks=stride,
            smooth=smooth,
            events=EventOptions(on, off, min_event),
            max_gap=Fraction(max_gap).limit_denominator(1000),
            stopwatch=stopwatch,
        )
        sinks = picture_sinks(video, recognizer, annotate, timeline)
        first_line = session_line(video, engines, recognizer)
        watch(
            video, recognizer, first_line, writers, sinks, stopwatch, readable=readable or sys.stdout.isatty()
        )


class TimelinePicture:
    """Sink: the timeline, drawn when the source ends."""

    def __init__(self, path: Path, labels: tuple[str, ...], title: str, caption: str) -> None:
        from realtime.sinks.timeline import Timeline

        check_writable(path)
        self._path, self._title, self._caption = path, title, caption
        self._timeline = Timeline(labels)

    def push(self, item: Frame | Output) -> None:
        if not isinstance(item, Frame):
            self._timeline.push(item)

    def close(self) -> None:
        self._timeline.save(self._path, title=self._title, caption=self._caption)


def check_writable(path: Path) -> None:
    """Raises OutputError now for what would be found out at the end."""
    if not path.parent.is_dir():
        raise OutputError(f"cannot write {path}: the folder {path.parent} does not exist; make it first")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise OutputError(f"cannot write {path}: no permission; name a path that can be written")


def picture_sinks(
    video: Video, recognizer: Recognizer, annotate: Path | None, timeline: Path | None
) -> list[Sink]:
    """The pictures that were asked for."""
    caption = f"{' + '.join(recognizer.streams)}, weights: {recognizer.model}"
    sinks: list[Sink] = []
    if timeline is not None:
        sinks.append(TimelinePicture(timeline, recognizer.labels, video.name, caption))
    if annotate is not None:
        from realtime.sinks.annotator import Annotator

        sinks.append(Annotator(VideoWriter(annotate, video.size_px), caption=caption))
    return sinks


def watch(
    video: Video,
    recognizer: Recognizer,
    first_line: Line,
    writers: Sequence[Callable[[Line], None]],
    sinks: list[Sink],
    stopwatch: Stopwatch,
    *,
    readable: bool,
) -> None:
    """Run to the end, with progress on a terminal; on stdout readable lines or JSON lines."""
    terminal = Terminal(video)
    writers = [*writers, terminal.write if readable else Log("-").write]

    def write(line: Line) -> None:
        for writer in writers:
            writer(line)

    with terminal:
        write(first_line)
        session = Session(
            video, recognizer, write=write, sinks=sinks, stopwatch=stopwatch, progress=terminal.progress
        )
        for error in run_sessions([session]):
            raise error
