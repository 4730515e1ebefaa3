"""What counts as a source, what it is called, and that its password is never shown."""

from pathlib import Path

import pytest

from realtime.errors import SourceError, UsageError
from realtime.sources.address import Address, camera_input, check_url, masked, parse_source
from realtime.sources.image_folder import image_files


@pytest.mark.parametrize(
    ("source", "kind", "name"),
    [
        ("-", "stdin", "standard input"),
        ("webcam:0", "webcam", "webcam:0"),
        ("Webcam:07", "webcam", "webcam:7"),
        ("rtsp://camera/stream", "rtsp", "rtsp://camera/stream"),
        ("RTSPS://u:p@camera", "rtsp", "RTSPS://***@camera"),
        ("https://host/live.m3u8", "http", "https://host/live.m3u8"),
    ],
)
def test_a_source_has_a_kind_and_a_name(source: str, kind: str, name: str) -> None:
    found = parse_source(source)
    assert (found.kind, found.name) == (kind, name)


def test_files_and_folders_are_sources(tmp_path: Path) -> None:
    clip = tmp_path / "a:b@c.mp4"
    clip.write_bytes(b"x")
    assert parse_source(str(clip)) == Address("file", str(clip), str(clip))
    assert parse_source(tmp_path).kind == "images"


@pytest.mark.parametrize(
    "url",
    [
        "rtsp://admin:hunter2@10.0.0.7:554/stream",
        "rtsp://admin:hun/ter2@10.0.0.7/stream",
        "rtsp://admin:hun@ter2@10.0.0.7/stream",
        "rtsp://admin:hun?ter2@10.0.0.7/stream",
        "rtsp://10.0.0.7/user=admin&password=hunter2&channel=1",
        "http://10.0.0.7/video?PWD=hunter2",
        "https://10.0.0.7/a.m3u8?access_token=hunter2#x",
    ],
)
def test_credentials_are_never_shown(url: str) -> None:
    shown = masked(url) + repr(parse_source(url))
    assert "hun" not in shown
    assert "ter2" not in shown
    assert "admin" not in shown
    assert "10.0.0.7" in shown


@pytest.mark.parametrize(
    "source", ["ftp://user:hunter2@host/x", "foo://x", "webcam:", "webcam:one", "webcam:-1"]
)
def test_what_is_not_a_source_is_a_wrong_call(source: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_source(source)
    assert "hunter2" not in str(caught.value)
    assert "webcam:N" in str(caught.value)


def test_a_path_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such file or folder"):
        parse_source(tmp_path / "missing.mp4")
    with pytest.raises(SourceError, match="cannot be read"):
        parse_source("nul\0byte.mp4")
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(SourceError, match="the file is empty"):
        parse_source(tmp_path / "empty.mp4")
    with pytest.raises(UsageError, match="webcam:N"):
        parse_source("/dev/null")


def test_images_are_sorted_by_their_numbers(tmp_path: Path) -> None:
    for name in ("img10.png", "img2.PNG", "img1.jpg", "notes.txt"):
        (tmp_path / name).touch()
    assert [Path(p).name for p in image_files(str(tmp_path), "x")] == ["img1.jpg", "img2.PNG", "img10.png"]


def test_a_folder_without_images_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(SourceError, match=r"holiday: a folder without images .*\.png"):
        image_files(str(tmp_path), "holiday")


def test_a_camera_is_named_as_its_system_names_it(tmp_path: Path) -> None:
    second = parse_source("webcam:1")
    assert camera_input(second, [], "darwin") == ("1", "avfoundation")
    assert camera_input(second, ["Front", "Back"], "win32") == ("video=Back", "dshow")
    with pytest.raises(SourceError, match="webcam:1: no such camera; there are 1 here"):
        camera_input(second, ["Front"], "win32")
    (tmp_path / "video98").touch()
    with pytest.raises(SourceError, match=r"webcam:99: no such camera .*here: webcam:98"):
        camera_input(parse_source("webcam:99"), [], "linux", tmp_path)
    (tmp_path / "video1").touch()
    assert camera_input(second, [], "linux", tmp_path) == (str(tmp_path / "video1"), "v4l2")


@pytest.mark.parametrize("scheme", ["RTSP", "Rtsps", "HTTP", "hTTps"])
def test_schemes_may_be_in_capitals(scheme: str) -> None:
    assert parse_source(f"{scheme}://Host/Path").target == f"{scheme.lower()}://Host/Path"


@pytest.mark.parametrize("scheme", ["rtsp", "rtsps", "http", "https", "RTSP"])
@pytest.mark.parametrize(
    "password", ["hun/ter2", "hun#ter2", "hun?ter2", "/hunter2", "#hun?ter2", "hun/@ter2"]
)
def test_the_error_says_what_must_be_escaped_in_a_password(scheme: str, password: str) -> None:
    with pytest.raises(UsageError, match=r"%2F %23 %3F, and @ is %40; write it so") as caught:
        check_url(parse_source(f"{scheme}://admin:{password}@127.0.0.1:9/stream"))
    assert "hun" not in str(caught.value)
    assert "ter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("rtsp://camera:99999/x", "a port is a number from 1 to 65535"),
        ("rtsp://camera:0/x", "a port is a number from 1 to 65535"),
        ("http://camera:-1/x", "a port is a number from 1 to 65535"),
        ("http://camera:80a/x", "a port is a number from 1 to 65535"),
        ("http://u:p@[::1]:70000/x", "a port is a number from 1 to 65535"),
        ("rtsp://fe80::1/x", "stands in brackets"),
        ("rtsp:///x", "no host"),
        ("http://:80/x", "no host"),
        ("http://u:p@/x", "no host"),
    ],
)
def test_an_address_that_no_server_can_have_is_a_wrong_call(url: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        check_url(parse_source(url))


@pytest.mark.parametrize(
    "url",
    [
        "rtsp://camera/a@b",
        "rtsp://u:p@camera:554/x?y=a:b@c",
        "http://[::1]:80/x",
        "http://u:p%2F@[::1]/x",
        "https://host",
        "rtsp://camera:/x",
        "http://host/x:y@z",
    ],
)
def test_good_addresses_are_accepted(url: str) -> None:
    check_url(parse_source(url))
