"""The backends by name. Each is one module or an object in one, imported when it is asked for, and looks like `Backend`."""

import importlib
import importlib.util
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from numpy.typing import NDArray

from engines.errors import EngineError, UsageError
from engines.extras import install
from engines.runtime.continual import StreamingEngine
from engines.runtime.window import WindowEngine
from engines.spec import Mode, StreamSpec, Tensors, Weights

REGISTRY = {
    # name: module or module:object, package that it needs, how to get that package
    "openvino": ("engines.backends.openvino.run", "openvino", "pip install openvino"),
    "tensorrt": ("engines.backends.tensorrt.backend:SERVER", "tensorrt", install("nvidia")),
    "tensorrt-rtx": ("engines.backends.tensorrt.backend:RTX", "tensorrt_rtx", install("rtx")),
    "torch": ("engines.backends.pytorch", "torch", install("torch")),
    "torch-tensorrt": ("engines.backends.torch_tensorrt", "torch_tensorrt", install("nvidia")),
}
ON_NVIDIA = ("tensorrt", "tensorrt-rtx", "torch")
"""Tried by `auto`, in this order, where there is an NVIDIA driver."""
ON_CPU = ("openvino", "torch")
"""Tried by `auto`, in this order, where those do not run."""
LoadedEngine = StreamingEngine | WindowEngine


@dataclass(frozen=True)
class Plan:
    """What is to be built: together with the machine and the versions it shapes an engine completely."""

    spec: StreamSpec
    weights: Weights
    mode: Mode
    precision: str
    """"float32", "bfloat16", "float16" or "int8"."""
    at_once: int = 1
    """Engines that will be stepped at the same time; each gets its share of the processor. Changes nothing of what is built."""


class Backend(Protocol):
    """What a backend's module offers."""

    COMPILES: bool
    """True if `build` leaves files that `load` runs; False if `load` builds in the process, from the tensors."""

    def unavailable(self) -> str | None:
        """Why it cannot run here and what to install, or None."""

    def precisions(self) -> tuple[str, ...]:
        """What this machine can run, the default first."""

    def device(self) -> str:
        """Processor or GPU that it would run on, as its maker names it."""

    def versions(self) -> dict[str, str]:
        """Versions of whatever shapes a built engine or its answers."""

    def build(self, plan: Plan, tensors: Tensors, folder: Path, calibration: NDArray[Any] | None) -> None:
        """Leave the engine's files in the empty `folder`. `calibration`: ticks (N, 224, 224, C), for int8 only."""

    def pack(self, plan: Plan, tensors: Tensors, folder: Path, out: Path) -> None:
        """For a bundle: leave in the empty `out` what `load` needs, as small as it can be. `folder`: the built engine."""

    def load(self, plan: Plan, folder: Path | None, tensors: Tensors | None) -> LoadedEngine:
        """Ready to run: from the files in `folder` if the backend compiles, else from the tensors."""


def backend_module(name: str) -> Backend:
    """The backend of that name.

    Raises:
        UsageError: no such backend.
        EngineError: its package is not installed.
    """
    if name not in REGISTRY:
        raise UsageError(f"backend {name!r} is not known; choose one of auto, {', '.join(sorted(REGISTRY))}")
    module, package, how = REGISTRY[name]
    if importlib.util.find_spec(package) is None:
        raise EngineError(f"backend {name} needs the package {package}, which is not installed: {how}")
    module, _, name = module.partition(":")
    found = importlib.import_module(module)
    return cast(Backend, getattr(found, name) if name else found)


def has_nvidia_driver() -> bool:
    """Whether this machine has a driver that could run a GPU backend."""
    return Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None


def choose_backend(name: str, nvidia: Callable[[], bool] = has_nvidia_driver) -> tuple[str, str]:
    """The backend to run, and why it. A backend asked for by name is taken or is an error.

    `nvidia`: whether there is a driver, which "auto" asks.

    Raises:
        UsageError: no such backend.
        EngineError: it, or with "auto" every one, cannot run here; says why and what to do.
    """
    if name != "auto":
        if against := backend_module(name).unavailable():
            raise EngineError(f"backend {name} cannot run here: {against}")
        return name, "asked for"
    against_all: list[str] = []
    driver = nvidia()
    for candidate in (ON_NVIDIA if driver else ()) + ON_CPU:
        try:
            module = backend_module(candidate)
            against = module.unavailable()
            if not against and driver and candidate in ON_NVIDIA and module.device().startswith("CPU"):
                against = "it finds no CUDA device"
        except EngineError as error:
            against = str(error)
        if not against:
            where = "an NVIDIA driver is here" if driver else "no NVIDIA driver here"
            return candidate, "; ".join([f"auto: {where}", *against_all])
        against_all.append(f"not {candidate}: {against}")
    raise EngineError(f"no backend can run here: {'; '.join(against_all)}")
