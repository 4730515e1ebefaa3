"""What the page asks for in addition to Gradio: pictures, predictions, uploads, and the page's own files.

GET  /live/static/NAME          script and style
GET  /live/TOKEN/picture        the video, multipart JPEG without end
GET  /live/TOKEN/flow           the flow as colours, likewise
WS   /live/TOKEN/state          messages of `realtime.view.page_state`; the page confirms each with its number
WS   /live/TOKEN/camera         the pictures of the page's webcam: see `realtime.view.camera_socket`
POST /live/upload?name=NAME     a video file -> {"upload": ...}, to be started within a minute
POST /live/start                {"source", "address", "upload", "settings"} -> {"token": ...}
POST /live/TOKEN/stop           what was started is let go
PUT  /live/TOKEN/zones?name=NAME    {"x", "y", "width", "height", "of"}, and "was" for a new name: see
                                    `realtime.view.zones` -> {"zone_changes": of the first state that tells of it}
DELETE /live/TOKEN/zones?name=NAME  the zone is gone -> likewise

Errors are answered with {"error": ...}, for the viewer to read.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from realtime.errors import UsageError
from realtime.view import actions
from realtime.view.camera_socket import ENDED, GONE, take_pictures
from realtime.view.channel import Channel
from realtime.view.hub import Hub
from realtime.view.latest_value import Latest
from realtime.view.static_files import problem, static

BOUNDARY = b"--picture\r\n"
LARGEST_UPLOAD_BYTES = 500 * 2**20
LONGEST_WORD = 200
"""Characters of what a page says: a number, or a label of the model."""


def routes(hub: Hub) -> list[BaseRoute]:
    """All of them, for the application that Gradio is mounted on."""

    async def picture(request: Request) -> Response:
        channel = hub.find(request.path_params["token"])
        return _gone() if channel is None else _multipart(channel.picture)

    async def flow(request: Request) -> Response:
        channel = hub.find(request.path_params["token"])
        return _gone() if channel is None else _multipart(channel.flow)

    async def state(socket: WebSocket) -> None:
        await _converse(socket, hub)

    async def camera(socket: WebSocket) -> None:
        await take_pictures(socket, hub)

    async def upload(request: Request) -> Response:
        return await _upload(request, hub)

    async def start(request: Request) -> Response:
        return await _start(request, hub)

    async def stop(request: Request) -> Response:
        await run_in_threadpool(hub.stop, request.path_params["token"])
        return Response(status_code=204)

    async def zone(request: Request) -> Response:
        channel = hub.find(request.path_params["token"])
        return _gone() if channel is None else await _zone(request, channel)

    return [
        Route("/live/static/{name}", static),
        Route("/live/upload", upload, methods=["POST"]),
        Route("/live/start", start, methods=["POST"]),
        Route("/live/{token}/stop", stop, methods=["POST"]),
        Route("/live/{token}/zones", zone, methods=["PUT", "DELETE"]),
        Route("/live/{token}/picture", picture),
        Route("/live/{token}/flow", flow),
        WebSocketRoute("/live/{token}/state", state),
        WebSocketRoute("/live/{token}/camera", camera),
    ]


def _gone() -> Response:
    return problem(404, ENDED)


def _multipart(pictures: Latest[bytes]) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        # A browser shows a picture once it has received the boundary after it, so both are sent together.
        yield BOUNDARY
        with pictures.watch() as watcher:
            async for jpeg in watcher:
                head = b"Content-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(jpeg)
                yield head + jpeg + b"\r\n" + BOUNDARY

    headers = {"cache-control": "no-store"}
    return StreamingResponse(
        parts(), media_type="multipart/x-mixed-replace; boundary=picture", headers=headers
    )


async def _converse(socket: WebSocket, hub: Hub) -> None:
    """Send states as they come and take the page's confirmations, until one side disconnects."""
    token = socket.path_params["token"]
    await socket.accept()
    channel = hub.enter(token)
    if channel is None:
        await socket.close(GONE, ENDED)
        return
    sending = asyncio.create_task(_send_states(socket, channel))
    try:
        while True:
            _take_word(channel, socket, await socket.receive_text())
    except (WebSocketDisconnect, KeyError):
        # KeyError: bytes instead of text.
        pass
    finally:
        channel.ask(socket, "")
        hub.leave(token)
        sending.cancel()
        with contextlib.suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError):
            await sending


async def _send_states(socket: WebSocket, channel: Channel) -> None:
    with channel.state.watch() as watcher:
        async for state in watcher:
            await socket.send_text(json.dumps(state | {"number": watcher.number}))


def _take_word(channel: Channel, viewer: object, text: str) -> None:
    """ "17": the page shows state 17. "where LABEL": it also wants to know where this label is; "where ": no longer.
    Anything else is ignored."""
    if text.isascii() and text.isdigit() and len(text) < 16:
        channel.shown(int(text))
    elif text.startswith("where ") and len(text) < LONGEST_WORD:
        channel.ask(viewer, text.removeprefix("where "))


async def _start(request: Request, hub: Hub) -> Response:
    try:
        given = json.loads(await request.body())
    except ClientDisconnect:
        return problem(400, "the start was broken off")
    except (ValueError, RecursionError):
        return problem(400, "a start that is not JSON; load the page again")
    try:
        return JSONResponse({"token": await run_in_threadpool(actions.begin, hub, given)})
    except UsageError as error:
        return problem(400, str(error))


async def _zone(request: Request, channel: Channel) -> Response:
    name = request.query_params.get("name", "")
    try:
        if request.method == "DELETE":
            channel.remove_zone(name)
        else:
            channel.put_zone(name, json.loads(await request.body()))
    except ClientDisconnect:
        return problem(400, "the zone was broken off")
    except UsageError as error:
        return problem(400, str(error))
    except (ValueError, RecursionError):
        return problem(400, "a zone that is not JSON; load the page again")
    return JSONResponse({"zone_changes": channel.zones.changed})


async def _upload(request: Request, hub: Hub) -> Response:
    too_large = f"at most {LARGEST_UPLOAD_BYTES // 2**20} MB can be uploaded; cut the video, or start the server with it"
    if int(request.headers.get("content-length", "0")) > LARGEST_UPLOAD_BYTES:
        return problem(413, too_large)
    try:
        path = hub.uploads.new()
        try:
            await _store(request, path)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        name = request.query_params.get("name", "")
        return JSONResponse({"upload": await run_in_threadpool(hub.uploads.add, path, name)})
    except _TooLarge:
        return problem(413, too_large)
    except UsageError as error:
        return problem(400, str(error))
    except ClientDisconnect:
        return problem(400, "the upload was broken off")
    except OSError as error:
        return problem(507, f"the upload cannot be stored: {error.strerror}; free space on the server")


async def _store(request: Request, path: Path) -> None:
    with path.open("wb") as file:
        async for piece in request.stream():
            if file.tell() + len(piece) > LARGEST_UPLOAD_BYTES:
                raise _TooLarge
            file.write(piece)


class _TooLarge(Exception):
    pass
