"""A folder of what was saved of events, one file each, that never grows beyond its limit.

The oldest files are deleted to make room for those being written; the newest finished one is deleted only for one that
is being written. Files are ordered by when they were finished: each gets a later modification time than the existing
ones, whatever the clock says.
"""

import os
import re
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Protocol

from realtime.errors import OutputError
from realtime.outputs.why import why
from realtime.stages.events import OpenEvent
from realtime.types import Event

CLIP, SNAPSHOT = ".mp4", ".jpg"
OURS = re.compile(r"\d{8}-\d{6}-.*\d\.\ds-.+(\.mp4|\.jpg)")
"""Names of finished files; nothing else is ever deleted to make room."""
UNFINISHED = ".unfinished"
LEFT_BEHIND_S = 60.0
"""An unfinished clip not written to for this long belongs to a program that was killed; it is playable, and kept."""
APART_NS = 2_000_000_000
"""Difference between modification times that every file system can tell apart."""


class BeingWritten(Protocol):
    """A file that is not finished."""

    unfinished: Path

    @property
    def bytes(self) -> int:
        """Upper bound of the size of the finished file."""

    def cut_off(self) -> None:
        """Write nothing more."""


def file_prefix(name: str | None, started: datetime) -> str:
    """What the names of a source's files begin with. `name`: of the source."""
    stamp = f"{started:%Y%m%d-%H%M%S}"
    return f"{stamp}-{_safe(name)}-" if name else f"{stamp}-"


class ClipFolder:
    """Files of one kind, of one source, among those of others."""

    def __init__(
        self,
        folder: Path,
        suffix: str,
        largest_bytes: float,
        name: str | None = None,
        started: datetime | None = None,
    ) -> None:
        """`suffix`: CLIP or SNAPSHOT. `largest_bytes`: limit for all such files in the folder, including those of other
        programs. `name`: the source's.

        Raises OutputError if the folder cannot be made.
        """
        self._folder, self._suffix = folder, suffix
        self.largest_bytes = largest_bytes
        self._prefix = file_prefix(name, started or datetime.now())
        with translated(folder):
            folder.mkdir(parents=True, exist_ok=True)
            for path in folder.glob(f".*{UNFINISHED}{suffix}"):
                # A time in the future dates from before the clock was set back.
                if abs(time.time() - path.stat().st_mtime) > LEFT_BEHIND_S:
                    path.rename(_free(path.with_name(_finished_name(path))))

    def path(self, event: Event | OpenEvent) -> Path:
        """Of the finished file."""
        what = _safe(event.label) if event.zone is None else f"{_safe(event.zone)}-{_safe(event.label)}"
        return self._folder / f"{self._prefix}{event.start_s:08.1f}s-{what}{self._suffix}"

    def unfinished(self, path: Path) -> Path:
        """The hidden name under which it is written."""
        return path.with_name(f".{path.stem}{UNFINISHED}{self._suffix}")

    def keep(self, unfinished: Path, path: Path) -> None:
        """Give a file its name. It becomes the newest."""
        with translated(path):
            unfinished.replace(kept := _free(path))
            _make_newest(kept)

    def make_room(self, writing: Collection[BeingWritten] = ()) -> None:
        """Delete the oldest files until the folder is within the limit; if that is not enough, those being written are
        cut off."""
        with translated(self._folder):
            total = sum(each.bytes for each in writing)
            mine = {each.unfinished for each in writing}
            finished = []
            for path in self._folder.glob(f"*{self._suffix}"):
                if path not in mine and is_clip(_finished_name(path)):
                    facts = path.stat()
                    total += facts.st_size
                    if not path.name.endswith(UNFINISHED + self._suffix):
                        finished.append((facts.st_mtime_ns, path.name, facts.st_size))
            finished.sort()
            for _, name, size in finished if writing else finished[:-1]:
                if total > self.largest_bytes:
                    (self._folder / name).unlink(missing_ok=True)
                    total -= size
        if total > self.largest_bytes:
            for each in writing:
                each.cut_off()


def is_clip(name: str) -> bool:
    """Whether a file with this name counts as saved of an event, and may be deleted to make room."""
    return OURS.fullmatch(name) is not None


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Errors of the system as an OutputError."""
    try:
        yield
    except FileNotFoundError:
        pass  # another program deleted a file
    except OSError as error:
        raise OutputError(
            f"cannot save into {path}: {why(error, path)}; name a folder that can be written"
        ) from error


def _make_newest(kept: Path) -> None:
    """Its modification time puts it after all others, even if the clock was set back."""
    others = [path.stat().st_mtime_ns for path in kept.parent.glob(f"*{kept.suffix}") if is_clip(path.name)]
    newest_ns = max([*others, time.time_ns()]) + APART_NS
    with suppress(OSError):  # a folder in which times cannot be set
        os.utime(kept, ns=(newest_ns, newest_ns))


def _free(path: Path) -> Path:
    """The path, numbered if a file with this name exists: a clock that was reset gives the same name again."""
    number, free = 1, path
    while os.path.lexists(free):
        number += 1
        free = path.with_name(f"{path.stem}.{number}{path.suffix}")
    return free


def _finished_name(path: Path) -> str:
    return path.name.removeprefix(".").replace(UNFINISHED, "")


def _safe(text: str) -> str:
    """Part of a file name."""
    return re.sub(r"[^\w.-]+", "_", text).strip("_.")[:80] or "_"
