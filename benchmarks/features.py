"""How fast are the features of files, and how many times faster than the usual extractor? RGB alone, the same videos.

    python -m benchmarks.features [--quick]      results/features.json

The usual extractor is the network in eager PyTorch, float32, over windows that overlap: 64 ticks every 8, or 16 every
4; it decodes and resizes as ours does. Ours is `i3d-live features` without the program's start: two videos at a time,
a core each. The live step is that of `run`: 8 ticks on both cores, without decoding. All are taken in turns, and a turn
in which the cores moved between near and far (`benchmarks.cores`) does not count.
"""

import statistics
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import card
from benchmarks.cores import near
from benchmarks.material import RGB_MODEL, eager, precisions, real_ticks, write_video
from engines.check import random_ticks
from engines.engine import POSITION_TICKS, SETTLED_AFTER_STEPS, Engine
from engines.load import Bulk, EngineOptions, Engines, engines_of, load_engines
from engines.spec import RGB
from engines.weights.fetch import fetch, load_weights
from engines.weights.store import find_model
from realtime.features.archive import Archive, Done
from realtime.features.claims import Claims
from realtime.features.compute import Here
from realtime.features.conventions import PRESETS, Convention
from realtime.features.files import Settings
from realtime.features.targets import targets
from realtime.offline import clip_inputs
from realtime.pictures import resize_on_one_thread
from realtime.sources.open import open_video
from realtime.worker_threads import cores

VIDEOS, SECONDS, SIZE_PX = 2, 20.0, (340, 256)
"""Data sets are usually stored at about this size."""
ROUNDS, MOST_ROUNDS = 3, 6
STRIDES, STEPS = 2, 12
"""Of the usual extractor and of the live step, in a turn."""
WINDOWS = Convention(16, 4)
"""As THUMOS' features, at 25 ticks a second."""


class Silent:
    """A report that nobody reads."""

    def advance(self, seconds: float, share: float) -> None:
        pass

    def done(self, done: Done) -> None:
        if done.error is not None:
            raise SystemExit(f"not timed: {done.error}")


def usual(path: Path, clip: int, stride: int) -> Iterator[None]:
    """Each `next` is a row: `stride` new ticks are decoded and resized, then the network sees the last `clip`."""
    net = eager(load_weights(RGB_MODEL, "rgb")[1])
    held: deque[Any] = deque(maxlen=clip)
    for _ in cycle([None]):
        with open_video(path) as video:
            ticks = clip_inputs(video, RGB)
            held.extend(islice(ticks, clip))
            while len(new := list(islice(ticks, stride))) == stride:
                held.extend(new)
                net(np.stack(held))
                yield


def archive(convention: Convention, precision: str) -> Engines:
    """Engines as the command loads them."""
    mode = "continual" if convention.clip is None else "window"
    options = EngineOptions("openvino", precision, mode, "rgb")  # type: ignore[arg-type]
    bulk, threads = Bulk(convention.clip), min(VIDEOS, cores())
    return engines_of(find_model(RGB_MODEL), options, clips=real_ticks(), bulk=bulk, threads=threads)


def features_ms(videos: Path, convention: Convention, engines: Engines) -> float:
    """Milliseconds for 8 ticks of video."""
    with tempfile.TemporaryDirectory() as out, Claims() as claims:
        run = Archive(Here(engines.by_stream, Settings(convention, None, "tvl1")), Silent())
        todo = targets([str(videos)], Path(out))
        start_s = time.perf_counter()
        run.run(todo, len(todo), claims)
        wall_s = time.perf_counter() - start_s
    return 1000 * wall_s * POSITION_TICKS / (VIDEOS * SECONDS * float(RGB.fps))


def live_step(engine: Engine) -> Callable[[], float]:
    """Milliseconds of a step in the interior of a video, as a call."""
    chunk = random_ticks(RGB, engine.chunk_ticks)[None]
    state = engine.start()
    for _ in range(SETTLED_AFTER_STEPS):
        _, state = engine.step(chunk, state)

    def call() -> float:
        nonlocal state
        start_s = time.perf_counter()
        for _ in range(STEPS):
            _, state = engine.step(chunk, state)
        return 1000 * (time.perf_counter() - start_s) / STEPS

    return call


def rows_ms(rows: Iterator[None], stride: int, count: int) -> float:
    """Milliseconds for 8 ticks of the usual extractor."""
    start_s = time.perf_counter()
    for _ in range(count):
        next(rows)
    return 1000 * (time.perf_counter() - start_s) * POSITION_TICKS / (stride * count)


def in_turns(calls: dict[str, Callable[[], float]], rounds: int) -> dict[str, dict[str, list[float]]]:
    """By where the cores lie, the milliseconds of each; only where all were timed."""
    found: dict[str, dict[str, list[float]]] = {
        where: {name: [] for name in calls} for where in ("near", "far")
    }
    for call in calls.values():
        call()
    for _ in range(MOST_ROUNDS if rounds > 1 else 1):
        for name, call in calls.items():
            before, ms = near(), call()
            if near() == before or rounds == 1:
                found["near" if before else "far"][name].append(ms)
        if any(min(map(len, by_name.values())) >= rounds for by_name in found.values()):
            break
    return {where: by_name for where, by_name in found.items() if all(by_name.values())}


def calls_for(videos: Path, path: Path) -> dict[str, Callable[[], float]]:
    """All that is compared."""
    long_rows, short_rows = usual(path, 64, 8), usual(path, WINDOWS.clip or 16, WINDOWS.stride)
    calls: dict[str, Callable[[], float]] = {
        "usual 64/8": lambda: rows_ms(long_rows, 8, STRIDES),
        "usual 16/4": lambda: rows_ms(short_rows, WINDOWS.stride, 3 * STRIDES),
    }
    for precision in precisions():
        live = load_engines(RGB_MODEL, "openvino", precision, "continual", "rgb", clips=real_ticks()).rgb
        assert live is not None
        calls[f"live step {precision}"] = live_step(live)
        for name, convention in (("dense", PRESETS["dense"]), ("windows 16/4", WINDOWS)):
            if name == "dense" or precision == precisions()[0]:
                engines = archive(convention, precision)
                calls[f"{name} {precision}"] = _bound(videos, convention, engines)
    return calls


def _bound(videos: Path, convention: Convention, engines: Engines) -> Callable[[], float]:
    return lambda: features_ms(videos, convention, engines)


def ratios(ms: dict[str, float]) -> dict[str, float]:
    """How many times faster each is than what it replaces."""
    found = {}
    for name, own_ms in ms.items():
        kind, _, precision = name.rpartition(" ")
        if kind == "dense":
            found[f"{name} by usual 64/8"] = ms["usual 64/8"] / own_ms
            found[f"{name} by live step"] = ms[f"live step {precision}"] / own_ms
        elif kind == "windows 16/4":
            found[f"{name} by usual 16/4"] = ms["usual 16/4"] / own_ms
    return {name: round(value, 2) for name, value in found.items()}


def main() -> None:
    rounds = 1 if "--quick" in sys.argv else ROUNDS
    fetch(RGB_MODEL)
    if min(VIDEOS, cores()) >= cores():
        resize_on_one_thread()  # as the command does
    with tempfile.TemporaryDirectory() as folder:
        videos = Path(folder)
        for number in range(VIDEOS):
            write_video(videos / f"{number}.mp4", SIZE_PX, SECONDS)
        times = in_turns(calls_for(videos, videos / "0.mp4"), rounds)
    if not times:
        raise SystemExit("not timed: the cores moved about all the time, see benchmarks/cores.py; run again")
    medians = {
        where: {name: round(statistics.median(found), 2) for name, found in by_name.items()}
        for where, by_name in times.items()
    }
    for where, ms in medians.items():
        print(f"{f'8 ticks (0.32 s) of video, {where} cores':<40} {'median ms':>10} {'x real time':>12}")
        for name, value in ms.items():
            print(f"{name:<40} {value:>10.1f} {320 / value:>12.1f}")
        for name, value in ratios(ms).items():
            print(f"  {name:<38} {value:>10.2f}")
    card.report(
        "features",
        {
            "videos": VIDEOS,
            "seconds": SECONDS,
            "size_px": list(SIZE_PX),
            "turns": {where: {name: len(f) for name, f in found.items()} for where, found in times.items()},
            "ms_for_8_ticks": medians,
            "ratio": {where: ratios(ms) for where, ms in medians.items()},
        },
    )


if __name__ == "__main__":
    main()
