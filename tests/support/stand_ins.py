"""Stand-ins for NVIDIA's driver, whose device memory is the host's, and for TensorRT, which computes with
onnxruntime."""

import ctypes
import functools
import importlib.util
import shutil
import subprocess
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest

HERE = Path(__file__).parent


@functools.cache
def headers() -> Path | None:
    """Folder of NVIDIA's cuda.h: from the toolkit or from triton."""
    places = [Path("/usr/local/cuda/include")]
    if spec := importlib.util.find_spec("triton"):
        places += [Path(place) / "backends/nvidia/include" for place in spec.submodule_search_locations or []]
    return next((place for place in places if (place / "cuda.h").exists()), None)


def build_driver(folder: Path) -> Path:
    """Compile the stand-in for libcuda."""
    compiler = shutil.which("cc")
    if compiler is None or headers() is None:
        pytest.skip("the stand-in for NVIDIA's driver needs a C compiler and cuda.h, which triton includes")
    library = folder / "libcuda.so"
    flags = ["-shared", "-fPIC", "-Wall", "-Werror", f"-I{headers()}"]
    subprocess.run([compiler, *flags, "-o", library, HERE / "libcuda.c"], check=True)
    return library


class Tally:
    """What the driver's stand-in has counted."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        library.allocated.restype = ctypes.c_longlong

    def __getattr__(self, name: str) -> int:
        return ctypes.c_longlong.in_dll(self._library, name).value

    @property
    def allocated(self) -> int:
        """Bytes that have not been freed."""
        found: int = self._library.allocated()
        return found


class Context:
    """An execution context that is as strict about the order of calls as TensorRT."""

    def __init__(self, engine: "CudaEngine") -> None:
        self._engine = engine
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._addresses: dict[str, int] = {}
        self._scratch = 0

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self._shapes[name] = shape
        return self._engine.ports[name].shape[1:] == list(shape[1:]) and 1 <= shape[0] <= 8

    def set_tensor_address(self, name: str, address: int) -> bool:
        self._addresses[name] = address
        return name in self._engine.ports and address % 256 == 0

    def set_device_memory(self, address: int, size: int) -> None:
        assert size >= self._engine.device_memory_size_v2
        self._scratch = address

    def execute_async_v3(self, stream: int) -> bool:
        """Whether the step could be enqueued: as in TensorRT, not unless everything that it needs was set."""
        engine = self._engine
        if engine.broken or not self._scratch or set(self._addresses) != set(engine.ports):
            return False
        batches = {shape[0] for shape in self._shapes.values()}
        if len(batches) != 1 or set(self._shapes) != set(engine.inputs):
            return False
        addresses, (batch,) = dict(self._addresses), batches
        read, written = ({addresses[name] for name in side} for side in (engine.inputs, engine.outputs))
        assert not read & written
        call = ctypes.CFUNCTYPE(None)(lambda: engine.compute(addresses, batch))
        engine.keep.append(call)
        return bool(engine.driver.enqueue_call(ctypes.c_void_p(stream), call) == 0)


class CudaEngine:
    """An "engine" that is an ONNX model."""

    device_memory_size_v2 = 1000

    def __init__(self, model: bytes, driver: ctypes.CDLL, *, broken: bool = False) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.driver, self.broken = driver, broken
        self.keep: list[Any] = []
        self.inputs = {port.name: port for port in self._session.get_inputs()}
        self.outputs = {port.name: port for port in self._session.get_outputs()}
        self.ports = self.inputs | self.outputs

    @property
    def num_io_tensors(self) -> int:
        return len(self.ports)

    def get_tensor_name(self, i: int) -> str:
        return list(self.ports)[i]

    def get_tensor_shape(self, name: str) -> list[int]:
        return [-1, *self.ports[name].shape[1:]]

    def get_tensor_dtype(self, name: str) -> str:
        return str(self.ports[name].type)

    def get_tensor_mode(self, name: str) -> str:
        return "input" if name in self.inputs else "output"

    def create_execution_context(self, strategy: str) -> Context:
        assert strategy == "user managed"
        return Context(self)

    def compute(self, addresses: dict[str, int], batch: int) -> None:
        """Inputs are read when the step runs, not when it is enqueued, as on a GPU."""
        feeds = {name: self._at(name, addresses[name], batch).copy() for name in self.inputs}
        for name, value in zip(self.outputs, self._session.run(None, feeds), strict=True):
            self._at(name, addresses[name], batch)[...] = value

    def _at(self, name: str, address: int, batch: int) -> np.ndarray:
        shape, dtype = (batch, *self.ports[name].shape[1:]), nptype(self.ports[name].type)
        nbytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
        return np.frombuffer((ctypes.c_ubyte * nbytes).from_address(address), dtype).reshape(shape)


def nptype(name: str) -> Any:
    names = {"float": np.float32, "float16": np.float16, "uint8": np.uint8, "int32": np.int32}
    return names[name.removeprefix("tensor(").removesuffix(")")]


class Logger:
    """Base class of TensorRT's loggers."""

    Severity = SimpleNamespace(INTERNAL_ERROR=0, ERROR=1)


def tensorrt(driver: ctypes.CDLL, *, broken: bool = False) -> Any:
    """A module that runs ONNX models as engines. `broken`: no step succeeds."""

    class Runtime:
        def __init__(self, log: Any) -> None:
            self._log = log

        def deserialize_cuda_engine(self, model: bytes) -> CudaEngine | None:
            if not model.startswith(b"\x08"):  # an ONNX model's version
                self._log.log(Logger.Severity.ERROR, "magic tag\n does not match")
                return None
            return CudaEngine(model, driver, broken=broken)

    return SimpleNamespace(
        ExecutionContextAllocationStrategy=SimpleNamespace(USER_MANAGED="user managed"),
        ILogger=Logger,
        Runtime=Runtime,
        TensorIOMode=SimpleNamespace(INPUT="input"),
        __spec__=ModuleSpec("tensorrt", None),  # torch checks that it is there
        __version__="11.0",
        nptype=nptype,
    )
