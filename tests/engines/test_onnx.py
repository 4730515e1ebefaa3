"""The ONNX graphs against the torch modules they were written from, computed by onnxruntime."""

from functools import cache

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from onnx import TensorProto, numpy_helper
from torch import Tensor, nn

from engines.backends import Plan
from engines.check import check
from engines.errors import EngineError
from engines.graphs import Graph, graphs
from engines.onnx_export import to_onnx
from engines.spec import RGB, Mode, Weights
from engines.window import WindowEngine
from tests.engines.nets import noise, random_tensors, small_spec

TENSORS = {3: random_tensors(3), 2: random_tensors(2, seed=1)}
NAMES = ("window", "midst", "edge", "preview")
TOLERANCE = 1e-4
"""Logits of about 1 in float32, summed in another order."""


def plan(mode: Mode, channels: int = 3, precision: str = "float32") -> Plan:
    spec = small_spec(channels)
    weights = Weights("random", spec.modality, tuple("abcde"), "0" * 64, "a test", "none")
    return Plan(spec, weights, mode, precision)


@cache
def graph(name: str, channels: int = 3, precision: str = "float32") -> Graph:
    mode: Mode = "window" if name == "window" else "preview"
    made = graphs(plan(mode, channels, precision), TENSORS[channels])
    return next(one for one in made if one.name == name)


@cache
def model(name: str, channels: int = 3, precision: str = "float32") -> bytes:
    return to_onnx(graph(name, channels, precision))


def session(model: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def inputs_like(graph: Graph, batch: int) -> dict[str, np.ndarray]:
    """Ticks, bounds that cut both ends off, and memories of anything that could be remembered."""
    generator = np.random.default_rng(5)
    found = {}
    for name, example in graph.inputs.items():
        shape = (batch, *example.shape[1:])
        if name == "chunk":
            found[name] = noise(shape[1], shape[-1], batch, seed=3)
        elif name == "bounds":
            found[name] = np.stack((np.arange(batch) - 4, np.full(batch, 6)), axis=1).astype(np.int32)
        else:
            low = -1 if name == "memory0" else 0  # all others have gone through a ReLU
            found[name] = generator.uniform(low, 1, shape).astype(example.numpy().dtype)
    return found


@pytest.mark.parametrize("channels", [3, 2])
@pytest.mark.parametrize("name", NAMES)
def test_the_graph_computes_what_the_module_computes(name: str, channels: int) -> None:
    made, run = graph(name, channels), session(model(name, channels))
    for batch in (1, 3):
        inputs = inputs_like(made, batch)
        with torch.inference_mode():
            wanted = made.module(*(torch.from_numpy(x) for x in inputs.values()))
        found = run.run(None, inputs)
        assert len(found) == len(made.outputs) == len(wanted)
        for output, x, y in zip(made.outputs, found, wanted, strict=True):
            np.testing.assert_allclose(x, y.numpy(), rtol=0, atol=TOLERANCE, err_msg=output)
    assert np.abs(found[0]).max() > 0.1


def test_ticks_are_scaled_in_the_graph_as_the_reference_scales_them() -> None:
    """Against the network on ticks that it scales itself."""
    from engines.backends.torch import WholeVideo

    chunk = noise(64, seed=4)
    (found,) = session(model("window")).run(None, {"chunk": chunk})
    np.testing.assert_allclose(found, WholeVideo(TENSORS[3])(chunk), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("channels", [3, 2])
@pytest.mark.parametrize("name", NAMES)
def test_padding_is_inside_the_layers(name: str, channels: int) -> None:
    nodes = onnx.load_from_string(model(name, channels)).graph.node
    counts = {
        op: sum(node.op_type == op for node in nodes)
        for op in ("Conv", "MaxPool", "Pad", "BatchNormalization")
    }
    assert counts == {"Conv": 58, "MaxPool": 13, "Pad": 0, "BatchNormalization": 0}
    pads = {
        node.name or node.output[0]: attribute(node, "pads")
        for node in nodes
        if node.op_type in ("Conv", "MaxPool")
    }
    first, pool, *_ = pads.values()
    time = {"window": (2, 3), "midst": (0, 0), "edge": (0, 3), "preview": (0, 3)}[name]
    assert first == [time[0], 2, 2, time[1], 3, 3]  # of seven, stride two: the smaller half in front
    assert pool == [0, 0, 0, 0, 1, 1]


def attribute(node: onnx.NodeProto, name: str) -> list[int]:
    return next(list(a.ints) for a in node.attribute if a.name == name)


@pytest.mark.parametrize("name", NAMES)
def test_only_the_batch_varies(name: str) -> None:
    body = onnx.load_from_string(model(name)).graph
    for port in (*body.input, *body.output):
        batch, *others = port.type.tensor_type.shape.dim
        assert batch.dim_param == "batch"
        assert all(dim.dim_value > 0 for dim in others)
    assert [port.name for port in body.input] == list(graph(name).inputs)
    assert [port.name for port in body.output] == list(graph(name).outputs)


@pytest.mark.parametrize("name", ["window", "edge"])
def test_half_precision_is_the_type_of_the_graph(name: str) -> None:
    made, data = graph(name, 3, "float16"), model(name, 3, "float16")
    body = onnx.load_from_string(data).graph
    weights = [numpy_helper.to_array(x) for x in body.initializer if len(x.dims) == 5]
    assert len(weights) == 58
    assert {weight.dtype for weight in weights} == {np.dtype(np.float16)}
    types = {port.name: port.type.tensor_type.elem_type for port in (*body.input, *body.output)}
    assert types.pop("chunk") == TensorProto.UINT8
    assert types.pop("logits") == TensorProto.FLOAT
    assert types.pop("bounds", TensorProto.INT32) == TensorProto.INT32
    assert set(types.values()) <= {TensorProto.FLOAT16}
    inputs = inputs_like(made, 2)
    found = session(data).run(None, inputs)
    with torch.inference_mode():
        exact = graph(name).module(
            *(torch.from_numpy(x.astype(np.float32) if x.dtype == np.float16 else x) for x in inputs.values())
        )
    assert 0 < np.abs(found[0] - exact[0].numpy()).max() < 0.02


class Doubtful(nn.Module):
    """Something that no network here does."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what = what

    def forward(self, x: Tensor) -> tuple[Tensor]:
        return (torch.sin(x) if self.what == "sine" else F.relu(F.pad(x, (0, 1, 0, 0, 0, 0))),)


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("sine", "aten.sin.default cannot be written as ONNX yet"),
        ("pad", "padding can only go into a convolution"),
    ],
)
def test_what_is_not_known_is_refused(what: str, words: str) -> None:
    doubtful = Graph("doubtful", Doubtful(what), {"x": torch.zeros(1, 2, 3, 4, 5)}, ("y",))
    with pytest.raises(EngineError, match=words):
        to_onnx(doubtful)


@pytest.mark.weights
def test_the_trained_network_in_half_precision_passes_its_check(kinetics: dict[str, np.ndarray]) -> None:
    """One window at full size, weights and what flows between layers rounded to float16, against the reference."""
    weights = Weights("kinetics", "rgb", tuple(map(str, range(400))), "0" * 64, "a test", "none")
    (window,) = graphs(Plan(RGB, weights, "window", "float16"), kinetics)
    run = session(to_onnx(window))
    engine = WindowEngine(
        RGB, weights, "onnxruntime", "float16", "CPU", lambda chunk: run.run(None, {"chunk": chunk})[0]
    )
    report = check(engine, kinetics)
    assert not report.failures
    assert report.comparisons[0].answers == 7
