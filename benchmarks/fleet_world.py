"""The simulated world of `benchmarks.fleet_sim`: cameras that work and rest, nodes that die and come back, a clock.

Nothing here watches anything. What the program would decide is decided by its own `realtime.fleet.placement.decide`;
`benchmarks.fleet_case.Assumed` lists what nobody has measured. Chance comes from the seed alone.
"""

import time
from collections import defaultdict
from collections.abc import Callable
from heapq import heappop, heappush
from random import Random
from typing import Any

from benchmarks.fleet_case import Case, Found, Simulated
from realtime.fleet.placement import applied, decide
from realtime.fleet.plan import FULL, Camera, Move, Node

HOUR_S, DAY_S = 3600.0, 86400.0


class World:
    """Events in the order of their times."""

    def __init__(self, case: Case) -> None:
        self._case, self._assumed = case, case.assumed
        self._chance, self._fate = Random(f"cameras {case.seed}"), Random(f"nodes {case.seed}")
        self.now_s, self.found = 0.0, Found()
        self._events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._count = 0
        made = (self._made(i, size) for i, size in enumerate(case.sizes))
        self.cameras = {camera.name: camera for camera in made}
        self.alive = {f"n{i:03}" for i in range(case.nodes)}
        self._known = set(self.alive)
        self._free_s = dict.fromkeys(self.alive, 0.0)
        """When a node has started all that it was told to start."""
        self._slow: set[str] = set()
        self._worth: dict[str, tuple[float, float]] = {}
        """Nodes that were late: until when that is remembered, and with how many cores they count."""
        self.placed: dict[str, str] = {}
        self._changed = False

    def _made(self, i: int, size: float) -> Simulated:
        shares = self._assumed.importance
        priority = self._chance.choices(range(len(shares)), shares)[0]
        cores = self._case.cost.works * size
        return Simulated(f"c{i:04}", priority, size, cores, cores)

    def run(self) -> Found:
        self._settle()
        for name in sorted(self.alive):
            self._after(self._life_s(), self._dies, name)
            self._after(self._full_speed_s(), self._slows, name)
        for camera in self.cameras.values():
            self._after(self._spell_s(camera), self._turns, camera)
        self._after(self._assumed.measures_every_s, self._measures)
        self._after(self._assumed.decides_every_s, self._decides)
        end_s = self._case.days * DAY_S
        while self._events[0][0] < end_s:
            self.now_s, _, call, values = heappop(self._events)
            call(*values)
        self.now_s = end_s
        for camera in self.cameras.values():
            self._count_unwatched(camera)
        return self.found

    def _after(self, seconds: float, call: Callable[..., None], *values: Any) -> None:
        self._count += 1
        heappush(self._events, (self.now_s + seconds, self._count, call, values))

    def _settle(self) -> None:
        """The fleet before the clock starts: all placed and balanced, which costs nothing."""
        while moves := self._decided(list(self.cameras)):
            self.placed = applied(self.placed, moves)
        for camera in self.cameras.values():
            if camera.name not in self.placed:
                camera.runs_since_s, camera.why = None, "wait"
                self.found.waiting_most += 1
        self.found.first_ms = self.found.decide_ms[0]
        self.found.decide_ms.clear()

    # Nodes

    def _life_s(self) -> float:
        return self._fate.expovariate(1 / (self._assumed.dies_every_days * DAY_S))

    def _full_speed_s(self) -> float:
        return self._fate.expovariate(1 / (self._assumed.slows_every_days * DAY_S))

    def _slows(self, name: str) -> None:
        self._slow.add(name)
        self._after(self._assumed.slow_for_s, self._is_fast_again, name)

    def _is_fast_again(self, name: str) -> None:
        self._slow.discard(name)
        self._after(self._full_speed_s(), self._slows, name)

    def _gives(self, name: str) -> float:
        """Cores."""
        return self._assumed.node_cores * (self._assumed.slow_to if name in self._slow else 1.0)

    def _late(self) -> list[str]:
        needed = self._needed()
        return [name for name in sorted(self._known) if needed[name] > self._gives(name)]

    def _dies(self, name: str) -> None:
        self.found.deaths += 1
        self.alive.discard(name)
        for camera in self._on(name):
            self._stops(camera, "death")
            camera.died_s = self.now_s if camera.died_s is None else camera.died_s
        self._after(self._assumed.detected_after_s, self._is_missed, name)
        self._after(max(self._assumed.back_after_s, self._assumed.detected_after_s), self._comes_back, name)

    def _is_missed(self, name: str) -> None:
        self._known.discard(name)
        self._changed = True
        self._call()

    def _comes_back(self, name: str) -> None:
        self.alive.add(name)
        self._known.add(name)
        self._free_s[name] = self.now_s
        self._changed = True
        self._after(self._life_s(), self._dies, name)

    def _on(self, name: str) -> list[Simulated]:
        return [self.cameras[camera] for camera, node in self.placed.items() if node == name]

    # Cameras

    def _turns(self, camera: Simulated) -> None:
        """It begins to rest, or to work."""
        self._mark(camera)
        camera.works = not camera.works
        self._after(self._spell_s(camera), self._turns, camera)

    def _mark(self, camera: Simulated) -> None:
        if camera.works:
            camera.worked_s += self.now_s - camera.marked_s
        camera.marked_s = self.now_s

    def _spell_s(self, camera: Simulated) -> float:
        first_h, last_h = self._assumed.day_h
        by_day = first_h <= self.now_s % DAY_S / HOUR_S < last_h
        works = self._assumed.works_by_day if by_day else self._assumed.works_by_night
        rests_s = self._assumed.works_for_s * (1 - works) / max(works, 1e-3)
        mean_s = self._assumed.works_for_s if camera.works else rests_s
        return self._chance.expovariate(1 / mean_s) if works < 1 else self._case.days * DAY_S

    def _stops(self, camera: Simulated, why: str) -> None:
        """What stopped already counts as unwatched for its first cause, until it waits."""
        if camera.runs_since_s is None and why != "wait" and camera.why != "wait":
            return
        self._count_unwatched(camera)
        camera.runs_since_s, camera.unwatched_since_s, camera.why = None, self.now_s, why

    def _starts(self, camera: Simulated, name: str) -> None:
        camera.starts += 1
        self._free_s[name] = max(self._free_s[name], self.now_s) + self._case.start_s
        self._after(self._free_s[name] - self.now_s, self._runs, camera, name, camera.starts)

    def _runs(self, camera: Simulated, name: str, start: int) -> None:
        if start != camera.starts or name not in self.alive or self.placed.get(camera.name) != name:
            return
        self._count_unwatched(camera)
        camera.runs_since_s = self.now_s
        if camera.died_s is not None:
            self.found.recovered_s.append(self.now_s - camera.died_s)
            camera.died_s = None
        self._after(self._assumed.settled_after_s, self._has_changed)

    def _count_unwatched(self, camera: Simulated) -> None:
        if camera.runs_since_s is None:
            seconds = self.now_s - camera.unwatched_since_s
            self.found.unwatched_s[camera.why] += seconds
            self.found.waited_s[camera.priority] += seconds if camera.why == "wait" else 0.0
            camera.unwatched_since_s = self.now_s

    # What is measured and decided

    def _has_changed(self) -> None:
        self._changed = True

    def _measures(self) -> None:
        every_s, cost, varies = self._assumed.measures_every_s, self._case.cost, self._assumed.cost_varies_by
        for camera in self.cameras.values():
            self._mark(camera)
            camera.cores = cost.works * camera.size * self._chance.uniform(1 - varies, 1 + varies)
            worked = camera.worked_s / every_s
            mean = cost.rests + worked * (camera.cores - cost.rests)
            camera.told, camera.worked_s = mean if self._assumed.mean_cost else camera.cores, 0.0
        self._sample()
        self._changed = True
        self._after(every_s, self._measures)

    def _decides(self) -> None:
        """What has not changed since a call without moves would give none again."""
        late = self._late() if self._slow or self._assumed.mean_cost else []
        self.found.late_s += len(late) * self._assumed.decides_every_s
        if self._changed or late:
            self._call()
        self._after(self._assumed.decides_every_s, self._decides)

    def _call(self) -> None:
        moves = self._decided(self._settled())
        self._apply(moves)
        self._changed = bool(moves)

    def _settled(self) -> list[str]:
        latest_s = self.now_s - self._assumed.settled_after_s
        cameras = self.cameras.values()
        return [
            each.name for each in cameras if each.runs_since_s is not None and each.runs_since_s <= latest_s
        ]

    def _decided(self, settled: list[str]) -> list[Move]:
        late, told = self._late(), self._needed(told=True)
        for name in late:
            self._worth[name] = (self.now_s + self._assumed.remembers_s, told[name] / FULL)
            self._after(self._assumed.remembers_s, self._has_changed)
        nodes = [
            Node(name, self._told_cores(name), self._assumed.late_s if name in late else 0.0)
            for name in self._known
        ]
        cameras = [Camera(each.name, each.priority, each.told) for each in self.cameras.values()]
        began_s = time.process_time()
        moves = decide(cameras, nodes, self.placed, settled=settled)
        self.found.decide_ms.append(1000 * (time.process_time() - began_s))
        return moves

    def _told_cores(self, name: str) -> float:
        until_s, cores = self._worth.get(name, (0.0, 0.0))
        return min(cores, self._assumed.node_cores) if self.now_s < until_s else self._assumed.node_cores

    def _apply(self, moves: list[Move]) -> None:
        self.placed = applied(self.placed, moves)
        self.found.waiting_most = max(self.found.waiting_most, len(self.cameras) - len(self.placed))
        for move in moves:
            camera = self.cameras[move.camera]
            self.found.moves[_cause(move)] += 1
            self._stops(camera, "wait" if move.to is None else "move")
            if move.to is not None:
                self._starts(camera, move.to)

    def _needed(self, told: bool = False) -> dict[str, float]:
        """Cores of each node: as told to `decide`, or as its cameras use now."""
        found: dict[str, float] = defaultdict(float)
        for name, node in self.placed.items():
            camera = self.cameras[name]
            found[node] += camera.told if told else camera.cores if camera.works else self._case.cost.rests
        return found

    def _sample(self) -> None:
        cores, found = self._assumed.node_cores, self.found
        alive = sorted(self.alive)
        told, used = (
            [needed[name] for name in alive] for needed in (self._needed(told=True), self._needed())
        )
        if alive and sum(told) > 0:
            found.highest_by_mean.append(max(told) * len(alive) / sum(told))
            found.filled.append(sum(told) / (cores * len(alive)))
            found.used.append(sum(used) / (cores * len(alive)))


def _cause(move: Move) -> str:
    """`death`, `place`, `balance` or `load`."""
    if "gone" in move.why:
        return "death"
    if move.source is None:
        return "place"
    return "balance" if "has room" in move.why else "load"
