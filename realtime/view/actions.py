"""The actions of the page's controls. Their arguments come from a browser and may be anything."""

from collections.abc import Mapping
from typing import Any

from realtime.errors import UsageError
from realtime.sources.address import masked
from realtime.view.hub import Hub
from realtime.view.settings import from_page

START = {"source", "address", "upload", "settings"}
"""Fields of a start: one of the page's sources, what was typed, the key of an upload, and the settings by name."""
SERVER = "server:"
"""Prefix of the name of a source that the server was started with."""


def begin(hub: Hub, given: Any) -> str:
    """Start the chosen source and return its token. `given`: an object with the fields `START`.

    Raises UsageError if it cannot be started.
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
    raise UsageError(f"{masked(source)[:60]!r} is not a source; choose one of those on the page")


def apply(hub: Hub, token: Any, given: Mapping[str, Any]) -> None:
    """Continue with other settings, by name. Raises UsageError for invalid ones."""
    settings = from_page(given)
    channel = hub.find(str(token))
    if channel is not None:
        channel.apply(settings)


def record(hub: Hub, token: Any, label: Any, clips: Any) -> None:
    """Record clips of an action from a channel. Raises UsageError if that is impossible."""
    if isinstance(clips, bool) or not isinstance(clips, int | float) or clips != clips // 1:
        raise UsageError(f"{str(clips)[:20]!r} is not a number of clips; give a whole number, such as 10")
    hub.record(str(token), str(label or ""), int(clips))
