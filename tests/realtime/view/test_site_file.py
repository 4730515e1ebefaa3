"""`i3d-live view site.toml`, as a user starts it: its cameras by their names, and its settings on the page."""

import http.client
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.conftest import ROOT
from tests.support.pressing import failure, start, watching
from tests.support.serving import NEVER_SAID, Served, ask, viewed

CODE = (
    "from realtime import cli\nfrom engines.load import Engines\n"
    "from tests.support.command_line import Doubles\nfrom tests.support.view_doubles import Colours\n"
    "cli.main(prepare=Doubles(Engines(Colours(), None, 'double')))"
)
"""The program, with an engine that names the colour of what it sees."""
JPEG_BEGIN, JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
SITE = """
[[camera]]
name = "door"
address = "painted.mp4"
rotate = 90

[[camera]]
name = "yard"
address = "rtsp://me:${YARD_PASSWORD}@127.0.0.1:1/x"

[recognition]
on = 0.61
watch = ["painting green", "painting red"]

[page]
port = 1
record = "recorded"
"""


@contextmanager
def site_server(folder: Path, painted: Path) -> Iterator[Served]:
    """The port is typed, which wins over the file's."""
    (folder / "site.toml").write_text(SITE)
    (folder / "painted.mp4").symlink_to(painted)
    command = [sys.executable, "-c", CODE, "view", str(folder / "site.toml"), "--port", "0"]
    command += ["--zone", "bench=10%,20%,30%,40%"]
    env = os.environ | {"PYTHONPATH": str(ROOT), "YARD_PASSWORD": "geheim"}
    with viewed(command, ends_within_s=60, env=env, never_said=(*NEVER_SAID, "geheim")) as served:
        yield served


@pytest.fixture(scope="module")
def server(painted: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with site_server(tmp_path_factory.mktemp("site"), painted) as served:
        yield served


def control(server: Served, label: str) -> dict[str, Any]:
    """What the page is told of a control."""
    components = json.loads(ask(server, "/config")[2])["components"]
    found: dict[str, Any] = next(c["props"] for c in components if c["props"].get("label") == label)
    return found


def test_the_page_offers_the_cameras_by_their_names(server: Served) -> None:
    offered = control(server, "Source")
    assert offered["choices"][:2] == [["door", "server:door"], ["yard", "server:yard"]]
    assert offered["value"] == "server:door"
    config = ask(server, "/config")[2]
    assert b"painted.mp4" not in config
    assert b"geheim" not in config


def test_the_settings_of_the_file_stand_on_the_page(server: Served) -> None:
    assert control(server, "on")["value"] == 0.61
    assert control(server, "watch")["value"] == ["painting green", "painting red"]
    assert control(server, "off")["value"] == 0.3


def test_a_camera_is_opened_as_the_file_says(server: Served) -> None:
    """Red for six seconds, 320 x 240 and turned by 90 degrees."""
    token, message = start(server, "server:door")
    assert message == ""
    with watching(server, token) as viewer:
        for text in viewer:
            state = json.loads(text)
            assert state["phase"] in ("opening", "waiting", "engine", "running"), state
            if state.get("answer"):
                break
        assert state["answer"]["top"][0][0] == "painting red"
        assert [zone["name"] for zone in state["zones"]] == ["bench"]
        jpeg = first_picture(server, token)
    assert cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).shape == (320, 240, 3)


def first_picture(server: Served, token: str) -> bytes:
    """The first JPEG of the channel's video."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    try:
        connection.request("GET", f"/live/{token}/picture")
        response = connection.getresponse()
        data = b""
        while JPEG_END not in data:
            data += response.read1(65536)
        return data[data.index(JPEG_BEGIN) : data.index(JPEG_END) + len(JPEG_END)]
    finally:
        connection.close()


def test_a_camera_that_cannot_be_reached_is_said_without_its_password(server: Served) -> None:
    token, _ = start(server, "server:yard")
    said = failure(server, token)
    assert "127.0.0.1" in said
    assert "geheim" not in said


def test_ctrl_c_ends_it_without_an_error_while_a_page_is_open(
    chromium: Any, painted: Path, tmp_path: Path
) -> None:
    page = chromium.new_page()
    with site_server(tmp_path, painted) as server:
        page.goto(f"http://127.0.0.1:{server.port}/")
        page.wait_for_function("document.getElementById('phase-text')?.textContent.startsWith('Live')")
    page.close()
