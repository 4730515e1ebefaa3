"""HTTP(S) connections that are made within a few seconds or not at all. Standard library alone.

A `Network` does not wait a second time for a host that could not be reached: share it between calls that try several
hosts in turn. Proxies come from the environment, as in urllib.
"""

from collections.abc import Callable
from functools import partial
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, cast
from urllib.request import HTTPHandler, HTTPSHandler, Request, build_opener

CONNECT_S = 3.0
"""For name resolution, TCP and TLS together."""
READ_S = 30.0
"""A connection that delivers no byte for this long counts as broken."""
PAUSE_S = 0.5
"""Wait before the next connection for the same file; doubled after each without data."""

Place = tuple[str, int]
"""Host and port."""


class Unreachable(OSError):
    """A host does not answer. Its text names the host."""

    def __init__(self, text: str, *, final: bool) -> None:
        super().__init__(text)
        self.final = final
        """It has failed before as well, so trying again is pointless."""


class Network:
    """What is known about hosts while files are fetched. For one thread."""

    def __init__(
        self, connect_s: float = CONNECT_S, read_s: float = READ_S, pause_s: float = PAUSE_S
    ) -> None:
        self.connect_s, self.read_s, self.pause_s = connect_s, read_s, pause_s
        self._down: dict[Place, str] = {}
        self._up: set[Place] = set()
        self._connected: list[Place] = []
        """Places that the current call of `open` has connected to, redirects included."""
        self._opener = build_opener(_Handler(self))

    def open(self, request: Request) -> HTTPResponse:
        """As `urlopen`. Raises Unreachable, or URLError with it as its reason."""
        self._connected.clear()
        try:
            response = self._opener.open(request, timeout=self.connect_s)
        except TimeoutError as error:  # it accepted the connection and sent nothing
            raise self._unreachable(
                self._connected[-1], f"did not answer within {self.read_s:g} s"
            ) from error
        self._up.update(self._connected)
        return cast(HTTPResponse, response)

    def connect(self, connection: HTTPConnection, connect: Callable[[], None]) -> None:
        """Call `connect` within the time limit. Raises Unreachable."""
        place = connection.host, connection.port
        if place in self._down:
            raise Unreachable(self._down[place], final=True)
        try:
            _within(self.connect_s, connection, connect)
        except TimeoutError as error:
            raise self._unreachable(place, f"did not answer within {self.connect_s:g} s") from error
        except OSError as error:
            why = " ".join((error.strerror or str(error) or type(error).__name__).split())
            raise self._unreachable(place, f"cannot be reached: {why}") from error
        self._connected.append(place)
        connection.sock.settimeout(self.read_s)

    def _unreachable(self, place: Place, why: str) -> Unreachable:
        text = f"{place[0]} {why}"
        if place not in self._up:  # a host that was up before may be back in a moment
            self._down[place] = text
        return Unreachable(text, final=place in self._down)


def _within(limit_s: float, connection: HTTPConnection, connect: Callable[[], None]) -> None:
    """Call `connect`, or raise TimeoutError. The system's name resolution has no time limit, so a thread waits for
    it."""
    outcome: SimpleQueue[Exception | None] = SimpleQueue()
    given_up: SimpleQueue[bool] = SimpleQueue()

    def work() -> None:
        try:
            connect()
        except Exception as error:
            outcome.put(error)
            return
        outcome.put(None)
        if not given_up.empty():
            connection.close()

    Thread(target=work, name=f"connect to {connection.host}", daemon=True).start()
    try:
        error = outcome.get(timeout=limit_s)
    except Empty:
        given_up.put(True)
        raise TimeoutError from None
    if error is not None:
        raise error


class _Connection(HTTPConnection):
    def __init__(self, host: str, *, network: Network, **options: Any) -> None:
        super().__init__(host, **options)
        self._network = network

    def connect(self) -> None:
        self._network.connect(self, super().connect)


class _SecureConnection(_Connection, HTTPSConnection):
    pass


class _Handler(HTTPHandler, HTTPSHandler):
    """Replaces both of urllib's handlers."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self._network = network

    def http_open(self, request: Request) -> HTTPResponse:
        return self.do_open(partial(_Connection, network=self._network), request)

    def https_open(self, request: Request) -> HTTPResponse:
        return self.do_open(partial(_SecureConnection, network=self._network), request)
