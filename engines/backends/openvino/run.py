"""OpenVINO, the default on CPUs. A built engine is IR files; running it needs neither onnx nor nncf.

Each stream of a batch is run separately: on a CPU a batch is hardly faster, and this way no prediction can depend on
the other streams.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from engines.backends.openvino.device import core, hint, threads
from engines.backends.openvino.device import device as device
from engines.backends.openvino.device import precisions as precisions
from engines.backends.openvino.device import unavailable as unavailable
from engines.backends.openvino.device import versions as versions
from engines.backends.registry import Forms, LoadedEngine, Plan
from engines.engine import SEEN_TICKS
from engines.errors import EngineError
from engines.head import Floats, load_head
from engines.runtime.continual import Bounds, StreamingEngine, interior
from engines.runtime.window import WindowEngine
from engines.spec import Tensors

COMPILES = True
COMPUTES_I3D = True
COMPILED = "compiled"
"""Folder next to the IR files where OpenVINO caches what it compiles for this processor; it makes loading twice as
fast."""

NAMES = ("boundary", "interior", "preview", "end")
"""The graphs that an engine may have."""
SHARED = "weights.bin"
"""In a bundle, the constants of all graphs."""
FORMS = "forms"
"""In a bundle that is tuned where it runs, the folder that has one for each form of the graphs."""


def build(plan: Plan, tensors: Tensors, folder: Path, calibration: NDArray[Any] | None) -> None:
    from engines.backends.openvino.build import build as build_here

    build_here(plan, tensors, folder, calibration)


def forms(plan: Plan, tensors: Tensors, clip: NDArray[Any] | None) -> Forms:
    from engines.backends.openvino.forms import forms as every
    from engines.backends.openvino.forms import known_best, processor_kind

    if plan.tell is None or plan.long_steps:
        best, usual = known_best(plan, processor_kind()), next(iter(every(plan)))
        return Forms(tuple(dict.fromkeys((best, usual))))
    from engines.backends.openvino.tune import tuned

    return tuned(plan, tensors, clip, plan.tell)


def pack(plan: Plan, tensors: Tensors, folder: Path, out: Path) -> None:
    from engines.backends.openvino.build import pack as pack_here

    pack_here(plan, tensors, folder, out)


def form_folder(folder: Path, form: str) -> Path:
    """Where the graphs of this form are."""
    packed = folder / FORMS / form.replace(",", "").replace(" ", "-")
    return packed if form and (folder / FORMS).is_dir() else folder


def load(plan: Plan, folder: Path | None, tensors: Tensors | None) -> LoadedEngine:
    assert folder is not None
    of_form = form_folder(folder, plan.form)
    facts = "openvino", plan.precision, device()
    share = plan.engines_at_a_time
    if plan.mode != "window":
        graphs = OpenVINOGraphs(of_form, plan)
        return StreamingEngine(
            plan.spec, plan.weights, plan.mode, *facts, graphs, load_head(folder), graphs.step_ticks, share
        )
    requests = Requests(compiled(of_form, ("window",), plan)["window"], plan.parallel_steps)

    def run(chunk: NDArray[Any]) -> Floats:
        cells = []
        with requests.one() as request:
            for one in np.ascontiguousarray(chunk):
                request.infer([ov.Tensor(one[None])])
                cells.append(request.get_output_tensor(0).data.copy())
        return _joined(cells)

    return WindowEngine(
        plan.spec, plan.weights, *facts, run, load_head(folder), engines_at_a_time=plan.engines_at_a_time
    )


class Requests:
    """The infer requests of a graph: as many threads may use it at a time."""

    def __init__(self, compiled: Any, count: int) -> None:
        self._free: SimpleQueue[Any] = SimpleQueue()
        for _ in range(count):
            self._free.put(compiled.create_infer_request())

    @contextmanager
    def one(self) -> Iterator[Any]:
        """One that no other thread has; waits for its turn."""
        request = self._free.get()
        try:
            yield request
        finally:
            self._free.put(request)


class Remembered:
    """The memories of one stream, and equal space for those after the next step."""

    def __init__(self, layout: Sequence[tuple[Any, Any]]) -> None:
        self.now, self.next = ([ov.Tensor(kind, shape) for kind, shape in layout] for _ in range(2))
        for tensor in self.now:
            tensor.data[...] = 0


class OpenVINOGraphs:
    """See `engines.runtime.continual.Graphs`. A memory is a list of one `Remembered` a stream, swapped in place by a
    step."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        names = [name for name in NAMES if (folder / f"{name}.xml").exists()]
        models = compiled(folder, names, plan)
        self.requests = {name: Requests(model, plan.parallel_steps) for name, model in models.items()}
        chunk, *memories = models["interior"].inputs
        self.step_ticks = int(chunk.shape[1]) - SEEN_TICKS
        """New ticks in a step."""
        self._layout = [(x.element_type, x.shape) for x in memories]

    def fresh(self, batch: int) -> list[Remembered]:
        return [Remembered(self._layout) for _ in range(batch)]

    def run(
        self, chunk: NDArray[Any], bounds: Bounds, memory: list[Remembered], preview: bool
    ) -> tuple[Floats, list[Remembered]]:
        cells = []
        inside = interior(bounds, self.step_ticks)
        for i, (remembered, settled) in enumerate(zip(memory, inside, strict=True)):
            inputs = [chunk[i : i + 1]] if settled else [chunk[i : i + 1], bounds[i : i + 1]]
            ends = preview and "end" in self.requests
            name = ("preview" if preview else "interior") if settled else ("end" if ends else "boundary")
            cells.append(self.step(name, inputs, remembered))
        return _joined(cells), memory

    def step(self, name: str, inputs: list[NDArray[Any]], remembered: Remembered) -> Floats:
        """One graph for one stream: cells (1, positions, 7, 7, features)."""
        with self.requests[name].one() as request:
            for i, tensor in enumerate([*(ov.Tensor(x) for x in inputs), *remembered.now]):
                request.set_input_tensor(i, tensor)
            for i, tensor in enumerate(remembered.next):
                request.set_output_tensor(i + 1, tensor)
            request.infer()
            remembered.now, remembered.next = remembered.next, remembered.now
            cells: Floats = request.get_output_tensor(0).data.copy()
        return cells


def _joined(cells: list[Floats]) -> Floats:
    """The streams of a batch. Of one alone nothing is copied."""
    return cells[0] if len(cells) == 1 else np.concatenate(cells)


def hints(plan: Plan) -> dict[str, Any]:
    """How OpenVINO shares the CPU. Without pinning where engines run concurrently, or all would be pinned to the same
    cores."""
    precision = {"INFERENCE_PRECISION_HINT": hint(plan.precision)}
    share = {
        "INFERENCE_NUM_THREADS": max(1, threads() // plan.engines_at_a_time),
        "ENABLE_CPU_PINNING": False,
    }
    if plan.parallel_steps > 1:
        return precision | share | {"NUM_STREAMS": plan.parallel_steps}
    latency = precision | {"PERFORMANCE_HINT": "LATENCY"}
    return latency | share if plan.engines_at_a_time > 1 else latency


def compiled(folder: Path, names: Sequence[str], plan: Plan) -> dict[str, Any]:
    """The graphs of an engine, ready to run."""
    how = hints(plan)
    with ExitStack() as stack:
        if (folder / "manifest.json").exists():  # in the cache, to stay
            from engines.cache_folder import intact

            with suppress(EngineError):  # a cache that can only be read: compiled for this process alone
                stack.enter_context(intact(folder / COMPILED))  # once for all graphs: it hashes every blob
                how["CACHE_DIR"] = str(folder / COMPILED)
        return {name: _compile(folder / f"{name}.xml", how) for name in names}


def _compile(path: Path, hints: Mapping[str, Any]) -> Any:
    shared = [place / SHARED for place in (path.parent, path.parents[2]) if (place / SHARED).exists()]
    try:
        model = core().read_model(path, shared[0]) if shared else path
        return core().compile_model(model, "CPU", hints)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise EngineError(f"OpenVINO cannot load {path}: {reason}; build again with --rebuild") from error
