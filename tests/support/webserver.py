"""A real HTTP server on loopback whose faults are chosen by the test."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from typing import Any

from engines.weights.connection import Network


class FileServer:
    """Serves `files` by path. Each request takes one entry from `cuts`: after that many bytes the connection
    is closed."""

    def __init__(self) -> None:
        self.address = ""
        self.files: dict[str, bytes] = {}
        self.cuts: list[int] = []
        self.statuses: list[int] = []
        """One per request, sent instead of the file until the list is empty."""
        self.ranges = True
        """Whether it supports the Range header."""
        self.announce = True
        """Whether it states the file's length."""
        self.moved: dict[str, str] = {}
        """Addresses that paths are redirected to."""
        self.requests: list[str] = []
        """The Range header of each request so far, "" where it had none."""


def _handler(site: FileServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range", "")
            site.requests.append(asked)
            if self.path in site.moved:
                self.send_response(302)
                self.send_header("Location", site.moved[self.path])
                self.end_headers()
                return
            if site.statuses or self.path not in site.files:
                self.send_error(site.statuses.pop(0) if site.statuses else 404)
                return
            data = site.files[self.path]
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and site.ranges else 0
            if start >= len(data):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
            if site.announce:
                self.send_header("Content-Length", str(len(data) - start))
            self.end_headers()
            self.wfile.write(data[start : start + site.cuts.pop(0)] if site.cuts else data[start:])

        def log_message(self, *args: Any) -> None:
            pass

    return Handler


class CountingNetwork(Network):
    """Keeps the host of each connection that was begun."""

    def __init__(self, connect_s: float = 3.0, read_s: float = 30.0) -> None:
        super().__init__(connect_s, read_s, pause_s=0.0)
        self.begun: list[str] = []

    def connect(self, connection: HTTPConnection, connect: Callable[[], None]) -> None:
        def counted() -> None:
            self.begun.append(connection.host)
            connect()

        super().connect(connection, counted)


def refusing() -> str:
    """An address of this machine where nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


@contextmanager
def file_server(tls: ssl.SSLContext | None = None) -> Iterator[FileServer]:
    site = FileServer()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(site))
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    site.address = f"http{'s' if tls else ''}://127.0.0.1:{server.server_port}"
    with serving(server):
        yield site


@contextmanager
def serving(server: HTTPServer) -> Iterator[None]:
    """Its requests are answered meanwhile, on a thread; then it is closed."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
