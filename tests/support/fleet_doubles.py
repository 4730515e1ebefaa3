"""A fleet that is made up, and its page on a real server.

python -m tests.support.fleet_doubles [CAMERAS]     serves the page until Ctrl-C
"""

import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np

from realtime.errors import EngineError
from realtime.types import Figures
from realtime.view.fleet_page import fleet_app
from realtime.view.web_server import Server, bind, uvicorn_config

LABELS = (
    "tai chi",
    "juggling balls",
    "riding a bike",
    "stretching arm",
    "washing dishes",
    "playing volleyball",
)
PLACES = ("door", "yard", "gate", "hall", "lift", "ramp", "dock", "roof")


def camera(number: int, node: str | None = "n1", **other: Any) -> dict[str, Any]:
    """As the supervisor tells of one that runs."""
    label = LABELS[number % len(LABELS)]
    figures = asdict(Figures(frames=100, wall_s=4.0))
    told = {"node": node, "why": "", "priority": 0, "fps": 25.0 - number % 3 / 10, "cores": 0.3, "lag_s": 0.1,
            "level": "all", "label": label, "event": LABELS[(number + 1) % len(LABELS)] if number % 4 else None,
            "lost": None, "error": None, "figures": figures}  # fmt: skip
    return told | other


def node(**other: Any) -> dict[str, Any]:
    told = {"cores": 4.0, "ready": True, "error": None, "behind_s": 0.0, "used": 2.0, "draining": False}
    return told | other


def status(cameras: dict[str, Any], nodes: dict[str, Any] | None = None, **other: Any) -> dict[str, Any]:
    told = {"nodes": nodes or {"n1": node()}, "cameras": cameras, "waiting": {}, "moves": 0, "lost_nodes": 0,
            "error": None}  # fmt: skip
    return told | other


def mixed(count: int) -> dict[str, Any]:
    """Many cameras, six of them in trouble of every kind."""
    names = [f"{PLACES[n % len(PLACES)]} {n // len(PLACES) + 1}" for n in range(count)]
    machines = [f"node{1 + n}" for n in range(max(3, min(24, count // 12)))]
    cameras = {name: camera(n, machines[n % len(machines)]) for n, name in enumerate(names)}
    resting = asdict(Figures(frames=100, wall_s=4.0, resting_since_s=2.0))
    unlike: list[dict[str, Any]] = [
        {"error": "401 Unauthorized; check user and password of rtsp://10.0.0.7/live?token=geheim"},
        {"lost": "no picture for 5 s"},
        {"node": None, "figures": None, "fps": 0.0, "label": None, "event": None},
        {"level": "rgb alone", "lag_s": 1.4, "why": "node2 is behind by 1.4 s"},
        {"figures": resting},
        {"figures": None, "fps": 0.0, "label": None, "event": None},
    ]
    for n, change in enumerate(unlike[: max(0, count - 1)]):
        cameras[names[(n * 5 + 1) % count]].update(change)
    load = Counter(each["node"] for each in cameras.values())
    nodes = {name: node(used=min(3.4, load[name] * 0.3), behind_s=0.0) for name in machines}
    nodes[machines[0]] |= {"used": 3.9, "behind_s": 1.4}
    nodes[machines[1]] |= {"draining": True}
    nodes |= {"big-machine-in-the-cellar": node(ready=False, used=0.0, cores=16.0)}
    nodes |= {
        "old": node(error="it has no i3d-live; install there: i3d-live 0.1.0", ready=False, cores=0, used=0)
    }
    waiting = {names[11 % count]: "no node has room"} if count > 2 else {}
    return status(cameras, nodes, waiting=waiting, moves=12, lost_nodes=1)


class MadeUpFleet:
    """A double: answers what it is told to, and counts the questions."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.told = told
        self.silent: str | None = None
        """Why it does not answer, if it does not."""
        self.slow_s = 0.0
        """How long each answer takes."""
        self.asked: Counter[str] = Counter()
        """"status", and the names of cameras whose picture was wanted."""
        self.at_once = self.most_at_once = 0
        self._lock = threading.Lock()

    def status(self) -> dict[str, Any]:
        self._answer("status")
        if self.silent is not None:
            raise EngineError(self.silent)
        return self.told

    def thumbnail(self, name: str) -> bytes | None:
        self._answer(name)
        return None if self.told["cameras"][name]["figures"] is None else drawn(name, self.asked[name])

    def _answer(self, question: str) -> None:
        with self._lock:
            self.asked[question] += 1
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        time.sleep(self.slow_s)
        with self._lock:
            self.at_once -= 1


def drawn(name: str, number: int) -> bytes:
    """A street with somebody in it who moves, as JPEG."""
    seed = sum(map(ord, name))
    rng = np.random.default_rng(seed)
    picture = np.empty((180, 320, 3), np.uint8)
    picture[:90], picture[90:] = rng.integers(90, 220, 3), rng.integers(40, 120, 3)
    for _ in range(5):
        left, top = (int(n) for n in rng.integers((0, 20), (300, 90)))
        cv2.rectangle(picture, (left, top), (left + 50, 95), rng.integers(30, 200, 3).tolist(), -1)
    x = (seed * 7 + number * 12) % 320
    cv2.circle(picture, (x, 100), 9, (170, 190, 230), -1)
    cv2.ellipse(picture, (x, 135), (13, 28), 0, 0, 360, rng.integers(40, 255, 3).tolist(), -1)
    return bytes(cv2.imencode(".jpg", picture)[1])


@dataclass(frozen=True)
class ServedFleet:
    """Where its page is."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"


@contextmanager
def served_fleet(fleet: MadeUpFleet, password: str | None = None) -> Iterator[ServedFleet]:
    """From a thread of this process, until the end of the block."""
    ready = threading.Event()
    with bind("127.0.0.1", 0) as listener:
        server = Server(uvicorn_config(fleet_app(fleet), password, local=True), ready.set)
        thread = threading.Thread(target=lambda: server.run(sockets=[listener]))
        thread.start()
        try:
            assert ready.wait(20)
            yield ServedFleet(listener.getsockname()[1])
        finally:
            server.stop()
            thread.join(20)
    assert not thread.is_alive()


if __name__ == "__main__":
    with served_fleet(MadeUpFleet(mixed(int(sys.argv[1]) if sys.argv[1:] else 40))) as place:
        print(place.url, flush=True)
        with suppress(KeyboardInterrupt):
            threading.Event().wait()
