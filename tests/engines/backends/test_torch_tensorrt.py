"""Torch-TensorRT's dry run: whether all of each network can be converted, without a GPU.

The package is not part of the development set-up: with its torch it is over 5 GB. Where it is installed, these run.
"""

import importlib.util
import logging
from types import SimpleNamespace

import pytest
import torch

from engines.backends import registry as backends
from engines.backends import torch_tensorrt
from engines.backends.graphs import graphs
from engines.backends.registry import backend_module, choose_backend
from engines.backends.torch_operations import TorchGraph, fresh
from engines.errors import EngineError
from engines.spec import Mode
from tests.support.networks import plan, random_tensors, small_spec

needs_package = pytest.mark.skipif(
    importlib.util.find_spec("torch_tensorrt") is None,
    reason="needs torch-tensorrt, over 5 GB with its torch",
)


@pytest.fixture
def pretended_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers to what torch_tensorrt asks torch about the GPU when it is imported and when it compiles."""
    if torch.cuda.is_available():
        return
    facts = SimpleNamespace(
        name="NVIDIA L4", major=8, minor=9, total_memory=24 << 30, multi_processor_count=58
    )
    for name, answer in {
        "get_device_properties": facts,
        "get_device_capability": (8, 9),
        "get_device_name": "NVIDIA L4",
        "current_device": 0,
        "mem_get_info": (24 << 30, 24 << 30),
    }.items():
        monkeypatch.setattr(torch.cuda, name, lambda *_, answer=answer: answer)


@needs_package
@pytest.mark.usefixtures("pretended_gpu")
@pytest.mark.parametrize("mode", ["window", "preview"])
def test_all_of_every_graph_can_be_converted(mode: Mode, caplog: pytest.LogCaptureFixture) -> None:
    for graph in graphs(small_spec(3), mode, random_tensors(), "float16"):
        inputs = [torch.zeros((1, *p.shape), dtype=getattr(torch, p.dtype)) for p in graph.inputs.values()]
        memories = [] if mode == "window" else fresh(graph)
        caplog.clear()
        with caplog.at_level(logging.INFO):
            torch_tensorrt.compiled(TorchGraph(graph), [*inputs, *memories], dryrun=True)
        assert "100.0% coverage" in caplog.text, graph.name


def test_without_a_gpu_it_says_so() -> None:
    if backends.has_nvidia_driver():
        pytest.skip("there is a driver")
    assert "torch finds no CUDA device; install" in str(torch_tensorrt.unavailable())


def test_without_the_package_it_says_what_to_install() -> None:
    if importlib.util.find_spec("torch_tensorrt") is not None:
        pytest.skip("the package is installed")
    with pytest.raises(
        EngineError, match=r"needs the package torch_tensorrt, .*: pip install \'i3d-live\[nvidia\]\'"
    ):
        choose_backend("torch-tensorrt")


@pytest.mark.gpu
@needs_package
@pytest.mark.parametrize("mode", ["window", "continual", "preview"])
def test_an_engine_on_a_gpu_is_within_the_tolerance(mode: Mode) -> None:
    from dataclasses import replace

    from engines.check import check
    from engines.spec import RGB

    tensors = random_tensors(divide=1)
    engine = backend_module("torch-tensorrt").load(replace(plan(mode, 3, "float16"), spec=RGB), None, tensors)
    assert not check(engine, tensors).failures
