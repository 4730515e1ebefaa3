"""Bundles that are tuned where they run: every form of the network is in them, and the first start on a machine finds
the fastest that predicts there as it did where the bundle was made.

DIR/rgb/tuned.json    what was found, on which processor, with which versions
"""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.backends.registry import Plan, backend_module
from engines.build import told
from engines.cache_folder import Progress
from engines.check import TOLERANCE, random_ticks
from engines.engine import Engine
from engines.errors import EngineError, UsageError
from engines.runtime.whole_clip import clip_logits
from engines.spec import Tensors

TUNES = ("openvino",)
"""Backends that have several forms of a network."""
PROBE = "probe.npy"
TUNED = "tuned.json"


def pack_every_form(
    plan: Plan, backend: str, tensors: Tensors, clip: NDArray[Any] | None, out: Path
) -> tuple[str, ...]:
    """Every form of an engine into the empty `out`; their names, the usual one first.

    Raises:
        UsageError: this backend has one form.
    """
    if backend not in TUNES:
        raise UsageError(
            f"--tune chooses between forms of a network, and {backend} has one; leave it out, or choose "
            f"{', '.join(TUNES)} with --backend"
        )
    from engines.backends.openvino.build import pack_forms

    return pack_forms(plan, tensors, clip, out)


def fastest(plan: Plan, backend: str, folder: Path, names: Sequence[str], tell: Progress) -> tuple[str, str]:
    """The form to run on this machine, and a line on how fast it is. It is timed once for a processor and versions;
    again at the next start if other programs were in the way.

    Raises:
        EngineError: no form predicts here as the usual one did where the bundle was made.
    """
    module = backend_module(backend)
    here = {"processor": module.device(), "versions": module.versions()}
    known = read_tuned(folder / TUNED)
    if {name: known.get(name) for name in here} != here or known["form"] not in names:
        from engines.backends.openvino.timing import packed_forms

        forms = packed_forms(plan, folder, names, tell)
        form = _first_right(plan, backend, folder, forms.names)
        if forms.busy:
            return form, f"{form}, not timed: other programs keep this machine busy"
        known = {**here, "form": form, "forms_ms": dict(forms.ms)}
        with suppress(OSError):  # the folder may be read-only; then each start measures
            (folder / TUNED).write_text(json.dumps(known, indent=1) + "\n")
    return known["form"], told(known["form"], known["forms_ms"])


def _first_right(plan: Plan, backend: str, folder: Path, names: Sequence[str]) -> str:
    wanted = np.load(folder / PROBE)
    for name in names:
        engine = backend_module(backend).load(replace(plan, form=name), folder, None)
        if difference(probe(engine), wanted).within(as_packed(plan.precision)):
            return name
    raise EngineError(
        f"no form of the {plan.spec.modality} engine predicts here as where the bundle was made; make the bundle on a "
        "machine of this kind"
    )


def as_packed(precision: str) -> str:
    """As what an engine of this precision is compared where weights in half precision or the form may differ."""
    return "float16" if precision == "float32" else precision


@dataclass(frozen=True)
class Difference:
    """Of logits."""

    largest: float
    mean: float

    def within(self, precision: str) -> bool:
        """Whether it is no larger than this precision allows. Never if a logit is not a number."""
        largest, mean = TOLERANCE[precision]
        return self.largest <= largest and self.mean <= mean


def difference(found: NDArray[np.float32], wanted: NDArray[np.float32]) -> Difference:
    """Between logits of the same shape."""
    off = np.abs(found - wanted)
    return Difference(float(off.max()), float(off.mean()))


def probe(engine: Engine) -> NDArray[np.float32]:
    """Logits (positions, classes) of ticks that are the same on every machine."""
    ticks = random_ticks(engine.spec)
    return clip_logits(engine, ticks, len(ticks))


def read_tuned(path: Path) -> dict[str, Any]:
    """What was found before; empty if nothing was, or it cannot be read."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        return dict(facts) if facts["form"] in facts["forms_ms"] else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
