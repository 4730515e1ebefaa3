"""The part of `benchmarks.gpu_check` that builds, checks and times the engines of a backend, RGB alone.

    python -m benchmarks.gpu_engines BACKEND

No GPU has run this yet. Milliseconds are of the wall clock, for 8 new ticks of each stream or a
window of 64, and include the copies to and from the GPU; an engine that fails its check is not timed.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import card
from benchmarks.engines import steps
from benchmarks.gpu_parts import gpu_backend, stored, tell
from engines.backends.registry import REGISTRY, Backend, Plan
from engines.check import check, random_ticks
from engines.engine import Engine
from engines.errors import EngineError
from engines.spec import RGB, Mode, Tensors
from engines.weights.fetch import load_weights

MODES: tuple[Mode, ...] = ("continual", "window", "preview")
STREAMS = (1, 4, 8)
SETTLED_STEPS = 12


def main(name: str) -> None:
    """Every mode and precision: built, checked, timed. The first also without CUDA graphs."""
    backend = gpu_backend(name)
    weights, tensors = load_weights(stored(), "rgb")
    plans = [Plan(RGB, weights, mode, precision) for precision in backend.precisions() for mode in MODES]
    wrong: list[str] = []
    for plan in plans:
        with tempfile.TemporaryDirectory() as folder:
            wrong += examined(plan, backend, tensors, Path(folder))
            if plan is plans[0] and name in WITHOUT_GRAPHS and not wrong:
                engine = backend.load(plan, Path(folder), tensors)
                other = WITHOUT_GRAPHS[name](plan, tensors, Path(folder))
                tell(f"{plan.mode} {plan.precision}, without CUDA graphs", compared(engine, other))
    if wrong:
        raise SystemExit("; ".join(wrong))


def examined(plan: Plan, backend: Backend, tensors: Tensors, folder: Path) -> list[str]:
    """Prints all about an engine that is built in the empty `folder`; returns what is wrong with it."""
    title, began_s = f"{plan.mode} {plan.precision}", time.perf_counter()
    try:
        backend.build(plan, tensors, folder, None)
        engine = backend.load(plan, folder, tensors)
        report = check(engine, tensors)
    except (EngineError, RuntimeError) as error:
        tell(title, {"error": str(error)})
        return [f"{title}: {error}"]
    (found,) = report.comparisons
    figures: dict[str, Any] = {
        "build and check, s": round(time.perf_counter() - began_s, 1),
        "largest logit off": found.largest,
        "mean": found.mean,
        "same class": f"{found.agree}/{found.clear}",
    }
    tell(title, figures | ({"wrong": report.failures} if report.failures else timed(engine)))
    return [f"{title}: {why}" for why in report.failures]


def timed(engine: Engine) -> dict[str, float]:
    return {f"ms, {n} at a time": card.time_ms(steps(engine, n), repeats=30)["median_ms"] for n in STREAMS}


def compared(engine: Engine, other: Engine) -> dict[str, float]:
    """Largest difference of a logit after the same steps of both, and milliseconds of the second."""
    chunk = random_ticks(RGB, engine.chunk_ticks)[None]
    last = []
    for each in (engine, other):
        state = each.start()
        for _ in range(SETTLED_STEPS):
            positions, state = each.step(chunk, state)
        last.append(positions.logits)
    return {"largest difference of a logit": float(np.abs(last[0] - last[1]).max()), **timed(other)}


def torch_without_graphs(plan: Plan, tensors: Tensors, folder: Path) -> Any:
    import torch

    from engines.backends.pytorch import engine
    from engines.backends.torch_operations import TorchGraph

    place = "cuda" if torch.cuda.is_available() else "cpu"

    def make(graph: Any) -> Callable[..., Any]:
        module = TorchGraph(graph).to(place)
        return lambda *inputs: module(*(value.to(place) for value in inputs))

    return engine(plan, tensors, "torch", make)


class NoGraphs:
    """A driver that does the work of a graph anew at each launch."""

    def __init__(self, cuda: Any) -> None:
        self._cuda = cuda

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cuda, name)

    def capture(self, work: Callable[[], None]) -> Callable[[], None]:
        return work

    def launch(self, graph: Callable[[], None]) -> None:
        graph()


def tensorrt_without_graphs(name: str, plan: Plan, tensors: Tensors, folder: Path) -> Any:
    """From the engine's files in `folder`."""
    from engines.backends.tensorrt.backend import TensorRT
    from engines.backends.tensorrt.cuda import open_driver

    _, package, how = REGISTRY[name]
    driver: Any = cache(lambda: NoGraphs(open_driver()))
    return TensorRT(name, package, how, driver).load(plan, folder, None)


WITHOUT_GRAPHS = {
    "torch": torch_without_graphs,
    "tensorrt": partial(tensorrt_without_graphs, "tensorrt"),
    "tensorrt-rtx": partial(tensorrt_without_graphs, "tensorrt-rtx"),
}
"""By backend: the engine of a plan, launched without CUDA graphs."""


if __name__ == "__main__":
    main(sys.argv[1])
