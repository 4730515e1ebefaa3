"""The page: Gradio carries the controls, `static/` sends the webcam's pictures and shows what comes of them. The only
file that imports gradio."""

import functools
import html
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from fastapi import FastAPI

from engines.backends.registry import REGISTRY
from engines.spec import MODES
from realtime.errors import I3DLiveError
from realtime.view import actions
from realtime.view.hub import Hub
from realtime.view.settings import STREAMS, Settings

STATIC = Path(__file__).with_name("static")
WEBCAM = {"video": {"width": {"ideal": 640}, "height": {"ideal": 480}, "frameRate": {"ideal": 30}}}
"""What the page's script asks of the browser's camera."""
PRECISIONS = ("auto", "float32", "bfloat16", "float16", "int8")
HEAD = """
<meta name="color-scheme" content="light dark">
<link rel="stylesheet" href="live/static/live.css">
<link rel="stylesheet" href="live/static/over.css">
<script type="module" src="live/static/controls.js"></script>
"""
QUEUE_POLL_S = 0.02
"""Gradio looks a thousand times a second whether a button was pressed, which takes 5 % of a core all the time."""
QUIETLY: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


@dataclass(frozen=True)
class Controls:
    """The page's buttons and fields."""

    source: gr.Radio
    start: gr.Button
    stop: gr.Button
    address: gr.Textbox
    fields: dict[str, Any]
    """By the names of `settings.Settings`."""
    regions: dict[str, gr.Button]
    """By the script that gives the new region."""
    token: gr.Textbox
    """Empty: an input into which the page's script puts the token of what it watches."""
    record: list[Any]
    """Name of an action, number of clips and the button that records them; empty if recording is off."""


def mount(app: FastAPI, hub: Hub, defaults: Settings, labels: Sequence[str]) -> None:
    """Put the page at the root of `app`. `labels`: those that can be watched."""
    # System fonts: nothing is fetched, not even from this server.
    theme = gr.themes.Base(
        primary_hue="blue",
        neutral_hue="slate",
        radius_size="md",
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    )
    with gr.Blocks(title="i3d-live", analytics_enabled=False, fill_width=True, delete_cache=(60, 60)) as page:
        _wire(page, hub, _layout(hub, defaults, labels))
    page.queue(default_concurrency_limit=16, max_size=256)
    page._queue.sleep_when_free = QUEUE_POLL_S
    gr.mount_gradio_app(
        app,
        page,
        path="",
        theme=theme,
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


def _layout(hub: Hub, defaults: Settings, labels: Sequence[str]) -> Controls:
    _html("header")
    with gr.Row(elem_id="controls"):
        choices = _sources(hub)
        source = gr.Radio(choices, value=choices[0][1], label="Source", elem_id="source", scale=4)
        start = gr.Button("Start", variant="primary", elem_id="start", scale=0, min_width=96)
        stop = gr.Button("Stop", elem_id="stop", scale=0, min_width=96)
    example = "rtsp://user:password@camera/stream, http://... or webcam:0"
    address = gr.Textbox(label="Address", placeholder=example, elem_id="address")
    with gr.Row(elem_id="main"):
        _html("screen")
        _html("side")
        with gr.Accordion("Settings", open=False, elem_id="settings"):
            fields, regions = _settings(defaults, labels)
        record = _recording() if hub.records else []
    token = gr.Textbox(visible="hidden", elem_id="token")
    return Controls(source, start, stop, address, fields, regions, token, record)


def _recording() -> list[Any]:
    with gr.Accordion("Record your own actions", open=False, elem_id="recording"):
        about = "a folder of this name gets the clips; record others, and 'none of these'; then: i3d-live teach FOLDER"
        name = gr.Textbox(label="action", info=about, elem_id="action", max_length=60)
        clips = gr.Slider(1, 20, 10, step=1, label="clips", info="of 3 s each, with 3 s between them")
        return [name, clips, gr.Button("Record", elem_id="record", size="sm", min_width=120)]


def _sources(hub: Hub) -> list[tuple[str, str]]:
    """(what the viewer reads, what the server gets)."""
    mine = [(name, actions.SERVER + name) for name in hub.sources]
    others = [("This browser's webcam", "browser"), ("Video file", "file"), ("Address or camera", "address")]
    return [*mine, *others, ("Demo clip", "demo")]


def _settings(defaults: Settings, labels: Sequence[str]) -> tuple[dict[str, Any], dict[str, gr.Button]]:
    """The fields by name, labelled as on the command line, and the buttons that give a region."""
    fields: dict[str, Any] = {}
    with gr.Row():
        fields["mode"] = gr.Radio(
            MODES, value=defaults.mode, label="mode", info="preview reacts fastest: this page's default"
        )
        fields["streams"] = gr.Radio(
            STREAMS, value=defaults.streams, label="streams", info="flow needs weights of its own"
        )
        fields["backend"] = gr.Dropdown(
            ["auto", *REGISTRY], value=defaults.backend, label="backend", info="what runs the network"
        )
        fields["precision"] = gr.Dropdown(
            PRECISIONS, value=defaults.precision or "auto", label="precision", info="what it computes in"
        )
    with gr.Row():
        fields["stride"] = gr.Slider(
            1, 64, defaults.stride, step=1, label="stride", info="ticks (1/25 s) between windows"
        )
        fields["smooth"] = gr.Slider(
            0, 20, defaults.smooth or 0, step=1, label="smooth", info="predictions averaged; 0: the mode's"
        )
        fields["on"] = gr.Slider(
            0, 1, defaults.on, step=0.01, label="on", info="probability that begins an event"
        )
        fields["off"] = gr.Slider(
            0, 1, defaults.off, step=0.01, label="off", info="probability below which it ends"
        )
        fields["min_event"] = gr.Slider(
            0, 10, defaults.min_event, step=0.1, label="min-event", info="shortest event, seconds"
        )
    with gr.Row(elem_id="region-row"):
        info = "part of the picture: x,y,width,height in px of the source as stored, or full (three times the cost); empty: the middle square"
        fields["region"] = gr.Textbox(
            _region_text(defaults), label="region", info=info, elem_id="region", scale=3
        )
        regions = {
            _script("drawRegion"): gr.Button("Draw on the picture", elem_id="draw", size="sm", min_width=120),
            "() => 'full'": gr.Button("Whole picture", elem_id="whole", size="sm", min_width=120),
            "() => ''": gr.Button("Middle square", elem_id="middle", size="sm", min_width=120),
        }
    fields["watch"] = gr.Dropdown(
        list(labels), value=list(defaults.watch), multiselect=True, label="watch", elem_id="watch",
        info="choose among these labels only; empty: all",
    )  # fmt: skip
    fields["several"] = gr.Checkbox(
        defaults.several,
        label="several",
        info="all actions in the picture, each where it is",
        elem_id="several",
    )
    return fields, regions


def _wire(page: gr.Blocks, hub: Hub, controls: Controls) -> None:
    # The page's script alone handles Start and Stop. Gradio would respond to them in any order, and would not take a
    # second press before it had responded to the first.
    inputs = [controls.source, controls.address, *controls.fields.values()]
    names = list(controls.fields)
    pressed = [controls.start.click, controls.address.submit]
    gr.on(pressed, None, inputs, None, js=_script("start", names), **QUIETLY)
    controls.stop.click(None, None, None, js=_script("stop"), **QUIETLY)
    controls.source.change(None, controls.source, None, js=_script("choose"), **QUIETLY)
    page.load(None, inputs, None, js=_script("open", WEBCAM, bool(hub.sources), names), **QUIETLY)
    _wire_settings(hub, controls)
    if controls.record:
        *given, button = controls.record
        record = shown_errors(functools.partial(actions.record, hub))
        button.click(record, [controls.token, *given], None, js=_script("record"), **QUIETLY)


def _wire_settings(hub: Hub, controls: Controls) -> None:

    @shown_errors
    def apply(token: Any, *values: Any) -> None:
        actions.apply(hub, token, dict(zip(controls.fields, values, strict=False)))

    inputs = [controls.token, *controls.fields.values()]
    mine = _script("withToken")
    changed = [event for field in controls.fields.values() for event in _finished(field)]
    gr.on(changed, apply, inputs, None, js=mine, trigger_mode="always_last", **QUIETLY)
    for script, button in controls.regions.items():
        given = button.click(None, None, controls.fields["region"], js=script, **QUIETLY)
        given.then(apply, inputs, None, js=mine, **QUIETLY)


def _html(name: str) -> gr.HTML:
    text = (STATIC / f"{name}.html").read_text()
    return gr.HTML(text, elem_id=name, padding=False, apply_default_css=False)


def _script(name: str, *fixed: Any) -> str:
    """Calls a function of controls.js, once that and the stage are loaded. `fixed`: its first arguments."""
    ready = "window.live && document.getElementById('stage')"
    wait = f"while (!({ready})) await new Promise((go) => setTimeout(go, 50));"
    first = "".join(f"{json.dumps(argument)}, " for argument in fixed)
    return f"async (...given) => {{ {wait} return window.live.{name}({first}...given); }}"


def _region_text(settings: Settings) -> str:
    region = settings.region
    return ",".join(map(str, region)) if isinstance(region, tuple) else region or ""


def _finished(field: Any) -> list[Any]:
    """The events that mark the end of a change to a field."""
    if isinstance(field, gr.Slider):
        return [field.release]
    return [field.submit, field.blur] if isinstance(field, gr.Textbox) else [field.input]


def shown_errors(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Errors raised on purpose, as a message on the page."""

    def wrapped(*given: Any) -> Any:
        try:
            return handler(*given)
        except I3DLiveError as error:
            # Gradio shows it as HTML, and it may repeat what was typed.
            said = html.escape(str(error), quote=False)
            raise gr.Error(said, title="That cannot be", print_exception=False, duration=12) from error

    return wrapped
