"""Size, start-up time and memory of a bundle, in an environment made from its own requirements.

python -m benchmarks.bundle [MODE]      continual by default; the last line is the report
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import card
from engines.check import TOLERANCE
from engines.load import load_engines
from engines.spec import Mode
from engines.weights.fetch import demo_clip, fetch
from realtime.commands.bundle import fill

REPEATS = 5
GOALS = {"bundle_mb": 30.0, "peak_mb": 600.0, "start_s": 2.5}
"""Size in half precision; memory with RGB on the processor; start-up until frames are taken: the first prediction
comes a window later."""


def size_mb(folder: Path) -> float:
    return round(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6, 1)


def environment(folder: Path, requirements: Path) -> Path:
    """Make a new environment with only these packages, and return its Python."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--requirement", str(requirements)], check=True)
    return python


def run_once(python: Path, bundle: Path, clip: Path) -> dict[str, float]:
    """Seconds from the start of the process to the first line and to the first prediction, and its peak memory."""
    began_s = time.perf_counter()
    command = [str(python), str(bundle / "run.py"), str(clip)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        seen: dict[str, float] = {}
        peak_mb = 0.0
        for line in process.stdout:
            seen.setdefault(json.loads(line)["kind"], time.perf_counter() - began_s)
            peak_mb = max(peak_mb, card.peak_memory_mb(process.pid))
    if process.returncode:
        raise SystemExit(f"not timed: the bundle ended with {process.returncode}")
    return {
        "start_s": seen["session"],
        "first_answer_s": seen["prediction"],
        "peak_mb": peak_mb,
    }


def measure(mode: Mode) -> dict[str, Any]:
    fetch("kinetics")
    engines = load_engines("kinetics", backend="openvino", mode=mode)
    assert engines.rgb is not None
    with tempfile.TemporaryDirectory() as scratch:
        bundle = Path(scratch) / "bundle"
        bundle.mkdir()
        fill(engines, bundle)
        python = environment(Path(scratch) / "environment", bundle / "requirements.txt")
        check = subprocess.run(
            [str(python), str(bundle / "run.py"), "--check"], check=True, capture_output=True, text=True
        )
        difference = json.loads(check.stdout)["largest_difference"]["rgb"]
        card.verify("largest difference of a logit", difference, at_most=TOLERANCE[engines.rgb.precision][0])
        runs = [run_once(python, bundle, demo_clip()) for _ in range(REPEATS)]
        figures: dict[str, Any] = {
            "mode": mode,
            "precision": engines.rgb.precision,
            "largest_difference": difference,
            "bundle_mb": size_mb(bundle),
            "environment_mb": size_mb(python.parent.parent),
        }
        for name in ("start_s", "first_answer_s", "peak_mb"):
            values = sorted(run[name] for run in runs)
            figures[name] = {"median": round(values[len(values) // 2], 2), "largest": round(values[-1], 2)}
    met = {
        "bundle_mb": figures["bundle_mb"] <= GOALS["bundle_mb"],
        "peak_mb": figures["peak_mb"]["largest"] <= GOALS["peak_mb"],
        "start_s": figures["start_s"]["median"] <= GOALS["start_s"],
    }
    return figures | {"repeats": REPEATS, "goals": GOALS, "met": met}


if __name__ == "__main__":
    card.report("bundle", measure(sys.argv[1] if len(sys.argv) > 1 else "continual"))  # type: ignore[arg-type]
