"""Servers and a browser that the tests of the live view share; each is started when the first test asks for it."""

import json
import shutil
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websockets.sync.client import ClientConnection

from realtime.outputs.video_file import VideoWriter
from tests.conftest import in_ci
from tests.support.browsing import fake_webcam
from tests.support.pressing import start, watching
from tests.support.serving import Served, ask, served
from tests.support.view_doubles import until

PASSWORD = "correct horse"
IDLE = {"running": [], "threads": 0, "uploads": 0}
"""What an idle server holds."""


@pytest.fixture(scope="session")
def painted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of 18 s: red, then green, then blue, 6 s each, with a white square that moves from left to right."""
    path = tmp_path_factory.mktemp("painted") / "painted.mp4"
    writer = VideoWriter(path, (320, 240))
    for number in range(450):
        picture = np.zeros((240, 320, 3), np.uint8)
        picture[..., number // 150] = 200
        left = 3 * (number % 100)
        picture[100:120, left : left + 20] = 255
        writer.write(picture, Fraction(number, 25))
    writer.close()
    return path


@pytest.fixture(scope="session")
def open_server(painted: Path) -> Iterator[Served]:
    """Anybody on this machine may use it; it offers `painted`."""
    with served(painted) as server:
        yield server


@pytest.fixture(scope="session")
def locked_server() -> Iterator[Served]:
    with served(password=PASSWORD) as server:
        yield server


@pytest.fixture(scope="session")
def browsed_server(painted: Path) -> Iterator[Served]:
    with served(painted) as server:
        yield server


@pytest.fixture
def quiet_server(browsed_server: Served) -> Served:
    """Offers `painted`, which every page starts by itself; nobody is watching, so it starts from its beginning."""
    browsed_server.clear()
    until(lambda: browsed_server.holds() == IDLE)
    return browsed_server


@pytest.fixture(scope="session")
def sourceless_server() -> Iterator[Served]:
    with served() as server:
        yield server


@pytest.fixture(scope="session")
def recording_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, Path]]:
    """Offers nothing, and writes clips that pages record into a folder."""
    folder = tmp_path_factory.mktemp("recorded")
    with served(record_to=folder) as server:
        yield server, folder


@pytest.fixture
def bare_server(sourceless_server: Served) -> Served:
    """Offers nothing, so a page shows only what its viewer starts."""
    sourceless_server.clear()
    until(lambda: sourceless_server.holds() == IDLE)
    return sourceless_server


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """Debian's Chromium, or another one that is installed."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    missing = "needs the package chromium (apt-get install chromium)"
    if in_ci():
        pytest.fail(missing)
    pytest.skip(missing)


@pytest.fixture(scope="module")
def playwright() -> Iterator[Any]:
    """Ends with its module: while it runs, nothing else can use asyncio in this thread."""
    api = pytest.importorskip("playwright.sync_api", reason="needs the package playwright (pip)")
    with api.sync_playwright() as running:
        yield running


@pytest.fixture(scope="module")
def chromium(playwright: Any, chromium_path: str) -> Iterator[Any]:
    """A browser without a camera."""
    browser = playwright.chromium.launch(executable_path=chromium_path, args=["--no-sandbox"])
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def with_camera(
    playwright: Any, chromium_path: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """A browser whose camera sees red at its left and blue at its right."""
    picture = np.zeros((480, 640, 3), np.uint8)
    picture[:, :320, 0] = picture[:, 320:, 2] = 200
    arguments = fake_webcam(tmp_path_factory.mktemp("webcam") / "halves.mjpeg", [picture] * 30)
    browser = playwright.chromium.launch(executable_path=chromium_path, args=["--no-sandbox", *arguments])
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def bystander(open_server: Served) -> Iterator[ClientConnection]:
    """A viewer of the server's source, whose video starts again when it ends."""
    token, message = start(open_server, "server:painted.mp4")
    assert message == ""
    with watching(open_server, token) as socket_:
        yield socket_


@pytest.fixture
def server(open_server: Served, bystander: ClientConnection) -> Iterator[Served]:
    """Checks after each test that no other session was harmed."""
    yield open_server
    assert ask(open_server, "/config")[0] == 200
    phases = {json.loads(message)["phase"] for message in _newest(bystander)}
    assert phases <= {"opening", "waiting", "engine", "running", "ended"}


def _newest(viewer: ClientConnection) -> list[str]:
    """The messages since the last call."""
    found = []
    try:
        while True:
            found.append(str(viewer.recv(timeout=0.01)))
    except TimeoutError:
        return found
