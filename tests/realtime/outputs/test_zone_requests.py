"""Zones changed over HTTP: with a real client, at the real server, and in a real run."""

import json
import re
import socket
import subprocess
from collections.abc import Iterator
from fractions import Fraction
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from realtime.commands.outputs import ZONES_TOKEN, ZONES_TOKEN_FILE, zones_token
from realtime.errors import UsageError
from realtime.outputs.metrics import Metrics
from realtime.outputs.zone_requests import LARGEST_BODY_BYTES
from realtime.recognizer import Recognizer
from realtime.stages.live_zones import LiveZones
from realtime.types import Figures
from realtime.zones import Zone, ZoneTerms
from tests.realtime.commands.test_reload import log, started, until
from tests.support.colours import SeesColours, coloured
from tests.support.made_clips import every, write_clip

TOKEN = "a token that nobody guesses"
DOOR = {"x": 16, "y": 16, "width": 96, "height": 224}


@pytest.fixture(scope="module")
def metrics() -> Iterator[Metrics]:
    """One for all tests: it takes half a second to close."""
    with Metrics("127.0.0.1", 0, zones_token=TOKEN) as served:
        yield served


@pytest.fixture
def zones(metrics: Metrics) -> Iterator[LiveZones]:
    """The zones of a camera whose pictures have 256 x 256 px."""
    found = Recognizer({"rgb": SeesColours()})
    found.push(coloured(0, {}))
    metrics.watch("cam", Figures, 5.0, found.zones)
    yield found.zones
    for name in ("cam", "yard"):
        metrics.forget(name)


def ask(port: int, method: str, path: str, body: Any = None, token: str | None = TOKEN) -> tuple[int, str]:
    """Status and text. `body`: bytes, or what becomes JSON."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        sent = body if body is None or isinstance(body, bytes) else json.dumps(body)
        connection.request(method, path, sent, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_zones_come_move_and_go(metrics: Metrics, zones: LiveZones) -> None:
    door = DOOR | {"percent": False, "own": False}
    status, text = ask(metrics.port, "PUT", "/zones/door", DOOR)
    assert (status, json.loads(text)) == (200, {"cam": {"door": door}})
    assert zones.now == (Zone("door", 16, 16, 96, 224),)
    half = {"x": 50, "y": 10.5, "width": 40, "height": 50, "percent": True, "own": True}
    assert ask(metrics.port, "PUT", "/zones/the%20%C3%BCberweg?source=cam", half)[0] == 200
    assert zones.now[1] == Zone("the überweg", 50, 10.5, 40, 50, percent=True, own=True)
    status, text = ask(metrics.port, "GET", "/zones")
    assert (status, json.loads(text)) == (200, {"cam": {"door": door, "the überweg": half}})
    assert ask(metrics.port, "PUT", "/zones/door", DOOR | {"width": 100})[0] == 200
    assert [zone.width for zone in zones.now] == [100, 40]
    assert json.loads(ask(metrics.port, "DELETE", "/zones/door")[1]) == {"cam": {"the überweg": half}}
    assert [zone.name for zone in zones.now] == ["the überweg"]


@pytest.mark.parametrize("given", [None, "", "a token", TOKEN[:-1], TOKEN + "x", "ü" * 20])
def test_without_the_token_nothing_is_read_or_changed(
    metrics: Metrics, zones: LiveZones, given: str | None
) -> None:
    for method, path in (
        ("PUT", "/zones/door"),
        ("GET", "/zones"),
        ("DELETE", "/zones/door"),
        ("GET", "/zones/x/y"),
    ):
        status, text = ask(metrics.port, method, path, DOOR, given)
        assert (status, text) == (401, "the token is missing or wrong; send Authorization: Bearer TOKEN\n")
    assert zones.now == ()


def test_where_no_token_is_set_there_are_no_such_paths() -> None:
    with Metrics("127.0.0.1", 0) as metrics:
        metrics.watch("cam", Figures, 5.0, LiveZones())
        for method in ("GET", "PUT", "DELETE"):
            assert ask(metrics.port, method, "/zones/door", DOOR)[0] == 404
        assert ask(metrics.port, "GET", "/zones", token=None)[0] == 404


BAD_BODIES: dict[str, tuple[Any, str]] = {
    "not JSON": (b"{", "the body is not JSON; send {"),
    "not even text": (b"\xff\xfe\x00", "the body is not JSON"),
    "deep": (b"[" * LARGEST_BODY_BYTES, "the body is not JSON"),
    "a list": ([1, 2, 3, 4], "must hold x, y, width, height"),
    "one is missing": ({"x": 1, "y": 2, "width": 3}, "must hold x, y, width, height"),
    "one too many": (DOOR | {"depth": 1}, "may hold percent and own; send"),
    "text": (DOOR | {"x": "16"}, "give numbers"),
    "true": (DOOR | {"x": True}, "give numbers"),
    "percent": (DOOR | {"percent": 1}, "true or false for percent and own"),
    "below zero": (DOOR | {"x": -1}, "zone door: -1,16,96,224 is no rectangle"),
    "not a number": (DOOR | {"x": float("nan")}, "is no rectangle"),
    "huge": (DOOR | {"x": 10**1000}, "is no rectangle"),
    "no width": (DOOR | {"width": 0}, "zone door: its width or height is 0"),
    "too wide": (DOOR | {"width": 300}, "it reaches to 316,240, out of the picture of 256x256 px"),
    "too much": (DOOR | {"percent": True}, "reaches out of the picture; give at most 100%"),
    "not seen": (DOOR | {"x": 0, "width": 9}, "the network sees nothing of it"),
}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_a_bad_zone_is_an_error_of_one_line(metrics: Metrics, zones: LiveZones, name: str) -> None:
    body, why = BAD_BODIES[name]
    status, text = ask(metrics.port, "PUT", "/zones/door", body)
    assert status == 400
    assert why in text
    assert text.count("\n") == 1
    assert (zones.now, zones.take()) == ((), [])


BAD_REQUESTS: dict[str, tuple[str, str, int, str]] = {
    "a name": ("PUT", "/zones/a%2Fb", 400, "give a name of at most 40 letters"),
    "an empty name": ("PUT", "/zones/", 400, "give a name"),
    "a line": ("PUT", "/zones/a%0Ab", 400, "give a name"),
    "not UTF-8": ("PUT", "/zones/%FF", 400, "not UTF-8"),
    "another parameter": (
        "PUT",
        "/zones/door?camera=cam",
        400,
        "'camera' is not known here; give ?source=NAME",
    ),
    "another source": ("PUT", "/zones/door?source=yard", 404, "'yard' is no source of this program: cam"),
    "unknown": ("DELETE", "/zones/gate", 404, "no zone 'gate' to remove; there is none at all"),
    "POST": ("POST", "/zones", 405, "POST is not for this path; GET /zones, PUT or DELETE /zones/NAME"),
    "GET of one": ("GET", "/zones/door", 405, "GET is not for this path"),
}


@pytest.mark.parametrize("name", BAD_REQUESTS)
def test_a_bad_request_is_one_line(metrics: Metrics, zones: LiveZones, name: str) -> None:
    method, path, status, why = BAD_REQUESTS[name]
    found, text = ask(metrics.port, method, path, DOOR)
    assert (found, text.count("\n")) == (status, 1)
    assert why in text
    assert zones.now == ()


def test_a_body_that_is_too_large_or_missing_is_refused(metrics: Metrics, zones: LiveZones) -> None:
    status, text = ask(metrics.port, "PUT", "/zones/door", b" " * (LARGEST_BODY_BYTES + 1))
    assert (status, "at most 4096" in text) == (413, True)
    for length, wanted in ((None, b"411"), (b"-1", b"411"), (b"9" * 5000, b"413")):
        head = b"PUT /zones/door HTTP/1.0\r\nAuthorization: Bearer " + TOKEN.encode() + b"\r\n"
        with socket.create_connection(("127.0.0.1", metrics.port), timeout=10) as plain:
            plain.sendall(
                head + (b"" if length is None else b"Content-Length: " + length + b"\r\n") + b"\r\n"
            )
            assert plain.recv(100).split()[1] == wanted
    assert zones.now == ()


def test_of_several_sources_one_has_to_be_named(metrics: Metrics, zones: LiveZones) -> None:
    other = LiveZones()
    metrics.watch("yard", Figures, 5.0, other)
    status, text = ask(metrics.port, "PUT", "/zones/door", DOOR)
    assert (status, text) == (400, "name the source with ?source=NAME: cam, yard\n")
    assert ask(metrics.port, "PUT", "/zones/door?source=yard", DOOR)[0] == 200
    assert (zones.now, [zone.name for zone in other.now]) == ((), ["door"])
    assert json.loads(ask(metrics.port, "GET", "/zones")[1]).keys() == {"cam", "yard"}
    assert json.loads(ask(metrics.port, "GET", "/zones?source=cam")[1]) == {"cam": {}}
    metrics.forget("yard")
    assert ask(metrics.port, "DELETE", "/zones/door?source=yard")[0] == 404


def test_the_token_comes_from_the_environment_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\nmore\n")
    assert zones_token({}) is None
    assert zones_token({ZONES_TOKEN: TOKEN}) == TOKEN
    assert zones_token({ZONES_TOKEN_FILE: str(tmp_path / "token")}) == TOKEN
    with pytest.raises(UsageError, match="has 6 characters; take at least 16") as error:
        zones_token({ZONES_TOKEN: "secret"})
    assert "secret" not in str(error.value)
    with pytest.raises(UsageError, match="cannot read"):
        zones_token({ZONES_TOKEN_FILE: str(tmp_path / "none")})


def test_zones_may_change_while_a_run_goes_on(tmp_path: Path) -> None:
    write_clip(tmp_path / "long.mp4", every(Fraction(1, 25), 4000), size_px=(160, 120))
    (tmp_path / "site.toml").write_text(
        '[[camera]]\nname = "yard"\naddress = "long.mp4"\nzones.gate = "0%,0%,100%,100%"\n'
        '[output]\nlog = "log.jsonl"\nmetrics = "0"\n'
    )

    def zones() -> set[str]:
        return {
            line["zone"] for line in log(tmp_path)[-8:] if line["kind"] == "prediction" and "zone" in line
        }

    with started(
        tmp_path,
        "site.toml",
        environment={ZONES_TOKEN: TOKEN},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stderr is not None
        said = process.stderr.readline().decode()
        port = int(re.search(r":(\d+)/metrics, health at /health, zones at /zones", said)[1])  # type: ignore[index]
        until(lambda: zones() == {"gate"})
        assert ask(port, "PUT", "/zones/door", {"x": 40, "y": 20, "width": 60, "height": 80})[0] == 200
        until(lambda: zones() == {"gate", "door"})
        status, text = ask(port, "PUT", "/zones/far", {"x": 40, "y": 20, "width": 121, "height": 80})
        assert (status, text.partition(";")[0]) == (
            400, "zone far: it reaches to 161,100, out of the picture of 160x120 px",
        )  # fmt: skip
        assert ask(port, "DELETE", "/zones/gate?source=yard")[0] == 200
        until(lambda: zones() == {"door"})
        assert list(json.loads(ask(port, "GET", "/zones")[1])["yard"]) == ["door"]


def test_a_zone_that_is_moved_keeps_the_rest(metrics: Metrics, zones: LiveZones) -> None:
    terms = ZoneTerms(on=0.7, watch=("red", "blue"))
    zones.put(Zone("door", 10, 10, 50, 50, percent=True, own=True, terms=terms))
    assert ask(metrics.port, "PUT", "/zones/door", DOOR)[0] == 200
    assert zones.now == (Zone("door", 16, 16, 96, 224, own=True, terms=terms),)
    assert ask(metrics.port, "PUT", "/zones/door", DOOR | {"own": False})[0] == 200
    assert zones.now == (Zone("door", 16, 16, 96, 224, terms=terms),)
