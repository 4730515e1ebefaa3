"""Each event as an HTTP request: POST with the line of the log as JSON.

write, never waits ──→ [ . . . . ] ──→ a thread of its own: POST, again after 1, 2, 4 ... 30 s while it fails

A server that is away or overloaded (no connection, no response in time, 408, 429, 5xx) is asked again; one that refuses
an event (any other status) is not, and the event is counted as left out. A full queue leaves out its oldest event.
"""

import base64
import http.client
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime
from urllib.parse import unquote, urlsplit

from realtime.errors import UsageError, reason_of
from realtime.outputs.log import Line, as_json, versions
from realtime.worker_threads import Worker

MOST_WAITING = 1000
"""Events that wait for the server."""
LIMIT_S, LAST_WORDS_S = 10.0, 5.0
"""For a connection and a response; and for what still waits when the program ends."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0
AGAIN = (408, 429)
"""Statuses below 500 that ask for another try."""
FORM = "http://[user:password@]host[:port]/path, or https://"


class Webhook:
    """Sends until it is closed. A context manager."""

    def __init__(
        self,
        url: str,
        *,
        tell: Callable[[str], None] = lambda text: print(f"i3d-live: {text}", file=sys.stderr),
        first_pause_s: float = FIRST_PAUSE_S,
        last_words_s: float = LAST_WORDS_S,
    ) -> None:
        """`tell`: gets one line when the server is away or refuses. Raises UsageError if `url` is not an address."""
        self._url = _Url(url)
        self._tell, self._first_pause_s, self._last_words_s = tell, first_pause_s, last_words_s
        self.lost = 0
        """Events that were left out; after `close`, also those that still waited."""
        self._waiting: deque[bytes] = deque()
        self._sending: bytes | None = None
        """The event that is being sent; it is not left out for a newer one."""
        self._lock = threading.Condition()
        self._closes_s: float | None = None
        """When to give up, on the monotonic clock; None while it runs."""
        self._told = ""
        self._worker = Worker(self._run)

    def write(self, line: Line) -> None:
        """Send the line if it is an event. Never waits."""
        if line["kind"] != "event":
            return
        sent = datetime.now().astimezone().isoformat(timespec="milliseconds")
        with self._lock:
            if len(self._waiting) >= MOST_WAITING:
                self._waiting.popleft()
                self.lost += 1
            self._waiting.append(as_json(line | {"known_at": sent}).encode())
            self._lock.notify()

    def close(self) -> None:
        """Send what still waits, but not for long."""
        with self._lock:
            self._closes_s = time.monotonic() + self._last_words_s
            self._lock.notify()
        self._worker.join(timeout_s=self._last_words_s + LIMIT_S)
        with self._lock:
            self.lost += len(self._waiting) + (self._sending is not None)
            self._waiting.clear()
            self._sending = None

    def __enter__(self) -> "Webhook":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _run(self) -> None:
        pause_s = self._first_pause_s
        while (body := self._next()) is not None:
            if not self._send(body):
                pause_s, self._sending = self._first_pause_s, None
                continue
            if not self._pause(pause_s):
                return
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _next(self) -> bytes | None:
        """The event that was not taken yet, or the oldest one, waiting for one. None at the end."""
        with self._lock:
            self._lock.wait_for(lambda: self._sending or self._waiting or self._closes_s is not None)
            if self._closes_s is not None and time.monotonic() >= self._closes_s:
                return None
            if self._sending is None and self._waiting:
                self._sending = self._waiting.popleft()
            return self._sending

    def _pause(self, pause_s: float) -> bool:
        """Wait, but not beyond the end; False if there is no time for another try."""
        with self._lock:
            if self._closes_s is None:
                self._lock.wait_for(lambda: self._closes_s is not None, pause_s)
                return True
            left_s = self._closes_s - time.monotonic()
        time.sleep(max(0.0, min(pause_s, left_s)))
        return left_s > pause_s

    def _send(self, body: bytes) -> bool:
        """Whether to try again."""
        try:
            status = self._url.post(body, LIMIT_S)
        except (OSError, http.client.HTTPException) as error:
            self._say(f"{reason_of(error)}; trying again")
            return True
        if 200 <= status < 300:
            self._told = ""
            return False
        if status >= 500 or status in AGAIN:
            self._say(f"status {status}; trying again")
            return True
        self._say(f"refuses events with status {status}; check the address")
        with self._lock:
            self.lost += 1
        return False

    def _say(self, text: str) -> None:
        """Once until it works again or fails otherwise."""
        if text != self._told:
            self._told = text
            self._tell(f"{self._url.shown}: {text}")


class _Url:
    """An address, and how it may be shown: without its path, which is the secret of most webhooks."""

    def __init__(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise UsageError(f"webhook: not an address; give {FORM}, a port from 1 to 65535") from None
        if parts.scheme not in ("http", "https") or not parts.hostname or port == 0 or not url.isprintable():
            raise UsageError(f"webhook: not an address; give {FORM}")
        self._tls, self._host, self._port = parts.scheme == "https", parts.hostname, port
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        self.shown = f"webhook {parts.scheme}://{host}{f':{port}' if port else ''}/***"
        query = f"?{parts.query}" if parts.query else ""
        self._path = (parts.path or "/") + query
        self._headers = {
            "Content-Type": "application/json",
            "User-Agent": f"i3d-live/{versions().get('i3d-live', '0')}",
        }
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        if not self._path.isascii():
            raise UsageError(
                f"{self.shown}: letters outside ASCII are written %XX in an address; write it so"
            )

    def post(self, body: bytes, limit_s: float) -> int:
        """The status of the response. Raises OSError or HTTPException."""
        kind = http.client.HTTPSConnection if self._tls else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=limit_s)
        try:
            connection.request("POST", self._path, body, self._headers)
            return connection.getresponse().status
        finally:
            connection.close()
