"""How many live cameras one machine serves before the first frame is dropped or any work is left out, by bisection.

    python -m benchmarks.cameras [--seconds 40]                            results/cameras.json
    python -m benchmarks.cameras --count 2 --seconds 600 --precision int8  does this count hold this long?

A camera is a 720p25 file whose frames come at their times, decoded in a separate thread, as from a network camera. All
share the engines and the cores. A step down on the recogniser's ladder counts as the first drop.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import card
from benchmarks.material import MODEL, SIZES_PX, checked_engines, precisions, store_model, write_video
from engines.load import Engines, load_engines
from realtime.outputs.log import Line
from realtime.reader_threads import Source
from realtime.recognizer import Recognizer
from realtime.session import Session, run_sessions
from realtime.sources.open import open_video
from realtime.types import Frame
from realtime.worker_threads import submit

MODE = "continual"
CLIP_S = 20.0
MOST_CAMERAS = 64


class Camera(Source):
    """A file repeated for some seconds, each frame at its time. Frames that are not taken in time are lost."""

    live = True
    corrupt_packets = 0
    duration_s = None

    def __init__(self, path: Path, seconds: float, starts_s: float) -> None:
        self.name, self.size_px = path.name, SIZES_PX["720p"]
        self._path, self._seconds, self._starts_s, self._closed = path, seconds, starts_s, False

    def __iter__(self) -> Iterator[Frame]:
        shift = Fraction(0)
        while not self._closed:
            with open_video(self._path) as video:
                for frame in video:
                    pts = frame.pts + shift
                    due_s = self._starts_s + float(pts)
                    time.sleep(max(0.0, due_s - time.monotonic()))
                    if pts >= self._seconds or self._closed:
                        return
                    # When it is due, not when it is decoded: a late decoder makes a frame late.
                    yield replace(frame, pts=pts, taken_s=due_s)
                shift += frame.pts + frame.duration

    def close(self) -> None:
        self._closed = True


def trial(engines: Engines, path: Path, count: int, seconds: float) -> dict[str, Any]:
    """Run `count` cameras for `seconds`: what was dropped and left out."""
    summaries: list[Line] = []
    lags_s: list[float] = []

    def write(line: Line) -> None:
        if line["kind"] == "summary":
            summaries.append(line)
        if line.get("latency_ms") is not None:
            lags_s.append(line["latency_ms"] / 1000)

    starts_s = time.monotonic() + 0.5
    sessions = [
        # Staggered, as real cameras are.
        Session(
            Camera(path, seconds, starts_s + 0.32 * i / count),  # type: ignore[arg-type]
            Recognizer(engines.by_stream, submit=submit),
            name=f"camera {i}",
            write=write,
        )
        for i in range(count)
    ]
    run_sessions(sessions)
    late = sum(line["frames"]["dropped"].get("late", 0) for line in summaries)
    steps_down = sum(sum(line["level_steps"].values()) for line in summaries)
    frames = sum(line["frames"]["decoded"] for line in summaries)
    return {
        "cameras": count,
        "seconds": seconds,
        "frames": frames,
        "dropped": late,
        "level_steps": steps_down,
        "answer_after_its_frame_p95_s": round(float(np.percentile(lags_s, 95)), 3) if lags_s else None,
        "holds": late == 0 and steps_down == 0 and frames >= count * (25 * seconds - 25),
    }


def most_cameras(engines: Engines, path: Path, seconds: float) -> dict[str, Any]:
    """The largest number of cameras without a drop, and every trial."""
    trials: list[dict[str, Any]] = []

    def holds(count: int) -> bool:
        trials.append(trial(engines, path, count, seconds))
        print(trials[-1], flush=True)
        return bool(trials[-1]["holds"])

    good, bad = 0, 1
    while bad <= MOST_CAMERAS and holds(bad):
        good, bad = bad, 2 * bad
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if holds(middle) else (good, middle)
    return {"cameras": good, "trials": trials}


def warm(engines: Engines, path: Path) -> None:
    trial(engines, path, 1, 4)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=40, help="of each trial")
    parser.add_argument("--count", type=int, help="try only this many")
    parser.add_argument("--precision", help="only this one")
    parser.add_argument("--streams", choices=("rgb", "both"), help="only these")
    given = parser.parse_args()
    store_model()
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "720p25.mp4"
        write_video(path, SIZES_PX["720p"], CLIP_S)
        for streams in (given.streams,) if given.streams else ("both", "rgb"):
            for precision in (given.precision,) if given.precision else precisions():
                checked_engines(precision, MODE, streams)
                engines = load_engines(MODEL, "auto", precision, MODE, streams, concurrent=True)
                warm(engines, path)
                if given.count:
                    found = trial(engines, path, given.count, given.seconds)
                    print(found)
                else:
                    found = most_cameras(engines, path, given.seconds)
                figures[f"{streams} {precision}"] = found
    name = "cameras" if given.count is None else f"cameras_{given.count}"
    card.report(name, {"mode": MODE, "size": "720p25", "found": figures})


if __name__ == "__main__":
    main()
