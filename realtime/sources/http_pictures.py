"""Opening an http address. FFmpeg takes a server's word that it sends parts with a boundary before each; some begin
without one, send none at all, or name the kind of their pictures in their own way. Their pictures are found in what
they send instead."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.codec.hwaccel import HWAccel
    from av.container import InputContainer

WITH_BOUNDARIES, IN_A_ROW = "mpjpeg", "mjpeg"
"""FFmpeg's names for JPEGs in parts, and for JPEGs with anything between them."""


def open_http(
    address: str,
    options: dict[str, str],
    limits_s: tuple[float, float] | None,
    accelerator: "HWAccel | None",
) -> "InputContainer":
    """`limits_s`: for opening and for each read. `accelerator`: what decodes it. Raises FFmpegError."""
    import av

    try:
        container = av.open(address, "r", options=options, timeout=limits_s, hwaccel=accelerator)
    except av.error.InvalidDataError as error:
        refused = error
    else:
        if container.format.name != WITH_BOUNDARIES or _has_pictures(container):
            return container
        container.close()
        refused = av.error.InvalidDataError(0, "no pictures in its parts")
    try:
        container = av.open(address, "r", IN_A_ROW, options, timeout=limits_s, hwaccel=accelerator)
    except av.error.FFmpegError:
        raise refused from None
    if _has_pictures(container):
        return container
    container.close()
    raise refused


def _has_pictures(container: "InputContainer") -> bool:
    return any(stream.width for stream in container.streams.video)
