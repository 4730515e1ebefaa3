"""What the page's controls do. Their arguments come from a browser and may be anything."""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

from realtime.errors import UsageError
from realtime.view.hub import Hub
from realtime.view.settings import from_page

Picture = tuple[str, bytes, float]
"""Token of its channel, JPEG, time of taking in ms by the page's clock."""
START = {"source", "address", "upload", "settings"}
"""What a start says: one of the page's sources, what was typed, the key of an upload, and the settings by name."""
SERVER = "server:"
"""Before the name of a source that the server was started with."""


def begin(hub: Hub, given: Any) -> str:
    """Start the chosen source: its token. `given`: an object of `START`.

    Raises UsageError for what cannot be started.
    """
    if not isinstance(given, dict) or given.keys() != START or not isinstance(given["settings"], dict):
        raise UsageError("a start is an object of source, address, upload and settings; load the page again")
    settings = from_page(given["settings"])
    source = str(given["source"])
    if source.startswith(SERVER):
        return hub.start_server_source(source.removeprefix(SERVER), settings)
    if source == "browser":
        return hub.start_browser(settings)
    if source == "file":
        return hub.start_upload(str(given["upload"]), settings)
    if source == "address":
        return hub.start_address(str(given["address"] or ""), settings)
    if source == "demo":
        return hub.start_demo(settings)
    raise UsageError(f"{source[:60]!r} is not a source; choose one of those on the page")


def apply(hub: Hub, token: Any, given: Mapping[str, Any]) -> None:
    """Go on with other settings, by name. Raises UsageError for settings that cannot be."""
    settings = from_page(given)
    channel = hub.find(str(token))
    if channel is not None:
        channel.apply(settings)


def record(hub: Hub, token: Any, label: Any, clips: Any) -> None:
    """Record clips of an action from a channel. Raises UsageError where that cannot be."""
    if isinstance(clips, bool) or not isinstance(clips, int | float) or clips != clips // 1:
        raise UsageError(f"{str(clips)[:20]!r} is no number of clips; give a whole one, such as 40")
    hub.record(str(token), str(label or ""), int(clips))


def read_picture(payload: Any) -> Picture | None:
    """What the page sent in place of a picture's address: data:image/jpeg;taken=1764025200000.5;channel=TOKEN;base64,...

    None for anything else. No file is read, whatever path it names.
    """
    address = payload.get("url") if isinstance(payload, dict) else None
    head, _, body = address.partition(";base64,") if isinstance(address, str) else ("", "", "")
    found = re.fullmatch(r"data:image/jpeg;taken=([0-9.]{1,20});channel=([\w-]{1,64})", head)
    try:
        return (found[2], base64.b64decode(body, validate=True), float(found[1])) if found else None
    except (binascii.Error, ValueError):
        return None


def take_picture(hub: Hub, payload: Any) -> None:
    """A picture of a browser's webcam, on to its channel; nobody waits for what comes too late or from elsewhere."""
    picture = read_picture(payload)
    if picture is not None:
        token, jpeg, taken_ms = picture
        channel = hub.find(token)
        if channel is not None and channel.camera is not None:
            channel.camera.put(jpeg, taken_ms)
