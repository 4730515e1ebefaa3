"""OpenVINO graphs in 8 bits, by post-training quantisation with NNCF: the only file that knows it."""

from collections.abc import Mapping
from typing import Any

import nncf
import numpy as np
import openvino as ov
from numpy.typing import NDArray

from engines.engine import POSITION_TICKS
from engines.errors import EngineError
from engines.streaming import midst

SHORTEST_TICKS = 80
SAMPLES = 12
"""Steps of the clip that show what ranges the activations have: 3.8 s of it."""
OVERFLOW = nncf.OverflowFix.ENABLE
"""Weights in 7 bits. Without VNNI, two products of 8 bits are added in 16 and can overflow: on such a processor logits of the
demo clip were off by 0.18 on average this way and by 0.52 with 8 bits. An engine may move to another processor, so always."""


def quantised(models: Mapping[str, ov.Model], clip: NDArray[Any]) -> dict[str, ov.Model]:
    """The graphs of one engine, with convolutions in 8 bits. `clip`: ticks (T, 224, 224, C), that set the ranges.

    All but `edge`: it masks what lies outside of the video, and where it was quantised logits of the demo clip were off by up
    to 20. It runs where a video begins or ends alone.

    Raises:
        EngineError: the clip is too short.
    """
    if len(clip) < SHORTEST_TICKS:
        raise EngineError(
            f"int8 is calibrated on {SHORTEST_TICKS} ticks (3.2 s) or more, this clip has {len(clip)}: name a longer one"
        )
    samples = _windows(clip) if "window" in models else _steps(models["edge"], clip)
    return {name: model if name == "edge" else _quantised(model, samples) for name, model in models.items()}


def _quantised(model: ov.Model, samples: list[list[Any]]) -> ov.Model:
    settings = nncf.AdvancedQuantizationParameters(overflow_fix=OVERFLOW)
    return nncf.quantize(model, nncf.Dataset(samples), subset_size=len(samples), advanced_parameters=settings)


def _windows(clip: NDArray[Any]) -> list[list[Any]]:
    starts = np.linspace(0, len(clip) - 64, 3).astype(int)
    return [[clip[None, start : start + 64]] for start in starts]


def _steps(edge: ov.Model, clip: NDArray[Any]) -> list[list[Any]]:
    """What a step takes where the clip neither begins nor ends: chunk and memories, some steps spread over the clip."""
    request = ov.Core().compile_model(edge, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}).create_infer_request()
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
