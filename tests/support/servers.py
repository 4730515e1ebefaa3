"""Real servers for tests, each a separate process, so that it can be frozen and killed.

with rtsp_server(folder) as server:
    video = open_video(server.url("clip.mp4"))
    server.freeze()
"""

import http.server
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

RTSP = """
import asyncio, sys
from concurrent.futures import ThreadPoolExecutor
import aio_rtsp_toolkit.server as server, aio_rtsp_toolkit.server_streaming as streaming
streaming.QUEUE_PUT_POLL_INTERVAL = 60  # on a busy machine its 0.05 s run out, and it sends a packet twice
async def main():
    # A client that is gone holds a thread for that long, and asyncio has six on two cores.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(64))
    await server.serve(sys.argv[1], "127.0.0.1", int(sys.argv[2]))
asyncio.run(main())
"""
START_LIMIT_S = 20


class Server:
    """A server process for one folder, on a free port of this machine."""

    def __init__(self, command: list[str], scheme: str) -> None:
        """`command`: what follows the interpreter; the port is added to it."""
        self.port = free_port()
        self._command = [sys.executable, *command, str(self.port)]
        self._scheme = scheme
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it (again, on the same port) and wait until it takes connections."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        self.stop()
        raise RuntimeError(f"server did not start: {self._command}")

    def url(self, path: str, user: str = "") -> str:
        """`user`: "name:password", to be put into the address."""
        return f"{self._scheme}://{user + '@' if user else ''}127.0.0.1:{self.port}/{path}"

    def freeze(self) -> None:
        """It keeps its connections and accepts new ones, but sends nothing more."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """Kill it; its clients get no goodbye."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _signal(self, number: int) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)


@contextmanager
def rtsp_server(folder: Path) -> Iterator[Server]:
    """Serves the H.264 files (.mp4, .mkv) of a folder over TCP, in real time: with ?play_count=0, endlessly."""
    yield from _running(Server(["-c", RTSP, str(folder)], "rtsp"))


@contextmanager
def http_server(folder: Path) -> Iterator[Server]:
    """Serves the files of a folder. A path below live/ or slow/ is sent without a length, in 15 pieces, 0.1 or 0.3 s
    apart."""
    yield from _running(Server([__file__, str(folder)], "http"))


def _running(server: Server) -> Iterator[Server]:
    server.start()
    try:
        yield server
    finally:
        server.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def silent_server() -> Iterator[int]:
    """The port of a server that accepts connections and never sends anything."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


class _Handler(http.server.SimpleHTTPRequestHandler):
    pieces = 15
    pauses_s: ClassVar = {"live": 0.1, "slow": 0.3}

    def do_GET(self) -> None:
        _, folder, *rest = self.path.split("/")
        if folder not in self.pauses_s:
            super().do_GET()
            return
        content = Path(self.translate_path("/" + "/".join(rest))).read_bytes()
        self.send_response(200)
        self.end_headers()
        size = -(-len(content) // self.pieces)
        for start in range(0, len(content), size):
            self.wfile.write(content[start : start + size])
            time.sleep(self.pauses_s[folder])


if __name__ == "__main__":
    os.chdir(sys.argv[1])
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), _Handler).serve_forever()
