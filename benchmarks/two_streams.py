"""Both streams over a file: decode, resample, resize, TV-L1, two engines, fusion, log.

    python -m benchmarks.two_streams [FILE]       without a file: the demo clip, three times over

Trained flow weights are not to be had everywhere, so the flow network has the RGB weights averaged over colours: right in shape
and cost, no figure of accuracy. The stages' seconds are those of the log's summary.
"""

import json
import subprocess
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np

from benchmarks import card
from engines.weights import demo_clip, fetch, has_weights, load_weights, save_weights
from realtime.source import VideoWriter, open_video

MODEL = "made-two-streams"


def store_model() -> None:
    """A model with both streams in the cache folder, unless it is there."""
    if has_weights(MODEL, "flow"):
        return
    fetch("kinetics", "rgb")
    weights, tensors = load_weights("kinetics", "rgb")
    source, licence = "made for benchmarks from kinetics", weights.licence
    save_weights(MODEL, "rgb", tensors, weights.labels, source=source, licence=licence)
    first = "Conv3d_1a_7x7.conv3d.weight"
    averaged = np.repeat(tensors[first].mean(axis=1, keepdims=True), 2, axis=1) * (3 / 2)
    save_weights(MODEL, "flow", {**tensors, first: averaged}, weights.labels, source=source, licence=licence)


def write_720p(path: Path, clip: Path, times: int) -> None:
    """A clip at 1280 x 720, 25 a second, several times over."""
    with open_video(clip) as video:
        frames = [frame.rgb for frame in video]
    with VideoWriter(path, (1280, 720)) as writer:
        for i in range(times * len(frames)):
            writer.write(frames[i % len(frames)], Fraction(i, 25))


def run(file: Path, mode: str) -> dict[str, object]:
    """The last line of the log of a process of its own; the engines are in the cache."""
    command = ["run", str(file), "--model", MODEL, "--streams", "both", "--mode", mode]
    code = f"import sys; from realtime.cli import main; sys.argv = ['i3d-live', *{command!r}]; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {"engine": lines[0]["engine"], **lines[-1]}


def main() -> None:
    store_model()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "720p25.mp4"
        if len(sys.argv) > 1:
            file = Path(sys.argv[1])
        else:
            write_720p(file, demo_clip(), times=3)
        run(file, "continual")  # builds the engines and compiles the flow
        summary = run(file, "continual")
    media_s, wall_s = float(str(summary["media_s"])), float(str(summary["wall_s"]))
    stages = summary["stage_s"]
    assert isinstance(stages, dict)
    rows = {stage: round(seconds / media_s, 4) for stage, seconds in stages.items()}
    print(f"{media_s:.1f} s of video in {wall_s:.1f} s; share of real time by stage:")
    for stage, share in rows.items():
        print(f"  {stage:<12} {share:.3f}")
    card.report(
        "two_streams", {"summary": summary, "load": round(wall_s / media_s, 4), "share_of_real_time": rows}
    )


if __name__ == "__main__":
    main()
