"""`i3d-live view`: the live view in a browser."""

import functools
import os
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engines.extras import absent
from engines.load import EngineOptions, Engines
from engines.text_files import read_text
from realtime.commands.flags import Only
from realtime.commands.options import ModelOptions, RecognizerOptions
from realtime.commands.prepare import PREPARE, Prepare
from realtime.commands.sources import SourceOptions
from realtime.errors import UsageError
from realtime.outputs.apart import check_apart
from realtime.stages.region import parse_region
from realtime.view.access import is_local
from realtime.view.settings import Settings

if TYPE_CHECKING:
    from realtime.view.hub import Hub

PASSWORD_VARIABLE = "I3D_LIVE_PASSWORD"
SHORTEST_PASSWORD = 8


LOOK = Only(
    ("stride", "smooth", "on", "off", "min_length_s", "region", "watch"),
    {
        "region": "x,y,width,height in px of the source; full: all of it, at three times the cost.",
        "watch": "Choose among these labels only; repeat it.",
    },
)


@dataclass(frozen=True)
class ServerOptions:
    """Where the page is served, and its password."""

    host: Annotated[
        str, typer.Option(help="Address to listen on. Any but this machine's own requires a password.")
    ] = "127.0.0.1"
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes any free one.")] = 7860
    password_file: Annotated[
        Path | None,
        typer.Option(
            help=f"Take the password from this file; else from {PASSWORD_VARIABLE}, else you are asked."
        ),
    ] = None

    def password(self) -> str | None:
        """See `find_password`."""
        return find_password(self.password_file, needed_for=None if is_local(self.host) else self.host)


def view(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SOURCE",
            help="Sources to offer in the page, as for run; the first one starts by itself.",
        ),
    ] = None,
    server: ServerOptions = ServerOptions(),
    model: ModelOptions = ModelOptions(engine=EngineOptions(mode=Settings.mode)),
    look: Annotated[RecognizerOptions, LOOK] = RecognizerOptions(),
    record: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Let the page record clips of actions here, to teach them."),
    ] = None,
    source: Annotated[
        SourceOptions, Only(("square_pixels", "rtsp_transport", "rotate", "reconnect"))
    ] = SourceOptions(),
    *,
    prepare: Prepare = PREPARE,
) -> None:
    """Show SOURCES, your webcam, a file or any address in the browser, with what is being done in them."""
    from realtime.sources.reconnect import keep_open

    check_apart(sources or [], {"--record": record})
    settings = first_settings(model.engine, look)
    password = server.password()
    plain = source.opener()
    open_source = functools.partial(keep_open, open_video=plain) if source.reconnect else plain

    def new_hub() -> "Hub":
        from realtime.outputs.video_file import VideoWriter
        from realtime.view.hub import Hub

        chosen = prepare.model(model.model, settings.streams)

        def load(wanted: Settings) -> Engines:
            return prepare.engines(ModelOptions(engine=wanted.engine), chosen, concurrent=True)

        return Hub(
            sources or [], load, open_source, fetch_demo_clip, record_to=record, new_writer=VideoWriter
        )

    run_server(server, password, settings, new_hub)


def first_settings(engine: EngineOptions, look: RecognizerOptions) -> Settings:
    """The page's initial settings. Raises UsageError for invalid ones."""
    return Settings(
        mode=engine.mode,
        streams=engine.streams,
        backend=engine.backend,
        precision=engine.precision,
        stride=look.stride,
        smooth=look.smooth,
        on=look.events.on,
        off=look.events.off,
        min_event=look.events.min_length_s,
        region=parse_region(look.region),
        watch=tuple(look.watch or ()),
    )


def find_password(file: Path | None, *, needed_for: str | None) -> str | None:
    """The password from the file, the environment or the terminal; None if none is needed and none is given.

    Never from an argument, which every user of the machine can see. Raises UsageError if one is missing or too short.
    """
    password = None
    if file is not None:
        try:
            password = read_text(file).strip()
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise UsageError(f"cannot read the password file {file}: {why}; name a text file") from error
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
    options: ServerOptions, password: str | None, settings: Settings, new_hub: "Callable[[], Hub]"
) -> None:
    """Load the engine, so that the first prediction does not wait for it; then serve until Ctrl-C."""
    # Before gradio is imported: it would contact its maker's hosts.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        from realtime.view.server import bind, serve
    except ImportError as error:
        raise absent("the live view", error, "view") from error

    with bind(options.host, options.port) as listener:
        hub = new_hub()
        engines = hub.engines(settings)
        note = "" if password is None else ", with the password"
        address = shown_address(options.host, listener.getsockname()[1])
        line = f"Live view: {address}{note}    (Ctrl-C stops it)"
        serve(
            hub,
            settings,
            engines.labels,
            listener=listener,
            local=is_local(options.host),
            password=password,
            started=lambda: print(line, flush=True),
        )


def shown_address(host: str, port: int) -> str:
    """The address to type into a browser."""
    if host in ("0.0.0.0", "::", ""):
        host = socket.gethostname()
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


def fetch_demo_clip() -> Path:
    from engines.weights.demo_clips import choose_clip

    return choose_clip().path
