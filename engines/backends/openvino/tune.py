"""Which form of a graph is fastest on this machine, measured in turns."""

from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from engines.backends.graphs import graphs
from engines.backends.openvino.build import read, remembering
from engines.backends.openvino.device import core
from engines.backends.openvino.forms import forms, known_best, processor_kind
from engines.backends.openvino.run import hints
from engines.backends.openvino.timing import STEP, timed, with_zeros
from engines.backends.registry import Forms, Plan
from engines.cache_folder import Progress
from engines.nets.folded import Faster
from engines.spec import Tensors

SAMPLE_TICKS = 88
"""The first ticks of a clip that are inside it, and a few more."""


def tuned(plan: Plan, tensors: Tensors, clip: NDArray[Any] | None, tell: Progress) -> Forms:
    """The forms of a plan, the fastest first; the known best first if this machine is too busy. `clip`: for int8."""
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
    found = timed(requests, tell)
    if found.busy:
        return replace(found, names=tuple(dict.fromkeys((known_best(plan, processor_kind()), *choice))))
    return found


def _step(plan: Plan, tensors: Tensors, faster: Faster | None, samples: Any) -> Any:
    """OpenVINO's model of the graph that runs nearly always."""
    name = STEP[plan.mode]
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
