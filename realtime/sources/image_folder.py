"""A folder of images as a source: which files, in which order, at which times. The decoder is passed in."""

import os
import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from threading import Event
from typing import Any

from realtime.errors import SourceError
from realtime.sources.address import LOCAL_OPTIONS, Address
from realtime.sources.timestamps import Stamped
from realtime.sources.video import Decoded

Read = Callable[[str, dict[str, str]], Any | None]

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})


class ImageFeed:
    """The images of a folder in the order of their names, all shown equally long. Damaged ones are skipped and
    counted."""

    live, stamped, joined = False, True, False
    decoding = ""

    def __init__(self, address: Address, fps: Fraction, read: Read) -> None:
        """`read`: path, options for FFmpeg -> picture, or None if it is damaged."""
        self.address = address
        self.corrupt_packets = 0
        self.stopping = Event()
        self.average_fps: Fraction | None = fps
        self._paths = image_files(address.target, address.name)
        self._read = read
        self._step = 1 / fps
        self.duration_s: float | None = float(len(self._paths) * self._step)

    def frames(self) -> Iterator[Stamped[Decoded]]:
        for number, path in enumerate(self._paths):
            picture = self._read(path, LOCAL_OPTIONS)
            if picture is None:
                self.corrupt_packets += 1
            else:
                yield Stamped(number * self._step, None, self._step, Decoded(picture))

    def shut(self) -> None:
        """Does nothing: no file stays open between images."""


def image_files(folder: str, name: str) -> list[str]:
    """Paths of the images in `folder`, img2 before img10. Errors show the folder as `name`. Raises SourceError if
    there are none."""
    try:
        files = [file for file in os.listdir(folder) if Path(file).suffix.lower() in IMAGE_SUFFIXES]
    except OSError as error:
        raise SourceError(f"{name}: cannot be read ({error.strerror}); give a folder that can") from error
    if not files:
        allowed = " ".join(sorted(IMAGE_SUFFIXES))
        raise SourceError(
            f"{name}: a folder without images ({allowed}); put some into it, or name a video file"
        )
    return [os.path.join(folder, file) for file in sorted(files, key=_by_number)]


def _by_number(file: str) -> list[tuple[bool, int, str]]:
    """Sort key: digits compare as numbers and come before letters."""
    parts = re.findall(r"[0-9]+|[^0-9]+", file)
    return [(not part[0].isdecimal(), int(part) if part[0].isdecimal() else 0, part) for part in parts]


def read_image(path: str, options: dict[str, str]) -> Any | None:
    """av's VideoFrame, or None if the image is damaged. `options`: for FFmpeg."""
    import av

    try:
        with av.open(path, "r", options=options) as image:
            return next(image.decode(video=0), None)
    except (av.error.FFmpegError, IndexError):
        return None
