"""Who watches what, with nodes that are doubles: they do as they are told, and can die, freeze and come back."""

from dataclasses import dataclass, field
from typing import Any

from realtime.fleet.journal import Journal
from realtime.fleet.orders import Numbered, Orders, Report, Site, Watched
from realtime.fleet.supervisor import BEHIND_FOR_S, READY_WITHIN_S, SETTLED_S, SILENT_S, Supervisor
from realtime.types import Figures

BEAT_S = 0.25


@dataclass
class Node:
    """A double of a watcher: every beat, each of its cameras has a line."""

    cores: float = 2.0
    cost: float = 0.3
    lag_s: float = 0.0
    frozen: bool = False
    ready: bool = True
    orders: Orders | None = None
    watches: dict[str, int] = field(default_factory=dict)
    begun: int = 0
    numbers: dict[tuple[str, int], int] = field(default_factory=dict)
    lines: list[Numbered] = field(default_factory=list)

    def tell(self, orders: Orders) -> None:
        if self.orders is not None and orders.site.version < self.orders.site.version:
            return
        self.orders = orders
        if orders.known:
            self.begun += len(orders.terms.items() - self.watches.items())
            self.watches = dict(orders.terms)

    def running(self) -> dict[str, int]:
        return self.watches

    def report(self, now_s: float) -> Report:
        """After a beat of work."""
        assert self.orders is not None
        for name, term in self.running().items():
            number = self.numbers[name, term] = self.numbers.get((name, term), 0) + 1
            self.lines.append(Numbered(name, term, number, now_s, {"kind": "prediction"}))
        written = self.orders.written
        self.lines = [
            each for each in self.lines if (each.term, each.number) > written.get(each.camera, (0, 0))
        ]
        figures = Figures(
            frames=1, used=1, dropped={}, ticks=1, repeated_ticks=0, steps=1, predictions=1, events=0, gaps=0, lag_s=self.lag_s
        )  # fmt: skip
        held = {each.camera: Watched(each.term, None) for each in self.lines}
        held |= {name: Watched(term, figures, self.cost) for name, term in self.running().items()}
        return Report(self.orders.site, held, tuple(self.lines), self.ready)


class World:
    """A supervisor and its nodes, in steps of a beat."""

    def __init__(self, cameras: int, nodes: int) -> None:
        self.now_s = 1000.0
        self.written: list[dict[str, Any]] = []
        self.nodes = {f"n{i}": Node() for i in range(1, nodes + 1)}
        self.site = Site(1, {f"cam{i}": None for i in range(cameras)}, None)
        self.twice: list[str] = []
        """Cameras that two nodes watched in the same beat, of those that can be reached."""
        self.supervisor = self.new_supervisor()

    def new_supervisor(self) -> Supervisor:
        """Nodes answer what it has told them: in the first beat it knows nothing of them."""
        self.told: set[str] = set()
        clock = lambda: self.now_s  # noqa: E731
        return Supervisor(self.site, Journal(self.written.append), clock, clock)

    def go_on(self, seconds: float) -> None:
        for _ in range(round(seconds / BEAT_S)):
            self.now_s += BEAT_S
            able = {name: node for name, node in self.nodes.items() if not node.frozen}
            reports = {name: node.report(self.now_s) for name, node in able.items() if name in self.told}
            orders = self.supervisor.beat({name: node.cores for name, node in self.nodes.items()}, reports)
            for name, node in able.items():
                node.tell(orders[name])
                self.told.add(name)
            running = [name for node in able.values() for name in node.running()]
            self.twice += [name for name in running if running.count(name) > 1]

    def watched(self) -> dict[str, str]:
        """By camera: the node that watches it."""
        return {
            camera: name for name, node in self.nodes.items() for camera in node.running() if not node.frozen
        }

    def check_lines(self) -> None:
        """Nothing is lost within a term, nothing is doubled, and each new term has a line that says why."""
        numbers: dict[tuple[str, int], list[int]] = {}
        for each in self.written:
            if "number" in each:
                numbers.setdefault((each["name"], each["term"]), []).append(each["number"])
        assert all(found == list(range(1, len(found) + 1)) for found in numbers.values())
        moved = sum(each["kind"] == "moved" for each in self.written)
        assert moved == len(numbers) - len({name for name, _ in numbers})
        assert not self.twice


def test_all_cameras_are_watched_and_none_twice() -> None:
    world = World(6, 3)
    world.go_on(10)
    assert sorted(world.watched()) == sorted(world.site.cameras)
    world.check_lines()


def test_the_cameras_of_a_node_that_dies_go_to_others() -> None:
    world = World(6, 3)
    world.go_on(10)
    gone = [camera for camera, node in world.watched().items() if node == "n1"]
    del world.nodes["n1"]
    world.go_on(1)
    assert sorted(world.watched()) == sorted(world.site.cameras)
    moved = [each for each in world.written if each["kind"] == "moved"]
    assert sorted(each["name"] for each in moved) == sorted(gone)
    assert {(each["from"], each["why"]) for each in moved} == {("n1", "n1 is gone")}
    world.check_lines()


def test_a_node_that_freezes_is_replaced_and_finds_its_cameras_gone() -> None:
    world = World(4, 2)
    world.go_on(10)
    world.nodes["n1"].frozen = True
    world.go_on(SILENT_S - 2 * BEAT_S)
    assert len(world.watched()) == 2  # not yet
    world.go_on(1)
    assert set(world.watched().values()) == {"n2"}
    assert sorted(world.watched()) == sorted(world.site.cameras)
    world.nodes["n1"].frozen = False
    world.now_s += BEAT_S
    before = len(world.written)
    report = world.nodes["n1"].report(world.now_s)  # what it was doing when it froze
    orders = world.supervisor.beat({name: node.cores for name, node in world.nodes.items()}, {"n1": report})
    assert orders["n1"].terms == {}
    assert len(world.written) == before


def test_cameras_do_not_notice_that_the_supervisor_dies() -> None:
    """The next one learns from the nodes, and from the log what is written."""
    world = World(6, 3)
    world.go_on(10)
    found = lambda: {name: (node.begun, dict(node.running())) for name, node in world.nodes.items()}  # noqa: E731
    before = found()
    world.supervisor = world.new_supervisor()
    world.go_on(5)
    assert found() == before


def test_a_site_that_was_changed_is_known_to_the_nodes() -> None:
    world = World(3, 2)
    world.go_on(10)
    changed = Site(2, {"cam0": None, "cam9": None}, None)
    world.supervisor.change(changed)
    world.go_on(5)
    assert sorted(world.watched()) == ["cam0", "cam9"]
    world.supervisor = world.new_supervisor()  # it was asked for the first site
    world.go_on(5)
    assert sorted(world.watched()) == ["cam0", "cam9"]


def test_a_camera_that_moves_is_let_go_before_it_begins() -> None:
    world = World(2, 2)
    world.go_on(10)
    camera, node = next(iter(world.watched().items()))
    other = next(name for name in world.nodes if name != node)
    world.supervisor.move(camera, other)
    world.go_on(2)
    assert world.watched()[camera] == other
    assert [each["why"] for each in world.written if each["kind"] == "moved"] == ["asked for"]
    old = max(
        each["number"]
        for each in world.written
        if each["kind"] != "moved" and (each["name"], each["node"]) == (camera, node)
    )
    (last,) = [number for (name, _), number in world.nodes[node].numbers.items() if name == camera]
    assert old == last  # what the node said until it let go is in the log
    world.check_lines()


def test_a_node_that_drains_has_no_cameras_and_a_new_one_gets_its_share() -> None:
    world = World(6, 2)
    world.go_on(SETTLED_S + 5)
    world.nodes["n3"] = Node()
    world.go_on(10)
    assert "n3" in world.watched().values()
    world.supervisor.change(Site(2, world.site.cameras, None, draining=frozenset({"n1"})))
    world.go_on(5)
    assert "n1" not in world.watched().values()
    assert len(world.watched()) == 6
    world.check_lines()


def test_the_least_important_wait_and_it_says_so() -> None:
    world = World(6, 2)
    for node in world.nodes.values():
        node.cost = 0.8
    world.supervisor.change(Site(2, world.site.cameras, None, {"cam0": 5, "cam1": 5}))
    world.go_on(SETTLED_S + 60)
    assert {"cam0", "cam1"} <= set(world.watched())
    waiting = world.supervisor.waiting
    assert set(waiting) == set(world.site.cameras) - set(world.watched())
    assert len(waiting) == 2


def test_a_node_that_is_late_gives_up_a_camera() -> None:
    world = World(6, 2)
    world.go_on(SETTLED_S + 5)
    world.nodes["n1"].lag_s = 2.0
    world.go_on(BEHIND_FOR_S + 6)  # one, and then it is measured again
    world.nodes["n1"].lag_s = 0.0
    world.go_on(3)
    assert list(world.watched().values()).count("n1") == 2
    moved = [each for each in world.written if each["kind"] == "moved"]
    assert sum(each["why"].startswith("n1 is behind") for each in moved) == 1
    world.check_lines()


def test_a_node_that_is_late_for_a_moment_keeps_its_cameras() -> None:
    world = World(6, 2)
    world.go_on(SETTLED_S + 5)
    world.nodes["n1"].lag_s = 2.0
    world.go_on(BEHIND_FOR_S - 1)
    world.nodes["n1"].lag_s = 0.0
    world.go_on(5)
    assert world.supervisor.counts.moves == 0


def test_cameras_of_a_new_fleet_wait_for_machines_that_load_their_engines() -> None:
    world = World(6, 2)
    world.nodes["n2"].ready = False
    world.go_on(READY_WITHIN_S / 2)
    assert world.watched() == {}
    world.nodes["n2"].ready = True
    world.go_on(2)
    assert sorted(world.watched().values()) == ["n1"] * 3 + ["n2"] * 3


def test_nobody_waits_because_cameras_cost_more_for_a_moment() -> None:
    world = World(6, 2)
    world.go_on(SETTLED_S + 5)
    for cost in (0.95, 0.9, 0.3):
        for node in world.nodes.values():
            node.cost = cost
        world.go_on(2)
        assert not world.supervisor.waiting
    assert world.supervisor.counts.moves == 0
