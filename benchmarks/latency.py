"""Cost of one RGB stream before and in its engine, and the time to the first prediction.

    python -m benchmarks.latency

input       decode + resample + resize + crop of a 1080p30 H.264 file, in frames a second and times real time
window      one window of 64 ticks through each backend; `ratio_to_eager` compares with torch eager float32 in this run
start-up    from the start of `i3d-live run` to its first prediction, engine in the cache; and without the engine
"""

import json
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import card
from engines.check import random_ticks
from engines.load import load_engines
from engines.spec import RGB
from engines.weights.fetch import demo_clip
from realtime.offline import clip_inputs
from realtime.outputs.video_file import VideoWriter
from realtime.sources.open import open_video

SECONDS, FPS = 10, 30
LOAD = "import time; t = time.time(); from engines import load_engines; load_engines('kinetics', backend='openvino', precision={!r}, mode='window'); print(time.time() - t)"


def write_1080p(path: Path) -> None:
    """A noisy texture that drifts: every block moves and none is easy."""
    noise = np.random.default_rng(0).integers(0, 256, (1080 // 4, 2400 // 4, 3), np.uint8)
    texture = np.kron(noise // 2 + 64, np.ones((4, 4, 1), np.uint8))
    with VideoWriter(path, (1920, 1080)) as writer:
        for i in range(SECONDS * FPS):
            writer.write(texture[:, i : i + 1920], Fraction(i, FPS))


def input_figures(path: Path) -> dict[str, Any]:
    def run() -> None:
        with open_video(path) as video:
            ticks = sum(1 for _ in clip_inputs(video, RGB))
        # The writer cannot know how long the last frame is shown.
        card.verify("ticks of the clip, off by", abs(ticks - SECONDS * 25), at_most=1)

    figures = card.time_ms(run, repeats=3, warm_up=1)
    seconds = figures["median_ms"] / 1000
    return figures | {
        "frames_per_s": round(SECONDS * FPS / seconds, 1),
        "times_real_time": round(SECONDS / seconds, 2),
    }


def window_figures() -> dict[str, Any]:
    from engines.backends.registry import backend_module

    chunk = random_ticks(RGB, 64)[None]
    reference: np.ndarray | None = None
    figures: dict[str, Any] = {}
    for backend in ("torch", "openvino"):
        for precision in backend_module(backend).precisions():
            if precision == "int8":
                continue  # needs a clip to calibrate on: see benchmarks.engines
            engine = load_engines("kinetics", backend=backend, precision=precision, mode="window").rgb
            assert engine is not None
            logits = engine.step(chunk, engine.start())[0].logits
            reference = logits if reference is None else reference
            limit = 0.01 if precision == "float32" else 0.5
            card.verify(
                f"{backend} {precision}: largest difference of a logit",
                float(np.abs(logits - reference).max()),
                at_most=limit,
            )
            figures[f"{backend}.{precision}"] = card.time_ms(
                lambda e=engine: e.step(chunk, e.start()), repeats=5, warm_up=1
            )
    eager_ms = figures["torch.float32"]["median_ms"]
    for row in figures.values():
        row["ratio_to_eager"] = round(row["median_ms"] / eager_ms, 3)
    return figures


def start_up_figures(precision: str, step_ms: float) -> dict[str, Any]:
    """Median of three processes."""
    clip = str(demo_clip())
    first_s, load_s, peak_mb = [], [], []
    for _ in range(3):
        load = subprocess.run(
            [sys.executable, "-c", LOAD.format(precision)], capture_output=True, text=True, check=True
        )
        load_s.append(float(load.stdout))
        first, peak = first_prediction(clip, precision)
        first_s.append(first)
        peak_mb.append(peak)
    total, engine = sorted(first_s)[1], sorted(load_s)[1] + step_ms / 1000
    return {
        "first_prediction_s": round(total, 2),
        "of_that_engine_s": round(engine, 2),
        "without_engine_s": round(total - engine, 2),
        "peak_memory_mb": round(sorted(peak_mb)[1]),
    }


def first_prediction(clip: str, precision: str) -> tuple[float, float]:
    """Seconds from process start to the first prediction line, and the peak memory in MB of a whole run."""
    code = (
        "import sys\nfrom benchmarks.card import peak_memory_mb\nfrom realtime.cli import main\n"
        f"sys.argv = ['i3d-live', 'run', {clip!r}, '--model', 'kinetics']\n"
        f"sys.argv += ['--mode', 'window', '--backend', 'openvino', '--precision', {precision!r}]\n"
        "try: main()\nfinally: print(peak_memory_mb(), file=sys.stderr)"
    )
    start = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        for line in run.stdout:
            if json.loads(line)["kind"] == "prediction":
                break
        first_s = time.perf_counter() - start
        run.stdout.read()
        return first_s, float(run.stderr.read().split()[-1])


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "1080p30.mp4"
        write_1080p(clip)
        figures: dict[str, Any] = {"input_1080p30": input_figures(clip)}
    figures["window_rgb"] = window_figures()
    figures["start_up"] = {
        name: start_up_figures(name.split(".")[1], row["median_ms"])
        for name, row in figures["window_rgb"].items()
        if name.startswith("openvino")
    }
    for name, row in [
        ("input", figures["input_1080p30"]),
        *figures["window_rgb"].items(),
        *figures["start_up"].items(),
    ]:
        print(f"{name:<20} {row}")
    card.report("latency", figures)


if __name__ == "__main__":
    main()
