"""A real Ray cluster of several nodes on this machine, one of which can be killed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SOON = {
    "RAY_health_check_initial_delay_ms": "0",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "500",
    "RAY_health_check_failure_threshold": "3",
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""A node that is silent for two seconds is dead."""


class Nodes:
    """The head, without cores for work, and the others."""

    def __init__(self, cluster: Any, count: int) -> None:
        self._cluster = cluster
        self.others = [self.add() for _ in range(count)]

    @property
    def address(self) -> str:
        return str(self._cluster.address)

    def add(self) -> Any:
        """One more, of one core."""
        return self._cluster.add_node(num_cpus=1, object_store_memory=100 * 2**20)

    def kill(self, node: Any) -> None:
        """SIGKILL, for all its processes."""
        self._cluster.remove_node(node, allow_graceful=False)
        self.others.remove(node)


@contextmanager
def nodes(count: int) -> Iterator[Nodes]:
    """A cluster with so many nodes of one core."""
    from ray.cluster_utils import Cluster

    before = {name: os.environ.get(name) for name in SOON}
    os.environ.update(SOON)
    head = {"num_cpus": 0, "object_store_memory": 200 * 2**20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, connect=False, head_node_args=head)
    try:
        yield Nodes(cluster, count)
    finally:
        cluster.shutdown()
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
