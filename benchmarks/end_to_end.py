"""A file through everything: decode, resample, resize, TV-L1, two engines, fusion, log. What share of real time?

    python -m benchmarks.end_to_end [--seconds 60] [--repeats 2]      results/end_to_end.json

load              seconds of the clock for a second of a 720p25 file, by precision, mode continual
ratio_to_usual    the same against the baseline, two-stream sliding windows: both networks in eager PyTorch float32
                  over 64 ticks every 8 ticks, OpenCV's DualTVL1; only a few strides of it are run, and its seconds are
                  scaled by the ticks
runs              by size and precision: share of real time of each stage of the main thread, which must explain the
                  whole to 5 %; decoding runs in parallel, in a separate thread: what the main thread waits for it is a
                  stage, and its cost alone is listed separately

Each run is a separate process, for its peak memory; timing starts after a first run that does not count.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks import card
from benchmarks.material import (
    MODEL,
    SIZES_PX,
    checked_engines,
    precisions,
    store_model,
    usual_strides,
    write_video,
)
from engines.load import Engines, load_engines
from realtime.clock import Stopwatch
from realtime.outputs.log import Log, session_line
from realtime.reader_threads import read_ahead
from realtime.recognizer import Recognizer
from realtime.session import WHOLE, Session
from realtime.sources.open import open_video
from realtime.worker_threads import submit

MODE = "continual"
UNEXPLAINED = 0.05
WARM_UP_S = 3.0
USUAL_STRIDES, STRIDE_S = 3, 0.32
GOALS = {"load": {"bfloat16": 0.55, "int8": 0.42}, "ratio_to_usual": 50}


def timed(stopwatch: Stopwatch, stage: str, call: Callable[..., Any]) -> Callable[..., Any]:
    def with_time(*arguments: Any, **options: Any) -> Any:
        with stopwatch(stage):
            return call(*arguments, **options)

    return with_time


def run(path: Path, engines: Engines, log: Path, flow: str = "tvl1") -> dict[str, Any]:
    """Process the file once, as `i3d-live run` does. Seconds by stage of the main thread."""
    stopwatch = Stopwatch()
    recognizer = Recognizer(engines.by_stream, flow=flow, stopwatch=stopwatch, submit=submit)
    # Two stages that the recogniser has no name for, as each takes next to nothing.
    recognizer._resample.push = timed(stopwatch, "resample", recognizer._resample.push)  # type: ignore[method-assign]
    fuse = recognizer._whole.predictions
    fuse.push = timed(stopwatch, "fuse", fuse.push)  # type: ignore[method-assign]
    with open_video(path) as video, Log(log) as lines:
        session = Session(video, recognizer, write=lines.write, stopwatch=stopwatch)
        session.write(session_line(video, engines, recognizer))
        began_s, began_cpu = time.perf_counter(), cpu_s()
        with closing(read_ahead(video)) as frames:
            while True:
                with stopwatch("wait for decode"):
                    frame = next(frames, None)
                if frame is None:
                    break
                session.push(frame)
        session.end(WHOLE)
        wall_s, cores_s = time.perf_counter() - began_s, cpu_s() - began_cpu
    media_s = recognizer.counts.ticks / 25
    return {
        "load": wall_s / media_s,
        "cpu_seconds_a_second": cores_s / media_s,
        "stages": {stage: seconds / media_s for stage, seconds in stopwatch.seconds.items()},
        "steps": recognizer.counts.steps,
        "predictions": recognizer.counts.predictions,
    }


def cpu_s() -> float:
    times = os.times()
    return times.user + times.system


def decode_alone(path: Path) -> float:
    """Seconds of the clock for a second of video."""
    began_s, frames = time.perf_counter(), 0
    with open_video(path) as video:
        for _ in video:
            frames += 1
    return (time.perf_counter() - began_s) * 25 / frames


def one_process(folder: Path, path: Path, precision: str, repeats: int) -> dict[str, Any]:
    """The result of `timed_runs` in a separate process."""
    arguments = ["--one", str(path), precision, str(folder), "--repeats", str(repeats)]
    command = [sys.executable, "-m", "benchmarks.end_to_end", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def timed_runs(path: Path, precision: str, folder: Path, repeats: int) -> dict[str, Any]:
    """The run with the median load, and the smallest and largest load."""
    engines = load_engines(MODEL, "auto", precision, MODE, "both", concurrent=True)
    run(folder / "warm-up.mp4", engines, folder / "log.jsonl")
    runs = sorted((run(path, engines, folder / "log.jsonl") for _ in range(repeats)), key=lambda r: r["load"])
    median = runs[(len(runs) - 1) // 2]
    unexplained = abs(1 - sum(median["stages"].values()) / median["load"])
    card.verify("share of the time that no stage explains", unexplained, at_most=UNEXPLAINED)
    stages = {stage: round(share, 4) for stage, share in median["stages"].items()}
    return {
        "load": round(median["load"], 4),
        "load_min": round(runs[0]["load"], 4),
        "load_max": round(runs[-1]["load"], 4),
        "repeats": repeats,
        "stages": stages,
        "unexplained": round(unexplained, 4),
        "cpu_seconds_a_second": round(median["cpu_seconds_a_second"], 3),
        "decode_alone": round(decode_alone(path), 4),
        "steps": median["steps"],
        "predictions": median["predictions"],
        "peak_memory_mb": round(card.peak_memory_mb()),
    }


def usual(path: Path) -> dict[str, Any]:
    """The baseline for a few strides: seconds of the clock for a second of video."""
    strides = usual_strides(path)
    next(strides)
    times_s = []
    for _ in range(USUAL_STRIDES):
        start_s = time.perf_counter()
        next(strides)
        times_s.append(time.perf_counter() - start_s)
    figures = card.summary([1000 * t for t in times_s])
    return {"load": round(figures["median_ms"] / 1000 / STRIDE_S, 2), "stride": figures}


def measure(seconds: float, repeats: int) -> dict[str, Any]:
    store_model()
    default, *others = precisions()
    for precision in (default, *others):
        checked_engines(precision, MODE)
    runs: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_video(folder / "warm-up.mp4", SIZES_PX["720p"], WARM_UP_S)
        for size, size_px in SIZES_PX.items():
            write_video(folder / f"{size}.mp4", size_px, seconds)
            for precision in (default, *others) if size == "720p" else (default,):
                times = repeats if size == "720p" else 1
                runs[f"{size} {precision}"] = one_process(folder, folder / f"{size}.mp4", precision, times)
        usual_figures = usual(folder / "720p.mp4")
    load = {precision: runs[f"720p {precision}"]["load"] for precision in (default, *others)}
    ratios = {precision: round(usual_figures["load"] / share, 1) for precision, share in load.items()}
    return {
        "mode": MODE,
        "streams": ["rgb", "flow"],
        "media_s": seconds,
        "load": load,
        "ratio_to_usual": ratios[default],
        "ratio_to_usual_by_precision": ratios,
        "usual": usual_figures,
        "runs": runs,
        "goals": GOALS,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60, help="of video")
    parser.add_argument("--repeats", type=int, default=2, help="of a run at 720p")
    parser.add_argument("--one", nargs=3, metavar=("FILE", "PRECISION", "FOLDER"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        path, precision, folder = given.one
        print(json.dumps(timed_runs(Path(path), precision, Path(folder), given.repeats)))
        return
    figures = measure(given.seconds, given.repeats)
    for name, row in figures["runs"].items():
        print(f"{name:<16} load {row['load']:.3f}, {row['peak_memory_mb']} MB")
        for stage, share in row["stages"].items():
            print(f"  {stage:<16} {share:.3f}")
    print(f"{'usual, 720p':<16} load {figures['usual']['load']:.1f}")
    card.report("end_to_end", figures)


if __name__ == "__main__":
    main()
