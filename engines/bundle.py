"""A built engine in a folder that can be carried to another machine and run there without torch. Imports no torch.

DIR/bundle.json             what it is, its labels, and the sha256 of every other file
DIR/rgb/, DIR/flow/         what the backend loads, and probe.npy: its logits for fixed ticks when it was bundled;
                            of a bundle that is tuned where it runs, in every form (`engines.bundle_forms`)
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from engines.backends.registry import Plan, backend_module, choose_backend
from engines.build import build_engine, engine_folder
from engines.bundle_forms import (
    PROBE,
    Difference,
    as_packed,
    difference,
    fastest,
    pack_every_form,
    probe,
)
from engines.cache_folder import Progress, sha256_of, silent
from engines.check import TOLERANCE
from engines.engine import Engine
from engines.errors import EngineError, UsageError
from engines.load import Clips, Engines
from engines.spec import Modality, StreamSpec, Tensors, Weights

FORMAT = 2
FILE = "bundle.json"
Names = Mapping[str, tuple[str, ...]]
"""Of the forms of each stream."""


def write_engines(engines: Engines, out: Path, *, tune: bool = False, clips: Clips | None = None) -> Names:
    """The engines' files into the empty folder `out`, as small as their backend can make them, each with its probe.

    `tune`: in every form that the backend has, to be timed where the bundle runs; `clips`: for int8. Returns the forms
    by stream, none without `tune`.

    Raises:
        UsageError: the backend leaves no files, or has one form.
        EngineError: a bundled engine's logits differ from the original's.
    """
    from engines.weights.store import load_weights

    names = {}
    for modality, engine in engines.by_stream.items():
        module = backend_module(engine.backend)
        if not module.COMPILES:
            raise UsageError(
                f"backend {engine.backend} leaves no files to bundle; choose openvino or tensorrt with --backend"
            )
        plan = Plan(engine.spec, engine.weights, engine.mode, engine.precision)
        folder = out / modality
        folder.mkdir()
        tensors = load_weights(engine.weights.name, engine.spec.modality)[1]
        clip = None if clips is None else clips.get(cast(Modality, modality))
        names[modality] = _pack(plan, engine.backend, tensors, folder, clip, tune)
        usual = replace(plan, form=next(iter(names[modality]), ""))
        logits = probe(module.load(usual, folder, None))
        np.save(folder / PROBE, logits)
        _check_packed(difference(logits, probe(engine)), engine)
    return names


def _pack(
    plan: Plan, backend: str, tensors: Tensors, folder: Path, clip: NDArray[Any] | None, tune: bool
) -> tuple[str, ...]:
    if tune:
        return pack_every_form(plan, backend, tensors, clip, folder)
    built = engine_folder(plan, backend)
    if not built.is_dir():  # it runs on an engine that it shares with other models
        build_engine(plan, backend, tensors, built, None)
    backend_module(backend).pack(plan, tensors, built, folder)
    return ()


def _check_packed(found: Difference, engine: Engine) -> None:
    """Only weights in half precision and the method of multiplication may differ."""
    as_precise = as_packed(engine.precision)
    if not found.within(as_precise):
        largest, mean = TOLERANCE[as_precise]
        raise EngineError(
            f"the bundled {engine.spec.modality} engine is off by {found.largest:.3g}, {found.mean:.3g} on average, "
            f"allowed is {largest:.3g} and {mean:.3g}; build it again: i3d-live build --rebuild"
        )


def seal(engines: Engines, out: Path, names: Names | None = None) -> None:
    """Write bundle.json, which covers everything in `out`. `names`: as `write_engines` returned them."""
    first = next(iter(engines.by_stream.values()))
    streams = {
        modality: {
            "spec": asdict(engine.spec) | {"fps": str(engine.spec.fps)},
            "weights_sha256": engine.weights.sha256,
            "source": engine.weights.source,
            "licence": engine.weights.licence,
            "forms": list((names or {}).get(modality, ())),
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


def load_bundle(folder: Path, tell: Progress = silent) -> Engines:
    """The engines of a bundle, after its files have been checked against their hashes. `tell`: is told of the progress
    where the forms of a bundle that is tuned are timed, the first time on a machine.

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
    engines, notes = {}, [f"weights {facts['model']}"]
    for modality, stored in facts["streams"].items():
        plan = _plan(facts, modality, stored)
        if names := stored.get("forms"):
            form, note = fastest(plan, backend, folder / modality, names, tell)
            plan, notes = replace(plan, form=form), [*notes, f"{modality} {note}"]
        engines[modality] = module.load(plan, folder / modality, None)
    reason = "; ".join([f"{backend} {facts['precision']} on {module.device()} (bundle {folder})", *notes])
    return Engines(engines.get("rgb"), engines.get("flow"), reason)


def check_bundle(folder: Path, engines: Engines) -> dict[str, float]:
    """By stream, the largest difference of a logit between this machine and that of the bundle's maker.

    Raises:
        EngineError: beyond what the precision allows.
    """
    found, streams = {}, _read(folder)["streams"]
    for modality, engine in engines.by_stream.items():
        off = difference(probe(engine), np.load(folder / modality / PROBE))
        found[modality] = off.largest
        may_differ = streams[modality].get("forms")  # it may be another one than that of the probe
        precision = as_packed(engine.precision) if may_differ else engine.precision
        if not off.within(precision):
            raise EngineError(
                f"{modality} predicts otherwise here: a logit is off by {off.largest:.3g}, allowed is "
                f"{TOLERANCE[precision][0]:.3g}; make the bundle on a machine of this kind"
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
