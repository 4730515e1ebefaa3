"""The workers of a run: one for each core or GPU of the cluster, replaced where one dies."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from threading import Event
from typing import Any

from realtime.cluster.connect import alive_nodes, answer_of, on_node, without_code
from realtime.cluster.worker import Hello, Recipe, Worker
from realtime.errors import EngineError, SourceError, one_line
from realtime.worker_threads import Stopped

Job = Callable[[Any], Any]
"""From the actor of a worker to a reference to its result."""

NEVER = Event()
"""Is not set."""
LOOK_S = 0.5
"""Between two looks at the machines of the cluster."""
CALLS = 2
"""At a time and worker: the next one waits there, so that the worker never waits."""
TRIES = 4
"""A video with which so many workers ended fails."""
FALLS = 3
"""A machine on which so many workers in a row ended before they were ready gets none any more."""
PATIENCE_S = 10.0
"""After this long without a free core people are told."""


@dataclass(eq=False)
class Hired:
    """A worker, from when it was asked for."""

    node: str
    place: str
    """The machine, as people know it."""
    actor: Any
    beginning: Any
    """A reference to its `Hello`."""
    ready: bool = False
    calls: int = 0


@dataclass
class Machines:
    """What is known of the machines."""

    refused: dict[str, str] = field(default_factory=dict)
    """By node: why it gets no work."""
    falls: Counter[str] = field(default_factory=Counter)
    hopeless: str | None = None
    """Why there will be no worker."""


class Workers:
    """A context manager: a thread keeps as many workers as there are cores."""

    def __init__(self, recipe: Recipe, most: int | None, tell: Callable[[str], None]) -> None:
        """`most`: None: as many as the cluster has cores, or GPUs where it has some. `tell`: people."""
        self._recipe, self._most, self._tell = recipe, most, tell
        self._hired: list[Hired] = []
        self._machines = Machines()
        self._hello: Hello | None = None
        self._changed = threading.Condition()
        self._closing = Event()
        self._thread = threading.Thread(target=self._recruit, name="i3d-live workers", daemon=True)

    def __enter__(self) -> "Workers":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        import ray

        self.stop()
        self._thread.join()
        for each in self._hired:
            ray.kill(each.actor)

    def stop(self) -> None:
        """End soon. From any thread."""
        self._closing.set()
        with self._changed:
            self._changed.notify_all()

    def first(self) -> Hello:
        """Waits for the first worker. Raises EngineError where no machine can have one, Stopped."""
        with self._changed:
            while self._hello is None:
                self._wait()
            return self._hello

    @property
    def ready(self) -> int:
        """How many are."""
        return sum(each.ready for each in self._hired)

    @contextmanager
    def turn(self, stopping: Event = NEVER) -> Iterator["Turn"]:
        """Waits for a worker with little to do. Raises EngineError where there will be none, Stopped."""
        turn = Turn(self, self.take(stopping))
        try:
            yield turn
        finally:
            self.give_back(turn.hired)

    def take(self, stopping: Event = NEVER) -> Hired:
        """To be given back, or lost."""
        with self._changed:
            while not stopping.is_set():
                free = [each for each in self._hired if each.ready and each.calls < CALLS]
                if free:
                    least = min(free, key=lambda each: each.calls)
                    least.calls += 1
                    return least
                self._wait()
        raise Stopped

    def give_back(self, hired: Hired) -> None:
        with self._changed:
            hired.calls -= 1
            self._changed.notify()

    def lose(self, hired: Hired) -> None:
        """It ended, or cannot be reached."""
        import ray

        with self._changed:
            if hired in self._hired:
                self._hired.remove(hired)
        ray.kill(hired.actor)

    def result(self, reference: Any, stopping: Event) -> Any:
        """Waits for it. Raises Stopped, RayActorError, or what was raised there."""
        import ray

        while not ray.wait([reference], timeout=LOOK_S)[0]:
            if self._closing.is_set() or stopping.is_set():
                raise Stopped
        return answer_of(reference)

    def _wait(self) -> None:
        """With the lock held. Raises Stopped, or EngineError where there will be no worker."""
        self._changed.wait(LOOK_S)
        if self._closing.is_set():
            raise Stopped
        if self._machines.hopeless is not None:
            raise EngineError(self._machines.hopeless)

    def _recruit(self) -> None:
        waited_s = 0.0
        while not self._closing.wait(LOOK_S):
            try:
                self._look()
            except Exception as error:  # whatever Ray raises without its head
                self._machines.hopeless = f"the cluster is gone: {one_line(str(error))[:200]}"
                return
            waited_s = 0.0 if any(each.ready for each in self._hired) else waited_s + LOOK_S
            if waited_s == PATIENCE_S and not self._machines.refused:
                self._tell("waiting for a worker: a free core of the cluster, and its engine")

    def _look(self) -> None:
        nodes = {each["NodeID"]: each for each in alive_nodes()}
        for each in [each for each in self._hired if each.node not in nodes]:
            self.lose(each)
        self._greet()
        # Until the first is ready, it is alone: the others do as it does.
        most = 1 if self._hello is None else self._most
        open_ = {id_: node for id_, node in nodes.items() if id_ not in self._machines.refused}
        wanted = Counter({id_: self._room(node) for id_, node in open_.items()})
        wanted.subtract(each.node for each in self._hired)
        while (most is None or len(self._hired) < most) and any(count > 0 for count in wanted.values()):
            (id_, _), *_ = wanted.most_common(1)
            wanted[id_] -= 1
            self._hire(nodes[id_])
        if not self._hired and self._machines.refused:
            self._machines.hopeless = next(iter(self._machines.refused.values()))

    def _room(self, node: dict[str, Any]) -> int:
        resources = node["Resources"]
        return int(resources.get("GPU", 0) if self._on_gpu(node) else resources.get("CPU", 0))

    def _on_gpu(self, node: dict[str, Any]) -> bool:
        return self._recipe.options.backend != "openvino" and node["Resources"].get("GPU", 0) > 0

    def _hire(self, node: dict[str, Any]) -> None:
        import ray

        on_gpu = self._on_gpu(node)
        recipe = replace(
            self._recipe, on_gpu=on_gpu, step_ticks=self._hello.step_ticks if self._hello else None
        )
        actor: Any = (
            ray.remote(Worker)
            .options(num_cpus=1, num_gpus=1 if on_gpu else 0, scheduling_strategy=on_node(node["NodeID"]))
            .remote(recipe)
        )
        place = f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"
        with self._changed:
            self._hired.append(Hired(node["NodeID"], place, actor, actor.begin.remote()))

    def _greet(self) -> None:
        """Those that are ready by now."""
        import ray

        beginning = {each.beginning: each for each in self._hired if not each.ready}
        if not beginning:
            return
        for reference in ray.wait(list(beginning), num_returns=len(beginning), timeout=0)[0]:
            hired = beginning[reference]
            try:
                self._welcome(hired, ray.get(reference))
            except ray.exceptions.RayActorError as error:
                self._fell(hired, error)
            except ray.exceptions.RayTaskError as error:
                self._refuse(hired, one_line(str(error.cause)))

    def _welcome(self, hired: Hired, hello: Hello) -> None:
        expected = self._hello or hello
        for name, value in hello.facts.items():
            if value != expected.facts[name]:
                what = f"its features would have {name} {value}, not {expected.facts[name]}"
                self._refuse(hired, f"{what}; say which with --precision, --backend")
                return
        self._machines.falls[hired.node] = 0
        with self._changed:
            self._hello, hired.ready = expected, True
            self._changed.notify_all()

    def _fell(self, hired: Hired, error: Exception) -> None:
        self.lose(hired)
        self._machines.falls[hired.node] += 1
        if (missing := without_code(error, self._recipe.code)) is not None:
            self._refuse(hired, missing)
        elif self._machines.falls[hired.node] >= FALLS:
            self._refuse(hired, f"{FALLS} processes ended before they were ready; see Ray's logs there")

    def _refuse(self, hired: Hired, why: str) -> None:
        self.lose(hired)
        if hired.node not in self._machines.refused:
            self._machines.refused[hired.node] = f"{hired.place}: {why}"
            self._tell(self._machines.refused[hired.node])


class Turn:
    """A worker for one video, and another if that one ends."""

    def __init__(self, workers: Workers, hired: Hired) -> None:
        self._workers, self.hired = workers, hired

    def result(self, source: str, job: Job, stopping: Event = NEVER) -> Any:
        """What `job` gives. `source`: for the error if it makes workers end."""
        from ray.exceptions import RayActorError

        for _ in range(TRIES):
            try:
                return self._workers.result(job(self.hired.actor), stopping)
            except RayActorError:
                self._workers.lose(self.hired)
                self.hired = self._workers.take(stopping)
        raise SourceError(f"{source}: {TRIES} processes ended that read it; see Ray's logs, and try it alone")
