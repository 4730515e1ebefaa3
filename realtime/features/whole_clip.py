"""The paper's test: the logits of a video as a whole, by the same way as its features."""

from collections.abc import Mapping
from contextlib import closing
from threading import Event

import numpy as np
from numpy.typing import NDArray

from engines.engine import Engine
from realtime.errors import SourceError
from realtime.features.conventions import PRESETS
from realtime.features.extract import FeatureRows, extract
from realtime.offline import count_ticks
from realtime.reader_threads import read_ahead
from realtime.sources.hardware import Decode
from realtime.sources.open import frame_times, open_video
from realtime.types import Submit
from realtime.worker_threads import submit as on_worker_threads
from realtime.worker_threads import until


def clip_logits(
    path: str,
    engines: Mapping[str, Engine],
    *,
    square_pixels: bool = True,
    decode: Decode = "cpu",
    submit: Submit = on_worker_threads,
    stopping: Event | None = None,
) -> tuple[dict[str, NDArray[np.float32]], int]:
    """By stream, the mean of the logits over all positions of a file, and its length in ticks.

    The head is linear: logits of the mean of the features are the mean of the logits. A file that is shorter than a
    window is repeated, and gaps are ignored. `engines`: by stream, in `continual` mode. `submit`: as for `FeatureRows`.

    Raises:
        SourceError: it cannot be read.
        Stopped: `stopping` was set.
    """
    spec, stopping = next(iter(engines.values())).spec, stopping or Event()
    length = count_ticks(until(stopping, frame_times(path)), spec.fps)
    stage = FeatureRows(engines, PRESETS["dense"], submit=submit, clip_ticks=length)
    with (
        open_video(path, square_pixels=square_pixels, decode=decode) as video,
        closing(read_ahead(video)) as frames,
    ):
        rows = extract(until(stopping, frames), stage).by_stream
    if not rows:
        raise SourceError(f"{path}: it has no pictures; give a file that does")
    return {name: engines[name].head(features[:, 0].mean(axis=0)) for name, features in rows.items()}, length
