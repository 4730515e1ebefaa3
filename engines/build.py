"""Builds one engine into the cache, with a manifest of everything that shaped it, unless it fails its check.

A built engine lives in `<cache>/engines/<model>-<stream>-<mode>-<backend>-<precision>/`; the names of those for files
end in what is special about them. If anything in its manifest.json differs from what would be built now, it is built
again and the message names the field.
"""

import hashlib
import json
import platform
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from engines.backends.registry import LoadedEngine, Plan, backend_module
from engines.errors import EngineError
from engines.extras import absent
from engines.spec import RGB, Tensors


def engine_folder(plan: Plan, backend: str) -> Path:
    """Where the cache keeps the engine of this plan."""
    from engines.cache_folder import cache_dir

    parts = [plan.weights.name, plan.spec.modality, plan.mode, backend, plan.precision]
    if plan.spec.window_ticks != RGB.window_ticks:
        parts.append(f"{plan.spec.window_ticks}-ticks")
    if plan.long_steps:
        parts.append("long-steps" if plan.step_ticks is None else f"{plan.step_ticks}-steps")
    return cache_dir() / "engines" / "-".join(parts)


def build_engine(
    plan: Plan, backend: str, tensors: Tensors, folder: Path, clip: NDArray[Any] | None
) -> LoadedEngine:
    """Build into `folder`, replacing its contents, unless the engine fails its check. One process at a time.

    Raises:
        EngineError: a package is missing, or the engine's logits are beyond the tolerance.
    """
    from engines.check import check

    module = backend_module(backend)
    folder.parent.mkdir(parents=True, exist_ok=True)
    for left in folder.parent.glob(f".{folder.name}-*"):  # left by builds that were killed
        shutil.rmtree(left, ignore_errors=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        forms = module.forms(plan, tensors, clip)
        for form in forms.names:
            for left in scratch.iterdir():  # of a form that is not right
                left.unlink()
            module.build(replace(plan, form=form), tensors, scratch, clip)
            engine = module.load(replace(plan, engines_at_a_time=1), scratch, None)
            clips = {} if clip is None else {"clip": clip}
            failures = check(engine, tensors, clips).failures if module.COMPUTES_I3D else []
            if not failures:
                break
        else:
            raise EngineError(
                f"{backend} {plan.precision} built for {plan.mode} is not right: {'; '.join(failures)}"
            )
        how = {TUNED: False, FORM: form, FORMS_MS: dict(forms.ms), BUSY: forms.busy}
        facts = how | manifest(plan, backend, clip) | {"files": _hashes(scratch)}
        (scratch / "manifest.json").write_text(json.dumps(facts, indent=2) + "\n")
        shutil.rmtree(folder, ignore_errors=True)
        scratch.rename(folder)
        return module.load(plan, folder, None)
    except ImportError as error:
        raise absent("building an engine", error) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


FORM, FORMS_MS, TUNED, BUSY = "form", "forms_ms", "tuned", "busy"
"""In a manifest: the form of the network, what a step of each took, whether that was to be measured, and whether other
programs were in the way."""


def told_form(folder: Path) -> str:
    """What a built engine's manifest says of its form; "" if it has none."""
    facts = json.loads((folder / "manifest.json").read_text())
    form, ms = facts.get(FORM, ""), facts.get(FORMS_MS, {})
    if facts.get(BUSY):
        return f"{form}, not timed: other programs keep this machine busy; build again with --rebuild"
    return told(form, ms) if form in ms else str(form)


def told(form: str, ms: Mapping[str, float]) -> str:
    """Such as "first layer: 32.9 ms a step, of 8 forms from 32.9 to 77.6 ms"."""
    fastest, slowest = min(ms.values()), max(ms.values())
    return f"{form}: {ms[form]:.1f} ms a step, of {len(ms)} forms from {fastest:.1f} to {slowest:.1f} ms"


def manifest(plan: Plan, backend: str, clip: NDArray[Any] | None) -> dict[str, Any]:
    """Everything that shapes a built engine."""
    spec = {name: str(value) for name, value in asdict(plan.spec).items()}
    module = backend_module(backend)
    facts: dict[str, Any] = {
        "model": plan.weights.name,
        "weights_sha256": plan.weights.sha256,
        "spec": spec,
        "mode": plan.mode,
        "precision": plan.precision,
        "backend": backend,
        "processor": f"{module.device()} {platform.machine()}",
        "versions": module.versions(),
        "code_sha256": code_sha256(),
    }
    if plan.tell is not None:
        facts[TUNED] = True
    if plan.precision == "int8" and clip is not None:
        facts["calibration_sha256"] = hashlib.sha256(clip.tobytes()).hexdigest()
    return facts


def stale_field(folder: Path, wanted: Mapping[str, Any]) -> str | None:
    """Why the engine in `folder` is not the wanted one: the first field that differs, or None if it is."""
    try:
        found = json.loads((folder / "manifest.json").read_text())
    except FileNotFoundError:
        return "not in the cache"
    except (OSError, ValueError):
        return "its manifest cannot be read"
    if not isinstance(found, dict):
        return "its manifest cannot be read"
    for field, value in wanted.items():
        if found.get(field) != value:
            hashed = field.endswith("sha256")
            return f"{field} differs" if hashed else f"{field} was {found.get(field)}, is {value}"
    if found.get("files") != _hashes(folder):
        return "its files are not those that were stored"
    return None


def _hashes(folder: Path) -> dict[str, str | None]:
    from engines.cache_folder import sha256_of

    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name != "manifest.json")
    return {path.name: sha256_of(path) for path in files}


SHAPING = ("backends", "nets", "runtime", "weights")
"""Folders with the code from a file of weights to a checked engine, in addition to the files of this folder."""


def code_sha256(root: Path = Path(__file__).parent) -> str:
    """Hash of all sources that shape engines: a change in any of them means a new engine."""
    digest = hashlib.sha256()
    inside = (path for folder in SHAPING for path in (root / folder).rglob("*.py"))
    for path in sorted([*root.glob("*.py"), *inside]):
        digest.update(path.read_bytes())
    return digest.hexdigest()
