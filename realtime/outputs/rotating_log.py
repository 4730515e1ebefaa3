"""A log in parts, for programs that run for days: a new part by size or by time; the oldest are deleted."""

from collections.abc import Callable
from datetime import datetime, timedelta
from glob import escape
from pathlib import Path

from realtime.errors import OutputError
from realtime.outputs.log import Line, Log


class RotatedLog:
    """The current part is at `path`; earlier ones are in the same folder, named by when they began.

        log.jsonl   log-20261124-101500.jsonl   log-20261123-101500.jsonl

    Every part begins with the session lines of the sources that are still running, so that it can be read alone. A
    file that exists already is kept as an older part, named by when it ended. A context manager.
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
        """`largest_bytes`, `longest`: a part that reaches either is finished. `keep`: number of older parts to keep."""
        self._path, self._keep, self._now = path, keep, now
        self._largest_bytes, self._longest = largest_bytes, longest
        self._sessions: dict[str, Line] = {}
        self._part = 1
        if path.is_file() and path.stat().st_size:
            self._put_aside(datetime.fromtimestamp(path.stat().st_mtime))
        self._open()

    def write(self, line: Line) -> None:
        """Add one line. Raises OutputError if it cannot be written."""
        full = self._log.written_bytes >= self._largest_bytes
        if self._log.written_bytes and (full or self._now() - self._began >= self._longest):
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

    def _put_aside(self, began: datetime) -> None:
        stem, suffix = self._path.stem, self._path.suffix
        older = self._path.with_name(f"{stem}-{began:%Y%m%d-%H%M%S}{suffix}")
        number = 1
        while older.exists():
            number += 1
            older = self._path.with_name(f"{stem}-{began:%Y%m%d-%H%M%S}.{number:03}{suffix}")
        try:
            self._path.rename(older)
            parts = self._path.parent.glob(f"{escape(stem)}-{'[0-9]' * 8}-{'[0-9]' * 6}*{suffix}")
            for path in sorted(parts, key=lambda part: part.stem, reverse=True)[self._keep :]:
                path.unlink()
        except OSError as error:
            reason = error.strerror or str(error)
            raise OutputError(
                f"cannot begin a new part of the log {self._path}: {reason}; make its folder writable"
            ) from error
