"""The sources of a command: their names, and how they are opened and kept open."""

import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any

import typer

from realtime.errors import SourceError, UsageError
from realtime.sources.address import Kind, Rotation, Transport, masked, parse_source
from realtime.sources.hardware import Decode
from realtime.sources.open import open_video
from realtime.sources.reconnect import Reconnecting, keep_open
from realtime.sources.video import Video
from realtime.zones import Zone

Open = Callable[[str | Path], Video]
_NAMED = re.compile(r"([A-Za-z0-9][\w.-]*)=(.+)")


@dataclass(frozen=True)
class SourceOptions:
    """Options for opening sources."""

    fps: Annotated[
        str | None,
        typer.Option(
            "--fps",
            metavar="RATE",
            help="Frame rate of sources without one, such as a folder of images: 25, 30000/1001.",
        ),
    ] = None
    square_pixels: Annotated[
        bool, typer.Option("--square-pixels/--keep-pixels", help="Stretch non-square pixels to square ones.")
    ] = True
    rtsp_transport: Annotated[Transport, typer.Option(help="How RTSP sends its packets.")] = "tcp"
    rotate: Annotated[Rotation, typer.Option(help="Turn the picture by so many degrees, clockwise.")] = 0
    decode: Annotated[
        Decode,
        typer.Option(metavar="WHERE", help="Decode on: cpu, auto, cuda, vaapi, videotoolbox."),
    ] = "cpu"
    reconnect: Annotated[
        bool, typer.Option("--reconnect/--no-reconnect", help="Open a live source again when it is lost.")
    ] = True

    def opener(self, *, keep_packets: bool = False) -> Open:
        """A function that opens one source. Raises BadParameter for an invalid rate."""
        return partial(
            open_and_tell,
            image_fps=rate(self.fps),
            square_pixels=self.square_pixels,
            rtsp_transport=self.rtsp_transport,
            rotate=self.rotate,
            decode=self.decode,
            keep_packets=keep_packets,
        )


def open_and_tell(source: str | Path, **options: Any) -> Video:
    """`open_video`; says on stderr where it is decoded, if that was to be elsewhere than on the CPU."""
    video = open_video(source, **options)
    if video.decoding:
        _tell(f"i3d-live: {video.name}: {video.decoding}")
    return video


@cache
def _tell(line: str) -> None:
    """Once, however often a camera is opened again."""
    print(line, file=sys.stderr)


def rate(text: str | None) -> Fraction | None:
    """ "25", "29.97" or "30000/1001" as a fraction."""
    if text is None:
        return None
    try:
        value = Fraction(text)
    except (ValueError, ZeroDivisionError):
        value = Fraction(0)
    if value <= 0:
        raise typer.BadParameter(
            f"{text!r} is not a rate; give frames a second, such as 25 or 30000/1001", param_hint="--fps"
        )
    return value


@dataclass(frozen=True)
class Named:
    """A source as it was given on the command line or in a site file."""

    text: str = field(repr=False)
    name: str | None
    """For the lines of the log; None for a single source without a name."""
    how: SourceOptions = SourceOptions()
    zones: tuple[Zone, ...] = ()
    priority: int = 0
    """The higher, the more important: where not all can keep up, the others leave out work first."""

    def open(
        self, *, may_be_away: bool, later: bool = False, keep_packets: bool = False
    ) -> Video | Reconnecting:
        """See `keep_open` and `open_video`. Raises UsageError for a zone that is out of the picture."""
        opener = self.how.opener(keep_packets=keep_packets)
        if not self.how.reconnect:
            video: Video | Reconnecting = opener(self.text)
        else:
            video = keep_open(self.text, opener, may_be_away=may_be_away, later=later)
        if video.picture is not None:
            try:
                for zone in self.zones:
                    zone.in_px(video.picture.stored_px)
            except UsageError:
                video.close()
                raise
        return video


def parse_sources(texts: Sequence[str], how: SourceOptions = SourceOptions()) -> list[Named]:
    """Parse texts of the form SOURCE or NAME=SOURCE. Raises UsageError for names that are not unique."""
    found: list[Named] = []
    for text in texts:
        match = None if os.path.exists(text) else _NAMED.fullmatch(text)
        name, source = (match[1], match[2]) if match else (None, text)
        if len(texts) > 1 and name is None:
            name = masked(source)
        found.append(Named(source, name, how))
    names = [named.name for named in found]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{name}: two sources of that name; give each its own, as in cam1=rtsp://...")
    return found


@dataclass(frozen=True, eq=False)
class Opened:
    """A source that is open, or kept open."""

    named: Named
    kind: Kind
    video: Video | Reconnecting

    @property
    def name(self) -> str | None:
        return self.named.name


def open_sources(
    sources: Sequence[Named], *, keep_packets: bool = False
) -> tuple[list[Opened], list[Exception]]:
    """Sources that can be opened, and cameras that are not connected yet; and why others are left out, also on stderr.

    A single source that cannot be opened raises: its address is more likely wrong than its camera switched off. So does
    the last one of several.
    """
    opened: list[Opened] = []
    failures: list[Exception] = []
    for named in sources:
        try:
            video = named.open(may_be_away=len(sources) > 1, keep_packets=keep_packets)
            opened.append(Opened(named, parse_source(named.text).kind, video))
        except SourceError as error:
            failures.append(error)
            if len(failures) == len(sources):
                raise
            said = str(error)
            if not said.startswith(f"{named.name}:"):
                said = f"{named.name}: {said}"
            print(f"i3d-live: {said}", file=sys.stderr)
    return opened, failures
