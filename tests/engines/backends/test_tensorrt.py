"""Building with TensorRT-RTX for GPUs that are not present, and the errors without a GPU. For running, see
test_tensorrt_run.py."""

import importlib.util
from collections import Counter
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engines.backends import registry as backends
from engines.backends.graphs import Graph, graphs
from engines.backends.onnx_writer import to_onnx
from engines.backends.registry import Plan, backend_module, choose_backend
from engines.backends.tensorrt import backend as tensorrt
from engines.backends.tensorrt.run import MAX_BATCH
from engines.check import check
from engines.errors import EngineError
from engines.spec import FLOW, RGB, Mode, Weights
from tests.engines.backends.test_onnx import TENSORS, memories_of, model
from tests.support.backends import Runs, register
from tests.support.networks import noise, plan, random_tensors

needs_rtx = pytest.mark.skipif(
    importlib.util.find_spec("tensorrt_rtx") is None, reason="needs TensorRT-RTX: pip install 'i3d-live[rtx]'"
)
SPECS = {"rgb": RGB, "flow": FLOW}
CLASSES = 400
ENGINES: list[tuple[str, Mode]] = [
    (stream, mode) for stream in SPECS for mode in ("window", "continual", "preview")
]
GPUS = ((8, 0), (8, 6), (8, 9), (12, 0))
"""A100; RTX 30; RTX 40 and L4; RTX 50."""


@cache
def full_size(stream: str, mode: Mode) -> dict[str, tuple[Graph, bytes]]:
    """The graphs of the engine as they are built for use, in half precision, and as ONNX."""
    spec = SPECS[stream]
    tensors = random_tensors(spec.channels, CLASSES, divide=1)
    made = {graph.name: graph for graph in graphs(spec, mode, tensors, "float16")}
    known = {"interior": full_size(stream, "continual")["interior"]} if mode == "preview" else {}
    return {name: known.get(name) or (graph, to_onnx(graph)) for name, graph in made.items()}


@needs_rtx
@pytest.mark.parametrize(("stream", "mode"), ENGINES)
def test_the_network_is_what_was_exported(stream: str, mode: Mode) -> None:
    """Layers, their types and padding, and the shapes and types of inputs and outputs, as TensorRT sees them."""
    import tensorrt_rtx as trt

    for name, (graph, onnx) in full_size(stream, mode).items():
        _, network, _parser = tensorrt.RTX.parsed(onnx)
        layers = [network.get_layer(i) for i in range(network.num_layers)]
        counts = Counter(layer.type for layer in layers)
        assert counts[trt.LayerType.CONVOLUTION] == 57
        assert counts[trt.LayerType.POOLING] == 14
        assert counts[trt.LayerType.ACTIVATION] == 57
        assert counts[trt.LayerType.PADDING] == 0
        computing = (trt.LayerType.CONVOLUTION, trt.LayerType.POOLING, trt.LayerType.ACTIVATION)
        assert {x.get_output(0).dtype for x in layers if x.type in computing} == {trt.DataType.HALF}
        first = next(layer for layer in layers if layer.type == trt.LayerType.CONVOLUTION)
        first.__class__ = trt.IConvolutionLayer
        front, behind = (2, 3) if name == "window" else (0, 3 if graph.looks_ahead else 0)
        assert (tuple(first.pre_padding), tuple(first.post_padding)) == ((front, 2, 2), (behind, 3, 3))
        assert ports(network) == wanted_ports(graph)


def ports(network: Any) -> dict[str, tuple[str, tuple[int, ...]]]:
    both = [network.get_input(i) for i in range(network.num_inputs)]
    both += [network.get_output(i) for i in range(network.num_outputs)]
    return {port.name: (port.dtype.name, tuple(port.shape)) for port in both}


def wanted_ports(graph: Graph) -> dict[str, tuple[str, tuple[int, ...]]]:
    names = {"uint8": "UINT8", "float16": "HALF", "int32": "INT32"}
    wanted = {name: (names[port.dtype], (-1, *port.shape)) for name, port in graph.inputs.items()}
    for i, memory in enumerate(memories_of(graph)):
        wanted |= dict.fromkeys((f"memory{i}", f"next{i}"), ("HALF", (-1, *memory.shape[1:])))
    positions = 7 if graph.name == "window" or graph.looks_ahead else 1
    return wanted | {"cells": ("FLOAT", (-1, positions, 7, 7, 1024))}


@needs_rtx
@pytest.mark.parametrize(("stream", "mode"), ENGINES)
def test_every_engine_builds_for_every_gpu(stream: str, mode: Mode) -> None:
    """One build for all of them; the next test shows that each must be possible. Half-precision weights are 25 MB."""
    built_already = {"interior"} if mode == "preview" else set()
    for name, (_, onnx) in full_size(stream, mode).items():
        if name not in built_already:
            assert 24e6 < len(tensorrt.RTX.compile(onnx, *GPUS)) < 40e6


@needs_rtx
@pytest.mark.parametrize("capabilities", [[(7, 5)], [(8, 9), (7, 5)]])
def test_what_a_gpu_cannot_do_is_an_error_in_tensorrts_words(capabilities: list[tuple[int, int]]) -> None:
    with pytest.raises(
        EngineError, match=r"tensorrt_rtx cannot build for compute capability .*7\.5: .*Turing"
    ):
        tensorrt.RTX.compile(model("window"), *capabilities)


@needs_rtx
def test_a_gpu_that_rtx_does_not_know_is_named() -> None:
    with pytest.raises(EngineError, match=r"does not know compute capability 9.0; it knows .*SM89"):
        tensorrt.RTX.compile(model("window"), (9, 0))


@needs_rtx
def test_bytes_that_are_not_a_network_are_an_error_in_tensorrts_words() -> None:
    with pytest.raises(EngineError, match=r"tensorrt_rtx cannot read the network: .*\w"):
        tensorrt.RTX.compile(b"nothing", (8, 9))


@needs_rtx
def test_a_build_writes_a_file_for_every_graph(tmp_path: Path) -> None:
    rtx_on((8, 9)).build(plan("preview", 2, "float16"), TENSORS[2], tmp_path, None)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "boundary.engine",
        "head.npy",
        "interior.engine",
        "preview.engine",
    ]
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 4


@needs_rtx
def test_a_good_engine_without_a_gpu_is_an_error_in_tensorrts_words(tmp_path: Path) -> None:
    if backends.has_nvidia_driver():
        pytest.skip("there is a driver")
    (tmp_path / "window.engine").write_bytes(tensorrt.RTX.compile(model("window"), (8, 9)))
    with pytest.raises(EngineError, match=r"tensorrt_rtx cannot load .*window.engine: .*(cuda|CUDA)"):
        rtx_on((8, 9)).load(plan("window"), tmp_path, None)


@needs_rtx
def test_without_a_driver_the_backend_says_what_to_install() -> None:
    if backends.has_nvidia_driver():
        pytest.skip("there is a driver")
    with pytest.raises(
        EngineError, match=r"backend tensorrt-rtx cannot run here: no NVIDIA driver: .*install"
    ):
        choose_backend("tensorrt-rtx")


def test_bindings_without_their_libraries_say_what_to_install() -> None:
    broken = tensorrt.TensorRT("tensorrt", "tests.engines.no_such_library", "pip install x")
    with pytest.raises(EngineError, match=r"no_such_library cannot be loaded: .*; pip install x"):
        broken.parsed(b"")


@needs_rtx
@pytest.mark.parametrize(
    ("capability", "words"),
    [((8, 9), None), ((9, 0), "tensorrt_rtx does not know Some GPU, compute capability 9.0")],
)
def test_only_a_gpu_that_tensorrt_knows_is_available(capability: tuple[int, int], words: str | None) -> None:
    assert rtx_on(capability).unavailable() == words


def rtx_on(capability: tuple[int, int]) -> tensorrt.TensorRT:
    """TensorRT-RTX with a driver that reports a GPU, and can do nothing else."""
    gpu: Any = SimpleNamespace(name="Some GPU", capability=capability)
    return tensorrt.TensorRT("tensorrt-rtx", "tensorrt_rtx", "", lambda: gpu)


def test_auto_prefers_tensorrt_on_nvidia_then_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    made = {name: Runs(device="NVIDIA L4") for name in ("tensorrt", "tensorrt-rtx", "torch")}
    for name, backend in made.items():
        register(monkeypatch, backend, name)
    choose = partial(choose_backend, "auto", lambda: True)
    assert choose() == ("tensorrt", "auto: an NVIDIA driver is here")
    made["tensorrt"].against = "no libnvinfer"
    assert choose() == (
        "tensorrt-rtx",
        "auto: an NVIDIA driver is here; not tensorrt: no libnvinfer",
    )
    made["tensorrt-rtx"].against = "it does not know this GPU"
    assert choose()[0] == "torch"
    assert "not tensorrt-rtx: it does not know this GPU" in choose()[1]


@pytest.mark.gpu
@pytest.mark.parametrize("mode", ["window", "continual", "preview"])
def test_an_engine_on_a_gpu_is_within_the_tolerance(mode: Mode, tmp_path: Path) -> None:
    """Built and run with the TensorRT of this machine, against the reference; then with one stream more than
    a batch takes."""
    names = [name for name in ("tensorrt", "tensorrt-rtx") if runs(name)]
    if not names:
        pytest.skip("no TensorRT that runs on this GPU is installed")
    tensors = random_tensors(divide=1)
    weights = Weights("random", "rgb", tuple("abcde"), "0" * 64, "a test", "none")
    made = Plan(RGB, weights, mode, "float16")
    backend = backend_module(names[0])
    backend.build(made, tensors, tmp_path, None)
    engine = backend.load(made, tmp_path, None)
    assert not check(engine, tensors).failures
    chunk = noise(engine.chunk_ticks, batch=MAX_BATCH + 1, px=224)
    state, old_alone = engine.start(MAX_BATCH + 1), engine.start()
    for _ in range(12):
        positions, state = engine.step(chunk, state)
        _, old_alone = engine.step(chunk[:1], old_alone)
    alone, _ = engine.step(chunk[:1], old_alone)
    together, _ = engine.step(chunk, state)
    assert abs(alone.logits[0] - together.logits[0]).max() < 0.05
    assert positions.settled


def runs(name: str) -> bool:
    try:
        choose_backend(name)
    except EngineError:
        return False
    return True
