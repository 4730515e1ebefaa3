"""Joins a Ray cluster, and says in one line why it cannot."""

import hashlib
import logging
import os
import platform
import re
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import engines
from engines.extras import require
from realtime.errors import EngineError, I3DLiveError, UsageError, one_line

REACHED_WITHIN_S = 5.0
ALLOWED = "auto, HOST:PORT of its head, or local for this machine alone"
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0"}
"""For the processes of a cluster that starts here: no reports to the makers of Ray."""


@contextmanager
def connected(address: str) -> Iterator[None]:
    """This process is part of the cluster for the time of the block.

    address: "auto", the cluster that this machine is part of; "host:port" of its head, likewise; "local", a cluster of
        this machine alone, which ends with the block.

    Raises UsageError for another address, EngineError where the cluster cannot be joined.
    """
    require("--cluster", "ray", "cluster")
    _check(address)
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    import ray

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ray.init(address, log_to_driver=False, logging_level=logging.FATAL, namespace="i3d-live")
        except (ConnectionError, RuntimeError, ValueError, AssertionError) as error:
            raise EngineError(why_not(address, str(error))) from error
    try:
        yield
    finally:
        ray.shutdown()


def not_nice(tasks: Path = Path("/proc/self/task")) -> None:
    """This process gets its share of the cores from now on, if its user may say so.

    Ray starts its workers at niceness 15, with a thirtieth of the weight of any other program: beside two busy ones a
    camera had no prediction within a minute. `RAY_worker_niceness=0 ray start` does the same for every user.
    """
    with suppress(OSError):  # no Linux, or no permission
        for task in tasks.iterdir():  # on Linux, niceness is a thread's
            os.setpriority(os.PRIO_PROCESS, int(task.name), 0)


def alive_nodes() -> list[dict[str, Any]]:
    """The machines of the cluster, as Ray describes them."""
    import ray

    return [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]


def on_node(id_: str) -> Any:
    """Ray's option for an actor that runs on this node and no other."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return NodeAffinitySchedulingStrategy(id_, soft=False)


def answer_of(reference: Any, within_s: float | None = None) -> Any:
    """What an actor answers. Raises the I3DLiveError that it raised, Ray's errors if it ended or is late."""
    import ray

    try:
        return ray.get(reference, timeout=within_s)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, I3DLiveError):
            raise error.cause from None
        raise


def check_code(wanted: str) -> None:
    """Raises EngineError, without the name of the machine, where this machine's code is another."""
    if this_code() != wanted:
        raise EngineError(f"it has {this_code()}, not {wanted}; install the same there")


def without_code(error: Exception, wanted: str) -> str | None:
    """What to say if an actor ended because its machine has no code at all; None if it ended for another reason."""
    missing = "ModuleNotFoundError" in str(error)
    return f"it has no i3d-live; install there: {wanted}, with the extra cluster" if missing else None


def _check(address: str) -> None:
    if address in ("auto", "local"):
        return
    if address.startswith("ray://"):
        raise UsageError(
            f"--cluster {address}: a program outside the cluster cannot; run it on one of its machines with --cluster "
            "auto, or there by: ray job submit"
        )
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise UsageError(f"--cluster {address}: give {ALLOWED}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), REACHED_WITHIN_S).close()
    except OSError as error:
        why = error.strerror or "no answer"
        raise EngineError(
            f"--cluster {address}: cannot be reached ({why}); is its head running? On it: ray start --head --port {port}"
        ) from error


def why_not(address: str, message: str) -> str:
    """What Ray said, in one line."""
    if "Version mismatch" in message:
        versions = re.findall(r"(Ray|Python): (\S+)", message)
        there, here = (
            " and ".join(" ".join(each) for each in part) for part in (versions[:2], versions[2:4])
        )
        return f"--cluster {address}: it runs {there}, this machine {here}; install the same on all machines"
    if "Could not find any running Ray" in message:
        return (
            f"--cluster {address}: this machine is part of no cluster; start one here with ray start --head, join one "
            "with ray start --address HOST:PORT, or give --cluster local"
        )
    if "raylet" in message.lower():
        return f"--cluster {address}: this machine is not part of it; join it first: ray start --address {address}"
    return f"--cluster {address}: cannot be joined: {one_line(message)[:200]}"


@cache
def this_code() -> str:
    """What must be the same on all machines: version and content of this program, and Python."""
    digest = hashlib.sha256()
    for root in (Path(engines.__file__).parent, Path(__file__).parent.parent):
        for path in sorted(root.rglob("*.py")):
            digest.update(path.read_bytes())
    return f"i3d-live {version('i3d-live')} ({digest.hexdigest()[:8]}), Python {platform.python_version()}"
