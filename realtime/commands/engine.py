"""`i3d-live build`, `check` and `info`: the engines and this machine."""

import json
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from realtime.commands.options import ModelOptions
from realtime.commands.prepare import PREPARE, Prepare
from realtime.commands.progress import telling, waiting
from realtime.commands.tables import print_table

ClipOption = Annotated[
    Path | None,
    typer.Option("--clip", help="Real video to check on and to calibrate int8 with; default: the demo clip."),
]


def build(
    model: ModelOptions = ModelOptions(),
    clip: ClipOption = None,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Build even if the cache has it.")] = False,
    tune: Annotated[
        bool,
        typer.Option(help="Time a few forms of the network on this machine and keep the fastest."),
    ] = True,
    *,
    prepare: Prepare = PREPARE,
) -> None:
    """Compile the engine into the cache, checked against the reference, so that later runs start immediately."""
    from engines.backends.registry import choose_backend
    from engines.load import engines_of
    from realtime.calibration import calibration_clips
    from realtime.flow.methods import compile_ahead

    choose_backend(model.engine.backend)
    chosen = prepare.model(model.model, model.engine.streams)
    clips = calibration_clips(chosen, model.engine.streams, clip)
    with telling() as tell:
        tell("building and checking the engine", 0, None)
        engines = engines_of(chosen, model.engine, clips=clips, rebuild=rebuild, tune=tell if tune else None)
        if engines.flow is not None:
            compile_ahead()
    print(engines.reason)


def check(
    model: ModelOptions = ModelOptions(),
    clip: ClipOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a stream instead of a table.")
    ] = False,
    *,
    prepare: Prepare = PREPARE,
) -> None:
    """Compare an engine with the reference, PyTorch's if it is installed. Exit code 1 if it is beyond the tolerance."""
    from engines.check import check as compare
    from engines.check import has_torch
    from realtime.calibration import calibration_clips

    chosen = prepare.model(model.model, model.engine.streams)
    engines = prepare.engines(model, chosen)
    clips = calibration_clips(chosen, model.engine.streams, clip)
    failed = False
    for name, engine in engines.by_stream.items():
        with waiting(f"Comparing {name} with the reference"):
            real = {"clip": clips[engine.spec.modality]} if engine.spec.modality in clips else {}
            tensors = chosen.load(engine.spec.modality)[1]
            report = compare(engine, tensors, real, torch=has_torch())
        failed = failed or bool(report.failures)
        if as_json:
            facts = {
                "stream": name,
                "backend": engine.backend,
                "precision": engine.precision,
                "mode": engine.mode,
                "reference": report.reference,
            }
            rows = [asdict(c) for c in report.comparisons]
            print(json.dumps(facts | {"comparisons": rows, "failures": report.failures}))
            continue
        print(f"{name}: {engine.backend} {engine.precision} {engine.mode} on {engine.device}")
        print(f"  against {report.reference}")
        for c in report.comparisons:
            print(
                f"  {c.clip:<8} {c.answers:3} predictions, largest difference {c.largest:.2g}, mean {c.mean:.2g}, "
                f"same best class in {c.agree} of {c.clear} clear ones"
            )
        print(
            "\n".join(f"  beyond the tolerance: {line}" for line in report.failures)
            or "  within the tolerance"
        )
    if failed:
        raise typer.Exit(1)


def info(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    architectures: Annotated[
        bool, typer.Option("--architectures", help="The paper's five networks, counted, next to its figures.")
    ] = False,
) -> None:
    """Show what this machine can run, what is in the cache, and all versions."""
    if architectures:
        print_architectures(as_json=as_json)
        return
    facts = machine_facts()
    if as_json:
        print(json.dumps(facts, indent=2))
        return
    for key, value in facts.items():
        if isinstance(value, dict):
            print(f"{key}:")
            for name, text in value.items():
                print(f"  {name:<34} {text}")
        else:
            print(f"{key}: {value}")
    sys.stdout.flush()


def print_architectures(*, as_json: bool) -> None:
    """A table with a column for each architecture, or a JSON object for each."""
    from engines.extras import require

    require("--architectures", "torch", "torch")
    from engines.nets.cost import architecture_rows

    rows = architecture_rows()
    if as_json:
        for row in rows:
            print(json.dumps(row))
        return
    names = [row.pop("name") for row in rows]
    print_table([{"": what} | dict(zip(names, (r[what] for r in rows), strict=True)) for what in rows[0]])


def built_engines() -> dict[str, str]:
    """By folder, the form of the network in each engine that is in the cache."""
    from engines.build import told_form
    from engines.cache_folder import cache_dir

    found = {}
    for path in sorted(cache_dir().glob("engines/*/manifest.json")):
        with suppress(OSError, ValueError):  # it is being replaced
            if form := told_form(path.parent):
                found[path.parent.name] = form
    return found


def machine_facts() -> dict[str, Any]:
    """Versions, backends, models and cache."""
    import os
    import platform
    from importlib.metadata import version

    from engines.backends.registry import REGISTRY, backend_module
    from engines.errors import EngineError
    from engines.weights.fetch import cache_dir, list_models
    from realtime.outputs.log import VERSIONS

    backends = {}
    for name in REGISTRY:
        try:
            module = backend_module(name)
            against = module.unavailable()
            backends[name] = against or f"{', '.join(module.precisions())} on {module.device()}"
        except EngineError as error:
            backends[name] = str(error)
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}",
        "versions": {name: version(name) for name in VERSIONS},
        "backends": backends,
        "models": {m.name: m.summary for m in list_models()},
        "engines": built_engines(),
        "cache": str(cache_dir()),
    }
