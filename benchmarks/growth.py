"""What does the cost grow with? Stream length, window, stride, resolution, cameras, classes: one table each.

    python -m benchmarks.growth [--quick]      results/growth.json

length       a step of `continual` early and late in a long stream, and the memory of the process: both must stay flat
window       the baseline network over 32 to 128 ticks, and `continual` for the same ticks, both in eager PyTorch
stride       engine ms per second of video, by stride: `window` costs more with more frequent predictions, `continual`
             does not
resolution   decode, resample, resize and crop of a frame
cameras      a step with several streams in one call, ms a stream
classes      a step of `continual` in eager PyTorch, by number of classes
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import card
from benchmarks.engines import in_turns, steps
from benchmarks.material import RGB_MODEL, SIZES_PX, checked_engines, precisions, write_video
from engines.backends.graphs import graphs
from engines.backends.pytorch import Window, network
from engines.backends.torch_operations import TorchGraph, fresh
from engines.check import random_ticks
from engines.engine import STEP_TICKS, Engine
from engines.head import Head, head_of, mean_of_cells
from engines.nets.i3d import I3D
from engines.nets.i3d_shapes import FEATURES
from engines.spec import RGB, Tensors
from engines.weights.fetch import load_weights
from engines.weights.heads import with_head
from realtime.offline import clip_inputs
from realtime.sources.open import open_video
from tests.support.watching import resident_mb

FLAT_TIME, FLAT_MEMORY = 1.15, 1.01
"""The last fifth of a stream over the second."""


def length(engine: Engine, count: int) -> dict[str, Any]:
    """One long stream of different chunks."""
    noise = random_ticks(RGB, 96)
    state, times_ms, memory_mb = engine.start(), [], []
    for i in range(count):
        chunk = noise[i % 11 * 8 : i % 11 * 8 + 8][None]
        start_s = time.perf_counter()
        _, state = engine.step(chunk, state)
        times_ms.append(1000 * (time.perf_counter() - start_s))
        memory_mb.append(resident_mb())
    fifth = count // 5
    early, late = slice(fifth, 2 * fifth), slice(-fifth, None)
    found = {
        "steps": count,
        "early": card.summary(times_ms[early]),
        "late": card.summary(times_ms[late]),
        "memory_growth": round(float(np.mean(memory_mb[late]) / np.mean(memory_mb[early])), 4),
    }
    found["time_growth"] = round(found["late"]["median_ms"] / found["early"]["median_ms"], 3)
    found["flat"] = found["time_growth"] <= FLAT_TIME and found["memory_growth"] <= FLAT_MEMORY
    return found


def eager_step(tensors: Tensors) -> Callable[[], Any]:
    """A step of `continual` in the interior of a stream, in eager PyTorch."""
    interior = graphs(RGB, "continual", tensors)[-1]
    net, memories, head = TorchGraph(interior), fresh(interior), head_of(tensors)
    chunk = torch.from_numpy(random_ticks(RGB, STEP_TICKS)[None])

    def call() -> Any:
        nonlocal memories
        with torch.inference_mode():
            cells, *memories = net(chunk, *memories)
        return head(mean_of_cells(cells.numpy()))

    return call


def window(rounds: int) -> dict[str, Any]:
    tensors = load_weights(RGB_MODEL, "rgb")[1]
    whole = Window(network(tensors, I3D))

    def over(ticks: int) -> Callable[[], Any]:
        video = torch.from_numpy(random_ticks(RGB, ticks)[None])

        def call() -> Any:
            with torch.inference_mode():
                return whole(video)

        return call

    calls = {str(ticks): over(ticks) for ticks in (32, 64, 128)}
    return in_turns(calls | {"continual, 8 new ticks": eager_step(tensors)}, rounds)


def stride(times: dict[str, dict[str, float]]) -> dict[str, Any]:
    """From the measured steps: a window every 4 to 64 ticks, 25 ticks a second."""
    return {
        f"{mode} every {ticks} ticks": round(times[mode]["median_ms"] * 25 / ticks, 1)
        for mode in times
        for ticks in ((4, 8, 16, 32, 64) if mode == "window" else (8,))
    }


def resolution(seconds: float) -> dict[str, Any]:
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, size_px in {"240p": (426, 240), **SIZES_PX, "2160p": (3840, 2160)}.items():
            path = Path(folder) / f"{name}.mp4"
            write_video(path, size_px, seconds)

            def read(path: Path = path) -> int:
                with open_video(path) as video:
                    return sum(1 for _ in clip_inputs(video, RGB))

            card.verify(f"{name}: ticks, off by", abs(read() - 25 * seconds), at_most=1)
            figures = card.time_ms(read, repeats=3, warm_up=0)
            found[name] = figures | {"ms_a_frame": round(figures["median_ms"] / 25 / seconds, 2)}
    return found


def cameras(engine: Engine, repeats: int) -> dict[str, Any]:
    found = {}
    for count in (1, 2, 4, 8):
        figures = card.time_ms(steps(engine, count), repeats=repeats, warm_up=1)
        found[str(count)] = figures | {"ms_a_stream": round(figures["median_ms"] / count, 1)}
    return found


def classes(rounds: int) -> dict[str, Any]:
    tensors = load_weights(RGB_MODEL, "rgb")[1]
    calls = {}
    for count in (10, 400, 5000):
        kernel = np.random.default_rng(0).normal(size=(count, FEATURES)).astype(np.float32)
        calls[str(count)] = eager_step(with_head(tensors, Head(kernel, np.zeros(count, np.float32))))
    return in_turns(calls, rounds)


def main() -> None:
    quick = "--quick" in sys.argv
    precision = precisions()[0]
    engines = {
        mode: checked_engines(precision, mode, "rgb", RGB_MODEL).rgb for mode in ("continual", "window")
    }
    found_continual, found_window = engines["continual"], engines["window"]
    assert found_continual is not None
    assert found_window is not None
    calls = {"window": steps(found_window), "continual": steps(found_continual)}
    times = in_turns(calls, 2 if quick else 7)
    figures = {
        "precision": precision,
        "length": length(found_continual, 40 if quick else 300),
        "window": window(1 if quick else 5),
        "stride_ms_a_second": stride(times),
        "resolution": resolution(1 if quick else 4),
        "cameras": cameras(found_continual, 2 if quick else 7),
        "classes": classes(2 if quick else 7),
    }
    for name, rows in figures.items():
        print(f"{name}: {rows}")
    card.report("growth", figures)
    if not quick and not figures["length"]["flat"]:  # type: ignore[index]
        raise SystemExit("the cost of a step is not flat over the length of the stream")


if __name__ == "__main__":
    main()
