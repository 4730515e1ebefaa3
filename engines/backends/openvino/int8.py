"""OpenVINO graphs in 8 bits, by post-training quantisation with NNCF: the only file that knows it."""

import logging
from collections.abc import Mapping
from typing import Any

import nncf
import numpy as np
from nncf.quantization.range_estimator import RangeEstimatorParametersSet
from numpy.typing import NDArray

from engines.backends.openvino.device import core
from engines.engine import SEEN_TICKS
from engines.errors import EngineError, NoClip
from engines.runtime.continual import interior

nncf.set_log_level(logging.WARNING)  # otherwise it prints a page on what it leaves unchanged

SHORTEST_TICKS = 80
SAMPLES = 12
"""Steps of the clip from which the ranges of activations are estimated: 3.8 s of it."""
OVERFLOW = nncf.OverflowFix.ENABLE
"""Weights in 7 bits. Without VNNI, two products of 8 bits are added in 16 and can overflow: on such a processor logits
of the demo clip were off by 0.18 on average this way and by 0.52 with 8 bits. Always used, as an engine may move to
another processor."""

RANGES = RangeEstimatorParametersSet.MINMAX
"""Over all samples, not of the average one: a user's clip may move faster than the one that sets the ranges. Logits of
a clip of boxing were off by 0.17 on average instead of 0.28, those of two others by as much as before."""
SUMS = ["Add", "Subtract", "Multiply"]
"""Not all of them are in every form of a graph, so NNCF must not ask for them: `validate`."""
MASKED = nncf.IgnoredScope(patterns=[r".*Mixed_[45].*"], types=SUMS, validate=False)
KEPT = {
    "window": nncf.IgnoredScope(patterns=[r".*Conv3d_[12].*", r".*Mixed_3b.*", r".*\.b3b/.*"]),
    "interior": nncf.IgnoredScope(types=SUMS, validate=False),
    "preview": nncf.IgnoredScope(types=SUMS, validate=False),
    "boundary": MASKED,
    "end": MASKED,
}
"""Layers that are not put in 8 bits, by graph. Logits of windows from three clips were off by 0.32, 0.23 and 0.22 on
average with the first layer and those after the pools left out, by 0.29, 0.20 and 0.20 with the next three left out as
well; a step leaves out those after the pools by itself. Where a video begins or ends, logits of the demo clip were off
by 2.4 at most with the blocks in 8 bits whose masks split their few positions, by 1.2 without. The masks, and the sums
around convolutions with fewer multiplications, stay exact."""


def require_clip(clip: NDArray[Any] | None) -> NDArray[Any]:
    """Raises NoClip if there is none, EngineError if it is too short."""
    if clip is None:
        raise NoClip(
            "int8 is calibrated on a real clip: name one with i3d-live build --precision int8 --clip FILE"
        )
    if len(clip) < SHORTEST_TICKS:
        raise EngineError(
            f"int8 is calibrated on {SHORTEST_TICKS} ticks (3.2 s) or more, this clip has {len(clip)}: name a longer one"
        )
    return clip


def quantised(models: Mapping[str, Any], clip: NDArray[Any]) -> dict[str, Any]:
    """OpenVINO's models of the graphs of one engine, with convolutions in 8 bits. `clip`: ticks (T, 224, 224, C) that
    set the ranges."""
    if "window" in models:
        length = models["window"].inputs[0].shape[1]
        return {"window": _quantised("window", models["window"], _windows(clip, length))}
    bounded = steps(models["boundary"], clip)
    plain = without_bounds(bounded)
    return {
        name: _quantised(name, model, plain if name in ("interior", "preview") else bounded)
        for name, model in models.items()
    }


def without_bounds(inputs: list[list[Any]]) -> list[list[Any]]:
    """Those of `steps` for the graphs that know no bounds."""
    return [[chunk, *memories] for chunk, _, *memories in inputs]


def roughly_quantised(name: str, model: Any, samples: list[list[Any]]) -> Any:
    """To be timed only: its ranges come from one step, and its bias is not corrected."""
    rough = nncf.AdvancedQuantizationParameters(overflow_fix=OVERFLOW, disable_bias_correction=True)
    dataset = nncf.Dataset(samples[-1:])
    return nncf.quantize(model, dataset, subset_size=1, ignored_scope=KEPT[name], advanced_parameters=rough)


def _quantised(name: str, model: Any, samples: list[list[Any]]) -> Any:
    return nncf.quantize(
        model,
        nncf.Dataset(samples),
        subset_size=len(samples),
        ignored_scope=KEPT[name],
        advanced_parameters=nncf.AdvancedQuantizationParameters(
            overflow_fix=OVERFLOW, activations_range_estimator_params=RANGES
        ),
    )


def _windows(clip: NDArray[Any], length: int) -> list[list[Any]]:
    starts = np.linspace(0, len(clip) - length, 3).astype(int)
    return [[clip[None, start : start + length]] for start in starts]


def steps(boundary: Any, clip: NDArray[Any]) -> list[list[Any]]:
    """Inputs of some steps spread over the clip, away from its start and end: chunk, bounds and memories.

    Steps at the start and end would distort the ranges: the largest differences lie between a picture and nothing.
    """
    request = (
        core().compile_model(boundary, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}).create_infer_request()
    )
    memories = [np.zeros(port.shape, port.element_type.to_dtype()) for port in boundary.inputs[2:]]
    found = []
    ticks = np.concatenate((np.zeros((SEEN_TICKS, *clip.shape[1:]), clip.dtype), clip))
    chunk_ticks = boundary.inputs[0].shape[1]
    step_ticks = chunk_ticks - SEEN_TICKS
    for start in range(0, len(clip) - step_ticks + 1, step_ticks):
        chunk = ticks[None, start : start + chunk_ticks]
        bounds = np.array([[-start, len(clip) - start]], np.int32)
        if interior(bounds, step_ticks).all():
            found.append([chunk, bounds, *memories])
        outputs = request.infer([chunk, bounds, *memories])
        memories = [outputs[1 + i].copy() for i in range(len(memories))]
    return found[:: -(-len(found) // SAMPLES)]
