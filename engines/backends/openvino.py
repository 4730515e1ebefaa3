"""OpenVINO, the default on CPUs. A built engine is an IR file; running it needs neither torch nor nncf."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from engines.backends import Plan, Tensors
from engines.engine import Engine
from engines.errors import EngineError
from engines.window import WindowEngine

COMPILES = True
HINTS = {"float32": "f32", "bfloat16": "bf16"}


@cache
def core() -> Any:
    return ov.Core()


def unavailable() -> str | None:
    return None if "CPU" in core().available_devices else "OpenVINO finds no CPU that it can use"


def precisions() -> tuple[str, ...]:
    """bfloat16 only where the processor computes in it: elsewhere OpenVINO would quietly take float32."""
    capable = core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return ("bfloat16", "float32") if "BF16" in capable else ("float32",)


def device() -> str:
    return str(core().get_property("CPU", "FULL_DEVICE_NAME"))


def versions() -> dict[str, str]:
    return {"openvino": ov.__version__}


def build(plan: Plan, tensors: Tensors, folder: Path, calibration: NDArray[Any] | None) -> None:
    import torch

    from engines.backends.torch import Window, network
    from engines.nets.i3d import I3D, fold

    module = Window(fold(network(tensors, I3D)))
    shape = (1, plan.spec.window_ticks, plan.spec.crop_px, plan.spec.crop_px, plan.spec.channels)
    # The trace is of 16 ticks: all lengths that divide by 8 are padded alike, and it is a quarter of the work.
    example = torch.zeros((1, 16, *shape[2:]), dtype=getattr(torch, plan.spec.dtype))
    model = ov.convert_model(
        module, example_input=example, input=[(list(shape), ov.Type(np.dtype(plan.spec.dtype)))]
    )
    ov.save_model(model, folder / "window.xml", compress_to_fp16=False)


def pack(folder: Path, out: Path) -> None:
    """Weights in half precision: half the size, and read as what they were rounded to."""
    for path in sorted(folder.glob("*.xml")):
        ov.save_model(core().read_model(path), out / path.name, compress_to_fp16=True)


def load(plan: Plan, folder: Path | None, tensors: Tensors | None) -> Engine:
    assert folder is not None
    compiled = _compile(folder / "window.xml", plan.precision)
    request = compiled.create_infer_request()

    def run(chunk: NDArray[Any]) -> NDArray[np.float32]:
        logits = []
        for one in np.ascontiguousarray(chunk):
            request.infer([ov.Tensor(one[None])])
            logits.append(request.get_output_tensor(0).data.copy())
        return np.concatenate(logits)

    return WindowEngine(plan.spec, plan.weights, "openvino", plan.precision, device(), run)


def _compile(path: Path, precision: str) -> Any:
    hints = {"INFERENCE_PRECISION_HINT": HINTS[precision], "PERFORMANCE_HINT": "LATENCY"}
    try:
        return core().compile_model(path, "CPU", hints)
    except RuntimeError as error:
        raise EngineError(
            f"OpenVINO cannot load {path}: {error}; delete the folder and build again"
        ) from error
