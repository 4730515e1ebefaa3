"""Bad files to the upload, as in `test_bad_input`."""

import json
import socket
from pathlib import Path

import pytest

from tests.support.pressing import failure, start, watching
from tests.support.serving import Served, ask, send_raw
from tests.support.view_doubles import until


def upload(server: Served, body: bytes, name: str = "clip.mp4") -> tuple[int, dict[str, str]]:
    status, _, answer = ask(server, f"/live/upload?name={name}", method="POST", body=body)
    return status, json.loads(answer)


@pytest.mark.parametrize(
    ("body", "name"),
    [(b"", "a.mp4"), (b"just text", "a.mp4"), (b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n", "a.mp4"), (b"ffconcat version 1.0\nfile /etc/passwd\n", "a.mkv"),
     (b"\x89PNG\r\n\x1a\n" + bytes(50), "a.png"), (b"MZ" + bytes(90), "a.exe"), (b"<svg onload=alert(1)>", "<script>.mp4")],
)  # fmt: skip
def test_a_file_that_is_not_a_video_is_refused(server: Served, body: bytes, name: str) -> None:
    status, answer = upload(server, body, name)
    assert status == 400
    assert "not a video; send MP4, MOV, MKV, WebM, AVI or MPEG" in answer["error"]
    assert server.holds()["uploads"] == 0


@pytest.mark.parametrize("damage", ["cut off", "made up"])
def test_a_file_that_only_looks_like_a_video_is_explained_and_deleted(
    server: Served, painted: Path, damage: str
) -> None:
    content = painted.read_bytes()
    broken = content[:2000] if damage == "cut off" else content[:32] + bytes(range(256)) * 40
    status, answer = upload(server, broken)
    assert status == 200
    token, _ = start(server, "file", "", answer["upload"])
    assert failure(server, token).startswith("clip.mp4: cannot be opened: not a video that can be read")
    until(lambda: server.holds()["uploads"] == 0)


def test_a_name_with_a_path_is_shown_without_it(server: Served, painted: Path) -> None:
    status, answer = upload(server, painted.read_bytes(), "..%2F..%2F..%2Fetc%2Fcron.d%2F%00evil.mp4")
    assert status == 200
    token, _ = start(server, "file", "", answer["upload"])
    with watching(server, token) as viewer:
        assert json.loads(viewer.recv(timeout=20))["source"] == "evil.mp4"
    assert not Path("/etc/cron.d/evil.mp4").exists()
    until(lambda: server.holds()["uploads"] == 0)


def test_two_gigabytes_are_refused_before_they_are_sent(server: Served) -> None:
    head = f"POST /live/upload?name=a.mp4 HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Length: {2 * 2**30}\r\n\r\n"
    answer = send_raw(server, head.encode())
    assert b" 413 " in answer
    assert server.holds()["uploads"] == 0


def test_an_upload_without_a_length_is_refused_at_the_limit(server: Served) -> None:
    head = f"POST /live/upload?name=a.mp4 HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nTransfer-Encoding: chunked\r\n\r\n"
    piece = b"40000\r\n" + b"\0\0\0\x20ftyp".ljust(0x40000, b"x") + b"\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(head.encode())
        try:
            for _ in range(40):
                connection.sendall(piece)
        except OSError:
            pass
        assert b" 413 " in connection.recv(100)
    until(lambda: server.holds()["uploads"] == 0)


def test_an_upload_that_is_broken_off_leaves_nothing(server: Served) -> None:
    head = f"POST /live/upload?name=a.mp4 HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Length: 900000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(head.encode() + b"\0\0\0\x20ftyp" + bytes(100_000))
        until(lambda: server.holds()["uploads"] == 1)
    until(lambda: server.holds()["uploads"] == 0)


@pytest.mark.parametrize("key", ["", "nobody", "../../../etc/passwd", "x" * 10_000, None, 7])
def test_an_unknown_upload_is_refused(server: Served, key: object) -> None:
    token, message = start(server, "file", "", key)
    assert token == ""
    assert "choose the file again" in message
