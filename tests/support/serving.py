"""A real server of the live view in a separate process, and requests to it.

python -m tests.support.serving [SOURCE...]     the server, with an engine that costs nothing

PASSWORD, RECORD and IDLE_S come from the environment.
"""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent


class Served:
    """A running server. It is asked about its state over its standard input."""

    def __init__(self, process: "subprocess.Popen[str]", port: int) -> None:
        self._process, self.port, self.pid = process, port, process.pid

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def holds(self) -> dict[str, Any]:
        """running: names of the running sources; uploads: number of files; threads: number of the program's own."""
        return self._tell("")

    def clear(self) -> None:
        """Stop everything that was started, immediately."""
        self._tell("clear")

    def _tell(self, word: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        told: dict[str, Any] = json.loads(self._process.stdout.readline())
        return told


NEVER_SAID = ("Traceback", "ERROR", "terminate called")


@contextmanager
def viewed(
    command: Sequence[str],
    *,
    ends_within_s: float,
    env: Mapping[str, str] | None = None,
    never_said: Sequence[str] = NEVER_SAID,
) -> Iterator[Served]:
    """`i3d-live view` by this command line, as a user starts it, until Ctrl-C.

    `ends_within_s`: after Ctrl-C. `never_said`: what must not be in its messages.
    """
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.fullmatch(r"Live view: http://127\.0\.0\.1:([0-9]+)/ +\(Ctrl-C stops it\)\n", line)
        assert found, line or process.communicate()[1]
        try:
            yield Served(process, int(found[1]))
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=ends_within_s)
        finally:
            process.kill()  # if a test has failed it is still there, and would be waited for
    assert not [text for text in never_said if text in errors], errors


@contextmanager
def served(
    *sources: str | Path,
    password: str | None = None,
    record_to: Path | None = None,
    idle_s: float | None = None,
) -> Iterator[Served]:
    """Runs from here to the end of the block; it must then end by itself, without errors."""
    environment = os.environ | {"PASSWORD": password or "", "RECORD": str(record_to or "")}
    environment |= {"IDLE_S": str(idle_s or "")}
    command = [sys.executable, "-m", "tests.support.serving", *map(str, sources)]
    with (
        tempfile.TemporaryFile("w+") as stderr,
        subprocess.Popen(
            command, cwd=ROOT, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr
        ) as process,
    ):  # fmt: skip
        assert process.stdout is not None
        assert process.stdin is not None
        first = process.stdout.readline()
        try:
            assert first, "the server did not start"
            yield Served(process, json.loads(first)["port"])
        finally:
            process.stdin.close()
            code = process.wait(20)
            stderr.seek(0)
            errors = stderr.read()
    assert code == 0
    assert "i3d-live worker" not in errors, errors[-2000:]


def ask(
    server: Served, path: str, *, method: str = "GET", body: str | bytes = "", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body; only the body's first bytes if no length is stated."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body or None, named)
        response = connection.getresponse()
        length = int(response.headers.get("content-length") or 64)
        return response.status, {k.lower(): v for k, v in response.headers.items()}, response.read(length)
    finally:
        connection.close()


def send_raw(server: Served, data: bytes) -> bytes:
    """Send any bytes over a connection; the first bytes of the response, b"" if it was only closed."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(data)
        try:
            return connection.recv(400)
        except ConnectionResetError:
            return b""


def shake_hands(server: Served, path: str, *headers: str) -> bytes:
    """Ask for a websocket."""
    lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{server.port}", "Upgrade: websocket", "Connection: Upgrade",
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13", *headers, "", ""]  # fmt: skip
    return send_raw(server, "\r\n".join(lines).encode())


def main() -> None:
    """The server."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_OFFLINE"] = "1"
    from realtime.view import access as guard
    from realtime.view import routes
    from realtime.view.server import make_app
    from realtime.view.settings import Settings
    from realtime.view.web_server import Server, bind, uvicorn_config
    from tests.support.view_doubles import LABELS, hub

    guard.WRONG_PASSWORD_S = 0.05
    routes.LARGEST_UPLOAD_BYTES = 2 * 2**20
    record_to = os.environ["RECORD"]
    idle_s = float(os.environ["IDLE_S"]) if os.environ["IDLE_S"] else None
    shared = hub(*sys.argv[1:], record_to=Path(record_to) if record_to else None, idle_s=idle_s)
    listener = bind("127.0.0.1", 0)

    def answer_questions() -> None:
        for word in sys.stdin:
            if word == "clear\n":
                shared.clear()
            own = [thread.name for thread in threading.enumerate() if thread.name.startswith("i3d-live")]
            files = len(list(shared.uploads.folder.iterdir()))
            print(json.dumps({"running": shared.running, "threads": len(own), "uploads": files}), flush=True)
        server.should_exit = True

    app = make_app(shared, Settings(streams="rgb"), LABELS)
    config = uvicorn_config(app, os.environ["PASSWORD"] or None, local=True)
    server = Server(config, lambda: print(json.dumps({"port": listener.getsockname()[1]}), flush=True))
    threading.Thread(target=answer_questions, daemon=True).start()
    server.run(sockets=[listener])


if __name__ == "__main__":
    main()
