"""`i3d-live view`: the live view in a browser."""

import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engines.extras import absent
from engines.load import EngineOptions, Engines
from realtime.commands.flags import Given, Only
from realtime.commands.options import ModelOptions, RecognizerOptions
from realtime.commands.prepare import PREPARE, Prepare
from realtime.commands.server import ServerOptions, shown_address
from realtime.commands.site_options import read_site, site_path
from realtime.commands.sources import Named, SourceOptions
from realtime.errors import UsageError
from realtime.outputs.apart import check_apart
from realtime.stages.region import parse_region
from realtime.view.access import is_local
from realtime.view.settings import Settings
from realtime.zones import Zone

if TYPE_CHECKING:
    from realtime.reader_threads import Source
    from realtime.view.hub import Hub

LOOK = Only(
    ("stride", "smooth", "on", "off", "min_length_s", "region", "watch", "zone", "idle"),
    {
        "region": "x,y,width,height in px of the source; full: all of it, at three times the cost.",
        "watch": "Choose among these labels only; repeat it.",
        "zone": "Predictions of this part of each SOURCE too, in px or %; repeat it.",
    },
)


def view(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SOURCE",
            help="Sources to offer in the page, as for run, or a site file; the first one starts by itself.",
        ),
    ] = None,
    server: ServerOptions = ServerOptions(),
    model: ModelOptions = ModelOptions(engine=EngineOptions(mode=Settings.mode)),
    look: Annotated[RecognizerOptions, LOOK] = RecognizerOptions(),
    source: Annotated[
        SourceOptions, Only(("square_pixels", "rtsp_transport", "rotate", "decode", "reconnect"))
    ] = SourceOptions(),
    *,
    prepare: Prepare = PREPARE,
    given: Given = Given(),
) -> None:
    """Show SOURCES, your webcam, a file or any address in the browser, with what is being done in them."""
    from realtime.sources.reconnect import keep_open

    site = site_path(sources or [])
    cameras: dict[str, Named] = {}
    if site is not None:
        said = read_site(site, given)
        server, model = given.over(server, said.said), given.over(model, said.said)
        look = given.over(look, said.said)
        cameras = {str(camera.name): camera for camera in said.cameras}
    check_apart([camera.text for camera in cameras.values()] or sources or [], {"--record": server.record})
    zones = {name: (*camera.zones, *look.zones()) for name, camera in cameras.items()}
    check_zones(look.zones() if site is None else [zone for each in zones.values() for zone in each], sources)
    settings = first_settings(model.engine, look)
    password = server.password()
    plain = source.opener()
    keep = functools.partial(keep_open, open_video=plain) if source.reconnect else plain

    def open_source(address: str | Path) -> "Source":
        camera = cameras.get(str(address))
        return keep(address) if camera is None else camera.open(may_be_away=False)

    def new_hub() -> "Hub":
        from realtime.outputs.video_file import VideoWriter
        from realtime.view.hub import Hub, by_name

        chosen = prepare.model(model.model, settings.streams)

        def load(wanted: Settings) -> Engines:
            return prepare.engines(ModelOptions(engine=wanted.engine), chosen, concurrent=True)

        offered = by_name(sources or []) if site is None else {name: name for name in cameras}
        return Hub(
            offered,
            load,
            open_source,
            fetch_demo_clip,
            record_to=server.record,
            new_writer=VideoWriter,
            idle_s=look.idle,
            zones=zones if site is not None else dict.fromkeys(offered, look.zones()),
        )

    run_server(server, password, settings, new_hub)


def check_zones(zones: Sequence[Zone], sources: list[str] | None) -> None:
    """Raises UsageError for zones of no source, and for those that need another model than the page's."""
    if zones and not sources:
        raise UsageError("--zone is a part of a source that is named; name one, or draw the zone on the page")
    for zone in zones:
        if zone.model is not None:
            raise UsageError(
                f"zone {zone.name}: the live view has one model for all zones; leave out model, or use i3d-live run"
            )


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


def run_server(
    options: ServerOptions, password: str | None, settings: Settings, new_hub: "Callable[[], Hub]"
) -> None:
    """Load the engine, so that the first prediction does not wait for it; then serve until Ctrl-C."""
    # Before gradio is imported: it would contact its maker's hosts.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        from realtime.view.server import make_app
        from realtime.view.web_server import bind, serve_app
    except ImportError as error:
        raise absent("the live view", error, "view") from error

    with bind(options.host, options.port) as listener:
        hub = new_hub()
        engines = hub.engines(settings)
        note = "" if password is None else ", with the password"
        address = shown_address(options.host, listener.getsockname()[1])
        line = f"Live view: {address}{note}    (Ctrl-C stops it)"
        serve_app(
            make_app(hub, settings, engines.labels),
            listener=listener,
            local=is_local(options.host),
            password=password,
            started=lambda: print(line, flush=True),
        )


def fetch_demo_clip() -> Path:
    from engines.weights.demo_clips import choose_clip

    return choose_clip().path
