"""Parses the text that names a video source, and says how it may be shown. Opens nothing."""

import os
import re
import stat
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from realtime.errors import SourceError, UsageError, one_line

Kind = Literal["file", "images", "webcam", "rtsp", "http", "stdin"]
Transport = Literal["tcp", "udp"]
Rotation = Literal[0, 90, 180, 270]
"""Degrees clockwise."""

ALLOWED = "a video file, a folder of images, webcam:N, rtsp(s)://..., http(s)://... or - for standard input"

OPEN_LIMIT_S = 10.0
"""Within this time a server that has accepted the connection must describe its stream."""
STALL_LIMIT_S: dict[Kind, float] = {"rtsp": 5.0, "http": 30.0, "webcam": 5.0}
"""Silence after which such a source is lost. HLS hands out whole segments, of ten seconds and more."""
SOCKET_LIMIT_US: dict[Kind, int] = {"rtsp": 5_000_000, "http": 5_000_000}
"""Network silence, in microseconds, after which FFmpeg gives up."""
LOCAL_OPTIONS = {"pattern_type": "none"}
"""Without this, FFmpeg reads %03d, * and ? in an image's name as a pattern for other files."""

_SCHEMES: dict[str, Kind] = {"rtsp": "rtsp", "rtsps": "rtsp", "http": "http", "https": "http"}
_URL = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_SECRET = re.compile(
    r"(?i)((?:user(?:name)?|login|pass(?:word|wd)?|pwd|token|secret|key|auth|sig)\w*=)[^&/;#]+"
)

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/\S+?(?=[:;,]?(?:\s|$))")


@dataclass(frozen=True)
class Address:
    """A source that has been parsed but not opened."""

    kind: Kind
    target: str = field(repr=False)
    """Absolute path, complete URL, number of the camera, or "-". It may hold a password: never show it."""
    name: str
    """What may be printed and logged."""


def parse_source(source: str | Path) -> Address:
    """Parse `source` (see `ALLOWED`). Raises UsageError if it is none of these, SourceError if it does not exist."""
    text = str(source)
    if isinstance(source, Path):
        return _local(text)
    if text == "-":
        return Address("stdin", "-", "standard input")
    if text.lower().startswith("webcam:"):
        return _webcam(text)
    url = _URL.match(text)
    if not url:
        return _local(text)
    kind = _SCHEMES.get(url[1].lower())
    if kind is None:
        raise UsageError(f"{masked(text)}: {url[1]}:// is not known; give {ALLOWED}")
    # FFmpeg knows schemes in small letters alone; some cameras' own pages write them in capitals.
    return Address(kind, url[1].lower() + text[len(url[1]) :], masked(text))


def check_url(address: Address) -> None:
    """Raises UsageError for an address of a server that no server can have, before anything is sent to one."""
    _, _, rest = address.target.partition("://")
    server, _, path = re.match(r"([^/?#]*)([/?#]?)(.*)", rest, re.DOTALL).groups()  # type: ignore[union-attr]
    host, colon, port = server.rpartition("@")[2].partition(":")
    if server.rpartition("@")[2].startswith("["):
        host, _, after = server.rpartition("@")[2].partition("]")
        colon, port = after[:1], after[1:]
    if colon and "@" in path and not port.isdecimal():
        raise UsageError(
            f"{address.name}: in a user name or password / # ? are written %2F %23 %3F, and @ is %40; write it so"
        )
    if ":" in port:
        raise UsageError(
            f"{address.name}: an IPv6 address stands in brackets, as in rtsp://[fe80::1]:554/stream"
        )
    if port and not (port.isdecimal() and 0 < int(port) < 65536):
        raise UsageError(
            f"{address.name}: a port is a number from 1 to 65535; correct what stands behind the host"
        )
    try:
        os.fsencode(address.target)
    except UnicodeEncodeError:
        raise UsageError(
            f"{address.name}: it has characters that cannot be sent; write them as %XX"
        ) from None
    if not host:
        raise UsageError(f"{address.name}: there is no host in it; give it as in rtsp://camera/stream")


def masked(source: str) -> str:
    """`source` as it may be shown: printable, and without its credentials.

    Everything between :// and the last @ is removed, even where an unescaped / in a password hides the end of the host
    part. So are values named like a secret, which some cameras expect in the path or the query.
    """
    url = _URL.match(source)
    if not url:
        return one_line(source)
    rest = source[url.end() :]
    if "@" in rest:
        rest = "***@" + rest.rpartition("@")[2]
    return one_line(url[0] + _SECRET.sub(r"\1***", rest))


def masked_within(message: str) -> str:
    """The message without the secrets of addresses in it, also of those that were taken for paths (https:/...)."""
    return _ADDRESS.sub(lambda found: _SECRET.sub(r"\1***", found[0]), message)


def _webcam(text: str) -> Address:
    number = text.partition(":")[2]
    if not re.fullmatch(r"[0-9]{1,4}", number):
        raise UsageError(f"{text}: give webcam:N with the number of the camera, webcam:0 for the first")
    return Address("webcam", number, f"webcam:{int(number)}")


def _local(text: str) -> Address:
    try:
        mode = os.stat(text).st_mode
    except FileNotFoundError as error:
        raise SourceError(f"{text}: no such file or folder; give {ALLOWED}") from error
    except (OSError, ValueError) as error:
        raise SourceError(
            f"{text}: cannot be read ({getattr(error, 'strerror', error)}); give {ALLOWED}"
        ) from error
    if stat.S_ISDIR(mode):
        return Address("images", os.path.abspath(text), one_line(text))
    if stat.S_ISCHR(mode):
        raise UsageError(f"{text}: a device, not a file; for a camera write webcam:N")
    if stat.S_ISREG(mode) and os.stat(text).st_size == 0:
        raise SourceError(f"{text}: the file is empty; give {ALLOWED}")
    return Address("file", os.path.abspath(text), one_line(text))


def ffmpeg_input(
    address: Address, transport: Transport, directshow: list[str]
) -> tuple[str, str | None, dict[str, str]]:
    """What FFmpeg opens, with which input format (None: FFmpeg detects it) and options. `directshow`: see
    `camera_input`."""
    if address.kind == "webcam":
        # Without a rate, AVFoundation asks for one that its own cameras refuse.
        options = {"framerate": "30"} if sys.platform == "darwin" else {}
        return *camera_input(address, directshow), options
    if address.kind == "rtsp":
        options = {
            "rtsp_transport": transport,
            "timeout": str(SOCKET_LIMIT_US["rtsp"]),
            "allowed_media_types": "video",
            # Probing delays the start: five frames, rather than a second of them, give the rate well enough.
            "fpsprobesize": "5",
        }
        return address.target, None, options
    if address.kind == "http":
        return address.target, None, {"rw_timeout": str(SOCKET_LIMIT_US["http"])}
    return address.target, None, LOCAL_OPTIONS


def camera_input(
    address: Address, directshow: list[str], platform: str = sys.platform, devices: Path = Path("/dev")
) -> tuple[str, str]:
    """What FFmpeg opens for a camera, and with which input format.

    `directshow`: names of the cameras on Windows. `devices`: the folder of camera devices on Linux.
    """
    return CAMERA_INPUTS.get(platform, _video4linux)(address, directshow, devices)


def _avfoundation(address: Address, directshow: list[str], devices: Path) -> tuple[str, str]:
    return str(int(address.target)), "avfoundation"


def _directshow(address: Address, directshow: list[str], devices: Path) -> tuple[str, str]:
    number = int(address.target)
    if number < len(directshow):
        return f"video={directshow[number]}", "dshow"
    raise SourceError(
        f"{address.name}: no such camera; there are {len(directshow)} here, the first is webcam:0"
    )


def _video4linux(address: Address, directshow: list[str], devices: Path) -> tuple[str, str]:
    path = devices / f"video{int(address.target)}"
    if not path.exists():
        here = sorted(f"webcam:{found.name.removeprefix('video')}" for found in devices.glob("video[0-9]*"))
        raise SourceError(
            f"{address.name}: no such camera ({path} is missing); here: {', '.join(here) or 'none'}"
        )
    return str(path), "v4l2"


CAMERA_INPUTS = {"darwin": _avfoundation, "linux": _video4linux, "win32": _directshow}
"""By `sys.platform`; elsewhere as on Linux."""
