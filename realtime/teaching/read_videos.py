"""Videos as training needs them: whole frames of both streams, read through the same stages as in a run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.errors import UsageError
from engines.spec import Modality, StreamSpec
from engines.training.clip_cache import Reader
from realtime.flow.stage import FlowStage, network_input
from realtime.offline import ticks_of
from realtime.pictures import resize_short_side
from realtime.sources.open import open_video
from realtime.types import ResizedTick


def reader(specs: Sequence[StreamSpec]) -> Reader:
    """For `engines.training.clip_cache.cache_clips`: video -> its streams, (T, H, W, C) with the shorter side as the
    specs say.

    Flow is computed on the whole frame, so that crops can be taken from it. Raises UsageError if the streams differ in
    size.
    """
    sizes = {(spec.fps, spec.short_side_px) for spec in specs}
    if len(sizes) != 1:
        raise UsageError(
            f"streams that are trained together must be of one size and rate, got {sorted(sizes)}"
        )

    def read(video: Path) -> Mapping[Modality, NDArray[Any]]:
        pictures: list[NDArray[Any]] = []
        fields: list[NDArray[Any]] = []
        flow = next((spec for spec in specs if spec.modality == "flow"), None)
        stage = FlowStage(flow.fps, side_px=flow.short_side_px, region="frame") if flow else None
        with open_video(video) as frames:
            for tick in ticks_of(frames, specs[0].fps):
                resized = resize_short_side(tick.frame.rgb, specs[0].short_side_px)
                pictures.append(resized)
                fields += [field for _, field in stage.push(ResizedTick(tick, resized))] if stage else []
        found: dict[Modality, NDArray[Any]] = {}
        if stage and flow:
            fields += [field for _, field in stage.flush()]
            found["flow"] = np.stack(
                [network_input(np.moveaxis(f, 0, 2), flow.flow_bound_px) for f in fields]
            )
        if any(spec.modality == "rgb" for spec in specs):
            found["rgb"] = np.stack(pictures)
        return found

    return read
