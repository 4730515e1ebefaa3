"""Engines of a stored model, calibrated on a real clip where they need one."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engines.errors import NoClip
from engines.load import Bulk, Clips, EngineOptions, Engines, Trunks, choose_streams, engines_of
from engines.spec import Streams
from engines.weights.fetch import demo_clip
from realtime.offline import clip_inputs
from realtime.sources.open import open_video

if TYPE_CHECKING:
    from engines.weights.store import Model


def calibrated(
    model: "Model",
    options: EngineOptions,
    *,
    concurrent: bool = False,
    trunks: Trunks | None = None,
    bulk: Bulk | None = None,
    threads: int = 1,
) -> Engines:
    """`engines_of`; an 8-bit engine that is not in the cache is calibrated on the demo's clip."""
    how: dict[str, Any] = {"concurrent": concurrent, "trunks": trunks, "bulk": bulk, "threads": threads}
    with suppress(NoClip):
        return engines_of(model, options, **how)
    return engines_of(model, options, clips=calibration_clips(model, options.streams), **how)


def calibration_clips(model: "Model", streams: Streams, clip: Path | None = None) -> Clips:
    """Ticks (N, 224, 224, C) of a real clip, by default the demo's, for each stream of the model that would run."""
    path = clip or demo_clip()
    ticks = {}
    for modality in choose_streams(model, streams)[0]:
        with open_video(path) as video:
            ticks[modality] = np.stack(list(clip_inputs(video, model.stored(modality).spec)))
    return ticks
