"""Decoding on a graphics processor, where FFmpeg and the machine can.

Pictures come back to main memory, as NV12 mostly, and go on like all others. What cannot be decoded there is decoded on
the CPU, and the source says so in one line (`Video.decoding`).
"""

from functools import cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from realtime.errors import UsageError

if TYPE_CHECKING:
    from av.codec.hwaccel import HWAccel

Decode = Literal["cpu", "auto", "cuda", "vaapi", "videotoolbox"]
"""Where to decode; "auto": on the first of the others that can be used here."""
DEVICES = ("cuda", "videotoolbox", "vaapi")
COMMON_CODEC = "h264"
"""A device that decodes anything decodes this."""


class Device(NamedTuple):
    """The device to decode on."""

    name: str | None
    """None: the CPU."""
    why: str = ""
    """Why it is the CPU where another was asked for."""

    def accelerator(self) -> "HWAccel | None":
        """For `av.open`."""
        from av.codec.hwaccel import HWAccel

        return None if self.name is None else HWAccel(self.name)

    def said(self, codec: Any) -> str:
        """One line about how a source is decoded; empty where the CPU was asked for. `codec`: its av.CodecContext."""
        if self.name is None:
            return self.why and f"decoded on the CPU: {self.why}"
        if not codec.is_hwaccel:
            return f"decoded on the CPU: {self.name} does not decode {codec.name}"
        return f"decoded on {self.name}"


def device_for(decode: Decode) -> Device:
    """Raises UsageError for a name that is not known."""
    if decode not in get_args(Decode):
        raise UsageError(f"cannot decode on {decode!r}; choose one of {', '.join(get_args(Decode))}")
    if decode == "cpu":
        return Device(None)
    reasons = []
    for name in DEVICES if decode == "auto" else (decode,):
        reason = failure(name)
        if reason is None:
            return Device(name)
        reasons.append(f"{name} cannot be used ({reason})")
    return Device(None, "; ".join(reasons))


@cache
def failure(device: str) -> str | None:
    """Why FFmpeg cannot open a device here; None if it can. Tried once a process."""
    import av
    from av.codec.hwaccel import HWAccel, hwdevices_available

    built = hwdevices_available()
    if device not in built:
        return f"FFmpeg here is built with {', '.join(built) or 'no devices'}"
    try:
        HWAccel(device).create(av.Codec(COMMON_CODEC, "r"))
    except (av.error.FFmpegError, NotImplementedError) as error:
        return str(getattr(error, "strerror", None) or error)
    return None
