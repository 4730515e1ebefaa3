"""TensorRT, the default on NVIDIA: `tensorrt` on servers and Jetson, `tensorrt-rtx` on GeForce and RTX cards.

Each graph becomes a strongly typed network through ONNX: it is computed in exactly the types that the graph states.
Only the batch size varies. A built engine is one file a graph; running it needs no onnx. Building is tested with
TensorRT-RTX, which does not need the target GPU; no engine has been run on a GPU yet: built, not run.
"""

import importlib
import shutil
from collections import deque
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.backends.registry import Forms, LoadedEngine, Plan
from engines.backends.tensorrt.cuda import Cuda, open_driver
from engines.backends.tensorrt.run import MAX_BATCH, Port, Program, ResidentGraphs, ResidentWindow
from engines.errors import EngineError
from engines.extras import install
from engines.head import FILE, head_of, load_head, save_head
from engines.runtime.continual import StreamingEngine
from engines.runtime.window import WindowEngine
from engines.spec import Tensors

USUAL_BATCH = 1
"""The batch size that kernels are chosen for: one camera."""
SUFFIX = ".engine"
Capability = tuple[int, int]
"""Of a GPU: 8.9 is (8, 9)."""


class TensorRT:
    """See `engines.backends.registry.Backend`."""

    COMPILES = True
    COMPUTES_I3D = True

    def __init__(
        self, name: str, package: str, install: str, driver: Callable[[], Cuda] = open_driver
    ) -> None:
        """`package`: of TensorRT or of TensorRT-RTX. `driver`: opens the GPU's driver, called when it is needed."""
        self.name, self._package, self._install, self._driver = name, package, install, driver

    @cached_property
    def _trt(self) -> Any:
        try:
            return importlib.import_module(self._package)
        except (ImportError, OSError) as error:  # the bindings are here, the libraries are not
            raise EngineError(f"{self._package} cannot be loaded: {error}; {self._install}") from error

    @cached_property
    def _log(self) -> Any:
        return _log(self._trt)

    def unavailable(self) -> str | None:
        try:
            cuda = self._driver()
            supported = self._target(cuda.capability) is not None
        except EngineError as error:
            return str(error)
        if not supported:
            return f"{self._package} does not know {cuda.name}, compute capability {_dotted(cuda.capability)}"
        return None

    def precisions(self) -> tuple[str, ...]:
        return ("float16", "float32")

    def device(self) -> str:
        return str(self._driver().name)

    def versions(self) -> dict[str, str]:
        return {
            "flavour": self._package,
            self._package: str(self._trt.__version__),
            "compute_capability": _dotted(self._driver().capability),
            "batch": f"1 to {MAX_BATCH}, best at {USUAL_BATCH}",
        }

    def forms(self, plan: Plan, tensors: Tensors, clip: NDArray[Any] | None) -> Forms:
        return Forms(("",))  # TensorRT tries its own

    def build(self, plan: Plan, tensors: Tensors, folder: Path, calibration: NDArray[Any] | None) -> None:
        from engines.backends.graphs import graphs
        from engines.backends.onnx_writer import to_onnx

        for graph in graphs(plan.spec, plan.mode, tensors, plan.precision):
            engine = self.compile(to_onnx(graph), self._driver().capability)
            (folder / f"{graph.name}{SUFFIX}").write_bytes(engine)
        save_head(head_of(tensors), folder)

    def compile(self, model: bytes, *capabilities: Capability) -> bytes:
        """An ONNX model as an engine for GPUs of these compute capabilities. TensorRT builds only for the GPU of this
        machine.

        Raises:
            EngineError: TensorRT refuses, in its own words.
        """
        builder, network, _parser = self.parsed(model)  # the parser holds the weights
        config = self._config(builder, network, capabilities)
        built = builder.build_serialized_network(network, config)
        if built is None:
            targets = ", ".join(map(_dotted, capabilities))
            raise EngineError(
                f"{self._package} cannot build for compute capability {targets}: {self._log.said()}"
            )
        return bytes(built)

    def parsed(self, model: bytes) -> tuple[Any, Any, Any]:
        """TensorRT's builder, network and parser of an ONNX model. Raises EngineError as `compile` does."""
        trt = self._trt
        builder = trt.Builder(self._log)
        # From TensorRT 11 on, all networks are strongly typed, whatever is asked for.
        network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
        parser = trt.OnnxParser(network, self._log)
        if not parser.parse(model):
            errors = "; ".join(str(parser.get_error(i).desc()) for i in range(parser.num_errors))
            raise EngineError(f"{self._package} cannot read the network: {errors or self._log.said()}")
        return builder, network, parser

    def _config(self, builder: Any, network: Any, capabilities: tuple[Capability, ...]) -> Any:
        trt = self._trt
        config = builder.create_builder_config()
        config.clear_flag(trt.BuilderFlag.TF32)  # float32 is float32
        profile = builder.create_optimization_profile()
        for i in range(network.num_inputs):
            port = network.get_input(i)
            shapes = [(batch, *tuple(port.shape)[1:]) for batch in (1, USUAL_BATCH, MAX_BATCH)]
            profile.set_shape(port.name, *shapes)
        config.add_optimization_profile(profile)
        if hasattr(trt, "ComputeCapability"):
            config.num_compute_capabilities = len(capabilities)
            for i, capability in enumerate(capabilities):
                if (target := self._target(capability)) is None:
                    raise EngineError(
                        f"{self._package} does not know compute capability {_dotted(capability)}; "
                        "it knows " + ", ".join(sorted(trt.ComputeCapability.__members__))
                    )
                config.set_compute_capability(target, i)
        return config

    def _target(self, capability: Capability) -> Any:
        """TensorRT-RTX's name of it, None if it has none. TensorRT needs none."""
        if not hasattr(self._trt, "ComputeCapability"):
            return capability
        return self._trt.ComputeCapability.__members__.get("SM{}{}".format(*capability))

    def pack(self, plan: Plan, tensors: Tensors, folder: Path, out: Path) -> None:
        """All of it: it is small already, and runs on GPUs like this one alone."""
        for path in (*sorted(folder.glob(f"*{SUFFIX}")), folder / FILE):
            shutil.copyfile(path, out / path.name)

    def load(self, plan: Plan, folder: Path | None, tensors: Tensors | None) -> LoadedEngine:
        assert folder is not None
        facts = self.name, plan.precision, self.device()
        if plan.mode == "window":
            run = ResidentWindow(self._program(folder / f"window{SUFFIX}"))
            return WindowEngine(plan.spec, plan.weights, *facts, run, load_head(folder))
        names = ("interior", "boundary", "preview") if plan.mode == "preview" else ("interior", "boundary")
        programs = {name: self._program(folder / f"{name}{SUFFIX}") for name in names}
        graphs = ResidentGraphs(self._driver(), programs)
        return StreamingEngine(plan.spec, plan.weights, plan.mode, *facts, graphs, load_head(folder))

    def _program(self, path: Path) -> Program:
        trt = self._trt
        runtime = trt.Runtime(self._log)
        try:
            engine = runtime.deserialize_cuda_engine(path.read_bytes())
        except OSError as error:
            raise EngineError(
                f"{path} cannot be read: {error.strerror}; build again with --rebuild"
            ) from error
        if engine is None:
            raise EngineError(
                f"{self._package} cannot load {path}: {self._log.said()}; build again with --rebuild"
            )
        ports = [self._port(engine, engine.get_tensor_name(i)) for i in range(engine.num_io_tensors)]

        def new_context() -> Any:
            context = self._context(engine)
            if context is None:
                raise EngineError(f"{self._package} cannot run {path}: {self._log.said()}")
            return context

        return Program(self._driver(), ports, engine.device_memory_size_v2, new_context, self._log.said)

    def _port(self, engine: Any, name: str) -> Port:
        shape, dtype = (
            tuple(engine.get_tensor_shape(name))[1:],
            np.dtype(self._trt.nptype(engine.get_tensor_dtype(name))),
        )
        return Port(name, shape, dtype, engine.get_tensor_mode(name) == self._trt.TensorIOMode.INPUT)

    def _context(self, engine: Any) -> Any:
        """A context without its own memory. TensorRT-RTX compiles its kernels now, not later: they will be captured."""
        trt = self._trt
        strategy = trt.ExecutionContextAllocationStrategy.USER_MANAGED
        if not hasattr(trt, "DynamicShapesKernelSpecializationStrategy"):
            return engine.create_execution_context(strategy)
        config = engine.create_runtime_config()
        config.set_execution_context_allocation_strategy(strategy)
        config.dynamic_shapes_kernel_specialization_strategy = (
            trt.DynamicShapesKernelSpecializationStrategy.EAGER
        )
        return engine.create_execution_context(config)


def _log(trt: Any) -> Any:
    """A logger that collects errors. TensorRT keeps the first one it is given for the whole process."""

    class Log(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.messages: deque[str] = deque(maxlen=4)

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.Severity.INTERNAL_ERROR, trt.ILogger.Severity.ERROR):
                self.messages.append(" ".join(message.split()))

        def said(self) -> str:
            """The last errors since the previous call, the oldest first."""
            words = "; ".join(self.messages) or "it gives no reason"
            self.messages.clear()
            return words

    return Log()


def _dotted(capability: Capability) -> str:
    return "{}.{}".format(*capability)


SERVER = TensorRT("tensorrt", "tensorrt", install("nvidia"))
RTX = TensorRT("tensorrt-rtx", "tensorrt_rtx", install("rtx"))
