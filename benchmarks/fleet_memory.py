"""How much memory does a further camera take in a process that has its engine already?

    python -m benchmarks.fleet_memory      results/fleet_memory.json

Live 720p25 cameras, RGB alone, the default precision, each number in a process of its own, as `benchmarks.cameras` runs
them, until all have begun. Peak memory does not depend on what else runs, but frames that wait for a busy machine
count: about a second's for each camera that is late.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import card
from benchmarks.cameras import ACTIVE_S, MODE, Row, Trial, loaded, write_file
from benchmarks.material import checked_engines, precisions
from realtime.turns import START_S
from realtime.worker_threads import cores

COUNTS = (1, 2, 4, 8)
SECONDS = 8.0 + max(COUNTS) * START_S / 2
"""Cameras begin one after another."""


def row() -> Row:
    return Row("720p", "rgb", precisions()[0])


def peak_mb(path: Path, count: int) -> float:
    """Of a new process."""
    command = [sys.executable, "-m", "benchmarks.fleet_memory", "--one", str(path), str(count)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


def one(path: Path, count: int) -> float:
    Trial(row(), loaded(row(), cores()), cores(), path, ACTIVE_S).run(count, SECONDS)
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
    checked_engines(row().precision, MODE, row().streams, row().model)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "720p25.mp4"
        write_file(path, row())
        found = {count: round(peak_mb(path, count)) for count in COUNTS}
    least, most = min(COUNTS), max(COUNTS)
    figures = {
        "mode": MODE,
        "precision": row().precision,
        "peak_mb": {str(count): mb for count, mb in found.items()},
        "further_mb": round((found[most] - found[least]) / (most - least)),
    }
    card.report("fleet_memory", figures)


if __name__ == "__main__":
    main()
