"""Who is where while a decision is made: the loads of the nodes, and what each camera's move is for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

FULL = 0.85
"""The share of a node's cores that placement fills. The rest is for what costs more for a while: many people, many
packets."""
ROUNDING = 1e-9


@dataclass(frozen=True)
class Camera:
    """What is known of a camera."""

    name: str
    priority: int
    """The higher, the more important."""
    cores: float
    """What it costs while its engines work: measured, or an estimate before it has run. Not a mean over rests: by that,
    nodes filled at night could not watch by day."""


@dataclass(frozen=True)
class Node:
    """What is known of a node that is there."""

    name: str
    cores: float
    """What may be used for cameras, above 0. For an hour after a node was behind it should be at most what its cameras
    cost then, divided by `FULL`: otherwise they come back for balance as soon as it has recovered."""
    behind_s: float = 0.0
    """How far its worst camera is behind real time, measured since a camera last came to it or left it."""
    draining: bool = False
    """It takes no cameras and gives up those that it has."""


@dataclass(frozen=True)
class Move:
    """A camera that is to stop at one place and start at another."""

    camera: str
    source: str | None
    """None: it waited."""
    to: str | None
    """None: it has to wait."""
    why: str
    """A plain phrase for the log."""


class Plan:
    """Each camera's place, as it is and then as it is to be. Cameras that are not in it do not exist."""

    def __init__(
        self, cameras: Sequence[Camera], nodes: Sequence[Node], placed: Mapping[str, str], behind_s: float
    ) -> None:
        """`behind_s`: how far behind a node must be to take no further camera."""
        self.cameras = sorted(cameras, key=important_first)
        self.nodes = {node.name: node for node in sorted(nodes, key=lambda node: node.name)}
        self.late = {node.name for node in nodes if node.behind_s > behind_s}
        self.on: dict[str, dict[str, Camera]] = {name: {} for name in self.nodes}
        self.load = dict.fromkeys(self.nodes, 0.0)
        self.left: set[str] = set()
        """Nodes that somebody leaves."""
        self._before = {camera.name: placed.get(camera.name) for camera in self.cameras}
        self._why: dict[str, str] = {}
        self._at: dict[str, str] = {}
        self._below: dict[int, dict[str, float]] = {}
        for camera in self.cameras:
            if (name := placed.get(camera.name)) is None:
                continue
            if name in self.nodes:
                self._add(camera, name)
            else:
                self._why[camera.name] = f"{name} is gone"

    def unplaced(self) -> list[Camera]:
        return [camera for camera in self.cameras if camera.name not in self._at]

    def put(self, camera: Camera, to: str, why: str) -> None:
        """The first reason that a camera was given for a move is the one that is told."""
        if camera.name in self._at:
            self.remove(camera, why)
        self._why.setdefault(camera.name, why)
        self._add(camera, to)

    def remove(self, camera: Camera, why: str) -> None:
        self._why.setdefault(camera.name, why)
        name = self._at.pop(camera.name)
        del self.on[name][camera.name]
        self.load[name] -= camera.cores
        self.left.add(name)
        self._below.clear()

    def _add(self, camera: Camera, name: str) -> None:
        self._at[camera.name] = name
        self.on[name][camera.name] = camera
        self.load[name] += camera.cores
        self._below.clear()

    def share(self, name: str, more: float = 0.0) -> float:
        """The share of a node's cores that is used, with so many more."""
        return (self.load[name] + more) / self.nodes[name].cores

    def room(self, name: str) -> float:
        """Cores that may still be filled. Below 0 on a node that is fuller; at most 0 on one that is behind."""
        left = FULL * self.nodes[name].cores - self.load[name] + ROUNDING
        return min(left, 0.0) if name in self.late else left

    def below(self, priority: int) -> dict[str, float]:
        """The cores of each node's cameras that are less important."""
        if priority not in self._below:
            self._below[priority] = {
                name: sum(camera.cores for camera in here.values() if camera.priority < priority)
                for name, here in self.on.items()
            }
        return self._below[priority]

    def open(self) -> list[str]:
        """Nodes that may be given cameras, if they have room."""
        return [name for name, node in self.nodes.items() if not node.draining]

    def roomiest(self, camera: Camera) -> str | None:
        """Where it fits and the used share is lowest with it."""
        calm = (name for name in self.open() if name not in self.late)
        fits = [name for name in calm if camera.cores <= self.room(name)]
        return min(fits, key=lambda name: self.share(name, camera.cores), default=None)

    def moves(self) -> list[Move]:
        """The most important first."""
        return [
            Move(camera.name, source, to, self._why[camera.name])
            for camera in self.cameras
            if (source := self._before[camera.name]) != (to := self._at.get(camera.name))
        ]


def important_first(camera: Camera) -> tuple[int, float, str]:
    """The biggest first among equals: the small ones fill the gaps."""
    return -camera.priority, -camera.cores, camera.name


def unimportant_first(camera: Camera) -> tuple[int, float, str]:
    """The biggest first among equals, so that few have to go."""
    return camera.priority, -camera.cores, camera.name
