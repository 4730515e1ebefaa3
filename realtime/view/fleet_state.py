"""What the page of a fleet shows, from what the supervisor answers: cameras in trouble first, texts without secrets."""

import hashlib
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from realtime.errors import one_line
from realtime.sources.address import masked_within

Status = Mapping[str, Any]
"""The supervisor's answer: see `SupervisorActor.status`."""
TROUBLES = ("failed", "lost", "waits")
"""In the order in which they are shown. A camera that is late is marked, but stays in its place: it may be late and in
time again every few seconds, and the cards would never rest."""


def page_state(status: Status) -> dict[str, Any]:
    """Cameras and machines in the order in which they are shown, and the counts."""
    cameras = [_camera(name, each, status["waiting"]) for name, each in status["cameras"].items()]
    watched = Counter(each["node"] for each in status["cameras"].values())
    nodes = [_node(name, each, watched[name]) for name, each in status["nodes"].items()]
    return {
        "cameras": sorted(cameras, key=lambda each: (_rank(each["state"]), natural(each["name"]))),
        "nodes": sorted(nodes, key=lambda each: (each["state"] != "failed", natural(each["name"]))),
        "summary": _summary(cameras),
        "moves": status["moves"],
        "lost_nodes": status["lost_nodes"],
        "error": _shown(status["error"]),
    }


def key_of(name: str) -> str:
    """A camera's name as a part of an address, whatever is in it."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def natural(name: str) -> list[tuple[bool, int, str]]:
    """To sort by: camera 2 comes before camera 10."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name.casefold())
    return [(False, int(part), "") if part[0] in "0123456789" else (True, 0, part) for part in parts]


def _rank(state: str) -> int:
    return TROUBLES.index(state) if state in TROUBLES else len(TROUBLES)


def _camera(name: str, camera: Mapping[str, Any], waiting: Mapping[str, str]) -> dict[str, Any]:
    state, why = _trouble(name, camera, waiting)
    runs = state == "runs"
    level = camera["level"] if runs and camera["level"] not in (None, "all") else None
    resting = runs and (camera["figures"] or {}).get("resting_since_s") is not None
    return {
        "name": name,
        "key": key_of(name),
        "state": state,
        "why": _shown(why),
        "now": camera["label"] if runs and not resting else None,
        "rests": resting,
        "event": camera["event"],
        "fps": camera["fps"],
        "lag_s": camera["lag_s"],
        "level": level,
        "node": camera["node"],
        "moved": _shown(camera["why"]),
    }


def _trouble(name: str, camera: Mapping[str, Any], waiting: Mapping[str, str]) -> tuple[str, str | None]:
    """State and reason."""
    if camera["error"]:
        return "failed", camera["error"]
    if camera["lost"]:
        return "lost", camera["lost"]
    if name in waiting:
        return "waits", waiting[name]
    return ("starts" if camera["node"] is None or camera["figures"] is None else "runs"), None


def _node(name: str, node: Mapping[str, Any], cameras: int) -> dict[str, Any]:
    state = (
        "failed"
        if node["error"]
        else "drains"
        if node["draining"]
        else "ready"
        if node["ready"]
        else "loads its engine"
    )
    return {
        "name": name,
        "state": state,
        "why": _shown(node["error"]),
        "used": node["used"],
        "cores": node["cores"],
        "behind_s": node["behind_s"],
        "cameras": cameras,
    }


def _summary(cameras: list[dict[str, Any]]) -> str:
    """As in "300 cameras: 1 failed, 2 wait"."""
    counts = Counter(each["state"] for each in cameras)
    unlike = [f"{counts[state]} {state}" for state in (*TROUBLES, "starts") if counts[state]]
    total = f"{len(cameras)} camera{'' if len(cameras) == 1 else 's'}"
    return f"{total}: {', '.join(map(_in_plural, unlike))}" if unlike else total


def _in_plural(count: str) -> str:
    """ "2 waits" -> "2 wait"."""
    return count if count.startswith("1 ") else count.removesuffix("s")


def _shown(text: str | None) -> str | None:
    """On one line, without the secrets of addresses."""
    return masked_within(one_line(text)) if text else None
