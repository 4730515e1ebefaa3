"""How long `i3d-live teach` takes for 40 clips of 3 s, and how accurate it is on held-out clips and through `run`.

The clips are generated anew each time, so that the cache holds only the weights and, after a first run, the engines.

python -m benchmarks.teach             # rgb alone is enough for these; writes results/teach.json
python -m benchmarks.teach flow        # left and right, which mirroring swaps; writes results/teach_flow.json
"""

import json
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import card
from engines.weights.store import model_dir
from realtime.commands.prepare import PREPARE
from tests.support.made_actions import ACTIONS, FPS, SIDEWAYS, write_actions, write_folder

MODEL = "teach-benchmark"
PART_FRAMES = 150
"""Frames of each action in the spliced video."""
I3D_LIVE = str(Path(sys.executable).with_name("i3d-live"))


def main() -> None:
    seed = secrets.randbelow(2**31)
    PREPARE.named("kinetics", "rgb")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        few = write_folder(folder / "few", dict(list(ACTIONS.items())[:2]), clips=2, seed=seed + 9000)
        if sys.argv[1:] == ["flow"]:
            taught(few, "both")  # so that no timing includes building an engine
            sideways = write_folder(folder / "sideways", SIDEWAYS, seed=seed + 20000)
            card.report("teach_flow", {"seed": seed, "left_right": taught(sideways)})
            return
        many = write_folder(folder / "many", seed=seed)
        taught(few, "rgb")
        figures = {"seed": seed, "up_down_fast_rings": taught(many)}
        card.report("teach", figures | {"through_run": spliced(folder / "spliced.mp4", seed + 7000)})


def taught(folder: Path, streams: str = "auto") -> dict[str, Any]:
    """Wall-clock seconds of the command, and the model's report."""
    begin_s = time.perf_counter()
    subprocess.run(
        [I3D_LIVE, "teach", str(folder), "--name", MODEL, "--replace", "--streams", streams],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    took_s = time.perf_counter() - begin_s
    report = json.loads((model_dir(MODEL) / "report.json").read_text())
    clips = len(list(folder.rglob("*.mp4")))
    return {"clips": clips, "seconds": round(took_s, 1), **report["held_out"], "settings": report["settings"]}


def spliced(path: Path, seed: int) -> dict[str, Any]:
    """A video of several actions in a row, through `run`: its events, and how late each begins."""
    write_actions(path, list(ACTIONS.values()), seed, PART_FRAMES)
    log = subprocess.run(
        [I3D_LIVE, "run", str(path), "--model", MODEL], check=True, capture_output=True, text=True
    ).stdout
    lines = [json.loads(line) for line in log.splitlines()]
    events = [(line["label"], line["start_s"], line["end_s"]) for line in lines if line["kind"] == "event"]
    right = [label for label, _, _ in events] == list(ACTIONS)
    late_s = [round(start_s - i * PART_FRAMES / FPS, 2) for i, (_, start_s, _) in enumerate(events)]
    return {"events": events, "each_once_in_order": right, "late_s": late_s if right else None}


if __name__ == "__main__":
    main()
