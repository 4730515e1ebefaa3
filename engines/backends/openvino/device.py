"""OpenVINO on this machine: its processor, what it computes in, and how many threads it has."""

from collections.abc import Callable
from functools import cache
from typing import Any

import openvino as ov
import openvino.opset13 as opset


@cache
def core() -> Any:
    return ov.Core()


def device() -> str:
    return str(core().get_property("CPU", "FULL_DEVICE_NAME"))


def unavailable(device: Callable[[], str] = device) -> str | None:
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


def versions() -> dict[str, str]:
    return {"openvino": ov.__version__}


def hint(precision: str) -> str:
    """What OpenVINO is told to compute in. What is not in 8 bits is in bfloat16, where the processor computes in it."""
    return "bf16" if precision != "float32" and "bfloat16" in precisions() else "f32"


@cache
def threads() -> int:
    """That OpenVINO would use on this machine: its cores, without their second threads."""
    x = opset.parameter([1], ov.Type.f32)
    smallest = core().compile_model(ov.Model([opset.relu(x)], [x]), "CPU", {"PERFORMANCE_HINT": "LATENCY"})
    return int(smallest.get_property("INFERENCE_NUM_THREADS"))
