"""The one log of a fleet: each line once, however often it is offered, and whoever dies in between.

A watcher numbers the lines of a camera and offers them until it hears that they are written. The log itself says which
are: who opens it again reads the newest number of each camera from it.
"""

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from realtime.fleet.orders import Line, Numbered
from realtime.outputs.rotating_log import is_part

TAIL_BYTES = 64_000_000
"""Of a log is read when it is opened again: hours of a large fleet."""
NOT_WATCHED = ("session", "connection", "level", "summary")
"""Kinds of lines that also a camera has that is not seen."""


@dataclass(frozen=True)
class Last:
    """The newest that is known of a camera."""

    term: int
    number: int
    node: str
    at_s: float
    """Unix time when it was known to be watched."""


@dataclass(frozen=True)
class Known:
    """What a log says, by camera."""

    last: dict[str, Last]
    left: dict[str, Last]
    """Of those that are not seen in their newest term yet: where they were watched before."""
    seen: set[str]
    """Those that were ever seen."""


class Journal:
    """Writes lines with the node that they come from, and a line of kind `moved` where a camera begins anew."""

    def __init__(self, write: Callable[[Line], None], known: "Known | None" = None) -> None:
        """`known`: of what `write` adds to; see `read_log`."""
        known = known or Known({}, {}, set())
        self._write = write
        self._last, self._left, self._seen = dict(known.last), dict(known.left), set(known.seen)
        self._why: dict[str, str] = {}

    def begin(self, camera: str, term: int, node: str, why: str) -> None:
        """From now on lines of older terms are refused: a `moved` line says that nobody watched."""
        last = self._last.get(camera)
        if last is not None and camera in self._seen and term > last.term:
            self._left.setdefault(camera, last)
        self._why[camera] = why
        self._last[camera] = Last(term, 0, node, last.at_s if last else 0.0)

    def seen(self, camera: str, term: int, at_s: float) -> None:
        """It is watched in this term at this time, even if it has nothing to say."""
        last = self._last.get(camera)
        if last is not None and last.term == term and last.number and camera not in self._left:
            self._last[camera] = Last(term, last.number, last.node, at_s)

    def offer(self, node: str, lines: Iterable[Numbered]) -> None:
        """Write those that are new."""
        for each in lines:
            last = self._last.get(each.camera)
            if last is not None and (each.term, each.number) <= (last.term, last.number):
                continue
            if last is not None and each.term > last.term:  # this program began anew and has only the log
                self.begin(each.camera, each.term, node, "")
            self._tell_moved(node, each)
            facts = {"name": each.camera, "node": node, "term": each.term, "number": each.number}
            kind = {"kind": each.line["kind"]}
            self._write(kind | facts | {"at": _iso(each.at_s)} | each.line)
            self._last[each.camera] = Last(each.term, each.number, node, each.at_s)

    def written(self, cameras: Iterable[str]) -> dict[str, tuple[int, int]]:
        """By camera: term and number of its newest line."""
        return {
            name: (self._last[name].term, self._last[name].number) for name in cameras if name in self._last
        }

    def newest_term(self, camera: str) -> int:
        """0: none is known."""
        return self._last[camera].term if camera in self._last else 0

    def _tell_moved(self, node: str, each: Numbered) -> None:
        if each.line["kind"] in NOT_WATCHED:
            return
        self._seen.add(each.camera)
        before = self._left.pop(each.camera, None)
        if before is None:
            return
        self._write(
            {
                "kind": "moved",
                "name": each.camera,
                "from": before.node,
                "to": node,
                "why": self._why.get(each.camera, ""),
                "unwatched_from": _iso(before.at_s),
                "unwatched_until": _iso(each.at_s),
                "unwatched_s": round(max(0.0, each.at_s - before.at_s), 3),
            }
        )


def read_log(path: Path) -> Known:
    """What a log that may be in parts says. An unfinished line counts for nothing."""
    of_terms: dict[str, dict[int, Last]] = {}
    seen: dict[str, int] = {}
    for part in _newest_parts(path):
        with open(part, "rb") as file:
            file.seek(max(0, os.stat(part).st_size - TAIL_BYTES))
            for text in file:
                if (found := _parsed(text)) is not None:
                    name, last, kind = found
                    terms = of_terms.setdefault(name, {})
                    terms[last.term] = max(terms.get(last.term, last), last, key=lambda each: each.number)
                    if kind not in NOT_WATCHED:
                        seen[name] = max(seen.get(name, 0), last.term)
    newest = {name: terms[max(terms)] for name, terms in of_terms.items()}
    left = {name: of_terms[name][term] for name, term in seen.items() if newest[name].term > term}
    return Known(newest, left, set(seen))


def _newest_parts(path: Path) -> list[Path]:
    parts = [each for each in path.parent.glob(f"{path.stem}*") if is_part(path, each.name) or each == path]
    return sorted(parts, key=lambda each: each.stat().st_mtime)[-2:]


def _parsed(text: bytes) -> tuple[str, Last, str] | None:
    try:
        line = json.loads(text)
        at_s = datetime.fromisoformat(line["at"]).timestamp()
        return line["name"], Last(line["term"], line["number"], line["node"], at_s), line["kind"]
    except (ValueError, KeyError, TypeError):
        return None


def _iso(at_s: float) -> str:
    return datetime.fromtimestamp(at_s).astimezone().isoformat(timespec="milliseconds")
