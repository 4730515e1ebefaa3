"""Choosing a backend: what is asked for runs or is an error, and `auto` says what it chose and why."""

import importlib
import subprocess
import sys

import numpy as np
import pytest
import torch

from engines.backends import registry as backends
from engines.backends.registry import Plan, backend_module, choose_backend
from engines.errors import EngineError, UsageError, WeightsError
from engines.spec import RGB, Weights
from tests.support.backends import Runs, register
from tests.support.networks import CLASSES, noise, random_tensors

WEIGHTS = Weights("random", "rgb", tuple("abcde"), "0" * 64, "a test", "none")


def test_an_unknown_backend_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"'tensorflow' is not known; choose one of auto, .*openvino.*torch"):
        choose_backend("tensorflow")


def test_a_backend_whose_package_is_missing_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        backends.REGISTRY, "absent", ("engines.backends.registry.absent", "no_such_package", "pip install x")
    )
    with pytest.raises(EngineError, match=r"needs the package no_such_package, .*: pip install x"):
        choose_backend("absent")


def test_a_backend_that_cannot_run_here_is_an_error_with_its_own_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    register(monkeypatch, Runs("no processor"), "openvino")
    with pytest.raises(EngineError, match="backend openvino cannot run here: no processor"):
        choose_backend("openvino")


def test_auto_takes_the_next_one_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_backend("auto", no_driver) == ("openvino", "auto: no NVIDIA driver here")
    register(monkeypatch, Runs("no processor"), "openvino")
    chosen = choose_backend("auto", no_driver)
    assert chosen == ("torch", "auto: no NVIDIA driver here; not openvino: no processor")
    register(monkeypatch, Runs("broken"), "torch")
    with pytest.raises(
        EngineError, match=r"no backend can run here: not openvino: no processor; not torch: broken"
    ):
        choose_backend("auto", no_driver)


def no_driver() -> bool:
    return False


def test_where_there_is_a_gpu_that_torch_cannot_use_auto_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("tensorrt", "tensorrt-rtx"):
        register(monkeypatch, Runs("not now"), name)
    register(monkeypatch, Runs(device="CPU x86_64"), "torch")
    name, why = choose_backend("auto", lambda: True)
    assert name == "openvino"
    assert why == (
        "auto: an NVIDIA driver is here; not tensorrt: not now; not tensorrt-rtx: not now; "
        "not torch: it finds no CUDA device"
    )


def test_looking_at_the_backends_imports_none_of_them() -> None:
    code = (
        "import sys, engines.backends.registry, engines.build, engines.check, engines.runtime.whole_clip, engines.engine, engines.runtime.continual\n"
        "heavy = {'torch', 'openvino', 'nncf', 'tensorrt', 'onnx'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_registered_module_offers_what_a_backend_must() -> None:
    wanted = {name for name in dir(backends.Backend) if not name.startswith("_")} | {
        "COMPILES",
        "COMPUTES_I3D",
    }
    for name, (_, package, _) in backends.REGISTRY.items():
        if importlib.util.find_spec(package) is not None:
            assert wanted <= set(dir(backend_module(name))), name


def test_torch_on_a_cpu_refuses_half_precision() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    module = backend_module("torch")
    with pytest.raises(UsageError, match=r"torch cannot run float16 on CPU .*; choose one of float32"):
        module.load(Plan(RGB, WEIGHTS, "window", "float16"), None, random_tensors())


@pytest.mark.parametrize("fault", ["missing", "extra", "shape"])
def test_weights_that_do_not_fit_are_named(fault: str) -> None:
    tensors = random_tensors()
    if fault == "missing":
        del tensors["Mixed_4c.b2b.bn.bias"]
    elif fault == "extra":
        tensors["Mixed_4c.b2b.bn.bias2"] = tensors["Mixed_4c.b2b.bn.bias"]
    else:
        tensors["Mixed_4c.b2b.bn.bias"] = np.zeros(3, np.float32)
    with pytest.raises(WeightsError, match=r"Mixed_4c.b2b.bn.bias"):
        backend_module("torch").load(Plan(RGB, WEIGHTS, "continual", "float32"), None, tensors)


@pytest.mark.gpu
@pytest.mark.parametrize("mode", ["window", "continual", "preview"])
def test_torch_on_cuda_is_within_the_tolerance_of_half_precision(mode: str) -> None:
    """CUDA graphs, channels last, float16 against float32 on the CPU, two streams together."""
    from engines.check import check

    tensors = random_tensors(divide=1)
    engine = backend_module("torch").load(Plan(RGB, WEIGHTS, mode, "float16"), None, tensors)  # type: ignore[arg-type]
    assert not check(engine, tensors).failures
    chunk = noise(engine.chunk_ticks, batch=2, px=224)
    positions, _ = engine.step(chunk, engine.start(2))
    assert positions.logits.shape[::2] == (2, CLASSES)
