"""Cost of a prediction with every engine that this machine can run, against the baseline.

The baseline is the network in eager PyTorch, float32, over a window of 64 ticks every 8 ticks. All figures are for 8
new ticks (0.32 s) of one RGB stream, taken in turns so that a busy moment affects all alike. A turn is a few steps in
a row after one that is not timed, because a real run has one engine, whose caches no other engine evicts. Steps on
cores without a common cache are reported separately: a virtual machine's cores move about on its host
(`benchmarks.cores`).

    python -m benchmarks.engines [--quick]
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import card
from benchmarks.cores import near
from engines import load_engines
from engines.backends.graphs import graphs
from engines.backends.pytorch import Window, network
from engines.backends.registry import Plan, backend_module
from engines.backends.torch_operations import dry_run
from engines.check import TOLERANCE, check, random_ticks
from engines.engine import SETTLED_AFTER_STEPS, Engine
from engines.nets.cost import multiply_adds
from engines.nets.i3d import I3D
from engines.spec import MODES, RGB, Mode, Tensors
from engines.weights.fetch import demo_clip, describe, fetch, load_weights

MODEL = "kinetics"
USUAL = "torch.eager.window.float32"
ROUNDS, STEPS_A_TURN = 6, 4
MOST_ROUNDS = 4
"""At most this many times the rounds, if the cores have no common cache for long."""
CAMERAS = (1, 2, 4, 8)
COLD = """
import sys, time
import numpy as np
from engines import load_engines
engine = load_engines({model!r}, "openvino", {precision!r}, {mode!r}, "rgb").rgb
chunk = np.zeros((1, engine.chunk_ticks, *engine.spec.tick_shape), engine.spec.dtype)
engine.step(chunk, engine.start())
assert "torch" not in sys.modules
"""


def eager(tensors: Tensors) -> Callable[[], Any]:
    """A step of the baseline, as a call."""
    window = Window(network(tensors, I3D))
    ticks = torch.from_numpy(random_ticks(RGB, 64)[None])

    def call() -> Any:
        with torch.inference_mode():
            return window(ticks)

    return call


def steps(engine: Engine, batch: int = 1) -> Callable[[], Any]:
    """A step in the interior of a video, as a call."""
    chunk = np.repeat(random_ticks(engine.spec, engine.chunk_ticks)[None], batch, axis=0)
    state = engine.start(batch)
    if engine.mode != "window":
        for _ in range(SETTLED_AFTER_STEPS):
            _, state = engine.step(chunk, state)

    def call() -> Any:
        nonlocal state
        _, state = engine.step(chunk, state)

    return call


def work(tensors: Tensors) -> dict[Mode, float]:
    """Multiplications of one step by mode, in 1e9, as the layers define them."""
    return {mode: multiply_adds(partial(dry_run, graphs(RGB, mode, tensors)[-1])) / 1e9 for mode in MODES}


def multiply_rate() -> float:
    """The cores' multiplication rate in float32, measured by a large matrix product, in 1e9 a second."""
    a, b = torch.rand(2048, 2048), torch.rand(2048, 2048)
    return 2048**3 / 1e6 / card.time_ms(lambda: a @ b, repeats=20)["min_ms"]


def in_turns(
    calls: dict[str, Callable[[], Any]], rounds: int, near: Callable[[], bool] = near
) -> dict[str, dict[str, dict[str, float]]]:
    """Milliseconds of each call, several per round, on "near" and on "far" cores, if all were timed there.

    A turn in which the cores moved does not count; if they were far there are more rounds.
    """
    times: dict[str, dict[str, list[float]]] = {
        where: {name: [] for name in calls} for where in ("near", "far")
    }
    for _ in range(rounds * MOST_ROUNDS):
        for name, call in calls.items():
            if len(times["near"][name]) < rounds * STEPS_A_TURN:
                where = "near" if near() else "far"
                found = card.each_ms(call, STEPS_A_TURN, warm_up=1)
                if near() == (where == "near"):
                    times[where][name] += found
    complete = {where: by_name for where, by_name in times.items() if all(by_name.values())}
    if not complete:
        raise SystemExit("not timed: the cores moved about all the time, see benchmarks/cores.py; run again")
    return {
        where: {name: card.summary(found) for name, found in by_name.items()}
        for where, by_name in complete.items()
    }


def ratios(times: dict[str, dict[str, float]]) -> dict[str, float]:
    """Median speed-up of each over the baseline."""
    usual_ms = times[USUAL]["median_ms"]
    return {name: round(usual_ms / found["median_ms"], 2) for name, found in times.items()}


def real_clip() -> dict[Any, Any]:
    """Ticks of the demo clip, on which int8 is calibrated."""
    from realtime.offline import clip_inputs
    from realtime.sources.open import open_video

    with open_video(demo_clip()) as video:
        return {"rgb": np.stack(list(clip_inputs(video, RGB)))}


def cold_start_s(mode: Mode, precision: str) -> float:
    """From the start of a process to the end of its first step, with the engine in the cache; the best of 3."""
    code = COLD.format(model=MODEL, precision=precision, mode=mode)
    times = []
    for _ in range(3):
        start_s = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        times.append(time.perf_counter() - start_s)
    return round(min(times), 3)


def build_s(mode: Mode, precision: str, tensors: Tensors, clip: Any) -> float:
    """From weights to files, without the check."""
    plan = Plan(RGB, describe(MODEL, "rgb"), mode, precision)
    with tempfile.TemporaryDirectory() as folder:
        start_s = time.perf_counter()
        backend_module("openvino").build(plan, tensors, Path(folder), clip)
        return round(time.perf_counter() - start_s, 2)


def checked(tensors: Tensors, clips: Any) -> dict[str, Engine]:
    """Every engine that this machine can run, from the cache or built now, and compared with the reference."""
    engines: dict[str, Engine] = {}
    for mode in MODES:
        for precision in backend_module("openvino").precisions():
            engine = load_engines(MODEL, "openvino", precision, mode, "rgb", clips=clips).rgb
            assert engine is not None
            engines[f"openvino.{mode}.{precision}"] = engine
            for found in check(engine, tensors).comparisons:
                card.verify(f"{mode} {precision}, mean", found.mean, at_most=TOLERANCE[precision][1])
    return engines


def main() -> None:
    quick = "--quick" in sys.argv
    fetch(MODEL)
    tensors, clips = load_weights(MODEL, "rgb")[1], real_clip()
    engines = checked(tensors, clips)
    calls = {USUAL: eager(tensors)} | {name: steps(engine) for name, engine in engines.items()}
    by_place = in_turns(calls, 1 if quick else ROUNDS)
    place, times = next(iter(by_place.items()))
    gmac, rate = work(tensors), multiply_rate()
    modes: dict[str, Mode] = {USUAL: "window", **{name: engine.mode for name, engine in engines.items()}}
    figures = {
        "cores_lie": place,
        "ratio": ratios(times),
        "times": times,
        "far": {"ratio": ratios(far), "times": far} if (far := by_place.get("far")) else None,
        "gmac_a_step": {mode: round(value, 2) for mode, value in gmac.items()},
        "float32_gmac_a_second": round(rate, 1),
        "share_of_float32_rate": {
            name: round(gmac[modes[name]] / found["median_ms"] * 1e3 / rate, 3)
            for name, found in times.items()
        },
        "cameras": {
            name: {
                str(n): card.time_ms(steps(engine, n), repeats=3 if quick else 7, warm_up=1) for n in CAMERAS
            }
            for name, engine in engines.items()
            if engine.mode != "window"
        },
        "setup": {
            name: {
                "build_s": build_s(engine.mode, engine.precision, tensors, clips["rgb"]),
                "cold_start_s": cold_start_s(engine.mode, engine.precision),
            }
            for name, engine in engines.items()
        },
    }
    for where, found in by_place.items():
        print_table(where, found)
    card.report("engines", figures)


def print_table(place: str, times: dict[str, dict[str, float]]) -> None:
    print(
        f"{f'8 new ticks of one RGB stream, {place} cores':<42} {'median ms':>10} {'p95 ms':>9} {'steps':>6} {'ratio':>7}"
    )
    ratio = ratios(times)
    for name, found in times.items():
        ms = f"{found['median_ms']:>10.1f} {found['p95_ms']:>9.1f}"
        print(f"{name:<42} {ms} {found['repeats']:>6} {ratio[name]:>7.2f}")


if __name__ == "__main__":
    main()
