"""How many live cameras one machine serves before the first frame is dropped or any work is left out.

    python -m benchmarks.cameras                                       all rows, 40 s a trial
    python -m benchmarks.cameras --rows "720p rgb int8" --hold-s 600   this row, then the number found for ten minutes
    python -m benchmarks.cameras --rows "720p rgb int8" --threads 1    one camera after another, on all cores

Results go to results/cameras.json (one after another: cameras_1.json), row by row; others stay.

A camera is an H.264 file at 25 frames a second whose frames come at their times, decoded on the same cores, as from a
network camera. All share the engines. A step down on the recogniser's ladder counts as a drop. Where a number does not
hold for the longer time, one camera less is tried. With `active 20 %` each camera shows a clip for ten seconds in fifty
and a still picture with a sensor's noise for the rest, each begins somewhere else in it, and rests with `--idle 3`.
"""

import argparse
import json
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import card
from benchmarks.material import MODEL, RGB_MODEL, SIZES_PX, checked_engines, precisions, store_model
from engines.load import EngineOptions, Engines, engines_of
from engines.weights.fetch import demo_clip
from engines.weights.store import find_model
from realtime.outputs.log import Line
from realtime.outputs.video_file import VideoWriter
from realtime.reader_threads import Source
from realtime.recognizer import Recognizer
from realtime.session import Session
from realtime.sources.open import open_video
from realtime.stages.idle import LEAST_S
from realtime.turns import run_sessions
from realtime.types import Frame
from realtime.worker_threads import cores, submit

MODE = "continual"
ACTIVE_S = 10
ALWAYS, SELDOM, RARELY = 100, 20, 5
"""Percent of the time that something happens."""
MOST_CAMERAS = 128
NOISE = 3.0
"""Grey levels."""


@dataclass(frozen=True)
class Row:
    """What is tried."""

    size: str
    streams: str
    precision: str
    active: int = ALWAYS

    @property
    def model(self) -> str:
        return RGB_MODEL if self.streams == "rgb" else MODEL

    @property
    def name(self) -> str:
        rests = "" if self.active == ALWAYS else f", active {self.active} %"
        return f"{self.size} {self.streams} {self.precision}{rests}"


def rows() -> list[Row]:
    found = [
        Row(size, s, p) for size in ("720p", "1080p") for s in ("rgb", "both") for p in precisions()[::2]
    ]
    return found + [Row("720p", "rgb", "int8", active) for active in (SELDOM, RARELY)]


class Camera(Source):
    """A file repeated for some seconds, each frame at its time. Frames that are not taken in time are lost."""

    live = True
    corrupt_packets = 0
    duration_s = None

    def __init__(self, path: Path, seconds: float, skipped_s: float) -> None:
        """`skipped_s`: where in the file it begins."""
        self.name, self._path, self._seconds = path.name, path, seconds
        self._skipped_s, self._closed = skipped_s, False

    def __iter__(self) -> Iterator[Frame]:
        shift, starts_s = -Fraction(round(25 * self._skipped_s), 25), time.monotonic()
        while not self._closed:
            with open_video(self._path) as video:
                for frame in video:
                    pts = frame.pts + shift
                    if pts < 0:
                        continue
                    due_s = starts_s + float(pts)
                    time.sleep(max(0.0, due_s - time.monotonic()))
                    if pts >= self._seconds or self._closed:
                        return
                    # When it is due, not when it is decoded: a late decoder makes a frame late.
                    yield replace(frame, pts=pts, taken_s=due_s)
                shift += frame.pts + frame.duration

    def close(self) -> None:
        self._closed = True


def write_file(path: Path, row: Row) -> float:
    """The file that the cameras of a row show; its seconds."""
    with open_video(demo_clip()) as video:
        frames = [frame.rgb for frame in video]
    moving, still = 25 * ACTIVE_S, round(25 * ACTIVE_S * (ALWAYS / row.active - 1))
    noise = np.random.default_rng(0).normal(0, NOISE, (8, *frames[0].shape)).astype(np.float32)
    stills = [np.clip(frames[0] + each + 0.5, 0, 255).astype(np.uint8) for each in noise]
    with VideoWriter(path, SIZES_PX[row.size]) as writer:
        for i in range(moving + still):
            shown = frames[i % len(frames)] if i < moving else stills[i % len(stills)]
            writer.write(shown, Fraction(i, 25))
    return (moving + still) / 25


@dataclass(frozen=True)
class Trial:
    """How the cameras of a row are run."""

    row: Row
    engines: Engines
    threads: int
    path: Path
    file_s: float

    def recognizer(self) -> Recognizer:
        idle_s = None if self.row.active == ALWAYS else LEAST_S
        return Recognizer(self.engines.by_stream, idle_s=idle_s, submit=submit if self.threads == 1 else None)

    def run(self, count: int, seconds: float) -> dict[str, Any]:
        """So many cameras for so long: what was dropped and left out."""
        summaries: list[Line] = []
        delays_s: list[float] = []

        def write(line: Line) -> None:
            if line["kind"] == "summary":
                summaries.append(line)
            elif line.get("latency_ms") is not None:
                delays_s.append(line["latency_ms"] / 1000)

        places = random.Random(count)
        starts_s, cpu_s = time.monotonic(), time.process_time()
        sessions = []
        for i in range(count):
            skipped_s = 0.0 if self.row.active == ALWAYS else places.uniform(0, self.file_s)
            camera = Camera(self.path, seconds, skipped_s)
            sessions.append(Session(camera, self.recognizer(), name=f"camera {i}", write=write))  # type: ignore[arg-type]
        run_sessions(sessions, threads=self.threads)
        wall_s = time.monotonic() - starts_s
        late = sum(line["frames"]["dropped"].get("late", 0) for line in summaries)
        steps_down = sum(sum(line["level_steps"].values()) for line in summaries)
        frames = sum(line["frames"]["decoded"] for line in summaries)
        return {
            "cameras": count,
            "seconds": seconds,
            "frames": frames,
            "dropped": late,
            "level_steps": steps_down,
            "delay_s": {f"p{p}": round(float(np.percentile(delays_s, p)), 3) for p in (50, 90, 95, 99)},
            "cores_used": round((time.process_time() - cpu_s) / wall_s, 2),
            "holds": late == 0 and steps_down == 0 and frames >= count * (25 * seconds - 25),
        }

    def most(self, seconds: float, hold_s: float) -> list[dict[str, Any]]:
        """All trials; the last that holds has the most cameras."""
        trials: list[dict[str, Any]] = []

        def holds(count: int, for_s: float) -> bool:
            trials.append(self.run(count, for_s))
            print(self.row.name, trials[-1], flush=True)
            return bool(trials[-1]["holds"])

        good, bad = 0, 1
        while bad <= MOST_CAMERAS and holds(bad, seconds):
            good, bad = bad, 2 * bad
        while bad - good > 1:
            middle = (good + bad) // 2
            good, bad = (middle, bad) if holds(middle, seconds) else (good, middle)
        while hold_s > seconds and good and not holds(good, hold_s):
            good -= 1
        return trials


def loaded(row: Row, threads: int) -> Engines:
    """As `i3d-live run` loads them for so many frames at a time."""
    options = EngineOptions("auto", row.precision, MODE, row.streams)  # type: ignore[arg-type]
    return engines_of(find_model(row.model), options, concurrent=True, threads=threads)


def measured(row: Row, threads: int, seconds: float, hold_s: float) -> dict[str, Any]:
    checked_engines(row.precision, MODE, row.streams, row.model)
    engines = loaded(row, threads)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "camera.mp4"
        trial = Trial(row, engines, threads, path, write_file(path, row))
        trial.run(1, 4)  # warms up
        trials = trial.most(seconds, hold_s)
    held = [each for each in trials if each["holds"] and each["seconds"] == max(seconds, hold_s)]
    best = max(held, key=lambda each: int(each["cameras"]), default={"cameras": 0})
    return {"date": card.machine()["date"], "best": best, "trials": trials}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", nargs="+", help="names of rows, all by default")
    parser.add_argument("--seconds", type=float, default=40, help="of each trial")
    parser.add_argument("--hold-s", type=float, default=0, help="try what was found for so long")
    parser.add_argument("--threads", type=int, default=cores(), help="frames in work at a time")
    given = parser.parse_args()
    chosen = [row for row in rows() if not given.rows or row.name in given.rows]
    if not chosen:
        raise SystemExit(f"no such row; there are: {', '.join(row.name for row in rows())}")
    store_model()
    name = "cameras" if given.threads > 1 else "cameras_1"
    found: dict[str, Any] = {}
    with suppress(OSError, ValueError, KeyError):
        found = json.loads((card.RESULTS / f"{name}.json").read_text())["rows"]
    for row in chosen:
        found[row.name] = measured(row, given.threads, given.seconds, given.hold_s)
        ordered = {each.name: found[each.name] for each in rows() if each.name in found}
        card.report(name, {"mode": MODE, "threads": given.threads, "rows": ordered})


if __name__ == "__main__":
    main()
