"""What people see of a fleet on a terminal."""

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table


def show(found: Mapping[str, Any]) -> None:
    """The tables, on stdout."""
    from rich.console import Console

    console = Console()
    for table in tables(found):
        console.print(table)


def follow(status: Callable[[], Mapping[str, Any]]) -> None:
    """The tables, again and again."""
    from rich.console import Group
    from rich.live import Live

    with Live(Group(*tables(status())), refresh_per_second=4) as live:
        while True:
            time.sleep(1.0)
            live.update(Group(*tables(status())))


def tables(found: Mapping[str, Any]) -> "list[Table]":
    """Machines, and cameras."""
    from rich.table import Table
    from rich.text import Text

    nodes = Table("machine", "cores used", "behind", "", box=None, pad_edge=False)
    for name, node in sorted(found["nodes"].items()):
        state = node["error"] or (
            "drains" if node["draining"] else "" if node["ready"] else "loads its engine"
        )
        used = f"{node['used']:.2f} of {node['cores']:.0f}"
        nodes.add_row(
            Text(name, "bold"),
            used,
            f"{node['behind_s']:.1f} s",
            Text(state, "red" if node["error"] else "dim"),
        )
    cameras = Table(
        "camera", "machine", "fps", "cores", "lag", "now", "last event", "", box=None, pad_edge=False
    )
    for name, camera in sorted(found["cameras"].items()):
        state = camera["error"] or camera["lost"] or found["waiting"].get(name) or camera["why"]
        bad = bool(camera["error"] or camera["lost"] or name in found["waiting"])
        cameras.add_row(
            Text(name, "bold"),
            camera["node"] or "waits",
            f"{camera['fps']:.1f}",
            f"{camera['cores']:.2f}",
            f"{camera['lag_s']:.1f} s",
            Text(camera["label"] or ""),
            Text(camera["event"] or ""),
            Text(state, "red" if bad else "dim"),
        )
    moved = f"{found['moves']} moves, {len(found['waiting'])} cameras wait"
    cameras.caption = f"{moved}; {found['error']}" if found["error"] else moved
    return [nodes, cameras]
