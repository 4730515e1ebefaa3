"""How much memory does a further camera take in a process that has its engine already?

    python -m benchmarks.fleet_memory      results/fleet_memory.json

Live 720p25 cameras, RGB alone, the default precision, each number in a process of its own for a few seconds, as
`benchmarks.cameras` runs them. Peak memory does not depend on what else runs, but frames that wait for a busy machine
count: about a second's for each camera that is late.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import card
from benchmarks.cameras import CLIP_S, MODE, trial
from benchmarks.material import RGB_MODEL, SIZES_PX, checked_engines, precisions, write_video
from engines.load import load_engines

COUNTS = (1, 2, 4, 8)
SECONDS = 8.0


def peak_mb(path: Path, count: int) -> float:
    """Of a new process."""
    command = [sys.executable, "-m", "benchmarks.fleet_memory", "--one", str(path), str(count)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


def one(path: Path, count: int) -> float:
    engines = load_engines(RGB_MODEL, "auto", precisions()[0], MODE, "rgb", concurrent=True)
    trial(engines, path, count, SECONDS)
    return card.peak_memory_mb()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--one", nargs=2, metavar=("FILE", "CAMERAS"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(one(Path(given.one[0]), int(given.one[1])))
        return
    checked_engines(precisions()[0], MODE, "rgb", RGB_MODEL)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "720p25.mp4"
        write_video(path, SIZES_PX["720p"], CLIP_S)
        found = {count: round(peak_mb(path, count)) for count in COUNTS}
    least, most = min(COUNTS), max(COUNTS)
    figures = {
        "mode": MODE,
        "precision": precisions()[0],
        "peak_mb": {str(count): mb for count, mb in found.items()},
        "further_mb": round((found[most] - found[least]) / (most - least)),
    }
    card.report("fleet_memory", figures)


if __name__ == "__main__":
    main()
