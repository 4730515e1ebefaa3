"""The process on a machine of the cluster that computes: one engine, one core or GPU."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from threading import Event
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.load import Bulk, EngineOptions
from engines.spec import Weights
from realtime.calibration import calibrated
from realtime.cluster.connect import check_code
from realtime.cluster.model_copy import ModelCopy, installed
from realtime.errors import SourceError
from realtime.features.compute import Here
from realtime.features.extract import Features
from realtime.features.files import Settings
from realtime.features.remote_files import local_copy
from realtime.features.whole_clip import clip_logits
from realtime.outputs.feature_files import facts_of
from realtime.pictures import resize_on_one_thread
from realtime.sources.hardware import Decode
from realtime.worker_threads import cores, immediately


@dataclass(frozen=True)
class Recipe:
    """What a worker needs to know before it begins."""

    code: str
    """`this_code` of the machine that asks."""
    model: ModelCopy
    options: EngineOptions
    settings: Settings
    sample: str | None
    """A path that it must see."""
    on_gpu: bool = False
    step_ticks: int | None = None
    """As the others compute; None: as is fastest there."""


@dataclass(frozen=True)
class Hello:
    """A worker that is ready."""

    reason: str
    """Why its engines were chosen."""
    facts: Mapping[str, Any]
    """See `Computes.facts`."""
    step_ticks: int
    weights: Weights
    fps: Fraction
    """Ticks a second of the model."""


class Worker:
    """Runs as a Ray actor; calls come one after another."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe

    def begin(self) -> Hello:
        """Load the engines. Raises I3DLiveError, without the name of the machine."""
        recipe = self._recipe
        check_code(recipe.code)
        if recipe.sample is not None and not os.path.exists(recipe.sample):
            raise SourceError(
                f"it does not see {recipe.sample}; give a path that all machines share, or an address such as "
                "s3://bucket/folder"
            )
        resize_on_one_thread()
        model = installed(recipe.model)
        convention, processes = recipe.settings.convention, 1 if recipe.on_gpu else cores()
        bulk = Bulk(window_ticks=convention.clip, processes=processes)
        engines = calibrated(model, recipe.options, bulk=bulk)
        step_ticks = next(iter(engines.by_stream.values())).chunk_ticks
        if recipe.step_ticks not in (None, step_ticks):
            imposed = Bulk(window_ticks=convention.clip, processes=processes, step_ticks=recipe.step_ticks)
            engines = calibrated(model, recipe.options, bulk=imposed)
        self._engines = engines.by_stream
        self._here = Here(self._engines, recipe.settings)
        first = next(iter(self._engines.values()))
        ticks = recipe.step_ticks or step_ticks
        return Hello(engines.reason, facts_of(self._engines), ticks, first.weights, first.spec.fps)

    def features(self, source: str) -> tuple[Features, float]:
        """Features of a video, and seconds of it. Raises I3DLiveError."""
        media_s = 0.0

        def advance(more_s: float, share: float) -> None:
            nonlocal media_s
            media_s += more_s

        return self._here.features(source, advance, Event()), media_s

    def logits(
        self, source: str, square_pixels: bool, decode: Decode
    ) -> tuple[dict[str, NDArray[np.float32]], int]:
        """See `clip_logits`."""
        with local_copy(source) as path:
            return clip_logits(
                path, self._engines, square_pixels=square_pixels, decode=decode, submit=immediately
            )
