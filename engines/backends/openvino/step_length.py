"""How many ticks a step should take where nobody waits for it: measured on this machine.

A longer step moves its memories less often and needs fewer multiplications a tick (`engines.nets.winograd`), but what
it computes no longer fits in the caches. Which of the two weighs more differs from processor to processor.
"""

import time
from functools import partial

from engines.backends.graphs import graphs
from engines.backends.openvino.build import read, remembering
from engines.backends.openvino.device import core, hint
from engines.backends.openvino.timing import with_zeros
from engines.backends.registry import Plan
from engines.engine import POSITION_TICKS
from engines.nets.folded import Faster
from engines.spec import Tensors

CANDIDATES = (8, 16, 32, 64)
"""Ticks."""
ROUNDS = 3
ONE_THREAD = {"INFERENCE_NUM_THREADS": 1, "ENABLE_CPU_PINNING": False}
"""Files are processed in parallel, each on its own cores."""
ENOUGH = 0.98
"""A longer step must be faster than this share of a shorter one's time: it takes more memory."""


def step_times_ms(plan: Plan, tensors: Tensors, faster: Faster | None) -> dict[int, float]:
    """Milliseconds for 8 ticks in steps of each length, in the interior of a video; of 8-bit engines before they are
    quantised."""
    of_length = partial(graphs, plan.spec, plan.mode, tensors, "float32", faster)
    requests = {}
    for ticks in CANDIDATES:
        interior = next(g for g in of_length(ticks) if g.name == "interior")
        model = remembering(read(interior), plan.precision)
        compiled = core().compile_model(
            model, "CPU", {"INFERENCE_PRECISION_HINT": hint(plan.precision), **ONE_THREAD}
        )
        requests[ticks] = with_zeros(compiled)
    times: dict[int, list[float]] = {ticks: [] for ticks in CANDIDATES}
    for _ in range(ROUNDS + 1):  # the first is not counted
        for ticks, request in requests.items():
            start_s = time.perf_counter()
            request.infer()
            times[ticks].append(1000 * (time.perf_counter() - start_s) * POSITION_TICKS / ticks)
    return {ticks: min(found[1:]) for ticks, found in times.items()}


def best(times_ms: dict[int, float]) -> int:
    """The length to choose, in ticks."""
    chosen, *longer = sorted(times_ms)
    for ticks in longer:
        if times_ms[ticks] < ENOUGH * times_ms[chosen]:
            chosen = ticks
    return chosen
