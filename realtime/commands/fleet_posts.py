"""The watchers of a fleet as Ray actors, one on every node."""

from dataclasses import dataclass
from typing import Any

from realtime.cluster.connect import alive_nodes, on_node, this_code
from realtime.commands.fleet_watcher import Watcher

SPACE = "i3d-live"
"""Ray's namespace of all that belongs to a fleet."""


@dataclass
class Post:
    """A watcher."""

    id: str
    """Of its node."""
    cores: float
    actor: Any
    asked: Any = None
    """A reference to the report that is awaited."""
    told: int = 0
    """Version of the site that it was asked with."""


def belongs() -> bool:
    """Whether this node is part of the cluster."""
    import ray

    mine = ray.get_runtime_context().get_node_id()
    return any(node["NodeID"] == mine for node in alive_nodes())


def named(nodes: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """By a name for people: the one that was given to Ray, or the host's; made unique where two are the same."""
    names = [
        node["NodeName"] if node["NodeName"] != node["NodeManagerAddress"] else node["NodeManagerHostname"]
        for node in nodes
    ]
    return {
        name if names.count(name) == 1 else f"{name}-{node['NodeID'][:6]}": node
        for name, node in zip(names, nodes, strict=True)
    }


def post_on(node: dict[str, Any]) -> Post:
    """The watcher of a node, also one that an earlier supervisor has left."""
    import ray

    id_, cores = node["NodeID"], float(node["Resources"]["CPU"])
    actor: Any = (
        ray.remote(Watcher)
        .options(
            name=f"watcher {id_}",
            namespace=SPACE,
            lifetime="detached",
            get_if_exists=True,
            num_cpus=0,
            max_concurrency=4,
            scheduling_strategy=on_node(id_),
        )
        .remote(this_code(), belongs)
    )
    return Post(id_, cores, actor)
