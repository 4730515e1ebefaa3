"""An application behind `access.Guard`, served until Ctrl-C: the live view, or the page of a fleet."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable

import uvicorn

from realtime.errors import UsageError
from realtime.signals import HANG_UP, stop_on_signals
from realtime.view.access import App, Guard

LARGEST_MESSAGE_BYTES = 8 * 2**20
"""From a page, over a websocket: a picture of its camera."""


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


def serve_app(
    app: App,
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
    server = Server(uvicorn_config(app, password, local), started)
    hang_up = () if HANG_UP is None else (HANG_UP,)  # the other signals are uvicorn's
    with stop_on_signals([server.stop], hang_up):
        server.run(sockets=[listener])


def _not_broken_off(record: logging.LogRecord) -> bool:
    if record.exc_info:
        return not isinstance(record.exc_info[1], asyncio.CancelledError)
    return not record.getMessage().startswith("Cancel ")


def uvicorn_config(app: App, password: str | None, local: bool) -> uvicorn.Config:
    return uvicorn.Config(
        Guard(app, password, local),
        log_level="warning",
        access_log=False,
        server_header=False,
        ws="websockets-sansio",
        ws_max_size=LARGEST_MESSAGE_BYTES,
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
