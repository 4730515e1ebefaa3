"""The backends by name. Each is a module or an object in one, imported on demand, with the interface `Backend`."""

import importlib
import importlib.util
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, cast

from numpy.typing import NDArray

from engines.cache_folder import Progress
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
"""Tried by `auto` in this order if there is an NVIDIA driver."""
ON_CPU = ("openvino", "torch")
"""Tried by `auto`, in this order, where those do not run."""
LoadedEngine = StreamingEngine | WindowEngine


@dataclass(frozen=True)
class Plan:
    """What to build: with the machine and the versions, it determines an engine completely."""

    spec: StreamSpec
    weights: Weights
    mode: Mode
    precision: str
    """"float32", "bfloat16", "float16" or "int8"."""
    engines_at_a_time: int = 1
    """How many engines, this one included, run concurrently; each gets an equal share of the CPU. Does not affect the
    build."""
    long_steps: bool = False
    """For files, in `continual` mode: steps of as many ticks as are fastest on this machine, where the backend has
    measured that, else of 8."""
    step_ticks: int | None = None
    """Of how many ticks long steps are, if that is not to be measured."""
    parallel_steps: int = 1
    """How many threads may step it at a time, each on an equal share of the CPU. Does not affect the build."""
    form: str = ""
    """One of the backend's `forms`; "": what is best by experience."""
    tell: Progress | None = field(default=None, compare=False)
    """If given, the forms are timed on this machine, which is told of the progress."""


@dataclass(frozen=True)
class Forms:
    """Forms of a network that give the same result up to rounding, in the order in which to try them."""

    names: tuple[str, ...]
    ms: Mapping[str, float] = field(default_factory=dict)
    """What a step of each took, if that was measured on this machine."""
    busy: bool = False
    """Whether it could not be measured because of other programs."""


class Backend(Protocol):
    """The interface of a backend."""

    COMPILES: bool
    """True if `build` leaves files that `load` runs; False if `load` builds in the process, from the tensors."""
    COMPUTES_I3D: bool
    """True if what it builds is to be compared with the reference; False for a double, which computes something
    else."""

    def unavailable(self) -> str | None:
        """Why it cannot run here and what to install, or None."""

    def precisions(self) -> tuple[str, ...]:
        """Precisions that this machine can run, the default first."""

    def device(self) -> str:
        """Processor or GPU that it would run on, as its maker names it."""

    def versions(self) -> dict[str, str]:
        """Versions of everything that shapes a built engine or its predictions."""

    def forms(self, plan: Plan, tensors: Tensors, clip: NDArray[Any] | None) -> Forms:
        """Those that `build` may be asked for. `clip`: as `calibration`."""

    def build(self, plan: Plan, tensors: Tensors, folder: Path, calibration: NDArray[Any] | None) -> None:
        """Write the engine's files into the empty `folder`. `calibration`: ticks (N, 224, 224, C), for int8 only."""

    def pack(self, plan: Plan, tensors: Tensors, folder: Path, out: Path) -> None:
        """For a bundle: write into the empty `out` what `load` needs, as small as possible. `folder`: the built
        engine."""

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
    """The backend to run, and why. A backend asked for by name is used or is an error.

    `nvidia`: whether there is a driver, for "auto".

    Raises:
        UsageError: no such backend.
        EngineError: it cannot run here, or with "auto" none can; says why and what to do.
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
