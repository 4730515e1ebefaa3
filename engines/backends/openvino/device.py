"""OpenVINO on this machine: its processor, precisions and number of threads."""

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
    """Queries only the CPU plugin: a list of all devices would also load those of GPUs, 17 MB that nothing uses."""
    try:
        device()
    except RuntimeError:
        return "OpenVINO finds no CPU that it can use"
    return None


def precisions() -> tuple[str, ...]:
    """bfloat16 only where the processor supports it: elsewhere OpenVINO would silently use float32."""
    capable = core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return ("bfloat16", "float32", "int8") if "BF16" in capable else ("float32", "int8")


def versions() -> dict[str, str]:
    return {"openvino": ov.__version__}


def hint(precision: str) -> str:
    """OpenVINO's inference precision. Whatever is not in 8 bits is in bfloat16, where the processor supports it."""
    return "bf16" if precision != "float32" and "bfloat16" in precisions() else "f32"


@cache
def threads() -> int:
    """Threads that OpenVINO would use on this machine: its physical cores."""
    x = opset.parameter([1], ov.Type.f32)
    smallest = core().compile_model(ov.Model([opset.relu(x)], [x]), "CPU", {"PERFORMANCE_HINT": "LATENCY"})
    return int(smallest.get_property("INFERENCE_NUM_THREADS"))
