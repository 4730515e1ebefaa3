"""The ONNX graphs, run by onnxruntime, against the same description of the network in torch."""

from functools import cache
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, numpy_helper

from engines.backends.graphs import Graph, Port, graphs
from engines.backends.onnx_writer import to_onnx
from engines.backends.torch_operations import TorchGraph, fresh
from engines.check import check
from engines.head import head_of, mean_of_cells
from engines.nets.folded import Faster
from engines.runtime.window import WindowEngine
from engines.spec import RGB, Mode, Weights
from tests.support.networks import noise, random_tensors, small_spec

TENSORS = {3: random_tensors(3), 2: random_tensors(2, seed=1)}
NAMES = ("window", "interior", "boundary", "preview")
TOLERANCE = 1e-4
"""Logits of about 1 in float32, summed in another order."""


@cache
def graph(name: str, channels: int = 3, precision: str = "float32") -> Graph:
    mode: Mode = "window" if name == "window" else "preview"
    made = graphs(small_spec(channels), mode, TENSORS[channels], precision)
    return next(one for one in made if one.name == name)


@cache
def model(name: str, channels: int = 3, precision: str = "float32") -> bytes:
    return to_onnx(graph(name, channels, precision))


def session(model: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def memories_of(graph: Graph) -> list[torch.Tensor]:
    return [] if graph.name == "window" else fresh(graph)


def inputs_like(graph: Graph, batch: int) -> dict[str, np.ndarray]:
    """Ticks, bounds that cut off both ends, and memories with any values that could be remembered."""
    generator = np.random.default_rng(5)
    length, _, _, channels = graph.inputs["chunk"].shape
    found = {"chunk": noise(length, channels, batch, seed=3)}
    if "bounds" in graph.inputs:
        found["bounds"] = np.stack((np.arange(batch) - 4, np.full(batch, 6)), axis=1).astype(np.int32)
    for i, memory in enumerate(memories_of(graph)):
        values = generator.uniform(0, 1, (batch, *memory.shape[1:]))  # all have gone through a ReLU
        found[f"memory{i}"] = values.astype(graph.dtype)
    return found


@pytest.mark.parametrize("channels", [3, 2])
@pytest.mark.parametrize("name", NAMES)
def test_the_graph_computes_what_torch_computes(name: str, channels: int) -> None:
    made, run = graph(name, channels), session(model(name, channels))
    for batch in (1, 3):
        inputs = inputs_like(made, batch)
        with torch.inference_mode():
            wanted = TorchGraph(made)(*(torch.from_numpy(x) for x in inputs.values()))
        found = run.run(None, inputs)
        assert len(found) == len(wanted)
        for output, x, y in zip(run.get_outputs(), found, wanted, strict=True):
            np.testing.assert_allclose(x, y.numpy(), rtol=0, atol=TOLERANCE, err_msg=output.name)
    assert np.abs(found[0]).max() > 0.1


@pytest.mark.parametrize("name", ["window", "interior", "boundary"])
def test_openvino_reads_what_onnxruntime_reads(name: str) -> None:
    """Also with fewer multiplications, as in its engines."""
    from engines.backends.openvino import build as openvino_build
    from engines.backends.openvino import device

    made = graph(name)
    (faster,) = (
        one
        for one in graphs(
            small_spec(3), "window" if name == "window" else "preview", TENSORS[3], faster=Faster(6)
        )
        if one.name == name
    )
    inputs = inputs_like(made, 1)
    wanted = session(model(name)).run(None, inputs)
    for one in (made, faster):
        hints = {"INFERENCE_PRECISION_HINT": "f32"}
        found = device.core().compile_model(openvino_build.read(one), "CPU", hints)(inputs)
        for i, y in enumerate(wanted):
            np.testing.assert_allclose(found[i], y, rtol=0, atol=TOLERANCE)


def test_ticks_are_scaled_in_the_graph_as_the_reference_scales_them() -> None:
    """Against the network on ticks that it scales itself."""
    from engines.backends.pytorch import WholeVideo

    chunk = noise(64, seed=4)
    (found,) = session(model("window")).run(None, {"chunk": chunk})
    logits = head_of(TENSORS[3])(mean_of_cells(found))
    np.testing.assert_allclose(logits, WholeVideo(TENSORS[3])(chunk), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("channels", [3, 2])
@pytest.mark.parametrize("name", NAMES)
def test_padding_is_inside_the_layers(name: str, channels: int) -> None:
    nodes = onnx.load_from_string(model(name, channels)).graph.node
    counts = {
        op: sum(node.op_type == op for node in nodes)
        for op in ("Conv", "MaxPool", "Pad", "BatchNormalization")
    }
    assert counts == {"Conv": 57, "MaxPool": 13, "Pad": 0, "BatchNormalization": 0}
    pads = {
        node.name or node.output[0]: attribute(node, "pads")
        for node in nodes
        if node.op_type in ("Conv", "MaxPool")
    }
    first, pool, *_ = pads.values()
    time = {"window": (2, 3), "interior": (0, 0), "boundary": (0, 3), "preview": (0, 3)}[name]
    assert first == [time[0], 2, 2, time[1], 3, 3]  # kernel 7, stride 2: the smaller half in front
    assert pool == [0, 0, 0, 0, 1, 1]


def attribute(node: onnx.NodeProto, name: str) -> list[int]:
    return next(list(a.ints) for a in node.attribute if a.name == name)


class OnlyPads(Graph):
    """A graph of one operation."""

    def run(self, ops: Any, weight: Any, inputs: Any, recall: Any) -> Any:
        return ops.pad(inputs["chunk"], ((1, -2), (0, 1), (2, 0))), []


def test_a_negative_number_of_zeros_behind_crops() -> None:
    made = OnlyPads("pads", {"chunk": Port((2, 6, 3, 4), "float32")}, {})
    x = np.random.default_rng(0).random((1, 2, 6, 3, 4), np.float32)
    (found,) = session(to_onnx(made)).run(None, {"chunk": x})
    np.testing.assert_array_equal(found, np.pad(x[:, :, :4], ((0, 0), (0, 0), (1, 0), (0, 1), (2, 0))))


@pytest.mark.parametrize("name", NAMES)
def test_only_the_batch_varies(name: str) -> None:
    body = onnx.load_from_string(model(name)).graph
    onnx.checker.check_model(model(name), full_check=True)
    for port in (*body.input, *body.output):
        batch, *others = port.type.tensor_type.shape.dim
        assert batch.dim_param == "batch"
        assert all(dim.dim_value > 0 for dim in others)
    count = len(memories_of(graph(name)))
    assert [port.name for port in body.input] == [*graph(name).inputs, *(f"memory{i}" for i in range(count))]
    assert [port.name for port in body.output] == ["cells", *(f"next{i}" for i in range(count))]


@pytest.mark.parametrize("name", ["window", "boundary"])
def test_half_precision_is_the_type_of_the_graph(name: str) -> None:
    made, data = graph(name, 3, "float16"), model(name, 3, "float16")
    body = onnx.load_from_string(data).graph
    weights = [numpy_helper.to_array(x) for x in body.initializer if len(x.dims) == 5]
    assert len(weights) == 57
    assert {weight.dtype for weight in weights} == {np.dtype(np.float16)}
    types = {port.name: port.type.tensor_type.elem_type for port in (*body.input, *body.output)}
    assert types.pop("chunk") == TensorProto.UINT8
    assert types.pop("cells") == TensorProto.FLOAT
    assert types.pop("bounds", TensorProto.INT32) == TensorProto.INT32
    assert set(types.values()) <= {TensorProto.FLOAT16}
    inputs = inputs_like(made, 2)
    found = session(data).run(None, inputs)
    with torch.inference_mode():
        exact = TorchGraph(graph(name))(
            *(torch.from_numpy(x.astype(np.float32) if x.dtype == np.float16 else x) for x in inputs.values())
        )
    assert 0 < np.abs(found[0] - exact[0].numpy()).max() < 0.02


@pytest.mark.weights
def test_the_trained_network_in_half_precision_passes_its_check(kinetics: dict[str, np.ndarray]) -> None:
    """One window at full size, weights and activations rounded to float16, against the reference."""
    weights = Weights("kinetics", "rgb", tuple(map(str, range(400))), "0" * 64, "a test", "none")
    (window,) = graphs(RGB, "window", kinetics, "float16")
    run = session(to_onnx(window))
    engine = WindowEngine(
        RGB,
        weights,
        "onnxruntime",
        "float16",
        "CPU",
        lambda chunk: run.run(None, {"chunk": chunk})[0],
        head_of(kinetics),
    )
    report = check(engine, kinetics)
    assert not report.failures
    assert report.comparisons[0].answers == 7
