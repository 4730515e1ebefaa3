"""Forty kinds of bad input to the page and its endpoints. After each the server still runs and says why not, and
another session, which watches the server's own source all the while, has noticed nothing."""

import io
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from PIL import Image
from websockets.exceptions import ConnectionClosed
from websockets.frames import Close

from tests.support.pressing import (
    FIELDS,
    ask_for_start,
    failure,
    handler,
    picture,
    press,
    sending,
    start,
    watching,
)
from tests.support.serving import Served, ask, send_raw
from tests.support.view_doubles import until


def post(server: Served, path: str, body: str | bytes) -> tuple[int, str]:
    status, _, answer = ask(server, path, method="POST", body=body, content_type="application/json")
    return status, answer.decode()


JOIN = "/gradio_api/queue/join"
START: dict[str, Any] = {"source": "server:painted.mp4", "address": "", "upload": "", "settings": []}
"""All of a start except the settings."""


@pytest.mark.parametrize(
    "body",
    ["", "{", "nonsense", "[]", "null", "7", '{"data": 3}', '{"data": {}, "fn_index": 0}', '{"data": [], "fn_index": "start"}',
     "[" * 3000 + "]" * 3000, '{"data": [NaN, Infinity], "fn_index": 1e400}', b"\xff\xfe\x00", '{"data": ["\\ud800"], "fn_index": 0}',
     '{"data": [], "fn_index": 99999, "session_hash": "x"}', '{"data": [], "fn_index": -1, "session_hash": "x"}'],
)  # fmt: skip
def test_malformed_json_is_survived(server: Served, body: str | bytes) -> None:
    status, answer = post(server, JOIN, body)
    assert status in (200, 400, 404, 422, 500)
    assert "Traceback" not in answer


@pytest.mark.parametrize("data", [[], ["nobody"], [1] * 50, [None] * 12, [{}] * 12, [[[]]] * 12])
def test_too_few_too_many_and_wrong_inputs_are_survived(server: Served, data: list[Any]) -> None:
    outputs, message = press(server, handler(server, "watch", "input"), data)
    assert outputs is None or message == ""
    assert "Traceback" not in message


@pytest.mark.parametrize(
    "body",
    ["", "{", "nonsense", "[]", "null", "7", "{}", '"server:painted.mp4"', "[" * 3000 + "]" * 3000, b"\xff\xfe\x00", "[1e400]",
     json.dumps([None] * 14), json.dumps([{}] * 14), json.dumps([[[]]] * 14), json.dumps([1] * 50), json.dumps(["\ud800"] * 14),
     json.dumps(START), json.dumps(START | {"settings": list(FIELDS.values())}), json.dumps(START | {"settings": FIELDS | {"more": 1}}),
     json.dumps(START | {"settings": {"mode": "preview"}})],
)  # fmt: skip
def test_a_malformed_start_is_refused_with_a_reason(server: Served, body: str | bytes) -> None:
    status, answer = ask_for_start(server, body)
    assert status == 400
    assert answer["error"]


@pytest.mark.parametrize(
    "source", ["server:", "server:../painted.mp4", "server:/etc/passwd", "nonsense", "x" * 100_000, 7, ["server:painted.mp4"], {"a": 1}, "\0"]
)  # fmt: skip
def test_an_unknown_source_is_refused(server: Served, source: object) -> None:
    token, message = start(server, source)
    assert token == ""
    assert "Traceback" not in message


@pytest.mark.parametrize(
    "address",
    [
        "/etc/passwd",
        "file:///etc/passwd",
        "concat:/etc/passwd",
        "painted.mp4",
        "-",
        "",
        None,
        5,
        ["rtsp://x"],
    ],
)
def test_what_is_not_an_address_is_refused(server: Served, address: object) -> None:
    token, message = start(server, "address", address)
    assert token == ""
    assert "is not an address; give rtsp://..., http://... or webcam:0" in message


def test_an_address_that_refuses_is_explained_without_its_password(server: Served) -> None:
    token, _ = start(server, "address", "rtsp://me:secret@127.0.0.1:1/x")
    why = failure(server, token)
    assert "connection refused" in why
    assert "secret" not in why


def test_an_address_that_is_not_a_video_is_explained(server: Served) -> None:
    token, _ = start(server, "address", f"{server.url}theme.css")
    assert "is no video" in failure(server, token)


def test_a_missing_camera_is_named(server: Served) -> None:
    token, _ = start(server, "address", "webcam:99")
    assert "webcam:99" in failure(server, token)


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [("mode", "quick", "choose one of window"), ("streams", "sound", "choose one of auto"), ("stride", 0, "from 1 to 250"), ("stride", "many", "from 1 to 250"),
     ("stride", float("nan"), "from 1 to 250"), ("on", 7, "from 0 to 1"), ("off", 0.9, "off 0.9 is above on 0.5"), ("region", "1,2", "give x,y,width,height"), ("region", "-5,0,90,90", "give x,y,width,height"), ("region", "x" * 9999, "give x,y,width,height")],
)  # fmt: skip
def test_bad_settings_are_refused_with_what_is_allowed(
    server: Served, name: str, value: object, why: str
) -> None:
    fields = FIELDS | {name: value}
    token, message = start(server, "server:painted.mp4", fields=fields)
    assert token == ""
    assert why in message


@pytest.mark.parametrize(
    ("name", "value", "why"), [("precision", "int8", "cannot be built in int8"), ("watch", ["waving"], "at least two"), ("watch", ["no such thing"], "no such thing")]
)  # fmt: skip
def test_settings_that_the_model_does_not_have_are_explained(
    server: Served, name: str, value: object, why: str
) -> None:
    fields = FIELDS | {name: value}
    token, _ = start(server, "browser", fields=fields)
    send_pictures(server, token, 1)
    assert why in failure(server, token)


def jpeg(size: tuple[int, int] = (64, 48)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, "red").save(out, "JPEG")
    return out.getvalue()


def send_pictures(server: Served, token: str, count: int, content: bytes | None = None) -> None:
    until(lambda: server.holds()["running"])
    with sending(server, token) as road:
        for number in range(count):
            road.send(picture(jpeg() if content is None else content, 1.7e12 + 40 * number))
            assert road.recv(timeout=10) == str(number + 1)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"nonsense",
        jpeg()[:100],
        b"GIF89a" + bytes(50),
        jpeg((8, 8)).replace(b"\0\x08\0\x08", b"\xff\xff\xff\xff"),
    ],
)
def test_what_is_not_a_picture_is_explained(server: Served, content: bytes) -> None:
    token, _ = start(server, "browser")
    send_pictures(server, token, 2, content)
    why = failure(server, token)
    assert "no JPEG" in why or "too large" in why


def refusal(server: Served, token: str, message: bytes | str) -> Close:
    """How the server closes the road of a webcam after this message."""
    with sending(server, token) as road:
        road.send(message)
        with pytest.raises(ConnectionClosed) as closed:
            road.recv(timeout=10)
    assert closed.value.rcvd is not None
    return closed.value.rcvd


@pytest.mark.parametrize(
    ("message", "code", "why"),
    [
        (b"", 4400, "a picture of 0 bytes"),
        (picture(jpeg(), float("nan")), 4400, "taken at nan ms"),
        (picture(jpeg(), -5), 4400, "taken at -5.0 ms"),
        (picture(jpeg(), 1e300), 4400, "taken at 1e+300 ms"),
        (bytes(9 * 2**20), 1009, "exceeds limit"),
        ("text", 4400, "a picture as text"),
    ],
    ids=["empty", "no number", "before 1970", "far away", "too large", "text"],
)
def test_what_is_no_picture_closes_the_cameras_road_and_says_why(
    server: Served, message: bytes | str, code: int, why: str
) -> None:
    token, _ = start(server, "browser")
    until(lambda: server.holds()["running"])
    closed = refusal(server, token, message)
    assert closed.code == code
    assert why in closed.reason
    assert ask(server, f"/live/{token}/stop", method="POST")[0] == 204


@pytest.mark.parametrize("token", ["nobody", "x" * 500])
def test_pictures_for_no_channel_are_refused(server: Served, token: str) -> None:
    assert refusal(server, token, picture(jpeg(), 1.7e12)).code == 4404


def test_pictures_for_a_source_that_is_no_webcam_are_left_out(server: Served) -> None:
    token, _ = start(server, "server:painted.mp4")
    with sending(server, token) as road:
        road.send(picture(jpeg(), 1.7e12))
        assert road.recv(timeout=10) == "1"


def test_a_body_that_is_too_large_is_refused(server: Served) -> None:
    status, answer = post(server, JOIN, "x" * (9 * 2**20))
    assert status == 413
    assert "at most" in answer


@pytest.mark.parametrize(
    "data",
    [b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", b"GET\r\n\r\n", b"nonsense\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /" + b"x" * 100_000,
     b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -5\r\n\r\n", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
     b"GET /%00 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b"GET /live/%ff%fe/picture HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
     b"POST /gradio_api/queue/join HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999999999999999\r\n\r\n"],
)  # fmt: skip
def test_malformed_http_is_refused_or_dropped(server: Served, data: bytes) -> None:
    answer = send_raw(server, data)
    assert answer == b"" or answer.split()[1][:1] in (b"2", b"4"), answer


@pytest.mark.parametrize("token", ["nobody", "..", "%2e%2e%2f", "x" * 2000, "static"])
def test_an_unknown_channel_is_not_found(server: Served, token: str) -> None:
    assert ask(server, f"/live/{token}/picture")[0] == 404
    assert ask(server, f"/live/{token}/flow")[0] == 404


def test_the_state_of_an_unknown_channel_is_closed_with_a_reason(server: Served) -> None:
    with watching(server, "nobody") as viewer, pytest.raises(ConnectionClosed) as closed:
        viewer.recv(timeout=20)
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4404, "this stream has ended; press Start")


@pytest.mark.parametrize(
    "word", ["", "-1", "1e9", "99999999999999999999", "x" * 4000, "x" * 100_000, b"\xff\x00", "\u0664"]
)
def test_messages_that_no_page_would_send_are_survived(server: Served, word: str | bytes) -> None:
    token, _ = start(server, "server:painted.mp4")
    with watching(server, token) as viewer:
        viewer.send(word)
        viewer.recv(timeout=20)


@pytest.mark.parametrize(
    "word", ["where", "where \ud7ff", "where " + "x" * 4000, "where no such label", "where "]
)
def test_questions_about_labels_that_are_none_are_survived(server: Served, word: str) -> None:
    token, _ = start(server, "server:painted.mp4")
    with watching(server, token) as viewer:
        viewer.send(word)
        assert "no such label" not in str(viewer.recv(timeout=20))


@pytest.mark.parametrize(
    ("name", "body", "why"),
    [
        ("door", "", "not JSON"),
        ("door", "[" * 3000 + "]" * 3000, "not JSON"),
        ("door", "[1, 2, 3, 4]", "an object of x, y, width, height"),
        ("door", '{"x": 1e400, "y": 0, "width": 1, "height": 1}', "each a number"),
        ("%3Cscript%3E", '{"x": 1, "y": 1, "width": 100, "height": 100}', "give a name of at most 40"),
        ("x" * 5000, '{"x": 1, "y": 1, "width": 100, "height": 100}', "give a name of at most 40"),
        ("..%2F..", '{"x": 1, "y": 1, "width": 100, "height": 100}', "give a name of at most 40"),
    ],
)
def test_zones_that_are_none_are_refused(server: Served, name: str, body: str, why: str) -> None:
    token, _ = start(server, "server:painted.mp4")
    with watching(server, token) as viewer:
        while not json.loads(viewer.recv(timeout=60)).get("answer"):
            pass
        status, _, answer = ask(server, f"/live/{token}/zones?name={name}", method="PUT", body=body)
        assert (status, why in json.loads(answer)["error"]) == (400, True), answer
        assert ask(server, f"/live/{token}/zones?name={name}", method="DELETE")[0] == 400
    assert ask(server, f"/live/nobody/zones?name={name}", method="PUT", body="{}")[0] == 404


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "TRACE"])
def test_other_methods_are_refused(server: Served, method: str) -> None:
    assert ask(server, "/live/upload", method=method)[0] in (404, 405)
    assert ask(server, "/gradio_api/queue/join", method=method)[0] in (404, 405)


def test_fifty_sessions_share_one_source_and_four_sources_run_at_most(server: Served) -> None:
    def session(_: int) -> tuple[int, bool, str]:
        token, _ = start(server, "server:painted.mp4")
        with watching(server, token) as viewer:
            told = bool(json.loads(viewer.recv(timeout=60))["source"])
        return ask(server, "/config")[0], told, start(server, "browser")[1]

    with ThreadPoolExecutor(50) as pool:
        results = list(pool.map(session, range(50)))
    assert [(status, told) for status, told, _ in results] == [(200, True)] * 50
    refused = [message for _, _, message in results if message]
    assert len(refused) >= 46
    assert all("already runs 4 sources" in message for message in refused)
    until(lambda: server.holds()["running"] in (["painted.mp4"], []))
