"""All that needs an NVIDIA GPU, checked and timed in 8 minutes: for whoever has a GPU for a quarter of an hour.

    scripts/gpu-check [--name NAME] [--budget-s 480] [--no-install]

Without --no-install everything is installed into .venv first: gigabytes, so minutes, which the budget does not include.
pip's own variables (PIP_NO_INDEX, PIP_FIND_LINKS) install from a folder of wheels instead.

Parts run in the order of their value, each as a process with a time limit: one that crashes or hangs costs no other.
After each, benchmarks/results/gpu/NAME.json and NAME.txt are written again, so nothing is lost if the machine goes;
NAME is that of the GPU. A part prints a JSON object whenever it has measured something. It is

done            and all its checks passed
failed          with its last lines
over time       it was ended at its limit; what it had measured until then is kept
not installed   its package is not here
cut, skipped    the budget ended during the part, or before it

Exit code: 0; 1 if a part failed or was over time; 3 without a driver or GPU. Needs no package itself.
"""

import argparse
import contextlib
import ctypes
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import card
from benchmarks.card import RESULTS, ROOT

SETUPS = ("nvidia,rtx,dev", "torch,dev")
"""What to install, and instead, if TensorRT cannot be had."""
NO_GPU, NOT_INSTALLED = 3, 77
"""Exit codes: of this program, and of a part whose package is not here."""
LEAST_S = 5.0
"""A part is not begun with less than this left."""
DYING_S = 10.0
LAST_LINES = 20
BAD = ("failed", "over time")
Results = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Part:
    """One process."""

    name: str
    arguments: tuple[str, ...]
    """Of Python."""
    limit_s: float


def measured(name: str, limit_s: float, *arguments: str) -> Part:
    return Part(" ".join((name, *arguments)), ("-m", "benchmarks.gpu_parts", name, *arguments), limit_s)


def built(backend: str, limit_s: float) -> Part:
    return Part(f"engines of {backend}", ("-m", "benchmarks.gpu_engines", backend), limit_s)


def tested(file: str, limit_s: float) -> Part:
    return Part(
        f"tests of {Path(file).stem}", ("-m", "pytest", "-m", "gpu", "-rs", "--tb=short", file), limit_s
    )


PARTS = (
    measured("machine", 30),
    measured("weights", 45),
    measured("flow", 90),
    tested("tests/realtime/flow/test_cuda.py", 60),
    built("torch", 100),
    built("tensorrt", 150),
    measured("end_to_end", 60, "torch"),
    measured("end_to_end", 60, "tensorrt"),
    tested("tests/engines/backends/test_registry.py", 60),
    tested("tests/engines/backends/test_tensorrt.py", 120),
    built("torch-tensorrt", 120),
    built("tensorrt-rtx", 120),
    tested("tests/engines/backends/test_torch_tensorrt.py", 120),
)
"""The most valuable first: together the limits exceed the budget."""


def gpu_name(library: str = "libcuda.so.1") -> str:
    """NVIDIA's name for the first GPU. Raises OSError without a driver or without a GPU, in one line."""
    try:
        cuda = ctypes.CDLL(library)
    except OSError as error:
        raise OSError(
            f"no NVIDIA driver: {library} is not here; install NVIDIA's driver (in a container: start it with --gpus all)"
        ) from error
    count, device, name = ctypes.c_int(), ctypes.c_int(), ctypes.create_string_buffer(256)
    code = cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(count))
    if code or not count.value:
        raise OSError(
            f"the NVIDIA driver finds no GPU (cuInit: {code}); check with nvidia-smi and CUDA_VISIBLE_DEVICES"
        )
    cuda.cuDeviceGet(ctypes.byref(device), 0)
    cuda.cuDeviceGetName(name, len(name), device)
    return name.value.decode()


def install(setups: Sequence[str] = SETUPS, setup: Path = ROOT / "scripts" / "setup") -> str:
    """Make .venv with the first of these extras that can be installed, and return them."""
    for extras in setups:
        print(
            f"Installing [{extras}] into .venv; the first time that is gigabytes and takes minutes ...",
            flush=True,
        )
        if subprocess.run([setup, extras]).returncode == 0:
            return extras
    sys.exit("nothing could be installed; without network: --no-install, or PIP_NO_INDEX and PIP_FIND_LINKS")


@contextlib.contextmanager
def process(command: Sequence[str], output: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is ended with all that it has started."""
    variables = os.environ | {"REQUIRE_GPU": "1", "PYTHONUNBUFFERED": "1"}
    running = subprocess.Popen(
        command, cwd=ROOT, env=variables, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
    )
    try:
        yield running
    finally:
        with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(running.pid, signal.SIGKILL)
            running.wait(DYING_S)  # a call that hangs in the driver cannot be ended


def run_part(part: Part, python: str, left_s: float) -> dict[str, Any]:
    """Its state, seconds, figures and last lines. `left_s`: of the budget."""
    limit_s, began_s = min(part.limit_s, left_s), time.monotonic()
    with tempfile.TemporaryFile("w+b") as output:
        with process([python, *part.arguments], output) as running:
            try:
                state = {0: "done", NOT_INSTALLED: "not installed"}.get(running.wait(limit_s), "failed")
            except subprocess.TimeoutExpired:
                state = "over time" if limit_s == part.limit_s else "cut"
        output.seek(0)
        figures, lines = sorted_out(output.read().decode(errors="replace"))
    found: dict[str, Any] = {"state": state, "seconds": round(time.monotonic() - began_s, 1)}
    if state == "failed":
        found["ended_by"] = ended_by(running.returncode)
    return found | {"figures": figures, "last_lines": lines[-(1 if state == "done" else LAST_LINES) :]}


def ended_by(code: int) -> str:
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name


def sorted_out(output: str) -> tuple[dict[str, Any], list[str]]:
    """The JSON objects of an output, as one, and its other lines."""
    figures: dict[str, Any] = {}
    lines = []
    for line in filter(None, map(str.rstrip, output.splitlines())):
        found = json_object(line)
        figures |= found
        lines += [] if found else [line]
    return figures, lines


def json_object(line: str) -> dict[str, Any]:
    """Empty if the line is none, or was cut off."""
    try:
        found: dict[str, Any] = json.loads(line) if line.startswith("{") else {}
    except ValueError:
        return {}
    return found


def run_all(parts: Sequence[Part], python: str, budget_s: float, write: Callable[[Results], None]) -> Results:
    """Each part by name. `write` is called after each."""
    end_s, results = time.monotonic() + budget_s, Results()
    for part in parts:
        left_s = end_s - time.monotonic()
        print(f"{part.name} ...", flush=True)
        results[part.name] = run_part(part, python, left_s) if left_s >= LEAST_S else {"state": "skipped"}
        write(results)
        print("\n".join(told(part.name, results[part.name])), flush=True)
    return results


def told(name: str, found: dict[str, Any]) -> list[str]:
    """A part in words."""
    seconds = f"{found['seconds']:.1f} s" if "seconds" in found else ""
    lines = [
        f"{found['state']:<14}{seconds:>8}  {name}{': ' * ('ended_by' in found)}{found.get('ended_by', '')}"
    ]
    lines += [f"    {key}: {json.dumps(value)}" for key, value in found.get("figures", {}).items()]
    return lines + [f"    | {line}" for line in found.get("last_lines", [])]


def summary(results: Results) -> str:
    states = [found["state"] for found in results.values()]
    return ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))


def write_results(folder: Path, name: str, facts: dict[str, Any], results: Results) -> None:
    """Both files, each replaced in one step."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"{key}: {value}" for key, value in facts.items()] + [summary(results), ""]
    for part, found in results.items():
        lines += told(part, found)
    texts = {"json": json.dumps({**facts, "parts": results}, indent=2), "txt": "\n".join(lines)}
    for suffix, text in texts.items():
        half = folder / f"{name}.{suffix}.new"
        half.write_text(text + "\n")
        half.replace(folder / f"{name}.{suffix}")


def commit() -> str:
    try:
        asked = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True
        )
    except OSError:
        return ""
    return asked.stdout.strip()


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--name", help="of the files; default: the GPU's")
    parser.add_argument("--budget-s", type=float, default=480, help="for all parts; default: 480")
    parser.add_argument(
        "--no-install", action="store_true", help="run the parts in the Python that runs this"
    )
    return parser.parse_args()


def main() -> int:
    given = options()
    try:
        gpu = gpu_name()
    except OSError as error:
        print(error, file=sys.stderr)
        return NO_GPU
    began_s = time.monotonic()
    installed = "nothing" if given.no_install else install()
    python = sys.executable if given.no_install else str(ROOT / ".venv" / "bin" / "python")
    facts = {
        "gpu": gpu,
        "commit": commit(),
        "installed": installed,
        "set_up_s": round(time.monotonic() - began_s),
        "budget_s": given.budget_s,
    }
    facts |= {key: value for key, value in card.machine().items() if key not in ("gpu", "python", "versions")}
    name = given.name or re.sub(r"\W+", "-", gpu.lower()).strip("-")
    folder = RESULTS / "gpu"
    results = run_all(PARTS, python, given.budget_s, lambda found: write_results(folder, name, facts, found))
    print(f"{summary(results)}; {folder / name}.json and .txt")
    return int(any(found["state"] in BAD for found in results.values()))


if __name__ == "__main__":
    sys.exit(main())
