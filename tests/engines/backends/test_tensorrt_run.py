"""All of running a TensorRT engine except the GPU: addresses, turns, graphs and batches, on stand-ins."""

import ctypes
import gc
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from engines.backends.tensorrt import backend as tensorrt
from engines.backends.tensorrt.cuda import Cuda
from engines.engine import STEP_TICKS, Engine
from engines.errors import EngineError
from engines.head import head_of, save_head
from engines.runtime.whole_clip import clip_logits
from engines.spec import Mode
from tests.conftest import ROOT
from tests.engines.backends.test_onnx import TENSORS, model
from tests.support import stand_ins
from tests.support.backends import register
from tests.support.networks import CLASSES, SMALL_PX, noise, plan, small_engine

TOLERANCE = 1e-4
FEATURES = head_of(TENSORS[3]).kernel.shape[1]
PARTS: dict[Mode, tuple[str, ...]] = {
    "window": ("window",),
    "continual": ("interior", "boundary"),
    "preview": ("interior", "boundary", "preview"),
}


@pytest.fixture(scope="module")
def driver_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stand_ins.build_driver(tmp_path_factory.mktemp("driver"))


@pytest.fixture(scope="module")
def driver(driver_file: Path) -> ctypes.CDLL:
    return ctypes.CDLL(str(driver_file))


@pytest.fixture
def backend(driver: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch) -> tensorrt.TensorRT:
    """TensorRT on a GPU, both of them stand-ins."""
    cuda = Cuda(driver)
    monkeypatch.setitem(sys.modules, "tensorrt", stand_ins.tensorrt(driver))
    return tensorrt.TensorRT("tensorrt", "tensorrt", "pip install tensorrt", lambda: cuda)


def stored(folder: Path, mode: Mode, channels: int = 3) -> Path:
    """The files of an engine, as TensorRT's stand-in reads them."""
    for name in PARTS[mode]:
        (folder / f"{name}.engine").write_bytes(model(name, channels))
    save_head(head_of(TENSORS[channels]), folder)
    return folder


def loaded(backend: tensorrt.TensorRT, folder: Path, mode: Mode, channels: int = 3) -> Engine:
    return backend.load(plan(mode, channels), stored(folder, mode, channels), None)


def stepped(engine: Engine, ticks: np.ndarray, state: object, **options: bool) -> tuple[np.ndarray, object]:
    found = []
    for start in range(0, ticks.shape[1] - 7, 8):
        positions, state = engine.step(ticks[:, start : start + 8], state, **options)
        found.append(positions.logits)
    return np.concatenate(found, axis=1), state


@pytest.mark.parametrize("channels", [3, 2])
@pytest.mark.parametrize("mode", ["continual", "preview"])
def test_a_clip_gets_the_logits_that_torch_gives(
    backend: tensorrt.TensorRT, tmp_path: Path, mode: Mode, channels: int
) -> None:
    """The steps in which the clip begins and ends, and those between, of which the later ones replay a graph."""
    ticks = noise(163, channels)[0]
    wanted = clip_logits(small_engine(TENSORS[channels], mode, channels), ticks, len(ticks))
    found = clip_logits(loaded(backend, tmp_path, mode, channels), ticks, len(ticks))
    assert found.shape == (20, CLASSES)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=TOLERANCE)


def test_provisional_logits_are_those_that_torch_gives(backend: tensorrt.TensorRT, tmp_path: Path) -> None:
    engine, reference = loaded(backend, tmp_path, "preview"), small_engine(TENSORS[3], "preview")
    ticks = noise(112)
    found, state = stepped(engine, ticks, engine.start())
    wanted, _ = stepped(reference, ticks, reference.start())
    np.testing.assert_allclose(found, wanted, rtol=0, atol=TOLERANCE)
    spared, _ = engine.step(ticks[:, :8], state, preview=False)
    assert spared.logits.shape == (1, 1, CLASSES)


@pytest.mark.parametrize("batch", [1, 9])
def test_windows_run_in_launches_of_eight(backend: tensorrt.TensorRT, tmp_path: Path, batch: int) -> None:
    engine = loaded(backend, tmp_path, "window")
    chunk = noise(64, batch=batch)
    from engines.backends.pytorch import WholeVideo

    wanted = WholeVideo(TENSORS[3])(chunk)
    for _ in range(3):  # run directly, captured, replayed
        positions, _ = engine.step(chunk, engine.start(batch))
        np.testing.assert_allclose(positions.logits, wanted, rtol=0, atol=TOLERANCE)


def test_only_ticks_are_uploaded_and_only_cells_downloaded(
    backend: tensorrt.TensorRT, driver: ctypes.CDLL, tmp_path: Path
) -> None:
    engine, tally = loaded(backend, tmp_path, "continual"), stand_ins.Tally(driver)
    ticks = noise(120)
    _, state = stepped(engine, ticks, engine.start())  # the video has begun, both turns are captured
    before = {
        name: getattr(tally, name) for name in ("uploaded", "downloaded", "launches", "graphs", "allocated")
    }
    stepped(engine, ticks, state)
    change = {name: getattr(tally, name) - value for name, value in before.items()}
    assert change == {
        "uploaded": 15 * STEP_TICKS * SMALL_PX * SMALL_PX * 3,
        "downloaded": 15 * FEATURES * 4,
        "launches": 15,
        "graphs": 0,
        "allocated": 0,
    }


def test_a_dropped_state_frees_all_that_it_held(
    backend: tensorrt.TensorRT, driver: ctypes.CDLL, tmp_path: Path
) -> None:
    engine, tally = loaded(backend, tmp_path, "continual"), stand_ins.Tally(driver)
    stepped(engine, noise(96), engine.start())
    gc.collect()
    held, graphs = tally.allocated, tally.graphs
    _, state = stepped(engine, noise(96), engine.start())
    assert tally.allocated > held
    assert tally.graphs > graphs
    del state
    gc.collect()
    assert (tally.allocated, tally.graphs) == (held, graphs)


def test_a_missing_or_refused_file_is_an_error_that_names_it(
    backend: tensorrt.TensorRT, tmp_path: Path
) -> None:
    with pytest.raises(EngineError, match=r"window.engine cannot be read: No such file .*--rebuild"):
        backend.load(plan("window"), tmp_path, None)
    (tmp_path / "window.engine").write_bytes(b"of another version")
    with pytest.raises(EngineError, match=r"tensorrt cannot load .*: magic tag does not match; build again"):
        backend.load(plan("window"), tmp_path, None)


def test_a_failed_step_is_an_error(
    backend: tensorrt.TensorRT, driver: ctypes.CDLL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", stand_ins.tensorrt(driver, broken=True))
    engine = loaded(backend, tmp_path, "continual")
    with pytest.raises(EngineError, match="TensorRT cannot run a step: it gives no reason"):
        engine.step(noise(8), engine.start())


def test_graphs_that_do_not_fit_together_are_refused(backend: tensorrt.TensorRT, tmp_path: Path) -> None:
    stored(tmp_path, "continual")
    (tmp_path / "boundary.engine").write_bytes(model("window"))
    with pytest.raises(EngineError, match="do not remember the same"):
        backend.load(plan("continual"), tmp_path, None)


def test_a_bundle_holds_the_same_files(backend: tensorrt.TensorRT, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    backend.pack(plan("continual"), TENSORS[3], stored(tmp_path, "continual"), out)
    assert sorted(path.name for path in out.iterdir()) == ["boundary.engine", "head.npy", "interior.engine"]
    backend.load(plan("continual"), out, None)


def test_the_manifest_names_all_that_shaped_an_engine(
    backend: tensorrt.TensorRT, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from engines import build

    register(monkeypatch, backend, "tensorrt")
    facts = build.manifest(plan("continual"), "tensorrt", None)
    assert facts["processor"].startswith("Stand-in 4090 ")
    assert facts["versions"] == {
        "flavour": "tensorrt",
        "tensorrt": "11.0",
        "compute_capability": "8.9",
        "batch": "1 to 8, best at 1",
    }
    assert {"weights_sha256", "spec", "mode", "precision", "code_sha256"} <= set(facts)


def test_running_imports_neither_torch_nor_onnx(driver_file: Path, tmp_path: Path) -> None:
    """As on a Jetson: the files, numpy, TensorRT and the driver."""
    stored(tmp_path, "continual")
    code = f"""
import ctypes, sys, numpy as np
from dataclasses import replace
from pathlib import Path
from engines.backends.registry import Plan
from engines.backends.tensorrt import backend as tensorrt
from engines.backends.tensorrt.cuda import Cuda
from engines.spec import RGB, Weights
from tests.support import stand_ins
driver = ctypes.CDLL({str(driver_file)!r})
cuda = Cuda(driver)
sys.modules["tensorrt"] = stand_ins.tensorrt(driver)
backend = tensorrt.TensorRT("tensorrt", "tensorrt", "", lambda: cuda)
weights = Weights("random", "rgb", tuple("abcde"), "0" * 64, "a test", "none")
engine = backend.load(Plan(replace(RGB, crop_px=32), weights, "continual", "float32"), Path({str(tmp_path)!r}), None)
positions, state = engine.step(np.zeros((1, 8, 32, 32, 3), np.uint8), engine.start())
assert positions.logits.shape == (1, 1, 5)
assert not {{"torch", "onnx"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
