"""What happens to a fleet of cameras when machines die: a real Ray cluster of three nodes on this machine, six cameras
from a real RTSP server, and SIGKILL.

    python -m benchmarks.fleet [--kills 10] [--cameras 6] [--quick]      results/fleet.json; of others: fleet_N.json

Nodes are killed one after another, whichever has cameras; each time a new one joins. The supervisor is killed. A node
is stopped for 20 s and goes on (to the others it is cut off). One is slowed down by busy loops. In the end the log is
read: every line of every camera must be there once. All nodes share this machine's cores, so that a start is slower
than on machines of their own.
"""

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks import card
from engines.weights.fetch import demo_clip
from realtime.cluster.connect import connected
from realtime.commands.fleet import call
from tests.support import fleets
from tests.support.ray_nodes import Nodes, nodes, processes
from tests.support.servers import rtsp_server

CAMERAS, NODES, CORES = 6, 3, 2
SETTLE_S, CUT_S, SLOW_S, LIMIT_S = 8.0, 20.0, 60.0, 90.0
LOOPS = 4
"""Busy loops on the one core that the slow node is left with."""


class Fleet:
    """Cameras, nodes, and the log."""

    def __init__(self, there: Nodes, port: int, log: Path) -> None:
        """`port`: of the server of the cameras."""
        self.there, self.port, self.log = there, port, log

    def run(self, *arguments: str | Path) -> None:
        """`i3d-live fleet`, in a process of its own."""
        program = Path(sys.executable).with_name("i3d-live")
        command = [program, "fleet", *arguments, "--cluster", self.there.address]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr)

    def status(self) -> dict[str, Any]:
        """As `i3d-live fleet status` has it; a command would use a second of a core."""
        found: dict[str, Any] = call(fleets.supervisor().status.remote())
        return found

    def where(self) -> dict[str, str]:
        """By camera: its node."""
        return {name: one["node"] for name, one in self.status()["cameras"].items()}

    def ready(self) -> bool:
        """Whether all nodes and cameras are."""
        found = self.status()
        nodes = sum(node["ready"] for node in found["nodes"].values())
        return nodes == len(self.there.others) and not found["waiting"]

    def busiest(self) -> tuple[Any, set[str]]:
        """A node that has cameras, by chance, and which."""
        where = self.where()
        node = random.choice([each for each in self.there.others if self.there.names[each] in where.values()])
        return node, {name for name, each in where.items() if each == self.there.names[node]}

    def answers(self, cameras: set[str], since_s: float) -> list[float]:
        """Seconds until each of them has a prediction from another node."""

        def all_of_them() -> dict[str, Any] | None:
            lines = [line for line in fleets.read(self.log) if line.get("name") in cameras and "term" in line]
            newest = {line["name"]: line["term"] for line in lines}
            begun = {name for name, term in newest.items() if term >= since_s * 1000}
            first: dict[str, Any] = {}
            for line in lines:
                if (
                    line["kind"] == "prediction"
                    and line["name"] in begun
                    and line["term"] == newest[line["name"]]
                ):
                    first.setdefault(line["name"], line)
            return first if len(first) == len(cameras) else None

        found = fleets.wait(all_of_them, LIMIT_S, f"not all of {cameras} answer")
        return [fleets.at_s(line) - since_s for line in found.values()]


def killed(fleet: Fleet, count: int) -> list[float]:
    """Seconds until each camera of a killed node answers again."""
    took: list[float] = []
    for i in range(count):
        fleets.wait(fleet.ready, LIMIT_S, "a node is not ready")
        time.sleep(SETTLE_S)
        node, cameras = fleet.busiest()
        since_s = time.time()
        fleet.there.kill(node)
        took += (found := fleet.answers(cameras, since_s))
        print(
            f"kill {i + 1}: {len(cameras)} cameras, {', '.join(f'{s:.1f}' for s in found)} s", file=sys.stderr
        )
        fleet.there.others.append(fleet.there.add())
    return took


def supervisor_killed(fleet: Fleet, count: int) -> dict[str, Any]:
    """Whether cameras noticed, and for how long the log stood still."""
    import ray

    def begun() -> Counter[str]:
        return Counter(line["name"] for line in fleets.read(fleet.log) if line["kind"] == "session")

    fleets.wait(fleet.ready, LIMIT_S, "a node is not ready")
    time.sleep(SETTLE_S)
    before, still = begun(), []
    for _ in range(count):
        since_s = time.time()
        ray.kill(fleets.supervisor(), no_restart=False)
        size = fleet.log.stat().st_size
        fleets.wait(lambda size=size: fleet.log.stat().st_size > size, LIMIT_S, "no line comes")  # type: ignore[misc]
        still.append(time.time() - since_s)
        time.sleep(4.0)
    noticed = sum(after != before[name] for name, after in begun().items())
    return {"kills": count, "cameras_that_noticed": noticed, "log_stood_still_worst_s": max(still)}


def cut_off(fleet: Fleet) -> dict[str, Any]:
    """A node is stopped and goes on."""
    fleets.wait(fleet.ready, LIMIT_S, "a node is not ready")
    node, cameras = fleet.busiest()
    since_s = time.time()
    pids = processes(node)
    fleet.there.freeze(node)
    took = fleet.answers(cameras, since_s)
    time.sleep(max(0.0, CUT_S - (time.time() - since_s)))
    fleet.there.thaw(node)
    back_s = last_s = time.time()
    while time.time() - back_s < CUT_S:
        if any(watches(pid, fleet.port) for pid in pids):
            last_s = time.time()
        time.sleep(0.05)
    fleet.there.kill(node)
    return {"seconds": CUT_S, "answer_again_worst_s": max(took), "twice_for_at_most_s": last_s - back_s}


def watches(pid: int, port: int) -> bool:
    """Whether a process has a connection to the server of the cameras."""
    try:
        links = [os.readlink(each) for each in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:
        return False
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inodes = {line[9] for line in lines if line[2].endswith(f":{port:04X}") and line[3] == "01"}
    return any(f"socket:[{inode}]" in links for inode in inodes)


def slowed(fleet: Fleet) -> dict[str, Any]:
    """A node is left with one core that busy loops share: how long until it gives up a camera."""
    fleet.there.others.append(fleet.there.add())
    fleets.wait(fleet.ready, LIMIT_S, "a node is not ready")
    time.sleep(25.0)  # cameras have settled
    node, _ = fleet.busiest()
    name, since_s, core = fleet.there.names[node], time.time(), max(os.sched_getaffinity(0))
    with ExitStack() as stack:
        for _ in range(LOOPS):
            loop = subprocess.Popen([sys.executable, "-c", "while True: pass"])
            stack.callback(loop.kill)
            os.sched_setaffinity(loop.pid, {core})
        for pid in processes(node):
            for thread in Path(f"/proc/{pid}/task").iterdir():
                os.sched_setaffinity(int(thread.name), {core})

        def moved() -> Any:
            lines = [
                line for line in fleets.read(fleet.log) if line["kind"] == "moved" and line["from"] == name
            ]
            late = (line for line in lines if line["why"].startswith(f"{name} is"))
            return next((line for line in late if fleets.unix_s(line["unwatched_from"]) > since_s), None)

        line = fleets.wait(moved, SLOW_S, "the slow node keeps its cameras")
    return {"gave_up_a_camera_after_s": time.time() - since_s, "why": line["why"]}


def measured(fleet: Fleet, kills: int, supervisor_kills: int) -> dict[str, Any]:
    took = killed(fleet, kills)
    parts: list[tuple[str, Callable[[], Any]]] = [
        ("supervisor", lambda: supervisor_killed(fleet, supervisor_kills)),
        ("cut", lambda: cut_off(fleet)),
        ("slow", lambda: slowed(fleet)),
    ]
    figures: dict[str, Any] = {
        "kills": kills,
        "cameras_moved": len(took),
        "answer_again_s": {"median": statistics.median(took), "worst": max(took)},
    }
    for name, part in parts:
        figures[name] = part()
        print(f"{name}: {figures[name]}", file=sys.stderr)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--cameras", type=int, default=CAMERAS)
    parser.add_argument("--precision", default="int8")
    parser.add_argument("--quick", action="store_true", help="two kills; the results are not stored")
    options = parser.parse_args()
    kills, supervisor_kills = (2, 1) if options.quick else (options.kills, 5)
    random.seed(1)
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        folder = Path(temporary)
        fleets.write_camera(demo_clip(), folder / "camera.mp4", 1500)
        for i in range(options.cameras):  # the server sends one file to all at the pace of the slowest
            os.link(folder / "camera.mp4", folder / f"{i}.mp4")
        server = stack.enter_context(rtsp_server(folder))
        there = stack.enter_context(nodes(NODES, CORES))
        urls = [server.url(f"{i}.mp4") for i in range(options.cameras)]
        site = fleets.write_site(folder / "site.toml", urls, precision=options.precision)
        fleet = Fleet(there, server.port, folder / "fleet.jsonl")
        fleet.run("start", site, "--log", fleet.log)
        fleets.wait_for_answers(fleet.log, options.cameras, time.time(), LIMIT_S)
        with connected(there.address):
            figures = measured(fleet, kills, supervisor_kills)
        fleet.run("stop")
        lines = fleets.read(fleet.log)
        fleets.check_log(lines)
        figures |= {
            "cameras": options.cameras,
            "nodes": NODES,
            "precision": options.precision,
            "lines": len(lines),
            "lines_lost": 0,
            "lines_doubled": 0,
        }
    if not options.quick:
        card.report("fleet" if options.cameras == CAMERAS else f"fleet_{options.cameras}", figures)


if __name__ == "__main__":
    main()
