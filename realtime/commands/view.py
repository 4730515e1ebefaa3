"""`i3d-live view`: the live view in a browser."""

import functools
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engines.extras import absent
from engines.load import Engines
from realtime.commands import weights
from realtime.commands.options import (
    BackendOption,
    ModelOption,
    ModeName,
    ModeOption,
    PrecisionOption,
    RtspTransport,
    SquarePixelsOption,
    StreamsName,
    StreamsOption,
    engines_for,
)
from realtime.errors import UsageError
from realtime.recognizer import DEFAULT_STRIDE_TICKS
from realtime.stages.events import EventOptions
from realtime.stages.region import parse_region
from realtime.view.access import is_local
from realtime.view.settings import Settings

if TYPE_CHECKING:
    from realtime.pump import Source

PAGE_MODE = ModeName(Settings.mode)
PASSWORD_VARIABLE = "I3D_LIVE_PASSWORD"
SHORTEST_PASSWORD = 8


def view(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SOURCE",
            help="Sources to offer in the page, as for run; the first one starts by itself.",
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on. Any other than this machine's own demands a password.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes any free one.")] = 7860,
    password_file: Annotated[
        Path | None,
        typer.Option(
            help=f"Take the password from this file; else from {PASSWORD_VARIABLE}, else you are asked."
        ),
    ] = None,
    model: ModelOption = None,
    backend: BackendOption = "auto",
    precision: PrecisionOption = None,
    mode: ModeOption = PAGE_MODE,
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
    region: Annotated[
        str,
        typer.Option(help="x,y,width,height in px of the source; full: all of it, at three times the cost."),
    ] = "",
    watch: Annotated[
        list[str] | None, typer.Option(help="Choose among these labels only; repeat it.")
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Let the page record clips of actions here, to teach them."),
    ] = None,
    square_pixels: SquarePixelsOption = True,
    rtsp_transport: Annotated[
        RtspTransport, typer.Option(help="How RTSP sends its packets.")
    ] = RtspTransport.tcp,
    reconnect: Annotated[
        bool, typer.Option("--reconnect/--no-reconnect", help="Open a live source again when it is lost.")
    ] = True,
) -> None:
    """Show SOURCES, your webcam, a file or any address in the browser, with what is being done in them."""
    from realtime.sources.open import open_video
    from realtime.sources.reconnect import keep_open

    settings = Settings(
        mode.value, streams.value, backend, precision, stride, smooth, on, off, min_event, parse_region(region),
        tuple(watch or ()),
    )  # fmt: skip
    password = find_password(password_file, needed_for=None if is_local(host) else host)
    plain = functools.partial(open_video, square_pixels=square_pixels, rtsp_transport=rtsp_transport.value)
    open_source = functools.partial(keep_open, open_video=plain) if reconnect else plain
    run_server(sources or [], settings, model, host, port, password, open_source, record)


def find_password(file: Path | None, *, needed_for: str | None) -> str | None:
    """From the file, the environment or the terminal; None where none is needed and none is given.

    Never from an argument: those are seen by everybody on the machine. Raises UsageError where one is missing or too short.
    """
    password = None
    if file is not None:
        try:
            password = file.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"cannot read the password file {file}: {error}; name a text file") from error
    elif PASSWORD_VARIABLE in os.environ:
        password = os.environ[PASSWORD_VARIABLE]
    elif needed_for is not None and sys.stdin.isatty():
        print(
            f"{needed_for} can be reached from other machines, so the page needs a password.", file=sys.stderr
        )
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    elif needed_for is not None:
        raise UsageError(
            f"--host {needed_for} can be reached from other machines, so the page needs a password; give "
            f"--password-file FILE or set {PASSWORD_VARIABLE}, or start it on a terminal and be asked"
        )
    if password is not None and len(password) < SHORTEST_PASSWORD:
        raise UsageError(f"the password has {len(password)} characters; take at least {SHORTEST_PASSWORD}")
    return password


def run_server(
    sources: list[str],
    settings: "Settings",
    model: str | None,
    host: str,
    port: int,
    password: str | None,
    open_source: "Callable[[str | Path], Source]",
    record_to: Path | None,
) -> None:
    """Load the engine, so that the first answer does not wait for it; then serve until Ctrl-C."""
    # Before gradio is imported: it would ask hosts of its maker for news.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_OFFLINE"] = "1"
    from realtime.outputs.video_file import VideoWriter

    try:
        from realtime.view.channels import Hub
        from realtime.view.server import bind, serve
    except ImportError as error:
        raise absent("the live view", error, "view") from error

    listener = bind(host, port)

    def load(wanted: "Settings") -> Engines:
        streams = StreamsName(wanted.streams)
        return engines_for(chosen, wanted.backend, wanted.precision, wanted.mode, streams, at_once=True)

    with listener:
        chosen = weights.chosen_model(model, StreamsName(settings.streams))
        hub = Hub(sources, load, open_source, fetch_demo_clip, record_to=record_to, new_writer=VideoWriter)
        engines = hub.engines(settings)
        note = "" if password is None else ", with the password"
        line = f"Live view: {shown_address(host, listener.getsockname()[1])}{note}    (Ctrl-C stops it)"
        serve(
            hub,
            settings,
            engines.labels,
            listener=listener,
            local=is_local(host),
            password=password,
            started=lambda: print(line, flush=True),
        )


def shown_address(host: str, port: int) -> str:
    """What to type into a browser."""
    if host in ("0.0.0.0", "::", ""):
        host = socket.gethostname()
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


def fetch_demo_clip() -> Path:
    from engines.weights.demo_clips import choose_clip

    return choose_clip().path
