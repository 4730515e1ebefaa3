"""OpenVINO, the default on CPUs. A built engine is IR files; running it needs neither torch nor nncf.

Every stream of a batch is run by itself: on a CPU a batch is hardly faster, and so no answer can depend on its neighbours, and
streams join and leave without a copy.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import openvino as ov
import openvino.opset13 as opset
from numpy.typing import NDArray
from openvino.preprocess import PrePostProcessor

from engines.backends import Plan, Tensors
from engines.engine import Engine
from engines.errors import EngineError
from engines.streaming import Bounds, StreamingEngine, midst
from engines.window import WindowEngine

COMPILES = True
Inputs = Callable[[int], tuple[Any, ...]]
"""Side of a picture -> tensors that a graph takes."""
TRACED_PX = 32
COMPILED = "compiled"
"""Folder beside the IR files where OpenVINO keeps what it makes of them for this processor; loading is twice as fast with it."""

SHARED = "weights.bin"
"""In a bundle, the constants of all graphs."""
ALIGNED_BYTES = 64


@cache
def core() -> Any:
    return ov.Core()


def unavailable() -> str | None:
    """Asks the processor's plugin alone: a list of all devices would load those of GPUs too, 17 MB that nothing uses."""
    try:
        device()
    except RuntimeError:
        return "OpenVINO finds no CPU that it can use"
    return None


def precisions() -> tuple[str, ...]:
    """bfloat16 only where the processor computes in it: elsewhere OpenVINO would quietly take float32."""
    capable = core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return ("bfloat16", "float32", "int8") if "BF16" in capable else ("float32", "int8")


def device() -> str:
    return str(core().get_property("CPU", "FULL_DEVICE_NAME"))


def versions() -> dict[str, str]:
    return {"openvino": ov.__version__}


def build(plan: Plan, tensors: Tensors, folder: Path, calibration: NDArray[Any] | None) -> None:
    if plan.precision == "int8":
        from engines.backends.int8 import quantised, require_clip

        clip = require_clip(calibration)
    modules = _modules(plan, tensors, faster=True)
    models = {name: _converted(module, inputs, plan.spec.crop_px) for name, module, inputs in modules}
    if plan.precision == "int8":
        models = quantised(models, clip)
    for name, model in models.items():
        ov.save_model(_remembering(model, plan.precision), folder / f"{name}.xml", compress_to_fp16=False)


def _modules(plan: Plan, tensors: Tensors, *, faster: bool) -> Iterator[tuple[str, Any, Inputs]]:
    """Name, torch module and example inputs of each graph of the engine. `faster`: in fewer multiplications, with more weights."""
    import torch

    from engines.backends.torch import Window, continual, network
    from engines.nets import winograd
    from engines.nets.continual import ChannelsLast
    from engines.nets.i3d import I3D, fold

    def prepared(net: Any) -> Any:
        if not faster or (plan.precision == "int8" and plan.mode == "window"):
            return net
        layers = winograd.LAYERS_IN_8_BITS if plan.precision == "int8" else None
        points = len(winograd.POINTS) if plan.precision == "float32" else winograd.POINTS_IN_FEW_BITS
        return winograd.with_fewer_multiplications(net, points, layers)

    if plan.mode == "window":
        shape, dtype = (1, plan.spec.window_ticks), getattr(torch, plan.spec.dtype)
        window = Window(prepared(fold(network(tensors, I3D))))
        yield "window", window, lambda px: (torch.zeros((*shape, px, px, plan.spec.channels), dtype=dtype),)
        return
    looks_ahead = plan.mode == "preview"
    edge = ChannelsLast(prepared(continual(tensors, preview=looks_ahead, masked=True)))
    yield "edge", edge, edge.example
    midst_net = ChannelsLast(prepared(continual(tensors)))
    yield "midst", midst_net, midst_net.example
    if looks_ahead:
        preview = ChannelsLast(prepared(continual(tensors, preview=True)))
        yield "preview", preview, preview.example


def _converted(module: Any, inputs: Inputs, crop_px: int) -> Any:
    """OpenVINO's model of a torch module for pictures of that size.

    It is traced on small ones: every layer pads 32 as it pads 224, and a trace keeps all that lies between the layers.
    """
    import torch

    shapes = [(list(x.shape), ov.Type(x.numpy().dtype)) for x in inputs(crop_px)]
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that sizes become constants is what is wanted
        traced = torch.jit.trace(module, inputs(TRACED_PX), check_trace=False)  # type: ignore[no-untyped-call]
        return ov.convert_model(traced, example_input=inputs(TRACED_PX), input=shapes)


def _hint(precision: str) -> str:
    """What is not in 8 bits is in bfloat16, where the processor computes in it."""
    return "bf16" if precision != "float32" and "bfloat16" in precisions() else "f32"


def _remembering(model: Any, precision: str) -> Any:
    """What a graph remembers goes in and out in the type that it computes in: in bfloat16, half the bytes are moved.

    But for the last blocks, whose pictures are the smallest: they are few bytes, and in bfloat16 logits of the first 80 ticks of
    the demo clip were off by 0.055 on average instead of 0.040.
    """
    if _hint(precision) == "f32" or len(model.outputs) == 1:
        return model
    smallest_px = min(port.shape[2] for port in model.outputs[1:])
    typed = PrePostProcessor(model)
    for ports, part in ((model.inputs, typed.input), (model.outputs[1:], lambda i: typed.output(i + 1))):
        for i, port in enumerate(ports):
            if port.element_type == ov.Type.f32 and port.shape[2] > smallest_px:
                part(i).tensor().set_element_type(ov.Type.bf16)
    return typed.build()


def pack(plan: Plan, tensors: Tensors, folder: Path, out: Path) -> None:
    """Weights once and in half precision: a quarter of the size and half the time to load, at more multiplications in float32."""
    if plan.precision == "int8":
        models = {path.stem: core().read_model(path) for path in sorted(folder.glob("*.xml"))}
    else:
        modules = _modules(plan, tensors, faster=False)
        models = {
            name: _remembering(_converted(module, inputs, plan.spec.crop_px), plan.precision)
            for name, module, inputs in modules
        }
    for name, model in models.items():
        ov.save_model(model, out / f"{name}.xml", compress_to_fp16=True)
    _share_weights(out)


def _share_weights(folder: Path) -> None:
    """Put the constants of all graphs into one file, each once."""
    places: dict[bytes, int] = {}
    with open(folder / SHARED, "wb") as shared:
        for path in sorted(folder.glob("*.xml")):
            graph = ElementTree.parse(path)
            own = path.with_suffix(".bin").read_bytes()
            for data in graph.iterfind(".//layer[@type='Const']/data"):
                start = int(data.attrib["offset"])
                constant = own[start : start + int(data.attrib["size"])]
                if constant not in places:
                    shared.write(bytes(-shared.tell() % ALIGNED_BYTES))
                    places[constant] = shared.tell()
                    shared.write(constant)
                data.set("offset", str(places[constant]))
            graph.write(path)
            path.with_suffix(".bin").unlink()


def load(plan: Plan, folder: Path | None, tensors: Tensors | None) -> Engine:
    assert folder is not None
    if plan.mode != "window":
        graphs = OpenVINOGraphs(folder, plan.precision, preview=plan.mode == "preview", at_once=plan.at_once)
        return StreamingEngine(
            plan.spec,
            plan.weights,
            plan.mode,
            "openvino",
            plan.precision,
            device(),
            graphs,
            at_once=plan.at_once,
        )
    request = _compile(folder / "window.xml", plan.precision, plan.at_once).create_infer_request()

    def run(chunk: NDArray[Any]) -> NDArray[np.float32]:
        logits = []
        for one in np.ascontiguousarray(chunk):
            request.infer([ov.Tensor(one[None])])
            logits.append(request.get_output_tensor(0).data.copy())
        return np.concatenate(logits)

    return WindowEngine(
        plan.spec, plan.weights, "openvino", plan.precision, device(), run, at_once=plan.at_once
    )


class Remembered:
    """What one stream remembers, and as much room for what it will remember after the next step."""

    def __init__(self, layout: Sequence[tuple[Any, Any]]) -> None:
        self.now, self.next = ([ov.Tensor(kind, shape) for kind, shape in layout] for _ in range(2))
        for tensor in self.now:
            tensor.data[...] = 0


class OpenVINOGraphs:
    """See `engines.streaming.Graphs`. A memory is a list, one `Remembered` a stream, which a step turns over in place."""

    def __init__(self, folder: Path, precision: str, *, preview: bool, at_once: int) -> None:
        names = ("edge", "midst", "preview") if preview else ("edge", "midst")
        compiled = {name: _compile(folder / f"{name}.xml", precision, at_once) for name in names}
        self._requests = {name: model.create_infer_request() for name, model in compiled.items()}
        self._layout = [(x.element_type, x.shape) for x in compiled["midst"].inputs[1:]]

    def fresh(self, batch: int) -> list[Remembered]:
        return [Remembered(self._layout) for _ in range(batch)]

    def run(
        self, chunk: NDArray[Any], bounds: Bounds, memory: list[Remembered], preview: bool
    ) -> tuple[NDArray[np.float32], list[Remembered]]:
        logits = []
        for i, (remembered, settled) in enumerate(zip(memory, midst(bounds), strict=True)):
            inputs = [chunk[i : i + 1]] if settled else [chunk[i : i + 1], bounds[i : i + 1]]
            name = ("preview" if preview else "midst") if settled else "edge"
            logits.append(self._step(name, inputs, remembered))
        # Where some streams are young, they give more than was asked for.
        positions = min(one.shape[1] for one in logits)
        return np.concatenate([one[:, :positions] for one in logits]), memory

    def _step(self, name: str, inputs: list[NDArray[Any]], remembered: Remembered) -> NDArray[np.float32]:
        request = self._requests[name]
        for i, tensor in enumerate([*(ov.Tensor(x) for x in inputs), *remembered.now]):
            request.set_input_tensor(i, tensor)
        for i, tensor in enumerate(remembered.next):
            request.set_output_tensor(i + 1, tensor)
        request.infer()
        remembered.now, remembered.next = remembered.next, remembered.now
        logits: NDArray[np.float32] = request.get_output_tensor(0).data.copy()
        return logits

    def merge(self, memories: Sequence[list[Remembered]]) -> list[Remembered]:
        return [one for memory in memories for one in memory]

    def split(self, memory: list[Remembered]) -> list[list[Remembered]]:
        return [[one] for one in memory]


@cache
def _threads() -> int:
    """That OpenVINO would use on this machine: its cores, without their second threads."""
    x = opset.parameter([1], ov.Type.f32)
    smallest = core().compile_model(ov.Model([opset.relu(x)], [x]), "CPU", {"PERFORMANCE_HINT": "LATENCY"})
    return int(smallest.get_property("INFERENCE_NUM_THREADS"))


def _compile(path: Path, precision: str, at_once: int) -> Any:
    hints: dict[str, Any] = {"INFERENCE_PRECISION_HINT": _hint(precision), "PERFORMANCE_HINT": "LATENCY"}
    if at_once > 1:  # not bound to cores, or all of them would be to the same
        hints |= {"INFERENCE_NUM_THREADS": max(1, _threads() // at_once), "ENABLE_CPU_PINNING": False}
    if (path.parent / "manifest.json").exists():  # in the cache, to stay
        hints["CACHE_DIR"] = str(path.parent / COMPILED)
    shared = path.parent / SHARED
    try:
        model = core().read_model(path, shared) if shared.exists() else path
        return core().compile_model(model, "CPU", hints)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise EngineError(f"OpenVINO cannot load {path}: {reason}; build again with --rebuild") from error
