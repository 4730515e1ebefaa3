"""Torch-TensorRT, for users of torch: the exported program compiled in the process, once for each batch size.

No operation falls back to torch, and nothing is stored. Tested by dry runs, not run on a GPU yet.
"""

from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engines.backends.graphs import Graph
from engines.backends.pytorch import engine
from engines.backends.registry import Forms, LoadedEngine, Plan
from engines.backends.torch_operations import TorchGraph
from engines.errors import EngineError
from engines.spec import Tensors

COMPILES = False
COMPUTES_I3D = True


def unavailable() -> str | None:
    if not torch.cuda.is_available():
        return "torch finds no CUDA device; install NVIDIA's driver and a torch that is built for CUDA"
    try:
        import torch_tensorrt  # noqa: F401
    except (ImportError, OSError, RuntimeError) as error:
        return f"torch_tensorrt cannot be loaded: {error}"
    return None


def precisions() -> tuple[str, ...]:
    return ("float16", "float32")


def device() -> str:
    return torch.cuda.get_device_name()


def versions() -> dict[str, str]:
    import torch_tensorrt

    return {"torch": torch.__version__, "torch_tensorrt": torch_tensorrt.__version__}


def forms(plan: Plan, tensors: Tensors, clip: NDArray[Any] | None) -> Forms:
    return Forms(("",))


def build(plan: Plan, tensors: Tensors, folder: Path, calibration: NDArray[Any] | None) -> None:
    """Leaves no files: the engine is made in the process."""


def pack(plan: Plan, tensors: Tensors, folder: Path, out: Path) -> None:
    """Leaves no files."""


def compiled(module: nn.Module, inputs: list[Tensor], **settings: Any) -> Any:
    """The module for inputs of these shapes. `settings`: torch_tensorrt's own.

    Raises:
        EngineError: TensorRT cannot compile all of it.
    """
    import torch_tensorrt

    settings = {"min_block_size": 1, "require_full_compilation": True, "disable_tf32": True} | settings
    with torch.inference_mode(False), torch.no_grad():
        examples = [torch.zeros(x.shape, dtype=x.dtype, device=x.device) for x in inputs]
        program = torch.export.export(module.eval(), tuple(examples), strict=False)
        try:
            return torch_tensorrt.dynamo.compile(program, arg_inputs=examples, **settings)
        except (RuntimeError, AssertionError) as error:
            raise EngineError(f"torch-tensorrt cannot compile this network: {error}") from error


class Compiled:
    """A graph on the GPU."""

    def __init__(self, graph: Graph) -> None:
        self._module = TorchGraph(graph).cuda()
        self._by_batch: dict[int, Any] = {}

    def __call__(self, *inputs: Tensor) -> Any:
        here = [value.cuda() for value in inputs]
        batch = len(here[0])
        if batch not in self._by_batch:
            self._by_batch[batch] = compiled(self._module, here)
        return self._by_batch[batch](*here)


def load(plan: Plan, folder: Path | None, tensors: Tensors | None) -> LoadedEngine:
    assert tensors is not None
    return engine(plan, tensors, "torch-tensorrt", Compiled)
