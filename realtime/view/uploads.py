"""Video files that pages sent: kept in a separate folder, checked, and deleted after use."""

import secrets
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from realtime.clock import Clock
from realtime.errors import UsageError
from realtime.sources.container import is_video

MOST_FILES = 8
UNUSED_S = 60.0
"""A file that is not started within this time is deleted."""
LONGEST_NAME = 100
STARTS = {
    b"\x1a\x45\xdf\xa3": 0,
    b"ftyp": 4,
    b"moov": 4,
    b"mdat": 4,
    b"wide": 4,
    b"AVI ": 8,
    b"\x00\x00\x01\xba": 0,
    b"\x47\x40": 0,
}
"""First bytes of the usual containers: Matroska and WebM, MP4 and QuickTime, AVI, MPEG. What begins otherwise may be
one too, if FFmpeg can read it. Playlists and other text are never opened: FFmpeg would open the files they name."""


@dataclass(frozen=True)
class Upload:
    """A complete file."""

    path: Path
    name: str
    """As given by the page; only for display."""
    since_s: float

    def delete(self) -> None:
        self.path.unlink(missing_ok=True)


class Uploads:
    """Used from the event loop and from the threads of Gradio's handlers; each call is one step on a dictionary."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="i3d-live-"))
        """The folder of all uploads."""
        self._clock = clock or Clock()
        self._ready: dict[str, Upload] = {}

    def new(self) -> Path:
        """Where the next file may be written. Raises UsageError when there are too many."""
        if sum(1 for _ in self.folder.iterdir()) >= MOST_FILES:
            raise UsageError(
                f"{MOST_FILES} uploads are in use, which is all that are kept; try again in a minute"
            )
        return self.folder / secrets.token_urlsafe(16)

    def add(self, path: Path, name: str) -> str:
        """The file is complete: the key to take it by. Raises UsageError, and deletes it, unless it is a video."""
        upload = Upload(path, _clean(name), self._clock.now_s())
        with path.open("rb") as file:
            start = file.read(12)
        if not any(start[at : at + len(magic)] == magic for magic, at in STARTS.items()) and not is_video(
            path
        ):
            upload.delete()
            raise UsageError(f"{upload.name}: not a video; send MP4, MOV, MKV, WebM, AVI or MPEG")
        self._ready[path.name] = upload
        return path.name

    def take(self, key: str) -> Upload:
        """Remove and return an upload; the caller deletes its file. Raises UsageError for an unknown key."""
        upload = self._ready.pop(key, None)
        if upload is None:
            raise UsageError("this upload is not there any more; choose the file again")
        return upload

    def sweep(self) -> None:
        """Delete uploads that were not started in time."""
        for key, upload in list(self._ready.items()):
            if self._clock.now_s() - upload.since_s > UNUSED_S:
                del self._ready[key]
                upload.delete()

    def close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def _clean(name: str) -> str:
    """The last part of a file name, without unprintable characters."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(c for c in last if c.isprintable())[:LONGEST_NAME] or "upload"
