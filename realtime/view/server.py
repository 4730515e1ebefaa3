"""The server of the live view: access, the page, the routes, and the sweeping."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Callable, Sequence

import uvicorn
from fastapi import FastAPI

from realtime.errors import UsageError
from realtime.signals import HANG_UP, stop_on_signals
from realtime.view.access import Guard
from realtime.view.camera_socket import LARGEST_PICTURE_BYTES
from realtime.view.hub import Hub
from realtime.view.page import mount
from realtime.view.routes import routes
from realtime.view.settings import Settings

SWEEP_EVERY_S = 0.5


def make_app(hub: Hub, defaults: Settings, labels: Sequence[str]) -> FastAPI:
    """The application behind `access.Guard`. Closes the hub when it ends."""

    async def sweep() -> None:
        while True:
            await asyncio.sleep(SWEEP_EVERY_S)
            hub.sweep()

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        sweeper = asyncio.create_task(sweep())
        yield
        sweeper.cancel()
        await asyncio.to_thread(hub.close)

    app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None, routes=routes(hub))
    mount(app, hub, defaults, labels)
    return app


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes any free one. Raises UsageError if it cannot be bound."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with contextlib.ExitStack() as undo:
            listener = undo.enter_context(socket.socket(family, socket.SOCK_STREAM))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            undo.pop_all()
    except OSError as error:
        raise UsageError(
            f"cannot listen on {host}, port {port}: {error.strerror}; give another --port (0: any free one) or --host"
        ) from error
    return listener


def serve(
    hub: Hub,
    defaults: Settings,
    labels: Sequence[str],
    *,
    listener: socket.socket,
    local: bool,
    password: str | None,
    started: Callable[[], None] = lambda: None,
) -> None:
    """Serve until Ctrl-C. `local`: `listener` is bound to this machine only. `started`: called once it accepts
    requests."""
    # At the end pages are still open and their streams are cut off: not an error to show.
    logging.getLogger("uvicorn.error").addFilter(_not_broken_off)
    server = Server(uvicorn_config(make_app(hub, defaults, labels), password, local), started)
    hang_up = () if HANG_UP is None else (HANG_UP,)  # the other signals are uvicorn's
    with stop_on_signals([server.stop], hang_up):
        server.run(sockets=[listener])


def _not_broken_off(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


def uvicorn_config(app: FastAPI, password: str | None, local: bool) -> uvicorn.Config:
    return uvicorn.Config(
        Guard(app, password, local),
        log_level="warning",
        access_log=False,
        server_header=False,
        ws="websockets-sansio",
        ws_max_size=LARGEST_PICTURE_BYTES,
        timeout_graceful_shutdown=2,
    )


class Server(uvicorn.Server):
    """Reports when it accepts requests."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._say_started = started

    def stop(self) -> None:
        """As for SIGTERM."""
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._say_started()
