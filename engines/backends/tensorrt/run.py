"""Runs compiled graphs with what they remember staying on the GPU: ticks go up, only cells come down.

A step reads one side of a memory and writes the other, then they swap: nothing is copied. As all addresses stay the
same, a repeated step is replayed from a CUDA graph. Independent of the compiler: TensorRT and TensorRT-RTX have the
same execution contexts. Imports no torch.

Tested up to the driver, with stand-ins for it and for TensorRT; not run on a GPU yet.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.backends.tensorrt.cuda import Cuda, DeviceMemory, Graph, PinnedArray
from engines.errors import EngineError
from engines.runtime.continual import Bounds, interior

MAX_BATCH = 8
"""Most streams in one launch; more need several launches."""
ALIGNMENT = 256
"""Bytes; the alignment of CUDA's own allocations."""


@dataclass(frozen=True)
class Port:
    """An input or output of a compiled graph."""

    name: str
    shape: tuple[int, ...]
    """Of one stream."""
    dtype: np.dtype[Any]
    is_input: bool

    @property
    def nbytes(self) -> int:
        """Of one stream."""
        return int(np.prod(self.shape)) * self.dtype.itemsize

    @property
    def memory(self) -> int | None:
        """The number of the memory that this port reads or writes, if it is one."""
        number = self.name.removeprefix("memory" if self.is_input else "next")
        return int(number) if number.isdecimal() else None


@dataclass(frozen=True, eq=False)
class Staged:
    """Where ticks or cells are on their way."""

    host: PinnedArray
    device: DeviceMemory


class Program:
    """A compiled graph, loaded on the device. Its launches share scratch memory and staging, so they run one at a
    time."""

    def __init__(
        self,
        cuda: Cuda,
        ports: Sequence[Port],
        scratch_bytes: int,
        new_context: Callable[[], Any],
        said: Callable[[], str],
    ) -> None:
        """`new_context`: makes an execution context without its own memory. `said`: the compiler's last messages."""
        self.cuda, self.ports, self.new_context, self._said = cuda, ports, new_context, said
        self.scratch = cuda.device_memory(scratch_bytes)
        self._staged: dict[int, dict[str, Staged]] = {}

    @property
    def layout(self) -> tuple[Port, ...]:
        """The memories, in order."""
        memories = [port for port in self.ports if port.is_input and port.memory is not None]
        return tuple(sorted(memories, key=lambda port: port.memory or 0))

    def staged(self, batch: int) -> dict[str, Staged]:
        """By port, for everything but memories."""
        if batch not in self._staged:
            self._staged[batch] = {
                port.name: Staged(
                    self.cuda.pinned((batch, *port.shape), port.dtype),
                    self.cuda.device_memory(batch * port.nbytes),
                )
                for port in self.ports
                if port.memory is None
            }
        return self._staged[batch]

    def require(self, done: bool, what: str) -> None:
        """Raises EngineError with the compiler's messages unless `done`."""
        if not done:
            raise EngineError(f"TensorRT cannot {what}: {self._said()}")


class Launch:
    """One program on fixed addresses: its own execution context and, from the second run on, a CUDA graph."""

    def __init__(self, program: Program, batch: int, memory: Mapping[str, int]) -> None:
        """`memory`: by port, the addresses of memories."""
        self._program, self._staged = program, program.staged(batch)
        self._context = program.new_context()
        self._graph: Graph | None = None
        self._ran = False
        addresses = {name: staged.device.address for name, staged in self._staged.items()} | dict(memory)
        for port in program.ports:
            if port.is_input:
                shape = (batch, *port.shape)
                program.require(
                    self._context.set_input_shape(port.name, shape), f"take {port.name} as {shape}"
                )
            placed = self._context.set_tensor_address(port.name, addresses[port.name])
            program.require(placed, f"place {port.name}")
        self._context.set_device_memory(program.scratch.address, program.scratch.nbytes)

    def __call__(self, inputs: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Ticks and bounds by name -> cells (B, positions, 7, 7, features)."""
        for name, values in inputs.items():
            self._staged[name].host.array[...] = values
        cuda = self._program.cuda
        if self._ran and self._graph is None:
            self._graph = cuda.capture(self._enqueue)
        if self._graph is not None:
            cuda.launch(self._graph)
        else:  # TensorRT must run once in new shapes before it is captured
            self._enqueue()
            self._ran = True
        cuda.synchronize()
        cells: NDArray[np.float32] = self._staged["cells"].host.array.copy()
        return cells

    def _enqueue(self) -> None:
        program, cuda = self._program, self._program.cuda
        for port in program.ports:
            if port.is_input and port.memory is None:
                staged = self._staged[port.name]
                cuda.upload(staged.device.address, staged.host)
        program.require(self._context.execute_async_v3(cuda.stream), "run a step")
        cuda.download(self._staged["cells"].host, self._staged["cells"].device.address)


class ResidentWindow:
    """`run` of a `WindowEngine`."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._launches: dict[int, Launch] = {}

    def __call__(self, chunk: NDArray[Any]) -> NDArray[np.float32]:
        parts = [chunk[i : i + MAX_BATCH] for i in range(0, len(chunk), MAX_BATCH)]
        return np.concatenate([self._launch(len(part))({"chunk": part}) for part in parts])

    def _launch(self, batch: int) -> Launch:
        if batch not in self._launches:
            self._launches[batch] = Launch(self._program, batch, {})
        return self._launches[batch]


class Block:
    """The memories of up to `MAX_BATCH` streams, on two sides: one is read and the other written, in turns."""

    def __init__(self, cuda: Cuda, layout: Sequence[Port], batch: int) -> None:
        self.batch = batch
        sizes = [-(-batch * port.nbytes // ALIGNMENT) * ALIGNMENT for port in layout]
        self._starts = np.cumsum([0, *sizes])[:-1].tolist()
        self._sides = [cuda.device_memory(sum(sizes)) for _ in range(2)]
        self._turn = 0
        self._launches: dict[tuple[Program, int], Launch] = {}
        cuda.clear(self._sides[0])

    def step(self, program: Program, inputs: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        key = program, self._turn
        if key not in self._launches:
            self._launches[key] = Launch(program, self.batch, self._addresses(program))
        cells = self._launches[key](inputs)
        self._turn = 1 - self._turn
        return cells

    def _addresses(self, program: Program) -> dict[str, int]:
        """Where the program reads and writes memories in the next step."""
        reads, writes = self._sides[self._turn].address, self._sides[1 - self._turn].address
        numbered = [(port, port.memory) for port in program.ports]
        return {
            port.name: (reads if port.is_input else writes) + self._starts[number]
            for port, number in numbered
            if number is not None
        }


class ResidentGraphs:
    """See `engines.runtime.continual.Graphs`. A memory is a list of blocks, swapped in place by a step."""

    def __init__(self, cuda: Cuda, programs: Mapping[str, Program]) -> None:
        """`programs`: "interior", "boundary" and, in `preview` mode, "preview"."""
        self._cuda, self._programs = cuda, programs
        self._layout = programs["interior"].layout
        if any(program.layout != self._layout for program in programs.values()):
            raise EngineError("the engine's graphs do not remember the same; build it again with --rebuild")

    def fresh(self, batch: int) -> list[Block]:
        sizes = [min(MAX_BATCH, batch - start) for start in range(0, batch, MAX_BATCH)]
        return [Block(self._cuda, self._layout, size) for size in sizes]

    def run(
        self, chunk: NDArray[Any], bounds: Bounds, memory: list[Block], preview: bool
    ) -> tuple[NDArray[np.float32], list[Block]]:
        cells = []
        start = 0
        for block in memory:
            part = slice(start, start + block.batch)
            if interior(bounds[part]).all():
                program, inputs = self._programs["preview" if preview else "interior"], {"chunk": chunk[part]}
            else:
                program, inputs = self._programs["boundary"], {"chunk": chunk[part], "bounds": bounds[part]}
            cells.append(block.step(program, inputs))
            start += block.batch
        return np.concatenate(cells), memory
