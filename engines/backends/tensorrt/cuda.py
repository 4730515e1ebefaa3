"""The part of CUDA that running an engine needs: memory, one stream, graphs. Calls the driver's library directly.

libcuda comes with every NVIDIA driver, on servers, desktops and Jetson alike, and its interface only grows: nothing
has to be installed and no version has to match. (cuda-python's packages are another 15 MB and a version that must
match; the runtime library, libcudart, is installed differently on each kind of machine.) The device's primary context
is used, which TensorRT and torch use too.

Tested against a stand-in compiled with NVIDIA's header; not run on a GPU yet.
"""

import ctypes
import sys
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from engines.errors import EngineError

LIBRARY = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
_Pointer, _Address, _Size, _Int, _Unsigned = (
    ctypes.c_void_p,
    ctypes.c_uint64,
    ctypes.c_size_t,
    ctypes.c_int,
    ctypes.c_uint,
)
_Out = ctypes.POINTER
SIGNATURES: dict[str, tuple[Any, ...]] = {
    "cuInit": (_Unsigned,),
    "cuGetErrorString": (_Int, _Out(ctypes.c_char_p)),
    "cuDeviceGetCount": (_Out(_Int),),
    "cuDeviceGet": (_Out(_Int), _Int),
    "cuDeviceGetName": (ctypes.c_char_p, _Int, _Int),
    "cuDeviceGetAttribute": (_Out(_Int), _Int, _Int),
    "cuDevicePrimaryCtxRetain": (_Out(_Pointer), _Int),
    "cuCtxSetCurrent": (_Pointer,),
    "cuStreamCreate": (_Out(_Pointer), _Unsigned),
    "cuStreamSynchronize": (_Pointer,),
    "cuMemAlloc_v2": (_Out(_Address), _Size),
    "cuMemFree_v2": (_Address,),
    "cuMemHostAlloc": (_Out(_Pointer), _Size, _Unsigned),
    "cuMemFreeHost": (_Pointer,),
    "cuMemcpyHtoDAsync_v2": (_Address, _Pointer, _Size, _Pointer),
    "cuMemcpyDtoHAsync_v2": (_Pointer, _Address, _Size, _Pointer),
    "cuMemsetD8Async": (_Address, ctypes.c_ubyte, _Size, _Pointer),
    "cuStreamBeginCapture_v2": (_Pointer, _Int),
    "cuStreamEndCapture": (_Pointer, _Out(_Pointer)),
    "cuGraphInstantiateWithFlags": (_Out(_Pointer), _Pointer, ctypes.c_ulonglong),
    "cuGraphLaunch": (_Pointer, _Pointer),
    "cuGraphDestroy": (_Pointer,),
    "cuGraphExecDestroy": (_Pointer,),
}
"""The functions that are called, as declared in cuda.h; every driver that the oldest TensorRT here requires has
them."""
COMPUTE_CAPABILITY = (75, 76)
"""CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR."""
NON_BLOCKING = 1
RELAXED = 2
"""CU_STREAM_CAPTURE_MODE_RELAXED: memory that Python frees during a capture does not break it."""


class DeviceMemory:
    """Memory on the device, freed with this object."""

    def __init__(self, address: int, nbytes: int, free: Callable[[int], None]) -> None:
        self.address, self.nbytes = address, nbytes
        weakref.finalize(self, free, address)


class PinnedArray:
    """An array in host memory that the device copies from and to directly, freed with this object."""

    def __init__(
        self, address: int, shape: Sequence[int], dtype: DTypeLike, free: Callable[[int], None]
    ) -> None:
        nbytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
        buffer = (ctypes.c_ubyte * nbytes).from_address(address)
        self.address = address
        self.array: NDArray[Any] = np.frombuffer(memoryview(buffer), dtype).reshape(shape)
        weakref.finalize(self, free, address)


class Graph:
    """A captured graph, which can be launched repeatedly."""

    def __init__(self, handle: int, free: Callable[[int], None]) -> None:
        self.handle = handle
        weakref.finalize(self, free, handle)


class Cuda:
    """The first device that the driver lists; CUDA_VISIBLE_DEVICES selects it."""

    def __init__(self, library: ctypes.CDLL) -> None:
        """Raises EngineError: the driver finds no device that it can use."""
        self._library = library
        for name, types in SIGNATURES.items():
            getattr(library, name).argtypes = types
        self._check("cuInit", 0)
        if self._got(_Int, "cuDeviceGetCount") == 0:
            raise EngineError(
                "the NVIDIA driver finds no GPU; check with nvidia-smi and CUDA_VISIBLE_DEVICES"
            )
        device = self._got(_Int, "cuDeviceGet", 0)
        text = ctypes.create_string_buffer(256)
        self._check("cuDeviceGetName", text, len(text), device)
        self.name = text.value.decode()
        """NVIDIA's name for it."""
        major, minor = (self._got(_Int, "cuDeviceGetAttribute", code, device) for code in COMPUTE_CAPABILITY)
        self.capability = (major, minor)
        self._context = self._got(_Pointer, "cuDevicePrimaryCtxRetain", device)
        self._call("cuCtxSetCurrent", self._context)
        self.stream: int = self._got(_Pointer, "cuStreamCreate", NON_BLOCKING)

    def _check(self, name: str, *arguments: Any) -> None:
        code = getattr(self._library, name)(*arguments)
        if code != 0:
            words = ctypes.c_char_p()
            self._library.cuGetErrorString(code, ctypes.byref(words))
            said = words.value.decode() if words.value else "unknown error"
            raise EngineError(f"NVIDIA driver: {name}: {said} ({code})")

    def _call(self, name: str, *arguments: Any) -> None:
        """Call a function with the device's context current; from any thread."""
        self._check("cuCtxSetCurrent", self._context)
        self._check(name, *arguments)

    def _got(self, kind: Any, name: str, *arguments: Any) -> Any:
        """The value that a function writes to its first argument."""
        value = kind()
        self._check(name, ctypes.byref(value), *arguments)
        return value.value

    def device_memory(self, nbytes: int) -> DeviceMemory:
        """Uninitialised memory. Raises EngineError: the device has too little memory left."""
        self._call("cuCtxSetCurrent", self._context)
        address = self._got(_Address, "cuMemAlloc_v2", max(nbytes, 1))
        return DeviceMemory(address, nbytes, lambda a: self._call("cuMemFree_v2", a))

    def pinned(self, shape: Sequence[int], dtype: DTypeLike) -> PinnedArray:
        nbytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
        self._call("cuCtxSetCurrent", self._context)
        address = self._got(_Pointer, "cuMemHostAlloc", nbytes, 0)
        return PinnedArray(address, shape, dtype, lambda a: self._call("cuMemFreeHost", a))

    # The following are done in the order of the calls, at some time before `synchronize` returns.

    def upload(self, to: int, source: PinnedArray) -> None:
        self._call("cuMemcpyHtoDAsync_v2", to, source.address, source.array.nbytes, self.stream)

    def download(self, to: PinnedArray, source: int) -> None:
        self._call("cuMemcpyDtoHAsync_v2", to.address, source, to.array.nbytes, self.stream)

    def clear(self, memory: DeviceMemory) -> None:
        """Set memory to zeros."""
        self._call("cuMemsetD8Async", memory.address, 0, memory.nbytes, self.stream)

    def capture(self, work: Callable[[], None]) -> Graph:
        """Capture the stream operations of `work` as a graph, without running them."""
        with self._capturing() as ended:
            work()
        (graph,) = ended
        try:
            handle = self._got(_Pointer, "cuGraphInstantiateWithFlags", graph, 0)
        finally:
            self._call("cuGraphDestroy", graph)
        return Graph(handle, lambda h: self._call("cuGraphExecDestroy", h))

    @contextmanager
    def _capturing(self) -> Iterator[list[Any]]:
        """The graph is in the list once the block has ended; however it ends, the capture is over."""
        ended: list[Any] = []
        self._call("cuStreamBeginCapture_v2", self.stream, RELAXED)
        try:
            yield ended
        except BaseException:
            graph = _Pointer()  # the driver may have ended the capture by itself, so its result is ignored
            self._library.cuStreamEndCapture(self.stream, ctypes.byref(graph))
            if graph.value:
                self._library.cuGraphDestroy(graph)
            raise
        graph = _Pointer()
        self._check("cuStreamEndCapture", self.stream, ctypes.byref(graph))
        ended.append(graph.value)

    def launch(self, graph: Graph) -> None:
        self._call("cuGraphLaunch", graph.handle, self.stream)

    def synchronize(self) -> None:
        """Wait until all calls so far are done; other threads run meanwhile."""
        self._call("cuStreamSynchronize", self.stream)


@cache
def open_driver(library: str = LIBRARY) -> Cuda:
    """The only `Cuda` of this process. `library`: file name of the driver's library.

    Raises:
        EngineError: there is no NVIDIA driver or no GPU.
    """
    try:
        loaded = ctypes.CDLL(library)
    except OSError as error:
        raise EngineError(
            f"no NVIDIA driver: {library} is not here; install NVIDIA's driver for this GPU and see that nvidia-smi "
            "runs (in a container: start it with --gpus all)"
        ) from error
    return Cuda(loaded)
