"""Which form of a graph is fastest on this machine, measured in turns."""

import statistics
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from engines.backends.graphs import graphs
from engines.backends.openvino.build import read, remembering
from engines.backends.openvino.device import core
from engines.backends.openvino.forms import forms
from engines.backends.openvino.run import hints
from engines.backends.registry import Forms, Plan
from engines.cache_folder import Progress
from engines.nets.folded import Faster
from engines.spec import Tensors

ROUNDS, STEPS = 6, 3
"""Turns, and the steps of a turn that count: the one before them finds the caches as another form has left them."""
ENOUGH = 0.98
"""A form must take less than this share of the usual one's time to be preferred."""
SAMPLE_TICKS = 88
"""The first ticks of a clip that are inside it, and a few more."""


def tuned(plan: Plan, tensors: Tensors, clip: NDArray[Any] | None, tell: Progress) -> Forms:
    """The forms of a plan, the fastest first. `clip`: for int8."""
    choice = forms(plan)
    usual = next(iter(choice))
    if len(choice) == 1:
        return Forms((usual,))
    samples = None if plan.precision != "int8" else _samples(plan, tensors, clip)
    requests = {}
    for done, (name, faster) in enumerate(choice.items()):
        tell("preparing the forms of the network", done, len(choice))
        model = _step(plan, tensors, faster, samples)
        requests[name] = with_zeros(core().compile_model(model, "CPU", hints(plan)))
    times: dict[str, list[float]] = {name: [] for name in requests}
    for turn in range(ROUNDS):
        tell("timing them on this machine", turn, ROUNDS)
        for name, request in requests.items():
            times[name] += _each_ms(request)
    ms = {name: round(statistics.median(each), 2) for name, each in times.items()}
    return Forms(ranked(ms, usual), ms)


def ranked(ms: Mapping[str, float], usual: str) -> tuple[str, ...]:
    """The fastest first, the usual one unless another is clearly faster."""
    return tuple(sorted(ms, key=lambda name: ms[name] * (ENOUGH if name == usual else 1.0)))


def _step(plan: Plan, tensors: Tensors, faster: Faster | None, samples: Any) -> Any:
    """OpenVINO's model of the graph that runs nearly always."""
    name = {"window": "window", "continual": "interior", "preview": "preview"}[plan.mode]
    of_plan = graphs(plan.spec, plan.mode, tensors, faster=faster)
    model = read(next(graph for graph in of_plan if graph.name == name))
    if samples is not None:
        from engines.backends.openvino.int8 import roughly_quantised

        model = roughly_quantised(name, model, samples)
    return remembering(model, plan.precision)


def _samples(plan: Plan, tensors: Tensors, clip: NDArray[Any] | None) -> Any:
    """Inputs of a step, to set ranges: the form does not matter."""
    from engines.backends.openvino.int8 import require_clip, steps, without_bounds

    boundary = next(graph for graph in graphs(plan.spec, plan.mode, tensors) if graph.name == "boundary")
    return without_bounds(steps(read(boundary), require_clip(clip)[:SAMPLE_TICKS]))


def _each_ms(request: Any) -> list[float]:
    times = []
    for _ in range(1 + STEPS):
        start_s = time.perf_counter()
        request.infer()
        times.append(1000 * (time.perf_counter() - start_s))
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
