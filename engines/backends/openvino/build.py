"""Builds OpenVINO's engines: graphs as ONNX into IR files, unchanged or in 8 bits. Also the reference without torch."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino.preprocess import PrePostProcessor

from engines.backends.graphs import Graph, graphs, window
from engines.backends.onnx_writer import to_onnx
from engines.backends.openvino.device import core, hint
from engines.backends.openvino.forms import forms, known_best, processor_kind
from engines.backends.openvino.run import FORMS, SHARED, form_folder
from engines.backends.registry import Plan
from engines.head import head_of, load_head, mean_of_cells, save_head
from engines.nets.folded import Faster
from engines.spec import StreamSpec, Tensors

ALIGNED_BYTES = 64
STEP_LENGTH = "step_length.json"
"""Beside an engine with long steps: how long they are, and what each length took."""


def build(plan: Plan, tensors: Tensors, folder: Path, calibration: NDArray[Any] | None) -> None:
    if plan.precision == "int8":
        from engines.backends.openvino.int8 import require_clip

        require_clip(calibration)  # before anything takes long
    form = plan.form or known_best(plan, processor_kind())
    faster, step_ticks = forms(plan)[form], plan.step_ticks
    if plan.long_steps and step_ticks is None:
        from engines.backends.openvino.step_length import best, step_times_ms

        times_ms = step_times_ms(plan, tensors, faster)
        step_ticks = best(times_ms)
        facts = {"step_ticks": step_ticks, "ms_for_8_ticks": {n: round(ms, 2) for n, ms in times_ms.items()}}
        (folder / STEP_LENGTH).write_text(json.dumps(facts) + "\n")
    for name, model in _models(plan, tensors, faster, calibration, step_ticks).items():
        ov.save_model(model, folder / f"{name}.xml", compress_to_fp16=False)
    save_head(head_of(tensors), folder)


def _models(
    plan: Plan,
    tensors: Tensors,
    faster: Faster | None,
    clip: NDArray[Any] | None,
    step_ticks: int | None = None,
) -> dict[str, Any]:
    """OpenVINO's model of each graph of the engine, as it is stored. `clip`: for int8."""
    of_plan = graphs(plan.spec, plan.mode, tensors, faster=faster, step_ticks=step_ticks)
    models = {graph.name: read(graph) for graph in of_plan}
    if plan.precision == "int8":
        from engines.backends.openvino.int8 import quantised, require_clip

        models = quantised(models, require_clip(clip))
    return {name: remembering(model, plan.precision) for name, model in models.items()}


def read(graph: Graph) -> Any:
    """OpenVINO's model of a graph, for one stream."""
    model = ov.convert_model(io.BytesIO(to_onnx(graph)))
    model.reshape({port: [1, *list(port.partial_shape)[1:]] for port in model.inputs})
    return model


class WholeVideo:
    """The reference that needs no torch: the plain graph over a whole video of any length in one pass, float32.

    No state, no fewer multiplications: it shares with an engine only the description of the network. Tests compare this
    graph with PyTorch and with stored logits of another implementation, to show that it is the paper's network.
    """

    name = "the plain graph in OpenVINO, float32"

    def __init__(self, spec: StreamSpec, tensors: Tensors, *, anchored: bool = False) -> None:
        """`anchored`: for the network of a live stream, see `engines.nets.padding`."""
        self._spec, self._tensors, self._anchored = spec, tensors, anchored
        self._head = head_of(tensors)
        self._by_length: dict[int, Any] = {}

    def __call__(self, ticks: NDArray[Any]) -> NDArray[np.float32]:
        """Ticks (B, T, 224, 224, C) in the stream's type, T >= 9 -> logits (B, ceil(T / 8) - 1, classes)."""
        length = ticks.shape[1]
        if length not in self._by_length:
            model = read(window(self._spec, self._tensors, length, anchored=self._anchored))
            hints = {"INFERENCE_PRECISION_HINT": "f32"}
            self._by_length[length] = core().compile_model(model, "CPU", hints)
        compiled = self._by_length[length]
        cells = [compiled([one[None]])[0].copy() for one in np.ascontiguousarray(ticks)]
        return self._head(mean_of_cells(np.concatenate(cells)))


def remembering(model: Any, precision: str) -> Any:
    """A graph's memories go in and out in the type that it computes in: in bfloat16, half the bytes are moved.

    Except those of the last blocks, whose feature maps are the smallest: they are few bytes, and in bfloat16 logits of
    the first 80 ticks of the demo clip were off by 0.055 on average instead of 0.040.
    """
    if hint(precision) == "f32" or len(model.outputs) == 1:
        return model
    smallest_px = min(port.shape[2] for port in model.outputs[1:])
    typed = PrePostProcessor(model)
    for ports, part in ((model.inputs, typed.input), (model.outputs[1:], lambda i: typed.output(i + 1))):
        for i, port in enumerate(ports):
            if port.element_type == ov.Type.f32 and port.shape[2] > smallest_px:
                part(i).tensor().set_element_type(ov.Type.bf16)
    return typed.build()


def pack(plan: Plan, tensors: Tensors, folder: Path, out: Path) -> None:
    """Store weights once and in half precision: a quarter of the size and half the loading time, but more
    multiplications in float32."""
    if plan.precision == "int8":
        models = {path.stem: core().read_model(path) for path in sorted(folder.glob("*.xml"))}
    else:
        models = _models(plan, tensors, None, None)
    _store(models, out)
    _share_weights(out)
    save_head(load_head(folder), out)


def pack_forms(plan: Plan, tensors: Tensors, clip: NDArray[Any] | None, out: Path) -> tuple[str, ...]:
    """Every form as `pack` stores one. What forms have in common is stored once."""
    every = forms(plan)
    (out / FORMS).mkdir()
    for name, faster in every.items():
        _store(_models(plan, tensors, faster, clip), form_folder(out, name))
    _share_weights(out)
    save_head(head_of(tensors), out)
    return tuple(every)


def _store(models: Mapping[str, Any], folder: Path) -> None:
    """In half precision."""
    folder.mkdir(exist_ok=True)
    for name, model in models.items():
        ov.save_model(model, folder / f"{name}.xml", compress_to_fp16=True)


def _share_weights(folder: Path) -> None:
    """Move the constants of all graphs into one file, without duplicates."""
    places: dict[bytes, int] = {}
    with open(folder / SHARED, "wb") as shared:
        for path in sorted(folder.rglob("*.xml")):
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
