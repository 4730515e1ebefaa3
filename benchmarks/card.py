"""What the benchmarks share: machine facts, a check before any timing, a timer, and one JSON report.

card.verify("energy ratio, p90", ratio, at_most=1.01)    # before anything is timed
figures = {"flow": card.time_ms(lambda: flow(a, b), repeats=100)}
card.report("flow", figures)                             # results/flow.json, and the last line of stdout
"""

import contextlib
import datetime
import importlib.metadata
import json
import os
import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
CLIPS = ROOT.parent / "shared" / "clips"
"""Four real clips, for the benchmarks that need them."""
RESULTS = ROOT / "benchmarks" / "results"
PACKAGES = ("av", "nncf", "numba", "numpy", "opencv-contrib-python-headless", "openvino", "torch", "triton")


def machine() -> dict[str, Any]:
    """Facts to report with each figure: processor, cores, load, GPU, versions, date."""
    facts: dict[str, Any] = {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": cpu_name(),
        "cores": len(os.sched_getaffinity(0)),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }
    if gpu := gpu_name():
        facts["gpu"] = gpu
    return facts | {"versions": versions()}


def cpu_name() -> str:
    """Name, family and model of the processor, because the name alone says little on a virtual machine."""
    fields: dict[str, str] = {}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    name = fields.get("model name", platform.processor() or "unknown")
    return (
        f"{name}, family {fields['cpu family']} model {fields['model']}" if "cpu family" in fields else name
    )


def gpu_name() -> str | None:
    """Name and driver of the first GPU, where NVIDIA's driver lists one."""
    for path in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        for line in path.read_text().splitlines():
            if line.startswith("Model:"):
                return line.partition(":")[2].strip()
    return None


def versions() -> dict[str, str]:
    """Installed versions of the packages that figures depend on."""
    found = {}
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def verify(what: str, value: float, *, at_most: float) -> None:
    """Ends the benchmark if the output is wrong: the speed of a wrong result means nothing."""
    if not value <= at_most:
        raise SystemExit(f"not timed: {what} is {value:.6g}, must be at most {at_most:.6g}")


def time_ms(call: Callable[[], object], repeats: int, warm_up: int = 3) -> dict[str, float]:
    """Wall-clock milliseconds of `call()`: median, p95, min over `repeats`, after `warm_up` calls that do not count.

    On a GPU, `call` itself must synchronise.
    """
    return summary(each_ms(call, repeats, warm_up))


def each_ms(call: Callable[[], object], repeats: int, warm_up: int) -> list[float]:
    """The milliseconds of each call."""
    for _ in range(warm_up):
        call()
    times = []
    for _ in range(repeats):
        start_ns = time.perf_counter_ns()
        call()
        times.append((time.perf_counter_ns() - start_ns) / 1e6)
    return times


def summary(times_ms: list[float]) -> dict[str, float]:
    """Median, p95 and min of some milliseconds, and how many there were."""
    ordered = sorted(times_ms)
    count = len(ordered)
    median = (ordered[(count - 1) // 2] + ordered[count // 2]) / 2
    p95 = ordered[min(count - 1, round(0.95 * (count - 1)))]
    figures = {"median_ms": median, "p95_ms": p95, "min_ms": ordered[0]}
    return {name: round(value, 4) for name, value in figures.items()} | {"repeats": count}


def peak_memory_mb(pid: int | str = "self") -> float:
    """Peak resident memory of a running process, in MB of 1e6 bytes.

    Not `ru_maxrss`, as a child process inherits that of its parent.
    """
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0  # it has ended


@contextlib.contextmanager
def cores(count: int) -> Iterator[None]:
    """Runs its body on the first `count` cores that this process may use. Threads started earlier keep theirs."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(allowed)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def report(name: str, figures: dict[str, Any]) -> None:
    """Writes benchmarks/results/<name>.json and prints it as the last line of stdout."""
    document = {"benchmark": name, "machine": machine()} | figures
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(document, indent=2) + "\n")
    print(json.dumps(document), flush=True)
