"""A graph of the network as ONNX, for OpenVINO, TensorRT, TensorRT-RTX and onnxruntime. Needs only the package onnx.

The operations of `engines.nets.operations` over values that are names: each call adds a node. Common subexpressions are
written once. Padding is inside the layers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from engines.backends.graphs import Graph
from engines.nets.i3d_shapes import Triple
from engines.nets.operations import NO_PADS, Pads

OPSET = 17
IR_VERSION = 8
"""The oldest versions that suffice: every TensorRT from 10 on reads them."""


@dataclass(frozen=True)
class Value:
    """A tensor in the graph."""

    name: str
    shape: tuple[int, ...]
    """For one stream: the batch dimension is 1."""
    dtype: str


def to_onnx(graph: Graph) -> bytes:
    """The model, with `batch` as first dimension of every input and output."""
    writer = _Writer(graph)
    inputs = {name: Value(name, (1, *port.shape), port.dtype) for name, port in graph.inputs.items()}
    recalled: list[Value] = []

    def recall(shape: tuple[int, ...]) -> Value:
        recalled.append(Value(f"memory{len(recalled)}", shape, graph.dtype))
        return recalled[-1]

    cells, kept = graph.run(writer, writer.weight, inputs, recall)
    outputs = [writer.named(cells, "cells"), *(writer.named(x, f"next{i}") for i, x in enumerate(kept))]
    given, found = ([_port(value) for value in side] for side in ((*inputs.values(), *recalled), outputs))
    body = helper.make_graph(writer.nodes, graph.name, given, found, writer.constants)
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    return bytes(model.SerializeToString())


def _port(value: Value) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(value.name, _kind(value.dtype), ["batch", *value.shape[1:]])


def _kind(dtype: str) -> int:
    return helper.np_dtype_to_tensor_dtype(np.dtype(dtype))


class _Writer:
    """See `engines.nets.operations.Operations`."""

    def __init__(self, graph: Graph) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._graph = graph
        self._written: dict[Any, Value] = {}

    def weight(self, name: str) -> Value:
        return self._stored(name, self._graph.weights[name].astype(self._graph.dtype), name)

    def constant(self, values: Sequence[int]) -> Value:
        return self._array(np.array(values, np.int32))

    def named(self, x: Value, name: str) -> Value:
        """The same value as an output with this name."""
        self.nodes.append(helper.make_node("Identity", [x.name], [name]))
        return Value(name, x.shape, x.dtype)

    def _array(self, values: NDArray[Any]) -> Value:
        key = (values.dtype.str, values.shape, values.tobytes())
        return self._stored(key, values, f"constant{len(self.constants)}")

    def _stored(self, key: Any, values: NDArray[Any], name: str) -> Value:
        if key not in self._written:
            self._written[key] = Value(name, values.shape, str(values.dtype))
            self.constants.append(numpy_helper.from_array(values, name))
        return self._written[key]

    def _node(
        self,
        op: str,
        inputs: Sequence[Value],
        shape: Sequence[int],
        dtype: str | None = None,
        layer: str = "",
        **attributes: Any,
    ) -> Value:
        """A node with one output. Nodes of a layer are named after it, all others after their operation."""
        names = tuple(x.name for x in inputs)
        key = (op, names, str(attributes))
        if key not in self._written:
            name = f"{layer or op}/{len(self.nodes)}"
            self.nodes.append(helper.make_node(op, names, [name], name, **attributes))
            self._written[key] = Value(name, tuple(shape), dtype or inputs[0].dtype)
        return self._written[key]

    def shape(self, x: Value) -> tuple[int, ...]:
        return x.shape

    def conv(
        self, x: Value, kernel: Value, bias: Value | None, stride: Triple, pads: Pads, name: str
    ) -> Value:
        given = [x, kernel] if bias is None else [x, kernel, bias]
        size = kernel.shape[2:]
        shape = (x.shape[0], kernel.shape[0], *_positions(x, size, stride, pads))
        return self._node("Conv", given, shape, layer=name, **_window(size, stride, pads))

    def max_pool(self, x: Value, kernel: Triple, stride: Triple, pads: Pads) -> Value:
        shape = (*x.shape[:2], *_positions(x, kernel, stride, pads))
        return self._node("MaxPool", [x], shape, **_window(kernel, stride, pads))

    def average_pool(self, x: Value, kernel: Triple) -> Value:
        shape = (*x.shape[:2], *_positions(x, kernel, (1, 1, 1), NO_PADS))
        return self._node("AveragePool", [x], shape, **_window(kernel, (1, 1, 1), NO_PADS))

    def concat(self, parts: Sequence[Value], axis: int) -> Value:
        if len(parts) == 1:
            return parts[0]
        shape = list(parts[0].shape)
        shape[axis] = sum(part.shape[axis] for part in parts)
        return self._node("Concat", parts, shape, axis=axis)

    def slice(self, x: Value, axis: int, start: int, stop: int, step: int = 1) -> Value:
        shape = list(x.shape)
        shape[axis] = len(range(start, min(stop, shape[axis]), step))
        if shape[axis] == x.shape[axis]:
            return x
        bounds = [self._array(np.array([value], np.int64)) for value in (start, stop, axis, step)]
        return self._node("Slice", [x, *bounds], shape)

    def pad(self, x: Value, pads: Pads) -> Value:
        for axis, (_, cropped) in enumerate(pads, start=2):
            x = self.slice(x, axis, 0, x.shape[axis] + min(0, cropped))
        front, behind = [0, 0, *(pad[0] for pad in pads)], [0, 0, *(max(0, pad[1]) for pad in pads)]
        if not any(front + behind):
            return x
        shape = [a + n + b for a, n, b in zip(front, x.shape, behind, strict=True)]
        return self._node("Pad", [x, self._array(np.array([*front, *behind], np.int64))], shape)

    def relu(self, x: Value) -> Value:
        return self._node("Relu", [x], x.shape)

    def add(self, a: Value, b: Value | float) -> Value:
        return self._pairwise("Add", a, b)

    def subtract(self, a: Value, b: Value) -> Value:
        return self._pairwise("Sub", a, b)

    def multiply(self, a: Value, b: Value | float) -> Value:
        return self._pairwise("Mul", a, b)

    def less(self, a: Value, b: Value) -> Value:
        return self._pairwise("Less", a, b, "bool")

    def _pairwise(self, op: str, a: Value, b: Value | float, dtype: str | None = None) -> Value:
        if not isinstance(b, Value):
            b = self._array(np.array(b, a.dtype))
        return self._node(op, [a, b], np.broadcast_shapes(a.shape, b.shape), dtype)

    def cast(self, x: Value, dtype: str) -> Value:
        if x.dtype == dtype:
            return x
        return self._node("Cast", [x], x.shape, dtype, to=_kind(dtype))

    def transpose(self, x: Value, order: Sequence[int]) -> Value:
        shape = [x.shape[axis] for axis in order]
        return self._node("Transpose", [x], shape, perm=list(order))

    def unsqueeze(self, x: Value, axes: Sequence[int]) -> Value:
        shape = list(x.shape)
        for axis in sorted(axes):
            shape.insert(axis, 1)
        return self._node("Unsqueeze", [x, self._array(np.array(axes, np.int64))], shape)


def _positions(x: Value, kernel: Sequence[int], stride: Triple, pads: Pads) -> list[int]:
    """Lengths of T, H and W after a sliding window."""
    sides = zip(x.shape[2:], kernel, stride, pads, strict=True)
    return [(n + sum(pad) - k) // s + 1 for n, k, s, pad in sides]


def _window(kernel: Sequence[int], stride: Triple, pads: Pads) -> dict[str, Any]:
    front, behind = [pad[0] for pad in pads], [pad[1] for pad in pads]
    return {"kernel_shape": list(kernel), "strides": list(stride), "pads": [*front, *behind]}
