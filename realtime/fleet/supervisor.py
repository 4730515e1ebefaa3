"""Decides, four times a second, which node watches which camera; keeps the log; knows what people ask for.

It holds nothing that cannot be lost: the watchers know the site, and which cameras they watch in which terms; the log
knows what is written. A new supervisor listens first.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from realtime.fleet.journal import Journal
from realtime.fleet.orders import Orders, Report, Site, Watched
from realtime.fleet.placement import decide
from realtime.fleet.plan import FULL, Camera, Node
from realtime.overload import LATE_S

SILENT_S = 2.5
"""A node that does not answer for this long is taken for gone, and its cameras go to others."""
LISTEN_S = 3.0
"""For this long a new supervisor waits for nodes before it places cameras."""
SETTLED_S = 20.0
"""A camera that has run for less is not moved for balance: what it costs is not known yet."""
LATE_FOR_S, AT_LEAST = 600.0, 0.5
"""For this long after a node was behind, it counts with the cores that were too few then, but at least with this share
of what it has: why it was behind may have been something that passes."""
COSTS = 4
"""What a camera costs is the least of so many measurements: starting cameras make each other slow for a while, and
none must wait for that."""
MEASURED_AFTER_S = 10.0
"""How late a node is counts from so long after a camera came to it or left it: until then it catches up."""
BEHIND_FOR_S = 3.0
"""A node is late if it has been for so long: any program makes a machine stop for a moment."""
READY_WITHIN_S = 60.0
"""For this long after the fleet began its cameras wait for machines that still load their engines: otherwise the first
one that is ready gets them all."""
UNKNOWN_CORES = 0.3
"""What a camera is taken to cost before any has been measured."""


@dataclass(frozen=True)
class Place:
    """Where a camera is watched, or will be as soon as the other node has let go of it."""

    node: str
    term: int
    since_s: float
    begun: bool = True
    """False: `leaving` still has it."""
    leaving: str | None = None


@dataclass
class Known:
    """A node."""

    cores: float
    heard_s: float
    report: Report | None = None
    late_s: float = float("-inf")
    """When it was behind last, and what its cameras cost then."""
    late_cores: float = 0.0
    behind_s: float = 0.0
    changed_s: float = float("-inf")
    """When a camera came or left."""
    on_time_s: float = float("-inf")
    """When it was not late for the last time."""


@dataclass
class Counts:
    """Since this supervisor began."""

    moves: int = 0
    lost_nodes: int = 0
    why: dict[str, str] = field(default_factory=dict)
    """By camera: of its last move."""


class Supervisor:
    """`beat` is called again and again, from one thread; so are all others."""

    def __init__(
        self, site: Site, journal: Journal, now_s: Callable[[], float], unix_s: Callable[[], float]
    ) -> None:
        """`site`: what was asked for; a newer version that a watcher knows takes its place."""
        self.site = site
        self.counts = Counts()
        self._journal, self._now_s, self._unix_s = journal, now_s, unix_s
        self._begun_s = now_s()
        self._nodes: dict[str, Known] = {}
        self._places: dict[str, Place] = {}
        self._costs: dict[str, deque[float]] = {}
        self._waiting: dict[str, str] = {}

    def beat(self, there: Mapping[str, float], reports: Mapping[str, Report]) -> dict[str, Orders]:
        """Orders for each node that is there. `there`: by node, its cores. `reports`: those that came since."""
        now_s = self._now_s()
        self._look(there, reports, now_s)
        for name, report in reports.items():
            self._hear(name, report, now_s)
        if now_s - self._begun_s >= LISTEN_S or all(known.report for known in self._nodes.values()):
            self._place(now_s)
        return {name: self._orders(name) for name in there}

    def change(self, site: Site) -> None:
        """What is watched from now on; its version must be newer."""
        self.site = site

    def move(self, camera: str, node: str) -> None:
        """Because somebody asked for it."""
        if camera in self._places and self._places[camera].node != node:
            self._send(camera, node, "asked for", self._now_s())

    @property
    def nodes(self) -> dict[str, Known]:
        """Those that are there, by name."""
        return {name: known for name, known in self._nodes.items() if self._usable(known)}

    @property
    def places(self) -> dict[str, Place]:
        """By camera."""
        return self._places

    @property
    def waiting(self) -> dict[str, str]:
        """Cameras that no node has room for, and why."""
        return self._waiting

    def watched(self, camera: str) -> Watched | None:
        """Its newest state; None: it is not watched."""
        place = self._places.get(camera)
        known = self._nodes.get(place.node) if place else None
        found = known.report.cameras.get(camera) if known and known.report else None
        return found if found is not None and place is not None and found.term == place.term else None

    def used_cores(self, node: str) -> float:
        """What its cameras cost."""
        here = (self.watched(camera) for camera, place in self._places.items() if place.node == node)
        return sum(watched.cores for watched in here if watched is not None)

    def _usable(self, known: Known) -> bool:
        return self._now_s() - known.heard_s < SILENT_S

    def _look(self, there: Mapping[str, float], reports: Mapping[str, Report], now_s: float) -> None:
        for name in [name for name in self._nodes if name not in there]:
            del self._nodes[name]
            self.counts.lost_nodes += 1
        for name, cores in there.items():
            known = self._nodes.setdefault(name, Known(cores, now_s))
            known.cores = cores
            if name in reports:
                known.heard_s = now_s

    def _hear(self, name: str, report: Report, now_s: float) -> None:
        if report.site is not None and report.site.version > self.site.version:
            self.site = report.site
        known = self._nodes.get(name)
        if known is None:
            return
        known.report = report
        for camera, watched in report.cameras.items():
            costs = self._costs.setdefault(camera, deque(maxlen=COSTS))
            if watched.cores and (not costs or costs[-1] != watched.cores):
                costs.append(watched.cores)
            self._adopt(name, camera, watched, now_s)
        self._journal.offer(
            name, (each for each in report.lines if each.term == self._term(each.camera, each.term))
        )
        for camera, watched in report.cameras.items():
            if watched.figures is not None and watched.figures.frames and watched.figures.lost is None:
                self._journal.seen(camera, watched.term, self._unix_s())
        self._measure(known, name, now_s)
        self._let_go(name, report, now_s)

    def _term(self, camera: str, offered: int) -> int:
        """The term whose lines are written: that of the place, or, until it has let go, of the one before."""
        place = self._places.get(camera)
        if place is None or not place.begun:
            return offered
        return place.term

    def _adopt(self, node: str, camera: str, watched: Watched, now_s: float) -> None:
        """What a node already watches, where this supervisor has no other plan for it."""
        place = self._places.get(camera)
        if camera in self.site.cameras and (place is None or watched.term > place.term):
            self._places[camera] = Place(node, watched.term, now_s)
            self._waiting.pop(camera, None)

    def _measure(self, known: Known, name: str, now_s: float) -> None:
        """How far its worst camera is behind, of those that have settled."""
        assert known.report is not None
        lags = [
            watched.figures.lag_s
            for camera, watched in known.report.cameras.items()
            if watched.figures is not None and self._settled(camera, name, now_s)
        ]
        lag_s = max(lags, default=0.0)
        if lag_s <= LATE_S or now_s - known.changed_s < MEASURED_AFTER_S:
            known.on_time_s = now_s
        known.behind_s = lag_s if now_s - known.on_time_s >= BEHIND_FOR_S else 0.0
        if known.behind_s:
            known.late_s = now_s
            typical = self._typical()
            known.late_cores = sum(self._camera(camera, typical).cores for camera in known.report.cameras)

    def _let_go(self, name: str, report: Report, now_s: float) -> None:
        """Cameras that this node has ended, with all their lines written, begin at their new place."""
        for camera, place in self._places.items():
            if not place.begun and place.leaving == name and camera not in report.cameras:
                self._begin(camera, place, now_s)

    def _begin(self, camera: str, place: Place, now_s: float) -> None:
        begun = replace(place, begun=True, leaving=None, since_s=now_s)
        self._places[camera] = begun
        self._journal.begin(camera, begun.term, begun.node, self.counts.why.get(camera, ""))

    def _settled(self, camera: str, node: str, now_s: float) -> bool:
        place = self._places.get(camera)
        return place is not None and place.begun and place.node == node and now_s - place.since_s >= SETTLED_S

    def _place(self, now_s: float) -> None:
        usable = self.nodes
        for camera, place in tuple(self._places.items()):
            if camera not in self.site.cameras:
                del self._places[camera]
            elif not place.begun and place.leaving not in usable:
                self._begin(camera, place, now_s)
        if self._early(usable, now_s):
            return
        nodes = [
            self._node(name, known, now_s)
            for name, known in usable.items()
            if known.report and known.report.ready
        ]
        typical = self._typical()
        cameras = [self._camera(name, typical) for name in self.site.cameras]
        placed = {name: place.node for name, place in self._places.items()}
        settled = [name for name, place in self._places.items() if self._settled(name, place.node, now_s)]
        for each in decide(cameras, nodes, placed, settled=settled):
            if each.to is None:
                self._places.pop(each.camera, None)
                self._waiting[each.camera] = each.why
            else:
                self._send(each.camera, each.to, each.why, now_s)
        for camera in self.site.cameras:
            if camera not in self._places:
                self._waiting.setdefault(camera, "no node has room" if nodes else "no node is ready")
        self._waiting = {name: why for name, why in self._waiting.items() if name in self.site.cameras}

    def _early(self, usable: Mapping[str, Known], now_s: float) -> bool:
        """Whether cameras that nobody has watched yet still wait for machines."""
        reports = [known.report for known in usable.values()]
        loading = any(report is None or not (report.ready or report.error) for report in reports)
        return not self._places and loading and now_s - self._begun_s < READY_WITHIN_S

    def _send(self, camera: str, node: str, why: str, now_s: float) -> None:
        """To a node, as soon as the one that watches it now has let go; at once if that one is gone."""
        before = self._places.get(camera)
        term = max(round(self._unix_s() * 1000), self._journal.newest_term(camera) + 1)
        holder = None if before is None else before.node if before.begun else before.leaving
        if before is not None:
            self.counts.moves += 1
        self.counts.why[camera] = why
        for name, known in self._nodes.items():
            if name in (node, holder):
                known.changed_s = now_s
        self._waiting.pop(camera, None)
        place = Place(node, max(term, before.term + 1 if before else 0), now_s)
        if holder in self.nodes:
            self._places[camera] = replace(place, begun=False, leaving=holder)
        else:
            self._begin(camera, place, now_s)

    def _node(self, name: str, known: Known, now_s: float) -> Node:
        cores = known.cores
        if now_s - known.late_s < LATE_FOR_S and known.late_cores:
            cores = min(cores, max(known.late_cores / FULL, AT_LEAST * cores))
        return Node(name, cores, known.behind_s, name in self.site.draining)

    def _typical(self) -> float:
        """What a camera costs that has not been measured."""
        known = [min(costs) for costs in self._costs.values() if costs]
        return sum(known) / len(known) if known else UNKNOWN_CORES

    def _camera(self, name: str, typical: float) -> Camera:
        costs = self._costs.get(name)
        return Camera(name, self.site.priorities.get(name, 0), min(costs) if costs else typical)

    def _orders(self, name: str) -> Orders:
        terms = {
            camera: place.term for camera, place in self._places.items() if place.node == name and place.begun
        }
        report = self._nodes[name].report
        if report is None:
            return Orders(self.site, {}, {}, known=False)
        return Orders(self.site, terms, self._journal.written({*terms, *report.cameras}))
