"""A built engine in a folder that can be carried to another machine and run there without torch. Imports no torch.

DIR/bundle.json             what it is, its labels, and the sha256 of every other file
DIR/rgb/, DIR/flow/         what the backend loads, and probe.npy: its logits for fixed ticks when it was bundled
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.backends.registry import Plan, backend_module, choose_backend
from engines.build import build_engine, engine_folder
from engines.cache_folder import sha256_of
from engines.check import TOLERANCE, random_ticks
from engines.engine import Engine
from engines.errors import EngineError, UsageError
from engines.load import Engines
from engines.runtime.whole_clip import clip_logits
from engines.spec import Modality, StreamSpec, Weights

FORMAT = 2
FILE = "bundle.json"
PROBE = "probe.npy"


def write_engines(engines: Engines, out: Path) -> None:
    """The engines' files into the empty folder `out`, as small as their backend can make them, each with its probe.

    Raises:
        UsageError: the backend leaves no files.
        EngineError: a bundled engine's logits differ from the original's.
    """
    from engines.weights.store import load_weights

    for modality, engine in engines.by_stream.items():
        module = backend_module(engine.backend)
        if not module.COMPILES:
            raise UsageError(
                f"backend {engine.backend} leaves no files to bundle; choose openvino or tensorrt with --backend"
            )
        plan = Plan(engine.spec, engine.weights, engine.mode, engine.precision)
        (out / modality).mkdir()
        tensors = load_weights(engine.weights.name, engine.spec.modality)[1]
        folder = engine_folder(plan, engine.backend)
        if not folder.is_dir():  # it runs on an engine that it shares with other models
            build_engine(plan, engine.backend, tensors, folder, None)
        module.pack(plan, tensors, folder, out / modality)
        packed = module.load(plan, out / modality, None)
        logits = probe(packed)
        np.save(out / modality / PROBE, logits)
        _check_packed(logits, probe(engine), engine)


def _check_packed(packed: NDArray[np.float32], built: NDArray[np.float32], engine: Engine) -> None:
    """Only weights in half precision and the method of multiplication may differ."""
    largest, mean = TOLERANCE["float16" if engine.precision == "float32" else engine.precision]
    difference = np.abs(packed - built)
    if not (difference.max() <= largest and difference.mean() <= mean):
        raise EngineError(
            f"the bundled {engine.spec.modality} engine is off by {difference.max():.3g}, {difference.mean():.3g} on average, "
            f"allowed is {largest:.3g} and {mean:.3g}; "
            "build it again: i3d-live build --rebuild"
        )


def probe(engine: Engine) -> NDArray[np.float32]:
    """Logits (positions, classes) of ticks that are the same on every machine."""
    ticks = random_ticks(engine.spec)
    return clip_logits(engine, ticks, len(ticks))


def seal(engines: Engines, out: Path) -> None:
    """Write bundle.json, which covers everything in `out`."""
    first = next(iter(engines.by_stream.values()))
    streams = {
        modality: {
            "spec": asdict(engine.spec) | {"fps": str(engine.spec.fps)},
            "weights_sha256": engine.weights.sha256,
            "source": engine.weights.source,
            "licence": engine.weights.licence,
        }
        for modality, engine in engines.by_stream.items()
    }
    facts = {
        "format": FORMAT,
        "model": first.weights.name,
        "mode": first.mode,
        "backend": first.backend,
        "precision": first.precision,
        "built_on": first.device,
        "versions": backend_module(first.backend).versions(),
        "streams": streams,
        "labels": list(first.weights.labels),
        "files": {
            str(path.relative_to(out)): sha256_of(path) for path in sorted(out.rglob("*")) if path.is_file()
        },
    }
    (out / FILE).write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def load_bundle(folder: Path) -> Engines:
    """The engines of a bundle, after its files have been checked against their hashes.

    Raises:
        EngineError: it is not a bundle, a file is missing or was changed, or its backend cannot run here.
    """
    facts = _read(folder)
    for name, wanted in facts["files"].items():
        if (found := sha256_of(folder / name)) != wanted:
            state = "is missing" if found is None else "is not the file that was bundled"
            raise EngineError(f"{folder / name} {state}; copy the whole bundle again")
    backend, _ = choose_backend(facts["backend"])
    module = backend_module(backend)
    if facts["precision"] not in module.precisions():
        raise EngineError(
            f"this bundle is {facts['precision']}, and {module.device()} runs {', '.join(module.precisions())} alone; "
            "bundle it again with one of these as --precision"
        )
    engines = {
        modality: module.load(_plan(facts, modality, stored), folder / modality, None)
        for modality, stored in facts["streams"].items()
    }
    reason = (
        f"{backend} {facts['precision']} on {module.device()} (bundle {folder}); weights {facts['model']}"
    )
    return Engines(engines.get("rgb"), engines.get("flow"), reason)


def check_bundle(folder: Path, engines: Engines) -> dict[str, float]:
    """By stream, the largest difference of a logit between this machine and that of the bundle's maker.

    Raises:
        EngineError: beyond what the precision allows.
    """
    found = {}
    for modality, engine in engines.by_stream.items():
        difference = np.abs(probe(engine) - np.load(folder / modality / PROBE))
        found[modality] = float(difference.max())
        largest, mean = TOLERANCE[engine.precision]
        if not (difference.max() <= largest and difference.mean() <= mean):
            raise EngineError(
                f"{modality} predicts otherwise here: a logit is off by {difference.max():.3g}, allowed is {largest:.3g}; "
                "make the bundle on a machine of this kind"
            )
    return found


def _read(folder: Path) -> dict[str, Any]:
    try:
        facts: dict[str, Any] = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EngineError(
            f"{folder} is no bundle: {FILE} cannot be read; make one: i3d-live bundle"
        ) from error
    if facts.get("format") != FORMAT:
        raise EngineError(
            f"{folder} is a bundle of format {facts.get('format')}, this version knows {FORMAT}; make it again"
        )
    return facts


def _plan(facts: Mapping[str, Any], modality: Modality, stored: Mapping[str, Any]) -> Plan:
    spec = StreamSpec(**{**stored["spec"], "fps": Fraction(stored["spec"]["fps"])})
    weights = Weights(
        facts["model"],
        modality,
        tuple(facts["labels"]),
        stored["weights_sha256"],
        stored["source"],
        stored["licence"],
    )
    return Plan(spec, weights, facts["mode"], facts["precision"], len(facts["streams"]))
