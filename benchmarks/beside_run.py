"""Has `run` become slower? Runs a file through this checkout and another one, alternately.

    git worktree add ../before COMMIT
    python -m benchmarks.beside_run ../before [PRECISION ...]      results/beside_run.json

A short 720p25 file with both streams, mode `continual`, and a log. Each run is a separate process with a cache
folder per checkout; a first run of each builds the engines and does not count. A ratio is the median of new over old;
`stages` has one for each stage of the summary, including TV-L1 ("flow input").
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import card
from benchmarks.beside import commit
from benchmarks.card import ROOT
from benchmarks.material import MODEL, SIZES_PX, precisions, store_model, write_video
from engines.cache_folder import cache_dir

SECONDS, TURNS = 30.0, 5


class Checkout:
    """A checkout with a cache folder that has the weights."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.root, self.cache = root, folder / "i3d-live"
        self.cache.mkdir(parents=True)
        for name in ("models", "clips", "downloads"):
            if (cache_dir() / name).is_dir():
                (self.cache / name).symlink_to(cache_dir() / name)

    def run(self, video: Path, precision: str) -> dict[str, Any]:
        """The summary of one run."""
        log = self.cache / f"{precision}.jsonl"
        log.unlink(missing_ok=True)
        options = f"--model {MODEL} --streams both --mode continual --precision {precision}"
        arguments = ["run", str(video), *options.split(), "--log", str(log)]
        done = subprocess.run(
            [sys.executable, "-c", "from realtime.cli import main; main()", *arguments],
            cwd=self.root,
            env=os.environ | {"PYTHONPATH": str(self.root), "XDG_CACHE_HOME": str(self.cache.parent)},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise SystemExit(f"not timed: run failed in {self.root.name}: {done.stderr.strip()[-500:]}")
        summary: dict[str, Any] = json.loads(log.read_text().splitlines()[-1])
        return summary


def compare(old: Checkout, new: Checkout, video: Path, precision: str) -> dict[str, Any]:
    """Share of real time of both, and the ratios."""
    both, turns = {"old": old, "new": new}, []
    for turn in range(TURNS + 1):
        order = ("old", "new") if turn % 2 else ("new", "old")
        turns.append({name: both[name].run(video, precision) for name in order})
    turns = turns[1:]

    def ratio(of: Any) -> float:
        return round(statistics.median(of(turn["new"]) / of(turn["old"]) for turn in turns), 3)

    loads = {
        name: round(statistics.median(turn[name]["wall_s"] / turn[name]["media_s"] for turn in turns), 4)
        for name in both
    }
    stages = {
        stage: ratio(lambda summary, stage=stage: summary["stage_s"][stage])
        for stage in turns[0]["new"]["stage_s"]
    }
    return {"load": loads, "new_by_old": ratio(lambda summary: summary["wall_s"]), "stages": stages}


def main() -> None:
    if len(sys.argv) < 2 or not Path(sys.argv[1], "engines").is_dir():
        raise SystemExit("name the folder of another checkout: python -m benchmarks.beside_run ../before")
    store_model()
    rows = {}
    with tempfile.TemporaryDirectory() as name:
        folder, before = Path(name), Path(sys.argv[1]).resolve()
        video = folder / "720p.mp4"
        write_video(video, SIZES_PX["720p"], SECONDS)
        old, new = Checkout(before, folder / "old"), Checkout(ROOT, folder / "new")
        for precision in sys.argv[2:] or precisions():
            rows[precision] = compare(old, new, video, precision)
            print(f"{precision:<10} {rows[precision]}", flush=True)
        card.report("beside_run", {"old": commit(before), "new": commit(ROOT), "rows": rows})


if __name__ == "__main__":
    main()
