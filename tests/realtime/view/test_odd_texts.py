"""Every text that a page sends, with every kind of odd text: taken, or refused in one line without its secrets; and
sources of a server whose names are odd."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.realtime.view.conftest import IDLE
from tests.support.pressing import FIELDS, handler, press, start, watching
from tests.support.serving import Served, ask, served
from tests.support.view_doubles import until

SECRET = "s3crets3cret"
ODD = {
    "empty": "",
    "spaces": "   ",
    "surrogate": "rtsp://me:s3crets3cret@127.0.0.1:1/\ud800",
    "zero byte": "http://me:s3crets3cret@127.0.0.1:1/\0",
    "line feed": "rtsp://me:s3crets3cret@127.0.0.1:1/a\nb",
    "too long": "https://127.0.0.1:9/live.m3u8?token=" + SECRET * 350,
    "no host": "http://a..b/?token=s3crets3cret",
    "half a host": "rtsp://me:s3crets3cret@[::1",
    "no port": "http://me:s3crets3cret@127.0.0.1:port/",
    "port too large": "http://me:s3crets3cret@127.0.0.1:99999/",
    "raw password": "rtsp://me:s3crets3cret/#?@127.0.0.1:1/",
    "no camera": "webcam:-1",
    "camera of letters": "webcam:٤",
    "other scheme": "FILE:///etc/passwd",
    "markup": "<img src=x onerror=alert(1)> $x_1$ [red]",
    "right to left": "\u202egnp.4pm",
    "path": "../../etc/passwd",
}


def as_address(server: Served, odd: str) -> str:
    return start_and_hear(server, "address", address=odd)


def as_source(server: Served, odd: str) -> str:
    return start_and_hear(server, odd)


def as_source_of_the_server(server: Served, odd: str) -> str:
    return start_and_hear(server, f"server:{odd}")


def as_upload(server: Served, odd: str) -> str:
    return start_and_hear(server, "file", upload=odd)


def as_region(server: Served, odd: str) -> str:
    return start_and_hear(server, "server:painted.mp4", fields=FIELDS | {"region": odd})


def as_watched_label(server: Served, odd: str) -> str:
    return start_and_hear(server, "server:painted.mp4", fields=FIELDS | {"watch": [odd, "painting red"]})


def as_mode(server: Served, odd: str) -> str:
    return start_and_hear(server, "server:painted.mp4", fields=FIELDS | {"mode": odd})


def as_name_of_an_upload(server: Served, odd: str) -> str:
    name = quote(odd, errors="surrogatepass")
    status, _, answer = ask(server, f"/live/upload?name={name}", method="POST", body=b"none")
    assert status in (200, 400)
    return str(json.loads(answer).get("error", ""))


def as_name_of_a_zone(server: Served, odd: str) -> str:
    token, _ = start(server, "server:painted.mp4")
    name = quote(odd, errors="surrogatepass")
    zone = json.dumps({"x": 1, "y": 1, "width": 100, "height": 100, "was": odd})
    status, _, answer = ask(server, f"/live/{token}/zones?name={name}", method="PUT", body=zone)
    assert status == 400
    return str(json.loads(answer)["error"])


def as_an_action_to_record(server: Served, odd: str) -> str:
    return press(server, handler(server, "record", "click"), ["nobody", odd, 3])[1]


def start_and_hear(server: Served, source: str, **given: object) -> str:
    """What the page says, at the start or later; "" if it runs."""
    token, why = start(server, source, **given)  # type: ignore[arg-type]
    if not token:
        return why
    with watching(server, token) as viewer:
        for message in viewer:
            state = json.loads(message)
            if state["phase"] == "failed":
                return str(state["note"])
            if state["phase"] == "running":
                return ""
    raise AssertionError("the channel ended without a word")


ENTRIES: list[Callable[[Served, str], str]] = [
    as_address, as_source, as_source_of_the_server, as_upload, as_region, as_watched_label, as_mode,
    as_name_of_an_upload, as_name_of_a_zone, as_an_action_to_record,
]  # fmt: skip

TAKES_ADDRESSES = (as_address, as_source, as_source_of_the_server)


@pytest.fixture(scope="module")
def recording(painted: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """It would record, too."""
    with served(painted, record_to=tmp_path_factory.mktemp("recorded")) as server:
        yield server


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.__name__)
def test_an_odd_text_is_taken_or_refused_in_one_line(
    entry: Callable[[Served, str], str], recording: Served
) -> None:
    for odd, text in ODD.items():
        said = entry(recording, text)
        assert len(said.splitlines()) <= 1, (odd, said)
        assert len(said) < 500, (odd, said)
        assert "fault of this program" not in said, odd
        assert "Traceback" not in said, odd
        assert entry not in TAKES_ADDRESSES or SECRET not in said, (odd, said)
        recording.clear()
        until(lambda: recording.holds() == IDLE)


def test_a_source_of_the_server_may_have_any_name(painted: Path, tmp_path: Path) -> None:
    names = [
        os.fsdecode(b"bad\xff.mp4"),
        "a\nb.mp4",
        "<b>&.mp4",
        "12:30.mp4",
        "打太极.mp4",
        "[red] $x$ %d.mp4",
    ]
    for name in names:
        shutil.copyfile(painted, tmp_path / name)
    with served(*(tmp_path / name for name in names)) as server:
        status, _, config = ask(server, "/config")
        assert status == 200
        (radio,) = [c for c in json.loads(config)["components"] if c["props"].get("elem_id") == "source"]
        sources = [value for _, value in radio["props"]["choices"] if value.startswith("server:")]
        assert len(sources) == len(names)
        for source in sources:
            assert start_and_hear(server, source) == "", source
            server.clear()
