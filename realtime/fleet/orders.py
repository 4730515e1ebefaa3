"""What the supervisor and the watchers tell each other."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from realtime.types import Figures

Line = dict[str, Any]


@dataclass(frozen=True)
class Site:
    """What is to be watched; the newest version counts."""

    version: int
    cameras: Mapping[str, Any]
    """By name: how each is opened, as the watchers understand it."""
    settings: Any
    """All else that the watchers need."""
    priorities: Mapping[str, int] = field(default_factory=dict)
    """By camera; default: 0."""
    draining: frozenset[str] = frozenset()
    """Nodes that give up their cameras."""


@dataclass(frozen=True)
class Numbered:
    """A line of the log, as its watcher keeps it until it is written."""

    camera: str
    term: int
    """Rises whenever the camera is placed anew, wherever that is."""
    number: int
    """Within the term, from 1 on."""
    at_s: float
    """Unix time on the watcher's node."""
    line: Line


@dataclass(frozen=True)
class Orders:
    """To a watcher."""

    site: Site
    terms: Mapping[str, int]
    """By name: the cameras to watch there, each in its term."""
    written: Mapping[str, tuple[int, int]]
    """By camera: term and number of its newest line in the log."""
    known: bool = True
    """False: whoever asks has not heard yet what runs there, and all goes on as it is."""


@dataclass(frozen=True)
class Watched:
    """A camera on a node. Also one that was given up, until all its lines are written."""

    term: int
    figures: Figures | None
    """None: not begun yet."""
    cores: float = 0.0
    """What it costs, measured over some seconds; 0: not known yet."""
    label: str | None = None
    """Of its newest prediction."""
    event: str | None = None
    """Label of its newest event."""
    error: str | None = None
    """Why it is not watched."""


@dataclass(frozen=True)
class Report:
    """From a watcher."""

    site: Site | None
    """The one that it has, where that is newer than that of its orders."""
    cameras: Mapping[str, Watched]
    lines: tuple[Numbered, ...]
    """Those that are not known to be written, oldest first."""
    ready: bool
    """Its engines are loaded."""
    error: str | None = None
    """Why it will not be."""
