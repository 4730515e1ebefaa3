"""`scripts/gpu-check` without a GPU: what becomes of a part that crashes, hangs or comes too late."""

import ctypes
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks.gpu_check import (
    NO_GPU,
    NOT_INSTALLED,
    PARTS,
    Part,
    Results,
    gpu_name,
    install,
    run_all,
    write_results,
)
from benchmarks.gpu_engines import NoGraphs
from engines.backends.registry import has_nvidia_driver
from engines.backends.tensorrt.backend import TensorRT
from engines.backends.tensorrt.cuda import Cuda
from tests.conftest import ROOT
from tests.engines.backends.test_tensorrt_run import loaded, stepped
from tests.support import stand_ins
from tests.support.networks import noise

NEED_A_GPU = [each for each in PARTS if "pytest" not in each.arguments and each.name != "weights"]
MEASURES = 'print("some words"); print(\'{"field, ms": 1.5}\', flush=True)'


def part(name: str, code: str = MEASURES, limit_s: float = 60) -> Part:
    return Part(name, ("-c", code), limit_s)


def run(*parts: Part, budget_s: float = 120) -> Results:
    return run_all(parts, sys.executable, budget_s, lambda found: None)


def test_without_a_gpu_one_line_says_what_is_missing() -> None:
    if has_nvidia_driver():
        pytest.skip("there is a driver")
    done = subprocess.run([ROOT / "scripts" / "gpu-check", "--no-install"], capture_output=True, text=True)
    assert done.returncode == NO_GPU
    assert done.stderr.startswith("no NVIDIA driver: libcuda.so.1 is not here; install")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_the_gpu_is_named_by_its_driver(tmp_path: Path) -> None:
    library = stand_ins.build_driver(tmp_path)
    assert gpu_name(str(library)) == "Stand-in 4090"


def test_a_driver_without_a_gpu_is_an_error(tmp_path: Path) -> None:
    code = (
        "import ctypes, sys; ctypes.CDLL(sys.argv[1]).set_devices(0)\n"
        "from benchmarks.gpu_check import gpu_name\n"
        "try: gpu_name(sys.argv[1])\nexcept OSError as error: print(error)"
    )
    library = stand_ins.build_driver(tmp_path)
    done = subprocess.run([sys.executable, "-c", code, library], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.startswith("the NVIDIA driver finds no GPU"), done.stderr


def test_where_tensorrt_cannot_be_installed_the_rest_is(tmp_path: Path) -> None:
    setup = tmp_path / "setup"
    setup.write_text('#!/bin/sh\n[ "$1" = torch ]\n')
    setup.chmod(0o755)
    assert install(("nvidia", "torch"), setup) == "torch"
    with pytest.raises(SystemExit, match="nothing could be installed; without network: --no-install"):
        install(("nvidia",), setup)


def test_a_crash_costs_no_other_part() -> None:
    crash = MEASURES + "; import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    raised = MEASURES + "; raise ValueError('no such kernel')"
    found = run(part("crash", crash), part("raised", raised), part("after"))
    assert [found[name]["state"] for name in ("crash", "raised", "after")] == ["failed", "failed", "done"]
    assert (found["crash"]["ended_by"], found["raised"]["ended_by"]) == ("SIGSEGV", "exit code 1")
    assert found["raised"]["last_lines"][-1] == "ValueError: no such kernel"
    assert all(each["figures"] == {"field, ms": 1.5} for each in found.values())


def test_a_hang_is_ended_with_what_it_has_started_and_its_figures_are_kept(tmp_path: Path) -> None:
    late = tmp_path / "late"
    child = f"import time, pathlib; time.sleep(4); pathlib.Path({str(late)!r}).touch()"
    hang = f"import subprocess, sys, time; {MEASURES}; subprocess.Popen([sys.executable, '-c', {child!r}])"
    began_s = time.monotonic()
    found = run(part("hang", hang + "; time.sleep(600)", limit_s=2), part("after"))
    assert time.monotonic() - began_s < 60
    assert found["hang"]["state"] == "over time"
    assert found["hang"]["figures"] == {"field, ms": 1.5}
    assert found["after"]["state"] == "done"
    time.sleep(max(0.0, began_s + 8 - time.monotonic()))
    assert not late.exists()


def test_when_the_budget_ends_a_part_is_cut_and_the_others_are_skipped() -> None:
    found = run(part("long", "import time; time.sleep(600)"), part("after"), budget_s=5.5)
    assert [each["state"] for each in found.values()] == ["cut", "skipped"]


def test_a_missing_package_is_said_and_is_no_failure() -> None:
    found = run(part("missing", f"print('needs tensorrt'); raise SystemExit({NOT_INSTALLED})"))
    assert found["missing"]["state"] == "not installed"
    assert found["missing"]["last_lines"] == ["needs tensorrt"]


def test_the_files_are_whole_after_each_part(tmp_path: Path) -> None:
    seen = []

    def write(found: Results) -> None:
        write_results(tmp_path, "some-gpu", {"gpu": "Some GPU"}, found)
        seen.append(json.loads((tmp_path / "some-gpu.json").read_text()))

    run_all([part("one"), part("two", "raise SystemExit(5)")], sys.executable, 120, write)
    assert [list(each["parts"]) for each in seen] == [["one"], ["one", "two"]]
    text = (tmp_path / "some-gpu.txt").read_text()
    assert "gpu: Some GPU" in text
    assert "1 done, 1 failed" in text
    assert "field, ms: 1.5" in text
    assert "two: exit code 5" in text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["some-gpu.json", "some-gpu.txt"]


def test_every_test_that_needs_a_gpu_has_a_part() -> None:
    marked = [path for path in ROOT.glob("tests/**/test_*.py") if "@pytest.mark.gpu" in path.read_text()]
    named = {argument for each in PARTS for argument in each.arguments if argument.endswith(".py")}
    assert {path.relative_to(ROOT).as_posix() for path in marked} - {"tests/test_gpu_check.py"} == named


@pytest.mark.parametrize("each", NEED_A_GPU, ids=lambda p: p.name)
def test_a_part_that_measures_says_why_it_cannot(each: Part) -> None:
    """Without a GPU: the process starts, finds its imports, and ends with one reason."""
    if has_nvidia_driver():
        pytest.skip("there is a driver")
    found = run(each)[each.name]
    assert found["state"] in ("failed", "not installed")
    assert any(word in found["last_lines"][-1] for word in ("CUDA", "GPU", "not installed"))


def test_launched_without_graphs_an_engine_gives_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = ctypes.CDLL(str(stand_ins.build_driver(tmp_path)))
    monkeypatch.setitem(sys.modules, "tensorrt", stand_ins.tensorrt(library))
    cuda, tally = Cuda(library), stand_ins.Tally(library)
    logits, launches = [], []
    for driver in (cuda, NoGraphs(cuda)):
        backend = TensorRT("tensorrt", "tensorrt", "", lambda driver=driver: driver)  # type: ignore[misc]
        engine = loaded(backend, tmp_path, "continual")
        logits.append(stepped(engine, noise(80), engine.start())[0])
        launches.append(tally.launches)
    assert launches[0] > 0
    assert launches[1] == launches[0]
    np.testing.assert_array_equal(*logits)
