"""The forms of a graph to choose from: which layers are computed in fewer multiplications, and how the first one is.

All give the same result up to rounding. Which is fastest depends on the processor: where multiplications are the limit
(AVX-512 on two cores) as few as possible, where they are nearly free (AMX) as little moving as possible. `tune`
measures it; `KNOWN` is what such measurements have shown.
"""

from functools import cache
from pathlib import Path

from engines.backends.registry import Plan
from engines.nets.folded import FIRST, Faster
from engines.nets.winograd import LAYERS_IN_8_BITS, POINTS, POINTS_IN_FEW_BITS

ALL, FOUR, ONE, NONE = "all layers", "four layers", "first layer", "no layer"
KNOWN = {
    # Xeon with AMX, two cores: 32.9 ms a step instead of 39.2 in all layers and 41.6 in none (2026-11-29).
    ("amx", "bfloat16"): ONE,
}
"""By kind of processor and precision, where it is not the first of `forms`. On Zen 3 and Zen 4 it is (docs/log.md,
2026-11-30 and 2026-12-01)."""
KINDS = {"amx_bf16": "amx", "avx512_bf16": "avx512-bf16", "avx512_vnni": "avx512-vnni", "avx2": "avx2"}
"""By the flag of a processor, the best kind first."""


def forms(plan: Plan) -> dict[str, Faster | None]:
    """By name, the usual one first."""
    if plan.precision == "int8":
        if plan.mode == "window":  # with fewer multiplications logits are too far off
            return {NONE: None}
        points = POINTS_IN_FEW_BITS
        return {
            FOUR: Faster(points, LAYERS_IN_8_BITS),
            ONE: Faster(points, (FIRST,)),
            "four layers, the first in space": Faster(points, LAYERS_IN_8_BITS, first="space"),
            "first layer in space": Faster(points, (FIRST,), first="space"),
            NONE: None,
        }
    points = len(POINTS) if plan.precision == "float32" else POINTS_IN_FEW_BITS
    halves = plan.precision == "float32" or (plan.mode != "window" and not plan.long_steps)
    two = (FIRST, "Conv3d_2c_3x3")
    return {
        ALL: Faster(points, halves=halves),
        "first two layers": Faster(points, two, halves),
        ONE: Faster(points, (FIRST,), halves),
        "all layers, the first in space": Faster(points, None, halves, "space"),
        "first layer in space": Faster(points, (FIRST,), halves, "space"),
        "all layers, the first in space and time": Faster(points, None, halves, "both"),
        "first layer in space and time": Faster(points, (FIRST,), halves, "both"),
        NONE: None,
    }


def known_best(plan: Plan, kind: str) -> str:
    """The form to take without measuring. `kind`: as `processor_kind` names it."""
    usual, *others = forms(plan)
    known = KNOWN.get((kind, plan.precision))
    return known if known in others else usual


@cache
def processor_kind(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """What matters of this machine's processor: "amx", "avx512-bf16", "avx512-vnni", "avx2" or "other"."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:  # not Linux
        return "other"
    flags = {flag for line in lines if line.startswith("flags") for flag in line.split()}
    return next((kind for flag, kind in KINDS.items() if flag in flags), "other")
