"""OpenVINO graphs in 8 bits, by post-training quantisation with NNCF: the only file that knows it."""

from collections.abc import Mapping, Sequence
from typing import Any

import nncf
import numpy as np
from numpy.typing import NDArray

from engines.backends.openvino import core
from engines.engine import POSITION_TICKS
from engines.errors import EngineError, NoClip
from engines.streaming import midst

SHORTEST_TICKS = 80
SAMPLES = 12
"""Steps of the clip that show what ranges the activations have: 3.8 s of it."""
OVERFLOW = nncf.OverflowFix.ENABLE
"""Weights in 7 bits. Without VNNI, two products of 8 bits are added in 16 and can overflow: on such a processor logits of the
demo clip were off by 0.18 on average this way and by 0.52 with 8 bits. An engine may move to another processor, so always."""


KEPT_IN_WINDOW = (r".*Conv3d_1a_7x7.*", r".*\.b3b\..*")
"""Layers of a `window` engine that are not put in 8 bits: the first, and those behind the pools. With them in 8 bits, logits of windows
out of three clips were off by 0.31, 0.45 and 0.32 on average, so by 0.26, 0.34 and 0.20. A step keeps those behind the pools by itself."""


def require_clip(clip: NDArray[Any] | None) -> NDArray[Any]:
    """Raises NoClip where there is none, EngineError where it is too short."""
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
    """OpenVINO's models of the graphs of one engine, with convolutions in 8 bits. `clip`: ticks (T, 224, 224, C) that set the ranges.

    All but `edge`: it masks what lies outside of the video, and where it was quantised logits of the demo clip were off by up
    to 20. It runs where a video begins or ends alone.
    """
    if "window" in models:
        return {"window": _quantised(models["window"], _windows(clip), KEPT_IN_WINDOW)}
    samples = _steps(models["edge"], clip)
    return {name: model if name == "edge" else _quantised(model, samples) for name, model in models.items()}


def _quantised(model: Any, samples: list[list[Any]], kept: Sequence[str] = ()) -> Any:
    """`kept`: regular expressions of the layers that are not put in 8 bits."""
    return nncf.quantize(
        model,
        nncf.Dataset(samples),
        subset_size=len(samples),
        ignored_scope=nncf.IgnoredScope(patterns=list(kept)),
        advanced_parameters=nncf.AdvancedQuantizationParameters(overflow_fix=OVERFLOW),
    )


def _windows(clip: NDArray[Any]) -> list[list[Any]]:
    starts = np.linspace(0, len(clip) - 64, 3).astype(int)
    return [[clip[None, start : start + 64]] for start in starts]


def _steps(edge: Any, clip: NDArray[Any]) -> list[list[Any]]:
    """What a step takes where the clip neither begins nor ends: chunk and memories, some steps spread over the clip."""
    request = core().compile_model(edge, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}).create_infer_request()
    memories = [np.zeros(port.shape, port.element_type.to_dtype()) for port in edge.inputs[2:]]
    found = []
    for start in range(0, len(clip) - POSITION_TICKS + 1, POSITION_TICKS):
        chunk = clip[None, start : start + POSITION_TICKS]
        bounds = np.array([[-start, len(clip) - start]], np.int32)
        if midst(bounds).all():
            found.append([chunk, *memories])
        outputs = request.infer([chunk, bounds, *memories])
        memories = [outputs[1 + i].copy() for i in range(len(memories))]
    return found[:: -(-len(found) // SAMPLES)]
