"""Which of some compiled graphs is fastest on this machine, measured in turns."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from engines.backends.openvino.device import threads
from engines.backends.openvino.run import compiled, form_folder
from engines.backends.registry import Forms, Plan
from engines.cache_folder import Progress

ROUNDS, STEPS = 6, 3
"""Turns, and the steps of a turn that count: the one before them finds the caches as another form has left them."""
HOPELESS = 1.25
"""A form that takes so many times what the fastest takes is not timed again."""
LONGEST_S = 30.0
"""After so long no turn begins: a window of 64 ticks takes 1.0 to 1.5 s with AVX2 on two cores."""
ENOUGH = 0.98
"""A form must take less than this share of the usual one's time to be preferred."""
LEAST_SHARE = 0.6
"""Of the threads' time that has to be ours, or others have slowed down whichever form they met. A whole first start of
a bundle had 0.87 of it on two cores that did nothing else, 0.06 beside the test suite (Zen 4)."""
STEP = {"window": "window", "continual": "interior", "preview": "preview"}
"""By mode, the graph that runs nearly always."""


def packed_forms(plan: Plan, folder: Path, names: Sequence[str], tell: Progress) -> Forms:
    """The forms of a bundle, the fastest first. `names`: the usual one first."""
    requests, graph = {}, STEP[plan.mode]
    for done, name in enumerate(names):
        tell("preparing the forms of the network", done, len(names))
        requests[name] = with_zeros(compiled(form_folder(folder, name), (graph,), plan)[graph])
    return timed(requests, tell)


def timed(
    requests: Mapping[str, Any],
    tell: Progress,
    clock: Callable[[], float] = time.perf_counter,
    processor: Callable[[], float] = time.process_time,
) -> Forms:
    """Forms by what a step of each takes, the fastest first; as they are given if other programs keep this machine too
    busy to tell. `requests`: by form, the usual one first. `clock`, `processor`: seconds that have passed, and that
    the threads of this program have run."""
    times: dict[str, list[float]] = {name: [] for name in requests}
    start_s, processor_s = clock(), processor()
    ms = dict.fromkeys(requests, 0.0)
    for turn in range(ROUNDS):
        if clock() - start_s > LONGEST_S:
            break
        tell("timing them on this machine", turn, ROUNDS)
        for name in [name for name in ms if ms[name] <= HOPELESS * min(ms.values())]:
            times[name] += _each_ms(requests[name], clock)
            ms[name] = round(statistics.median(times[name]), 2)
    if processor() - processor_s < LEAST_SHARE * threads() * (clock() - start_s):
        return Forms(tuple(requests), busy=True)
    return Forms(ranked(ms, next(iter(ms))), ms)


def ranked(ms: Mapping[str, float], usual: str) -> tuple[str, ...]:
    """The fastest first, the usual one unless another is clearly faster."""
    return tuple(sorted(ms, key=lambda name: ms[name] * (ENOUGH if name == usual else 1.0)))


def _each_ms(request: Any, clock: Callable[[], float]) -> list[float]:
    times = []
    for _ in range(1 + STEPS):
        start_s = clock()
        request.infer()
        times.append(1000 * (clock() - start_s))
    return times[1:]


def with_zeros(compiled: Any) -> Any:
    """A request whose inputs and memories are set."""
    request = compiled.create_infer_request()
    for i, port in enumerate(compiled.inputs):
        request.set_input_tensor(i, _zeros(port))
    for i, port in enumerate(compiled.outputs[1:]):
        request.set_output_tensor(i + 1, _zeros(port))
    return request


def _zeros(port: Any) -> Any:
    tensor = ov.Tensor(port.element_type, port.shape)
    np.asarray(tensor.data)[...] = 0
    return tensor
