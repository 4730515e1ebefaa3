"""A TOML file, and the line of each of its keys."""

import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

from engines.text_files import read_text
from realtime.errors import UsageError, reason_of

Place = tuple[str | int, ...]
"""Where a value is: names of tables and keys, and indices into lists."""
_PART = r"""(?:[\w-]+|"[^"]*"|'[^']*')"""
_KEYS = rf"{_PART}(?:\s*\.\s*{_PART})*"
_HEADER = re.compile(rf"\s*(\[\[?)\s*({_KEYS})\s*\]\]?\s*(?:#.*)?")
_ASSIGNED = re.compile(rf"\s*({_KEYS})\s*=")


class SiteText:
    """Raises UsageError for a file that cannot be read or is not TOML."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            text = read_text(path)
        except (OSError, ValueError) as error:
            reason = reason_of(error)
            raise UsageError(f"cannot read the site file {path}: {reason}; name a text file") from error
        try:
            self.tables: dict[str, Any] = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise UsageError(f"{path}: {error}; see toml.io for how it is written") from error
        self._lines = lines_of(text)

    def at(self, place: Place) -> str:
        """The file and the line of a key, or of the nearest table around it."""
        known = next((place[:n] for n in range(len(place), 0, -1) if place[:n] in self._lines), ())
        return f"{self.path}, line {self._lines.get(known, 1)}"


def lines_of(text: str) -> dict[Place, int]:
    """Line numbers, from 1, of the tables and keys of valid TOML."""
    lines: dict[Place, int] = {}
    counts: Counter[str] = Counter()
    table: Place = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.fullmatch(line):
            first, *rest = _parts(header[2])
            counts[first] += header[1] == "[["
            table = (first, counts[first] - 1, *rest) if counts[first] else (first, *rest)
            lines.setdefault(table, number)
        elif assigned := _ASSIGNED.match(line):
            lines.setdefault((*table, *_parts(assigned[1])), number)
    return lines


def _parts(keys: str) -> list[str]:
    return [part.strip("\"'") for part in re.findall(_PART, keys)]
