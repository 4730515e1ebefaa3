"""The page's controls without a browser: what Gradio's page sends when somebody presses them."""

import functools
import json
import secrets
import struct
from collections.abc import Mapping
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.support.serving import Served, ask

FIELDS: dict[str, Any] = {
    "mode": "preview", "streams": "rgb", "backend": "auto", "precision": "auto", "stride": 8, "smooth": 0,
    "on": 0.5, "off": 0.3, "min_event": 0.5, "region": "", "watch": [], "several": True,
}  # fmt: skip


@functools.cache
def _config(server: Served) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ask(server, "/config")[2])
    return found


def handler(server: Served, control: str, event: str) -> int:
    """Number of the server's function for an event of a control."""
    config = _config(server)
    ids = [c["id"] for c in config["components"] if c["props"].get("elem_id") == control]
    for dependency in config["dependencies"]:
        if [ids[0], event] in [list(target) for target in dependency["targets"]] and dependency["backend_fn"]:
            return int(dependency["id"])
    raise AssertionError(f"{control} has no {event}")


def press(server: Served, number: int, data: list[Any]) -> tuple[list[Any] | None, str]:
    """The result: the outputs and "", or None and the message that the page shows."""
    session = secrets.token_hex(6)
    body = json.dumps({"data": data, "fn_index": number, "session_hash": session})
    status, _, answer = ask(
        server, "/gradio_api/queue/join", method="POST", body=body, content_type="application/json"
    )
    if status != 200:
        return None, answer.decode()
    for message in _messages(server, session):
        if message["msg"] == "process_completed":
            output = message["output"]
            return (output["data"], "") if message["success"] else (None, str(output.get("error")))
    raise AssertionError("no answer")


def _messages(server: Served, session: str) -> list[dict[str, Any]]:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("GET", f"/gradio_api/queue/data?session_hash={session}")
    response = connection.getresponse()
    found = []
    while line := response.readline():
        if line.startswith(b"data:"):
            found.append(json.loads(line[5:]))
            if found[-1]["msg"] in ("process_completed", "close_stream", "unexpected_error"):
                break
    connection.close()
    return found


def start(
    server: Served, source: Any, address: Any = "", upload: Any = "", fields: Mapping[str, Any] = FIELDS
) -> tuple[str, str]:
    """Token of the channel and "", or "" and the error message."""
    given = {"source": source, "address": address, "upload": upload, "settings": fields}
    _, answer = ask_for_start(server, json.dumps(given))
    return answer.get("token", ""), answer.get("error", "")


def ask_for_start(server: Served, body: str | bytes) -> tuple[int, dict[str, str]]:
    """Status and response."""
    status, _, answer = ask(server, "/live/start", method="POST", body=body, content_type="application/json")
    told: dict[str, str] = json.loads(answer)
    return status, told


def picture(jpeg: bytes, taken_ms: float) -> bytes:
    """A webcam's picture as the page sends it."""
    return struct.pack("<d", taken_ms) + jpeg


def sending(server: Served, token: str) -> ClientConnection:
    """The road of a page's webcam to a channel."""
    return connect(f"ws://127.0.0.1:{server.port}/live/{token}/camera", ping_interval=None)


def watching(server: Served, token: str) -> ClientConnection:
    """A viewer of a channel.

    Its queue has no limit: with a full one it would answer no ping, and tests may read it minutes apart. It sends no
    pings: they draw from `random` in a thread, and Hypothesis takes that for a strategy that is not repeatable.
    """
    url = f"ws://127.0.0.1:{server.port}/live/{token}/state"
    return connect(url, max_size=2**22, max_queue=None, ping_interval=None)


def failure(server: Served, token: str) -> str:
    """Why a channel failed, as its page is told."""
    with watching(server, token) as viewer:
        for message in viewer:
            state = json.loads(message)
            if state["phase"] == "failed":
                return str(state["note"])
            assert state["phase"] in ("opening", "waiting", "engine", "running"), state
    raise AssertionError("the channel did not fail")
