"""A log in parts, for programs that run for days: a new part by size or by time; the oldest are deleted."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from realtime.errors import OutputError
from realtime.outputs.log import Line, Log
from realtime.outputs.why import why

_PART = r"-(\d{8}-\d{6})(?:\.(\d+))?"
"""Between the log's name and its suffix: the time, and a number from 2 on if several parts have that time."""


class RotatedLog:
    """The current part is at `path`; earlier ones are in the same folder, named after their start time.

        log.jsonl   log-20261124-101500.jsonl   log-20261123-101500.jsonl

    The names sort in the order of writing, whatever the clock does: while it is behind the newest part, new parts get
    that part's time and the next number. So the newest parts are always the last to be deleted.

    Every part begins with the session lines of the sources that are still running, so that it can be read alone. A
    file that exists already is kept as an older part, named after the time when it ended. A context manager.
    """

    def __init__(
        self,
        path: Path,
        *,
        largest_bytes: float,
        longest: timedelta,
        keep: int,
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        """`largest_bytes`, `longest`: a part that reaches either is finished. `keep`: number of older parts kept."""
        self._path, self._keep, self._now = path, keep, now
        self._largest_bytes, self._longest = largest_bytes, longest
        self._sessions: dict[str, Line] = {}
        self._part = 1
        self._began = now()
        if path.is_file() and path.stat().st_size:
            self._put_aside(self._ended(path.stat().st_mtime))
        self._open()

    def write(self, line: Line) -> None:
        """Add one line. Raises OutputError if it cannot be written."""
        full = self._log.written_bytes >= self._largest_bytes
        now = self._now()
        self._began = min(self._began, now)  # if the clock was set back, the part's age counts from now
        if self._log.written_bytes and (full or now - self._began >= self._longest):
            self._next_part()
        name = line.get("name", "")
        if line["kind"] == "session":
            self._sessions[name] = line
        elif line["kind"] == "summary":
            self._sessions.pop(name, None)
        self._log.write(line)

    def close(self) -> None:
        self._log.close()

    def __enter__(self) -> "RotatedLog":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _open(self) -> None:
        self._log, self._began = Log(self._path), self._now()

    def _next_part(self) -> None:
        self._log.close()
        self._put_aside(self._began)
        self._open()
        self._part += 1
        for line in self._sessions.values():
            self._log.write(line | {"part": self._part})

    def _ended(self, stamp_s: float) -> datetime:
        try:
            return datetime.fromtimestamp(stamp_s)
        except (OverflowError, OSError, ValueError):  # outside the range of dates
            return self._now()

    def _put_aside(self, began: datetime) -> None:
        try:
            parts = sorted(filter(None, (part_of(self._path, path) for path in self._path.parent.iterdir())))
            stamp, number = f"{began:%Y%m%d-%H%M%S}", 1
            if parts and parts[-1][0] >= stamp:
                stamp, number = parts[-1][0], parts[-1][1] + 1
            place = self._path.with_name(
                f"{self._path.stem}-{stamp}{f'.{number:03}' if number > 1 else ''}{self._path.suffix}"
            )
            self._path.rename(place)
            parts.append((stamp, number, place))
            for *_, path in parts[: max(0, len(parts) - self._keep)]:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(
                f"cannot begin a new part of the log {self._path}: {why(error, self._path)}; make its folder writable"
            ) from error


def is_part(log: Path, name: str) -> bool:
    """Whether a file with this name in the log's folder counts as an older part of it."""
    return part_of(log, Path(name)) is not None


def part_of(log: Path, path: Path) -> tuple[str, int, Path] | None:
    """(time, number, path) by which older parts are sorted, None for another file."""
    match = re.fullmatch(re.escape(log.stem) + _PART + re.escape(log.suffix), path.name)
    return (match[1], int(match[2] or 1), path) if match else None
