"""The page: Gradio carries the controls and the browser's webcam, `static/` shows what comes of it. The only file that
imports gradio."""

import base64
import binascii
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from fastapi import FastAPI

from engines.spec import MODES
from realtime.errors import I3DLiveError, UsageError
from realtime.view.hub import MOST_RUNNING, Hub
from realtime.view.settings import STREAMS, Settings, from_page

STATIC = Path(__file__).with_name("static")
FRAME_EVERY_S = 0.04
WEBCAM = {"video": {"width": {"ideal": 640}, "height": {"ideal": 480}, "frameRate": {"ideal": 30}}}
BACKENDS = ("auto", "openvino", "torch", "tensorrt", "tensorrt-rtx", "torch-tensorrt")
PRECISIONS = ("auto", "float32", "bfloat16", "float16", "int8")
SERVER = "server:"
"""Before the name of a source that the server was started with."""
HEAD = """
<meta name="color-scheme" content="light dark">
<link rel="stylesheet" href="live/static/live.css">
<script type="module" src="live/static/live.js"></script>
"""


class Camera(gr.Image):
    """Gradio's webcam, whose pictures arrive as (JPEG, time of taking in ms by the page's clock).

    The page writes that time into each picture's address: data:image/jpeg;taken=1764025200000.5;base64,...
    """

    is_template = True

    def preprocess(self, payload: Any) -> tuple[bytes, float] | None:  # type: ignore[override]
        """None for anything that the page would not send. No file is read, whatever path it names."""
        head, _, body = (getattr(payload, "url", None) or "").partition(";base64,")
        kind, _, taken = head.partition(";taken=")
        if kind != "data:image/jpeg":
            return None
        try:
            return base64.b64decode(body, validate=True), float(taken)
        except (binascii.Error, ValueError):
            return None


def mount(app: FastAPI, hub: Hub, defaults: Settings, labels: Sequence[str]) -> None:
    """Put the page at the root of `app`. `labels`: those that can be watched."""
    gr.mount_gradio_app(
        app,
        _page(hub, defaults, labels),
        path="",
        theme=_theme(),
        head=HEAD,
        footer_links=[],
        run_history=False,
        show_error=True,
        max_file_size="1kb",
        enable_monitoring=False,
        mcp_server=False,
        pwa=False,
        ssr_mode=False,
    )


def _theme() -> gr.Theme:
    """System fonts: nothing is fetched, not even from here."""
    return gr.themes.Base(
        primary_hue="blue",
        neutral_hue="slate",
        radius_size="md",
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    )


def _page(hub: Hub, defaults: Settings, labels: Sequence[str]) -> gr.Blocks:
    with gr.Blocks(title="i3d-live", analytics_enabled=False, fill_width=True, delete_cache=(60, 60)) as page:
        _html("header")
        with gr.Row(elem_id="controls"):
            choices = _source_choices(hub)
            source = gr.Radio(choices, value=choices[0][1], label="Source", elem_id="source", scale=4)
            start = gr.Button("Start", variant="primary", elem_id="start", scale=0, min_width=96)
            stop = gr.Button("Stop", elem_id="stop", scale=0, min_width=96)
        address = gr.Textbox(
            label="Address",
            placeholder="rtsp://user:password@camera/stream, http://... or webcam:0",
            elem_id="address",
        )
        with gr.Row(elem_id="main"):
            _html("screen")
            _html("side")
            with gr.Accordion("Settings", open=False, elem_id="settings"):
                fields, draw, whole, middle = _setting_fields(defaults, labels)
        token = gr.Textbox(visible="hidden", elem_id="token")
        upload = gr.Textbox(visible="hidden", elem_id="upload")
        camera = Camera(
            sources=["webcam"],
            streaming=True,
            visible=False,
            elem_id="camera",
            show_label=False,
            webcam_options=gr.WebcamOptions(mirror=False, constraints=WEBCAM),
        )

        plain: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        begin = _shown_errors(functools.partial(_begin, hub))
        apply = _shown_errors(functools.partial(_apply, hub))
        attach = _script("attach")
        started = gr.on(
            [start.click, address.submit],
            begin,
            [source, address, upload, *fields],
            [token, camera],
            js=_script("prepare"),
            **plain,
        )
        started.success(None, [token, source], None, js=attach, **plain)
        stop.click(
            functools.partial(_end, hub),
            token,
            [token, camera],
            js=_script("detach"),
            **plain,
        )
        choose = "(source) => { document.body.dataset.source = source; }"
        source.change(None, source, None, js=choose, **plain)
        camera.stream(
            functools.partial(_take_picture, hub),
            [camera, token],
            None,
            stream_every=FRAME_EVERY_S,
            concurrency_limit=MOST_RUNNING,
            **plain,
        )
        gr.on(
            [_finished(field) for field in fields],
            apply,
            [token, *fields],
            None,
            trigger_mode="always_last",
            **plain,
        )
        region = fields[9]
        draw.click(None, None, region, js=_script("drawRegion"), **plain).then(
            apply, [token, *fields], None, **plain
        )
        for button, value in ((whole, "full"), (middle, "")):
            button.click(None, None, region, js=f"() => {value!r}", **plain).then(
                apply, [token, *fields], None, **plain
            )
        opened = page.load(None, source, None, js=choose, **plain)
        if hub.sources:
            opened.then(begin, [source, address, upload, *fields], [token, camera], **plain).success(
                None, [token, source], None, js=attach, **plain
            )
    page.queue(default_concurrency_limit=16, max_size=256)
    return page


def _html(name: str) -> gr.HTML:
    return gr.HTML(
        (STATIC / f"{name}.html").read_text(), elem_id=name, padding=False, apply_default_css=False
    )


def _script(name: str) -> str:
    """A function of live.js, once that and the screen are there."""
    ready = "window.live && document.getElementById('stage')"
    wait = f"while (!({ready})) await new Promise((go) => setTimeout(go, 50));"
    return f"async (...given) => {{ {wait} return window.live.{name}(...given); }}"


def _source_choices(hub: Hub) -> list[tuple[str, str]]:
    mine = [(name, SERVER + name) for name in hub.sources]
    others = [("This browser's webcam", "browser"), ("Video file", "file"), ("Address or camera", "address")]
    return [*mine, *others, ("Demo clip", "demo")]


def _setting_fields(
    defaults: Settings, labels: Sequence[str]
) -> tuple[list[Any], gr.Button, gr.Button, gr.Button]:
    """The fields in the order of `from_page`, and the three buttons of the region."""
    with gr.Row():
        mode = gr.Radio(
            MODES, value=defaults.mode, label="mode", info="preview reacts fastest; window is the paper's"
        )
        streams = gr.Radio(STREAMS, value=defaults.streams, label="streams", info="flow needs weights for it")
        backend = gr.Dropdown(BACKENDS, value=defaults.backend, label="backend", info="engine")
        precision = gr.Dropdown(
            PRECISIONS, value=defaults.precision or "auto", label="precision", info="of the engine"
        )
    with gr.Row():
        stride = gr.Slider(
            1, 64, defaults.stride, step=1, label="stride", info="ticks of 1/25 s between windows"
        )
        smooth = gr.Slider(
            0, 20, defaults.smooth or 0, step=1, label="smooth", info="answers averaged; 0: by mode"
        )
        on = gr.Slider(0, 1, defaults.on, step=0.01, label="on", info="probability at which an event begins")
        off = gr.Slider(0, 1, defaults.off, step=0.01, label="off", info="below which it ends")
        min_event = gr.Slider(
            0, 10, defaults.min_event, step=0.1, label="min-event", info="shortest event, seconds"
        )
    with gr.Row(elem_id="region-row"):
        region = gr.Textbox(
            _region_text(defaults),
            label="region",
            info="x,y,width,height in px of the source; full: all of it, three times the cost; empty: the middle square",
            elem_id="region",
            scale=3,
        )
        draw = gr.Button("Draw on the picture", elem_id="draw", scale=1, min_width=120)
        whole = gr.Button("Whole picture", elem_id="whole", scale=1, min_width=120)
        middle = gr.Button("Middle square", elem_id="middle", scale=1, min_width=120)
    watch = gr.Dropdown(
        list(labels),
        value=list(defaults.watch),
        multiselect=True,
        label="watch",
        info="choose among these labels only; empty: all",
        elem_id="watch",
    )
    fields = [mode, streams, backend, precision, stride, smooth, on, off, min_event, region, watch]
    return fields, draw, whole, middle


def _region_text(settings: Settings) -> str:
    region = settings.region
    return ",".join(map(str, region)) if isinstance(region, tuple) else region or ""


def _finished(field: Any) -> Any:
    """The event that says that somebody has changed a field, and is done with it."""
    if isinstance(field, gr.Slider):
        return field.release
    return field.submit if isinstance(field, gr.Textbox) else field.input


def _shown_errors(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Errors raised on purpose, as a message on the page."""

    def wrapped(*given: Any) -> Any:
        try:
            return handler(*given)
        except I3DLiveError as error:
            raise gr.Error(str(error), title="That cannot be", print_exception=False, duration=12) from error

    return wrapped


def _begin(hub: Hub, source: Any, address: Any, upload: Any, *fields: Any) -> Any:
    """A token for the chosen source, and the webcam if it is that. No source: the page has said already why not."""
    if not source:
        return gr.skip(), gr.skip()
    settings = from_page(*fields)
    if str(source).startswith(SERVER):
        token = hub.start_server_source(str(source).removeprefix(SERVER), settings)
    elif source == "browser":
        token = hub.start_browser(settings)
    elif source == "file":
        token = hub.start_upload(str(upload), settings)
    elif source == "address":
        token = hub.start_address(str(address or ""), settings)
    elif source == "demo":
        token = hub.start_demo(settings)
    else:
        raise UsageError(f"{str(source)[:60]!r} is not a source; choose one of those on the page")
    return token, gr.update(visible=source == "browser")


def _apply(hub: Hub, token: Any, *fields: Any) -> None:
    settings = from_page(*fields)
    channel = hub.find(str(token))
    if channel is not None:
        channel.apply(settings)


def _end(hub: Hub, token: Any) -> Any:
    hub.stop(str(token))
    return "", gr.update(visible=False)


def _take_picture(hub: Hub, picture: tuple[bytes, float] | None, token: Any) -> None:
    channel = hub.find(str(token))
    if picture is not None and channel is not None and channel.camera is not None:
        channel.camera.put(*picture)
