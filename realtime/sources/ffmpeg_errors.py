"""One plain sentence for each error of FFmpeg, with what to do about it. Goes by the errors' names, so it does not
import av."""

import errno
import socket
from urllib.parse import urlsplit

from realtime.sources.address import Address

_BY_NAME = {
    "HTTPUnauthorizedError": "the server wants a user name and password; give scheme://user:password@host/...",
    "HTTPForbiddenError": "the server refuses access (403); check the user name and password",
    "HTTPNotFoundError": "the server knows no such stream or file (404); check the path",
    "HTTPServerError": "the server failed (5xx); see its own log, or try again later",
    "ConnectionRefusedError": "connection refused; check that the server is on and the port is right",
    "TimeoutError": "no answer in time; check that the source is on and can be reached",
    "ExitError": "no data in time; check that the source is on and can be reached",
    "DecoderNotFoundError": "no decoder for its codec here; convert it to H.264 first",
    "DemuxerNotFoundError": "this kind of input is not supported on this machine",
    "PermissionError": "no permission to read it",
}
_NO_TRANSPORT = (93, 461)
"""Protocol not supported (Linux), and RTSP's "unsupported transport"."""
_ANOTHER_TRANSPORT = "the server does not offer this transport; choose the other one of tcp and udp"
_NO_ANSWER = "the server is silent, or what it sends is no video; check that it plays elsewhere"
_INVALID = "not a video that can be read, or cut off before its index; check that it plays elsewhere"

INDEX_BEHIND = (
    "its index is at the end, which a pipe, or a server without ranges, gives too late; name the file itself, or write it "
    "anew with its index in front: ffmpeg -i in.mp4 -c copy -movflags +faststart out.mp4"
)
_MP4 = (".mp4", ".m4v", ".mov", ".3gp", ".3g2")


def reason(error: BaseException, address: Address) -> str:
    """Why PyAV raised `error` for `address`. Never contains the address, as FFmpeg's own texts would, passwords
    included."""
    name = type(error).__name__
    number = abs(getattr(error, "errno", None) or 0)
    if address.kind in ("rtsp", "http") and isinstance(error, OSError) and _unknown_host(address.target):
        return "its host name cannot be resolved; check the spelling and the network" + _escapes(
            address.target
        )
    if name == "OSError" and number == errno.EIO and urlsplit(address.target).path.lower().endswith(_MP4):
        return INDEX_BEHIND
    if number in _NO_TRANSPORT and address.kind == "rtsp":
        return _ANOTHER_TRANSPORT
    if name in _BY_NAME:
        return _BY_NAME[name]
    if name in ("InvalidDataError", "EOFError"):
        return _INVALID if address.kind not in ("rtsp", "http") else _NO_ANSWER
    return str(getattr(error, "strerror", None) or name).lower()


def _escapes(url: str) -> str:
    """The host may be half of a password."""
    return "; in a password / # ? are written %2F %23 %3F" if "@" in url else ""


def _unknown_host(url: str) -> bool:
    try:
        host = urlsplit(url).hostname
        if host:
            socket.getaddrinfo(host, None)
    except (OSError, ValueError):
        return True
    return False
