"""The driver's interface, on a stand-in that is compiled with NVIDIA's header."""

import ctypes
import gc
import threading

import numpy as np
import pytest

from engines.backends.tensorrt.cuda import Cuda, open_driver
from engines.errors import EngineError
from tests.support.stand_ins import Tally, build_driver


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    return ctypes.CDLL(str(build_driver(tmp_path_factory.mktemp("driver"))))


@pytest.fixture
def cuda(library: ctypes.CDLL) -> Cuda:
    return Cuda(library)


def test_without_a_driver_it_says_what_to_install() -> None:
    with pytest.raises(
        EngineError, match=r"no NVIDIA driver: libnosuchcuda.so.1 is not here; install NVIDIA's driver"
    ):
        open_driver("libnosuchcuda.so.1")


def test_a_driver_that_finds_no_gpu_is_an_error(library: ctypes.CDLL) -> None:
    library.set_devices(0)
    try:
        with pytest.raises(EngineError, match="finds no GPU; check with nvidia-smi"):
            Cuda(library)
    finally:
        library.set_devices(1)


def test_the_device_reports_its_name_and_compute_capability(cuda: Cuda) -> None:
    assert (cuda.name, cuda.capability) == ("Stand-in 4090", (8, 9))


def test_values_are_uploaded_and_downloaded(cuda: Cuda) -> None:
    up, down = cuda.pinned((3,), np.int32), cuda.pinned((2, 3), np.int32)
    there = cuda.device_memory(down.array.nbytes)
    up.array[...] = [4, 5, 6]
    cuda.clear(there)
    cuda.upload(there.address, up)
    cuda.download(down, there.address)
    cuda.synchronize()
    assert down.array.tolist() == [[4, 5, 6], [0, 0, 0]]


def test_a_graph_repeats_its_work_on_the_current_values(cuda: Cuda, library: ctypes.CDLL) -> None:
    up, down = (cuda.pinned((4,), np.float32) for _ in range(2))
    there = cuda.device_memory(up.array.nbytes)
    down.array[...] = 0

    def work() -> None:
        cuda.upload(there.address, up)
        cuda.download(down, there.address)

    graph = cuda.capture(work)
    assert down.array.tolist() == [0, 0, 0, 0]
    for values in ([1, 2, 3, 4], [5, 6, 7, 8]):
        up.array[...] = values
        cuda.launch(graph)
        cuda.synchronize()
        assert down.array.tolist() == values
    held = Tally(library).graphs
    del graph
    gc.collect()
    assert Tally(library).graphs == held - 1


def test_a_capture_that_fails_leaves_a_stream_that_works(cuda: Cuda) -> None:
    with pytest.raises(ZeroDivisionError):
        cuda.capture(lambda: print(1 // 0))
    memory = cuda.device_memory(8)
    cuda.clear(memory)
    cuda.synchronize()


def test_a_failed_call_is_an_error_in_the_drivers_words(cuda: Cuda) -> None:
    with pytest.raises(EngineError, match=r"NVIDIA driver: cuMemAlloc_v2: out of memory \(2\)"):
        cuda.device_memory(1 << 50)
    memory, more = cuda.device_memory(8), cuda.pinned((1000,), np.uint8)
    with pytest.raises(EngineError, match="cuMemcpyHtoDAsync_v2: invalid argument"):
        cuda.upload(memory.address, more)


def test_memory_is_freed(cuda: Cuda, library: ctypes.CDLL) -> None:
    held = Tally(library).allocated
    memory, pinned = cuda.device_memory(1000), cuda.pinned((10, 10), np.uint8)
    assert Tally(library).allocated == held + 1100
    del memory, pinned
    gc.collect()
    assert Tally(library).allocated == held


def test_any_thread_may_use_it(cuda: Cuda) -> None:
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(cuda.device_memory(64).nbytes))
    thread.start()
    thread.join()
    assert found == [64]
