"""A graph as ONNX, written from torch's exported program: one node a layer, with its padding inside.

torch.onnx has an exporter too. It takes half a minute for a graph of three seconds, needs two more packages, and leaves the
padding in front of some pools. This one knows the twenty operations of these networks and refuses any other.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from torch import Tensor, fx

from engines.errors import EngineError
from engines.graphs import Graph

OPSET = 17
IR_VERSION = 8
"""The oldest that say all that is needed: every TensorRT from 10 on reads them."""
END = np.iinfo(np.int64).max


def to_onnx(graph: Graph) -> bytes:
    """The model, with `batch` as first dimension of every input and output.

    Raises:
        EngineError: the network has an operation that is not known here.
    """
    program = torch.export.export(graph.module.eval(), tuple(graph.inputs.values()), strict=False)
    writer = _Writer(program, graph)
    for node in program.graph.nodes:
        writer.write(node)
    inputs, outputs = (
        [_port(name, x) for name, x in side] for side in (graph.inputs.items(), writer.outputs())
    )
    body = helper.make_graph(writer.nodes, graph.name, inputs, outputs, writer.constants)
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def _port(name: str, x: Tensor) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, _kind(x.dtype), ["batch", *x.shape[1:]])


def _kind(dtype: torch.dtype) -> int:
    return helper.np_dtype_to_tensor_dtype(torch.empty(0, dtype=dtype).numpy().dtype)


class _Writer:
    """Goes through an exported program node by node. What is computed twice is written once."""

    def __init__(self, program: torch.export.ExportedProgram, graph: Graph) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._names: dict[fx.Node, str] = {}
        """Of the values that the program's nodes stand for."""
        self._padding: dict[fx.Node, tuple[fx.Node, Sequence[int]]] = {}
        """What is padded and how: the layer that follows does it."""
        self._written: dict[Any, str] = {}
        signature = program.graph_signature
        self._weights = {
            **{name: program.state_dict[key] for name, key in signature.inputs_to_parameters.items()},
            **{name: program.state_dict[key] for name, key in signature.inputs_to_buffers.items()},
        }
        self._inputs = dict(zip(signature.user_inputs, graph.inputs, strict=True))
        results = program.graph.output_node().args[0]
        self._results: dict[fx.Node, str] = dict(zip(results, graph.outputs, strict=True))

    def outputs(self) -> list[tuple[str, Tensor]]:
        return [(name, node.meta["val"]) for node, name in self._results.items()]

    def write(self, node: fx.Node) -> None:
        if node.op == "placeholder":
            weight = self._weights.get(node.name)
            if weight is None:
                self._names[node] = self._inputs[node.name]
            else:
                self._names[node] = self._constant(weight.detach().numpy(), node.name)
        elif node.op == "call_function":
            name = str(node.target)
            if name not in OPERATIONS:
                raise EngineError(f"{name} cannot be written as ONNX yet; add it to engines/onnx_export.py")
            OPERATIONS[name](self, node)

    def emit(self, node: fx.Node, op: str, *inputs: str, **attributes: Any) -> None:
        """An ONNX node whose output is the value of `node`."""
        self._names[node] = self._emit(op, *inputs, name=self._results.get(node), **attributes)

    def _emit(self, op: str, *inputs: str, name: str | None = None, **attributes: Any) -> str:
        key = (op, inputs, str(attributes))
        if name is None and key in self._written:
            return self._written[key]
        name = name or f"{op}{len(self.nodes)}"
        self._written[key] = name
        self.nodes.append(helper.make_node(op, list(inputs), [name], **attributes))
        return name

    def same(self, node: fx.Node, source: fx.Node) -> None:
        """`node` does nothing to `source`."""
        self._names[node] = self._names[source]

    def of(self, value: Any, dtype: torch.dtype | None = None) -> str:
        """Name of a node's value or of a number, cast to `dtype`."""
        if not isinstance(value, fx.Node):
            return self._constant(torch.tensor(value, dtype=dtype).numpy())
        if dtype is None or value.meta["val"].dtype == dtype:
            return self._names[value]
        return self._emit("Cast", self._names[value], to=_kind(dtype))

    def integers(self, *values: int) -> str:
        return self._constant(np.array(values, np.int64))

    def constant(self, node: fx.Node, value: Tensor) -> None:
        self._names[node] = self._constant(value.numpy())

    def _constant(self, value: NDArray[Any], name: str | None = None) -> str:
        key = name or (value.dtype.str, value.shape, value.tobytes())
        if key not in self._written:
            self._written[key] = name or f"constant{len(self.constants)}"
            self.constants.append(numpy_helper.from_array(value, self._written[key]))
        return self._written[key]

    def pad(self, node: fx.Node) -> None:
        """Of zeros, see `window`."""
        source, padding = _arguments(node, "self", "pad")
        if len(padding) != 6 or any(user.target not in PADDED for user in node.users):
            raise EngineError(f"{node}: padding can only go into a convolution or a max pool")
        self._padding[node] = source, padding

    def window(self, node: fx.Node, size: Sequence[int], stride: Sequence[int], own: Sequence[int]) -> Any:
        """The input of a layer that slides a window, and its pads; `own` is the padding that torch's layer has itself.

        Behind stands as much as the number of its positions takes. A max pool never looks at what its padding holds, which is
        the same as zeros here, since all that is pooled has gone through a ReLU.
        """
        source = node.args[0]
        assert isinstance(source, fx.Node)
        source, padding = self._padding.get(source, (source, (0,) * 6))
        lengths, positions = source.meta["val"].shape[2:], node.meta["val"].shape[2:]
        front = [padding[4 - 2 * axis] + own[axis] for axis in range(3)]
        behind = [
            max((p - 1) * s + k - n - f, 0)
            for p, s, k, n, f in zip(positions, stride, size, lengths, front, strict=True)
        ]
        pads = [*front, *behind]
        return self.of(source), {"kernel_shape": list(size), "strides": list(stride), "pads": pads}


def _arguments(node: fx.Node, *names: str) -> list[Any]:
    """Arguments of an operation by name, with its defaults."""
    schema = node.target._schema.arguments  # type: ignore[union-attr]
    given = dict(zip((a.name for a in schema), node.args, strict=False)) | node.kwargs
    return [given.get(a.name, a.default_value) for name in names for a in schema if a.name == name]


def _convolution(writer: _Writer, node: fx.Node) -> None:
    weight, bias, stride, own, dilation, groups = _arguments(
        node, "weight", "bias", "stride", "padding", "dilation", "groups"
    )
    assert set(dilation) == {1}
    x, window = writer.window(node, weight.meta["val"].shape[2:], stride, own)
    inputs = [writer.of(weight)] + ([writer.of(bias)] if bias is not None else [])
    writer.emit(node, "Conv", x, *inputs, group=groups, **window)


def _max_pool(writer: _Writer, node: fx.Node) -> None:
    size, stride, own, dilation = _arguments(node, "kernel_size", "stride", "padding", "dilation")
    assert set(dilation) == {1}
    x, window = writer.window(node, size, stride, _triple(own))
    writer.emit(node, "MaxPool", x, **window)


def _average_pool(writer: _Writer, node: fx.Node) -> None:
    size, stride = _arguments(node, "kernel_size", "stride")
    x, window = writer.window(node, size, _triple(stride), (0, 0, 0))
    writer.emit(node, "AveragePool", x, **window)


def _mean(writer: _Writer, node: fx.Node) -> None:
    axes, keep = _arguments(node, "dim", "keepdim")
    writer.emit(node, "ReduceMean", writer.of(node.args[0]), axes=list(axes), keepdims=int(keep))


def _triple(values: Sequence[int]) -> Sequence[int]:
    return list(values) * 3 if len(values) == 1 else values


def _cut(writer: _Writer, node: fx.Node) -> None:
    """aten.slice and aten.narrow."""
    source = node.args[0]
    assert isinstance(source, fx.Node)
    if node.target is torch.ops.aten.narrow.default:
        axis, start, length = _arguments(node, "dim", "start", "length")
        end, step = start + length, 1
    else:
        axis, start, end, step = _arguments(node, "dim", "start", "end", "step")
        start, end = start or 0, END if end is None else end
    if (start, step) == (0, 1) and end == END:
        writer.same(node, source)
        return
    bounds = [writer.integers(value) for value in (start, end, axis, step)]
    writer.emit(node, "Slice", writer.of(source), *bounds)


def _join(writer: _Writer, node: fx.Node) -> None:
    parts, axis = _arguments(node, "tensors", "dim")
    writer.emit(node, "Concat", *(writer.of(part) for part in parts), axis=axis)


def _pairwise(op: str) -> Callable[[_Writer, fx.Node], None]:
    """Of two values, or of one and a number, both taken in the type that torch computes in."""

    def write(writer: _Writer, node: fx.Node) -> None:
        a, b = node.args[:2]
        assert isinstance(a, fx.Node)
        x = a.meta["val"]
        dtype = torch.result_type(x, b.meta["val"] if isinstance(b, fx.Node) else b)  # type: ignore[arg-type]
        writer.emit(node, op, writer.of(a, dtype), writer.of(b, dtype))

    return write


def _simple(op: str) -> Callable[[_Writer, fx.Node], None]:
    return lambda writer, node: writer.emit(node, op, writer.of(node.args[0]))


def _cast(writer: _Writer, node: fx.Node) -> None:
    writer.emit(node, "Cast", writer.of(node.args[0]), to=_kind(node.meta["val"].dtype))


def _unsqueeze(writer: _Writer, node: fx.Node) -> None:
    writer.emit(node, "Unsqueeze", writer.of(node.args[0]), writer.integers(*_arguments(node, "dim")))


def _permute(writer: _Writer, node: fx.Node) -> None:
    (order,) = _arguments(node, "dims")
    writer.emit(node, "Transpose", writer.of(node.args[0]), perm=list(order))


def _transpose(writer: _Writer, node: fx.Node) -> None:
    order = list(range(node.meta["val"].ndim))
    a, b = _arguments(node, "dim0", "dim1")
    order[a], order[b] = order[b], order[a]
    writer.emit(node, "Transpose", writer.of(node.args[0]), perm=order)


def _flatten(writer: _Writer, node: fx.Node) -> None:
    """Of all axes from one on; those before it, the batch among them, stay what they are."""
    start, end = _arguments(node, "start_dim", "end_dim")
    assert start >= 1
    assert end == -1
    writer.emit(node, "Reshape", writer.of(node.args[0]), writer.integers(*[0] * start, -1))


def _range(writer: _Writer, node: fx.Node) -> None:
    start, end = _arguments(node, "start", "end")
    writer.constant(node, torch.arange(start, end, dtype=node.meta["val"].dtype))


def _unchanged(writer: _Writer, node: fx.Node) -> None:
    source = node.args[0]
    assert isinstance(source, fx.Node)
    writer.same(node, source)


OPERATIONS: dict[str, Callable[[_Writer, fx.Node], None]] = {
    "aten.__and__.Tensor": _pairwise("And"),
    "aten._assert_tensor_metadata.default": lambda writer, node: None,
    "aten.add.Tensor": _pairwise("Add"),
    "aten.arange.start": _range,
    "aten.avg_pool3d.default": _average_pool,
    "aten.cat.default": _join,
    "aten.conv3d.default": _convolution,
    "aten.div.Tensor": _pairwise("Div"),
    "aten.dropout.default": _unchanged,
    "aten.flatten.using_ints": _flatten,
    "aten.gt.Tensor": _pairwise("Greater"),
    "aten.lt.Tensor": _pairwise("Less"),
    "aten.max_pool3d.default": _max_pool,
    "aten.mean.dim": _mean,
    "aten.mul.Tensor": _pairwise("Mul"),
    "aten.narrow.default": _cut,
    "aten.pad.default": _Writer.pad,
    "aten.permute.default": _permute,
    "aten.relu.default": _simple("Relu"),
    "aten.slice.Tensor": _cut,
    "aten.sub.Tensor": _pairwise("Sub"),
    "aten.to.dtype": _cast,
    "aten.transpose.int": _transpose,
    "aten.unsqueeze.default": _unsqueeze,
}
PADDED = (torch.ops.aten.conv3d.default, torch.ops.aten.max_pool3d.default)
