"""A real Ray cluster of several nodes on this machine, each of which can be killed or stopped for a while."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

SETTINGS = {
    "RAY_health_check_initial_delay_ms": "0",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "500",
    "RAY_health_check_failure_threshold": "3",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",
}
"""Ray takes a node that is silent for two seconds for dead. Its workers get their share of the cores, as docs/fleet.md
asks for: a new supervisor beside busy cameras would otherwise import its modules for half a minute."""
STORE_BYTES = 100 * 2**20


class Nodes:
    """The head, without cores for work, and the others."""

    def __init__(self, cluster: Any, count: int, cores: int = 1) -> None:
        self._cluster, self._cores = cluster, cores
        self.names: dict[Any, str] = {}
        """By node: as Ray and people call it."""
        self.others = [self.add() for _ in range(count)]

    @property
    def address(self) -> str:
        return str(self._cluster.address)

    def add(self) -> Any:
        """One more, named n1, n2 and so on. The caller keeps it."""
        name = f"n{len(self.names) + 1}"
        node = self._cluster.add_node(num_cpus=self._cores, object_store_memory=STORE_BYTES, node_name=name)
        self.names[node] = name
        return node

    def kill(self, node: Any) -> None:
        """SIGKILL, for all its processes."""
        pids = processes(node)
        self.others.remove(node)
        for pid in pids:
            _signal(pid, signal.SIGKILL)
        self._cluster.remove_node(node, allow_graceful=False)

    def freeze(self, node: Any) -> None:
        """SIGSTOP, for all its processes: to the others it is cut off."""
        for pid in processes(node):
            _signal(pid, signal.SIGSTOP)

    def thaw(self, node: Any) -> None:
        for pid in processes(node):
            _signal(pid, signal.SIGCONT)


def processes(node: Any) -> list[int]:
    """The raylet of a node, and all that it has started."""
    parents = {int(path.name): _parent(path) for path in Path("/proc").iterdir() if path.name.isdecimal()}
    found = [int(node.all_processes["raylet"][0].process.pid)]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def pids_of(title: str) -> set[int]:
    """Of processes of this machine that are called so."""
    found = set()
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if title.encode() in (path / "cmdline").read_bytes():
                found.add(int(path.name))
    return found


def _parent(path: Path) -> int:
    try:
        return int((path / "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError):
        return 0


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


@contextmanager
def nodes(count: int, cores: int = 1) -> Iterator[Nodes]:
    """A cluster with so many nodes of so many cores."""
    from ray.cluster_utils import Cluster

    before = {name: os.environ.get(name) for name in SETTINGS}
    os.environ.update(SETTINGS)
    head = {"num_cpus": 0, "object_store_memory": 2 * STORE_BYTES, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, connect=False, head_node_args=head)
    try:
        yield Nodes(cluster, count, cores)
    finally:
        cluster.shutdown()
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
