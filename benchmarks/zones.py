"""What zones and several actions cost: recognisers without zones, with 16 of them, with `several`, and with an own
zone, on the same frames.

    python -m benchmarks.zones [--chunks 100]      results/zones.json

The recognisers take turns, chunk of 8 ticks by chunk, in changing order, so that whatever else slows the machine
down slows all of them. The cost of zones is the median over the chunks of the time with them divided by the time
without, both in wall-clock time and in time of the processor. To make lines of the log from what comes out is timed
apart. RGB alone, `continual`, in the default precision of this machine.

Own zones are streams of their own for the engine. Whether a batch would be cheaper than one after another is measured
on the engine alone: both in turn, on the same ticks.
"""

import argparse
import time
from fractions import Fraction
from itertools import permutations
from typing import Any

import numpy as np

from benchmarks import card
from benchmarks.material import RGB_MODEL, checked_engines, precisions, real_ticks
from benchmarks.reaction import pictures
from engines.engine import Engine
from engines.weights.fetch import demo_clip
from realtime.outputs.log import as_json, output_line
from realtime.recognizer import Recognizer
from realtime.types import Frame
from realtime.zones import Zone

CHUNK_TICKS, WARM_UP_CHUNKS = 8, 12
SIXTEEN = [Zone(f"z{i}", 16 + 56 * (i % 4), 16 + 56 * (i // 4), 56, 56) for i in range(16)]
"""Two by two cells each, all of the 7 x 7 that the network sees being in one or another."""
OPTIONS: dict[str, dict[str, Any]] = {
    "none": {},
    "16 zones": {"zones": SIXTEEN},
    "several actions": {"several": True},
    "an own zone": {"zones": [Zone("own", 64, 64, 128, 128, own=True)]},
}
Times = dict[str, list[tuple[float, float, float]]]
"""By recogniser, of each chunk: wall-clock seconds, those of the processor, and wall-clock seconds for the lines."""


def timed(recognizers: dict[str, Recognizer], frames: list[Frame]) -> Times:
    times: Times = {name: [] for name in recognizers}
    orders = list(permutations(recognizers))
    for number, start in enumerate(range(0, len(frames), CHUNK_TICKS)):
        for name in orders[number % len(orders)]:
            began = time.perf_counter(), time.process_time()
            chunk = frames[start : start + CHUNK_TICKS]
            outputs = [out for frame in chunk for out in recognizers[name].push(frame)]
            ended = time.perf_counter(), time.process_time()
            for out in outputs:
                as_json(output_line(out))
            lines_s = time.perf_counter() - ended[0]
            times[name].append((ended[0] - began[0], ended[1] - began[1], lines_s))
    return times


def figures(times: Times) -> dict[str, dict[str, float]]:
    """By recogniser: the median chunk, and the cost over the one without zones. The first chunks do not count."""
    kept = {name: np.array(rows[WARM_UP_CHUNKS:]) for name, rows in times.items()}
    found = {}
    for name, rows in kept.items():
        cost, of_processor, _ = np.median(rows / kept["none"], axis=0) - 1
        found[name] = {
            "chunk_ms": round(float(np.median(rows[:, 0])) * 1000, 2),
            "cost": round(float(cost), 4),
            "cost_of_processor": round(float(of_processor), 4),
            "lines_ms": round(float(np.median(rows[:, 2])) * 1000, 3),
        }
    return found


def batches(engine: Engine, steps: int) -> dict[str, dict[str, float]]:
    """By number of streams: the time of a step for all of them, one after another and as one batch."""
    ticks = real_ticks()["rgb"]
    found = {}
    for streams in (2, 4):
        apart, together = [engine.start() for _ in range(streams)], engine.start(streams)
        times: dict[str, list[float]] = {"one_after_another": [], "one_batch": []}
        for number in range(steps + WARM_UP_CHUNKS):
            first = number * CHUNK_TICKS % (len(ticks) - CHUNK_TICKS)
            chunk = ticks[None, first : first + CHUNK_TICKS]
            began = time.perf_counter()
            apart = [engine.step(chunk, state)[1] for state in apart]
            between = time.perf_counter()
            _, together = engine.step(np.repeat(chunk, streams, axis=0), together)
            times["one_after_another"].append(between - began)
            times["one_batch"].append(time.perf_counter() - between)
        rows = {name: np.array(values[WARM_UP_CHUNKS:]) for name, values in times.items()}
        found[f"{streams} streams"] = {
            f"{name}_ms": round(float(np.median(row)) * 1000, 2) for name, row in rows.items()
        } | {"ratio": round(float(np.median(rows["one_batch"] / rows["one_after_another"])), 4)}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--chunks", type=int, default=100)
    chunks = parser.parse_args().chunks
    precision = precisions()[0]
    engines = checked_engines(precision, "continual", "rgb", RGB_MODEL)
    shown = pictures(demo_clip())
    ticks = (chunks + WARM_UP_CHUNKS) * CHUNK_TICKS
    frames = [Frame(shown[i % len(shown)], Fraction(i, 25), Fraction(1, 25)) for i in range(ticks)]
    recognizers = {name: Recognizer(engines.by_stream, **options) for name, options in OPTIONS.items()}
    found: dict[str, Any] = figures(timed(recognizers, frames))
    assert engines.rgb is not None
    found["batches"] = batches(engines.rgb, chunks // 2)
    card.report("zones", {"model": RGB_MODEL, "precision": precision, "chunks": chunks} | found)


if __name__ == "__main__":
    main()
