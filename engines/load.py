"""From a model's name to running engines: chooses the backend, builds what is not in the cache yet, and loads it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from numpy.typing import NDArray

from engines.backends.registry import LoadedEngine, Plan, backend_module, choose_backend
from engines.build import build_engine, engine_folder, manifest, stale_field, told_form
from engines.cache_folder import Progress
from engines.engine import Engine
from engines.errors import UsageError
from engines.head import head_of
from engines.runtime.shared import SharedEngine
from engines.spec import DEFAULT_MODE, MODES, Modality, Mode, Streams, StreamSpec, Tensors, Weights

if TYPE_CHECKING:
    from engines.weights.store import Model

Clips = Mapping[Modality, NDArray[Any]]
"""By stream, ticks (N, 224, 224, C) of one real clip of at least 64 ticks."""

SERVE_THREADS = ("openvino",)
"""Backends whose engines have a request for each thread."""

Trunks = dict[Path, LoadedEngine]
"""Loaded engines of all but the last layer of a network, by their folders in the cache."""


def backend_names() -> list[str]:
    """All names that can be asked for."""
    from engines.backends.registry import REGISTRY

    return ["auto", *REGISTRY]


def precision_names() -> list[str]:
    """All precisions of any backend."""
    from engines.check import TOLERANCE

    return list(TOLERANCE)


@dataclass(frozen=True)
class EngineOptions:
    """Which engines of a model: see `load_engines`. The metadata describe the flags of the command line."""

    backend: str = field(
        default="auto",
        metadata={
            "metavar": "NAME",
            "autocompletion": backend_names,
            "help": "auto, or a name that i3d-live info shows.",
        },
    )
    precision: str | None = field(
        default=None,
        metadata={
            "metavar": "NAME",
            "autocompletion": precision_names,
            "help": "float32, bfloat16, float16, int8; default: what is best here.",
        },
    )
    mode: Mode = field(
        default=DEFAULT_MODE,
        metadata={
            "metavar": "MODE",
            "help": "window; continual, at an eighth of its work; preview, fast.",
        },
    )
    streams: Streams = field(default="auto", metadata={"help": "Streams to run; auto: those with weights."})


@dataclass(frozen=True)
class Bulk:
    """How engines for files differ from those of a live stream, where every step must be soon."""

    window_ticks: int | None = None
    """In `window` mode: the length of a window, if not the model's."""
    step_ticks: int | None = None
    """In `continual` mode: the length of a step; None: as many ticks as are fastest on this machine."""
    processes: int = 1
    """How many processes run such engines on this machine at a time, each on an equal share of the CPU."""


@dataclass(frozen=True)
class Engines:
    """The engines of a model, ready to run, and why they were chosen."""

    rgb: Engine | None
    flow: Engine | None
    reason: str
    """One line: backend, processor, precision and streams, and why."""

    @property
    def by_stream(self) -> dict[str, Engine]:
        """In the form that the recogniser takes."""
        both = {"rgb": self.rgb, "flow": self.flow}
        return {name: engine for name, engine in both.items() if engine is not None}

    @property
    def labels(self) -> tuple[str, ...]:
        """One name a class, in the order of the logits."""
        return next(iter(self.by_stream.values())).weights.labels


def load_engines(
    model: str = "kinetics",
    backend: str = "auto",
    precision: str | None = None,
    mode: Mode = DEFAULT_MODE,
    streams: Streams = "auto",
    *,
    clips: Clips | None = None,
    rebuild: bool = False,
    concurrent: bool = False,
) -> Engines:
    """Engines for the weights that are stored under the name `model`, from the cache or built now.

    Args:
        backend: "auto" uses the best that this machine can run; a named one is used or is an error.
        precision: "float32", "bfloat16", "float16" or "int8"; None uses the backend's default on this machine.
        mode: "continual" computes each tick once and predicts for 16 of them; "window" is the paper's network on 64
            ticks, at eight times the work; "preview" is "continual" with provisional predictions in between.
        streams: "auto" uses those with weights, and says in `reason` which are missing.
        clips: a real clip to check a new engine on; int8 is calibrated on it and cannot be built without one.
        rebuild: even if the cache has the engine.
        concurrent: the engines of two streams will run at the same time, each on half of the CPU; a `Recognizer` with
            `submit` runs them so.

    Raises:
        UsageError: unknown mode, backend, precision or stream.
        EngineError: the backend cannot run here, or the engine that was built fails its check.
        WeightsError: no such weights.
    """
    from engines.weights.store import find_model

    options = EngineOptions(backend, precision, mode, streams)
    return engines_of(find_model(model), options, clips=clips, rebuild=rebuild, concurrent=concurrent)


def engines_of(
    model: "Model",
    options: EngineOptions,
    *,
    clips: Clips | None = None,
    rebuild: bool = False,
    concurrent: bool = False,
    trunks: Trunks | None = None,
    bulk: Bulk | None = None,
    threads: int = 1,
    tune: Progress | None = None,
) -> Engines:
    """`load_engines` for a model that has already been looked up. `trunks`: kept by the caller for models that run in
    one thread with the same options; those that were taught on one network then share its engine. `bulk`: engines for
    files. `threads`: how many will step the engines at a time, each on its share of the CPU; where there are more than
    one, as for several cameras, `concurrent` changes nothing. `tune`: told of the progress where forms of a new engine
    are timed; without it the one known to be best is taken."""
    _check_choice("mode", options.mode, MODES)
    _check_choice("streams", options.streams, get_args(Streams))
    name, why = choose_backend(options.backend)
    module = backend_module(name)
    allowed = module.precisions()
    precision = options.precision or allowed[0]
    _check_choice(f"precision of {name} on {module.device()}", precision, allowed)
    modalities, without = choose_streams(model, options.streams)
    share = bulk.processes if bulk else len(modalities) if concurrent and threads == 1 else 1
    chosen = replace(options, backend=name, precision=precision)
    engines: dict[str, Engine] = {}
    notes = []
    for modality in modalities:
        clip = (clips or {}).get(modality)
        known = {} if trunks is None else trunks
        how = {"engines_at_a_time": share, "parallel_steps": threads, "tell": tune}
        plan_of = partial(_plan, options=chosen, bulk=bulk, how=how)
        engine, note = _load_engine(model, modality, plan_of, name, clip, rebuild, known)
        engines[modality] = engine if threads == 1 else for_threads(engine)
        notes.append(f"{modality} {note}" + (f", {engine.chunk_ticks} ticks a step" if bulk else ""))
    reason = "; ".join(
        [f"{name} {precision} on {module.device()} ({why})", f"weights {model.name}", *notes, *without]
    )
    return Engines(engines.get("rgb"), engines.get("flow"), reason)


def for_threads(engine: Engine) -> Engine:
    """The same engine, for several threads at a time: some serve them by themselves, others run one step at a time."""
    return engine if engine.backend in SERVE_THREADS else SharedEngine(engine)


def _check_choice(what: str, given: str, allowed: tuple[str, ...]) -> None:
    if given not in allowed:
        raise UsageError(f"{what} cannot be {given!r}; choose one of {', '.join(allowed)}")


def choose_streams(model: "Model", streams: Streams) -> tuple[tuple[Modality, ...], list[str]]:
    """The streams to run, and a note on each that `auto` leaves out."""
    named: dict[Streams, tuple[Modality, ...]] = {"rgb": ("rgb",), "flow": ("flow",), "both": ("rgb", "flow")}
    if streams != "auto":
        return named[streams], []
    found: list[Modality] = [modality for modality in named["both"] if model.has(modality)]
    if not found:
        return ("rgb",), []  # loading will report what is missing and how to get it
    return tuple(found), [f"no {m} weights in this set: without {m}" for m in named["both"] if m not in found]


def _plan(
    spec: StreamSpec,
    weights: Weights,
    options: EngineOptions,
    bulk: Bulk | None,
    how: Mapping[str, Any],
) -> Plan:
    """`options`: the precision is chosen. `how`: further fields of the plan."""
    assert options.precision is not None
    plan = Plan(spec, weights, options.mode, options.precision, **how)
    if bulk is None:
        return plan
    if options.mode == "window":
        spec = replace(spec, window_ticks=bulk.window_ticks or spec.window_ticks)
    long_steps = options.mode == "continual"
    return replace(
        plan,
        spec=spec,
        long_steps=long_steps,
        step_ticks=bulk.step_ticks if long_steps else None,
    )


def _load_engine(
    model: "Model",
    modality: Modality,
    plan_of: Callable[[StreamSpec, Weights], Plan],
    backend: str,
    clip: NDArray[Any] | None,
    rebuild: bool,
    trunks: Trunks,
) -> tuple[Engine, str]:
    """One engine, and whether it was in the cache."""
    from engines.weights.heads import feature_tensors, feature_weights

    stored = model.stored(modality)
    plan = plan_of(stored.spec, model.weights(modality))
    if plan.precision == "int8" or not stored.shared_trunk:  # int8 is calibrated as a whole
        return _load_plan(plan, backend, lambda: model.load(modality)[1], clip, rebuild)
    weights, tensors = model.load(modality)
    plan = plan_of(stored.spec, feature_weights(weights, tensors))
    folder = engine_folder(plan, backend)
    if folder in trunks and not rebuild:
        engine, note = trunks[folder], "shared with another model"
    else:
        engine, note = _load_plan(plan, backend, lambda: feature_tensors(tensors), clip, rebuild)
        trunks[folder] = engine
    return replace(engine, head=head_of(tensors), weights=weights), note


def load_features(
    weights: Weights,
    tensors: Tensors,
    spec: StreamSpec,
    backend: str = "auto",
    precision: str | None = None,
) -> LoadedEngine:
    """An engine whose logits are the features (1024) of a window by these weights, from the cache or built now.

    Raises: as `load_engines`.
    """
    from engines.weights.heads import feature_tensors, feature_weights

    name, _ = choose_backend(backend)
    module = backend_module(name)
    precision = precision or module.precisions()[0]
    _check_choice(f"precision of {name} on {module.device()}", precision, module.precisions())
    plan = Plan(spec, feature_weights(weights, tensors), "window", precision)
    return _load_plan(plan, name, lambda: feature_tensors(tensors), None, rebuild=False)[0]


def _load_plan(
    plan: Plan, backend: str, tensors: Callable[[], Tensors], clip: NDArray[Any] | None, rebuild: bool
) -> tuple[LoadedEngine, str]:
    """The engine of a plan, and whether it was in the cache."""
    from engines.cache_folder import locked

    module = backend_module(backend)
    if not module.COMPILES:
        return module.load(plan, None, tensors()), "made in the process"
    folder = engine_folder(plan, backend)
    wanted = manifest(plan, backend, clip)
    if not rebuild and stale_field(folder, wanted) is None:
        return module.load(plan, folder, None), "from the cache"
    with locked(f"engine-{folder.name}"):  # another process may be building it
        stale = "asked to" if rebuild else stale_field(folder, wanted)
        if stale is None:
            return module.load(plan, folder, None), "from the cache"
        engine = build_engine(plan, backend, tensors(), folder, clip)
        form = told_form(folder) if plan.tell else ""
        return engine, f"built now ({stale})" + (f", {form}" if form else "")
