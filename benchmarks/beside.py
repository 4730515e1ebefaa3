"""Is a step as fast as it was? Engines of this checkout and of another one, in turn, in one run.

    git worktree add ../before COMMIT
    python -m benchmarks.beside ../before [MODE-PRECISION ...]      results/beside.json

Each checkout builds its engines in its own process and steps them on request: a few steps of one, then as many of the
other. A ratio is the median over the turns of new by old, so that a busy moment in one turn counts once.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import card
from benchmarks.card import ROOT
from engines.spec import MODES
from engines.weights.fetch import fetch

TURNS = 8
STEPS_A_TURN = {"continual": 8, "preview": 4, "window": 2}
WORKER = """
import json, sys, time
from pathlib import Path
import numpy as np
from engines.backends.registry import Plan, backend_module
from engines.check import random_ticks
from engines.spec import RGB
from engines.weights.fetch import demo_clip, describe, load_weights
from realtime.offline import clip_inputs
from realtime.sources.open import open_video

backend, made = backend_module("openvino"), {}
tensors = load_weights("kinetics", "rgb")[1]
with open_video(demo_clip()) as video:
    clip = np.stack(list(clip_inputs(video, RGB)))
for line in sys.stdin:
    mode, precision, steps = line.split()
    if (mode, precision) not in made:
        made.clear()
        plan, folder = Plan(RGB, describe("kinetics", "rgb"), mode, precision), Path(sys.argv[1], f"{mode}-{precision}")
        folder.mkdir()
        backend.build(plan, tensors, folder, clip)
        engine = backend.load(plan, folder, None)
        made[mode, precision] = [engine, engine.start()]
        for _ in range(9):
            _, made[mode, precision][1] = engine.step(random_ticks(RGB, engine.chunk_ticks)[None], made[mode, precision][1])
    engine, state = made[mode, precision]
    chunk, times_ms = random_ticks(RGB, engine.chunk_ticks)[None], []
    for _ in range(1 + int(steps)):
        start_s = time.perf_counter()
        _, state = engine.step(chunk, state)
        times_ms.append(1000 * (time.perf_counter() - start_s))
    made[mode, precision][1] = state
    print(json.dumps(times_ms[1:]), flush=True)
"""


class Checkout:
    """A process that steps the engines of a checkout."""

    def __init__(self, root: Path, folder: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", WORKER, folder],
            cwd=root,
            env=os.environ | {"PYTHONPATH": str(root)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def steps_ms(self, mode: str, precision: str, count: int) -> list[float]:
        """Milliseconds of each step. The first call builds the engine."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{mode} {precision} {count}\n")
        self._process.stdin.flush()
        while line := self._process.stdout.readline():
            if line.startswith("["):  # NNCF's progress goes to stdout too
                found: list[float] = json.loads(line)
                return found
        raise SystemExit(
            f"not timed: a checkout could not run {mode} {precision}; run its own benchmark to see why"
        )

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def compare(old: Checkout, new: Checkout, mode: str, precision: str) -> dict[str, float]:
    """Milliseconds of a step in both checkouts, and their ratio."""
    steps, both = STEPS_A_TURN[mode], {"old": old, "new": new}
    turns: dict[str, list[float]] = {"old": [], "new": []}
    for turn in range(TURNS + 1):
        for name in ("old", "new") if turn % 2 else ("new", "old"):
            turns[name].append(statistics.median(both[name].steps_ms(mode, precision, steps)))
    ratios = [b / a for a, b in zip(turns["old"][1:], turns["new"][1:], strict=True)]
    return {
        "old_ms": round(statistics.median(turns["old"][1:]), 2),
        "new_ms": round(statistics.median(turns["new"][1:]), 2),
        "new_by_old": round(statistics.median(ratios), 3),
    }


def commit(root: Path) -> str:
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=root, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def main() -> None:
    from engines.backends.registry import backend_module

    if len(sys.argv) < 2 or not Path(sys.argv[1], "engines").is_dir():
        raise SystemExit("name the folder of another checkout: python -m benchmarks.beside ../before")
    before, wanted = Path(sys.argv[1]).resolve(), sys.argv[2:]
    fetch("kinetics")
    rows = {}
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        old, new = Checkout(before, one), Checkout(ROOT, two)
        for mode in MODES:
            for precision in backend_module("openvino").precisions():
                name = f"{mode}-{precision}"
                if not wanted or name in wanted:
                    rows[name] = compare(old, new, mode, precision)
                    print(f"{name:<20} {rows[name]}", flush=True)
        old.close()
        new.close()
    card.report("beside", {"old": commit(before), "new": commit(ROOT), "rows": rows})


if __name__ == "__main__":
    main()
