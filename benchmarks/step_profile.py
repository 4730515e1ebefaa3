"""Where the time of an engine's step goes: multiplying, or moving data.

    python -m benchmarks.step_profile      results/step_profile.json

RGB, `continual`, one thread, in each precision: OpenVINO's own counts of each operation in the interior of a video. The
engine is the one in the cache, checked against the reference. Pools compute, but little; sums are what fewer
multiplications cost, and what OpenVINO has joined with them.
"""

from collections import Counter
from typing import Any

from benchmarks import card
from benchmarks.material import RGB_MODEL, checked_engines, precisions
from engines.backends.openvino.device import core, hint
from engines.backends.openvino.timing import with_zeros
from engines.backends.registry import Plan
from engines.build import FORM, engine_folder, told_form
from engines.spec import RGB
from engines.weights.fetch import describe

MODE = "continual"
STEPS, WARM_UP = 20, 3
KINDS = {
    "Convolution": "convolutions",
    "MaxPool": "pools",
    "AvgPool": "pools",
    "Subgraph": "sums",
    "Add": "sums",
    "Subtract": "sums",
    "Eltwise": "sums",
    "FakeQuantize": "sums",
}
"""By OpenVINO's type of an operation; all others move data."""


def profile(precision: str) -> dict[str, Any]:
    """Milliseconds of a step, and each kind's share of it."""
    checked_engines(precision, MODE, "rgb", RGB_MODEL)
    folder = engine_folder(Plan(RGB, describe(RGB_MODEL, "rgb"), MODE, precision), "openvino")
    hints = {"INFERENCE_PRECISION_HINT": hint(precision), "INFERENCE_NUM_THREADS": 1, "PERF_COUNT": True}
    request = with_zeros(core().compile_model(folder / "interior.xml", "CPU", hints))
    spent_ms: Counter[str] = Counter()
    for step in range(WARM_UP + STEPS):
        request.infer()
        if step >= WARM_UP:
            for each in request.get_profiling_info():
                spent_ms[each.node_type] += each.real_time.total_seconds() * 1000 / STEPS
    whole_ms = sum(spent_ms.values())
    shares: Counter[str] = Counter()
    for kind, ms in spent_ms.items():
        shares[KINDS.get(kind, "moving")] += ms / whole_ms
    return {
        FORM: told_form(folder).partition(":")[0],
        "step_ms": round(whole_ms, 2),
        "shares": {kind: round(share, 3) for kind, share in shares.most_common()},
        "operations_ms": {kind: round(ms, 2) for kind, ms in spent_ms.most_common() if ms > 0.005},
    }


def main() -> None:
    card.report("step_profile", {"mode": MODE, "found": {each: profile(each) for each in precisions()}})


if __name__ == "__main__":
    main()
