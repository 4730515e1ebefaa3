"""Effect of two choices on the input of the flow network: 256 levels instead of none, and the central square instead of
the frame.

    python -m benchmarks.flow_inputs [CLIP ...]        without clips: the demo clip

In px a tick, over the 224 x 224 px that the network sees; and in logits of a flow network of the right shape, whose
weights are the RGB weights averaged over colours, since trained flow weights are not available everywhere.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import card
from benchmarks.material import MODEL, store_model
from engines.load import load_engines
from engines.runtime.whole_clip import clip_logits, repeat_to
from engines.spec import FLOW
from engines.weights.fetch import demo_clip
from realtime.flow.stage import FlowFeed
from realtime.offline import ticks_of
from realtime.pictures import resize_short_side
from realtime.sources.open import open_video
from realtime.types import ResizedTick

TICKS = 96


def inputs(clip: Path, feed: FlowFeed) -> np.ndarray:
    """float16 (T, 224, 224, 2) of a clip's first ticks."""

    def values() -> Iterator[np.ndarray]:
        with open_video(clip) as video:
            for tick in ticks_of(video, FLOW.fps):
                if tick.index == TICKS:
                    break
                yield from (
                    v
                    for _, v in feed.push(
                        ResizedTick(tick, resize_short_side(tick.frame.rgb, FLOW.short_side_px))
                    )
                )
            yield from (v for _, v in feed.flush())

    return np.stack(list(values()))


def difference(ours: np.ndarray, other: np.ndarray, engine: Any) -> dict[str, float]:
    """Mean and 95th percentile of the distance of the vectors in px a tick; largest and mean difference of a logit."""
    vectors = (ours.astype(np.float32) - other.astype(np.float32)) * FLOW.flow_bound_px
    distance = np.hypot(vectors[..., 0], vectors[..., 1])
    logits = [clip_logits(engine, repeat_to(x, 64), max(len(x), 64)).mean(axis=0) for x in (ours, other)]
    off = np.abs(logits[0] - logits[1])
    figures = {
        "mean_px": distance.mean(),
        "p95_px": np.percentile(distance, 95),
        "logit_max": off.max(),
        "logit_mean": off.mean(),
    }
    return {name: round(float(value), 4) for name, value in figures.items()}


def main() -> None:
    store_model()
    engine = load_engines(
        MODEL, backend="openvino", precision="float32", mode="continual", streams="flow"
    ).flow
    clips = [Path(text) for text in sys.argv[1:]] or [demo_clip()]
    rows = {}
    for clip in clips:
        ours = inputs(clip, FlowFeed(FLOW))
        rows[clip.name] = {
            "levels_off": difference(ours, inputs(clip, FlowFeed(FLOW, quantise=False)), engine),
            "whole_frame": difference(ours, inputs(clip, FlowFeed(FLOW, region="frame")), engine),
        }
        print(clip.name, rows[clip.name])
    card.report("flow_inputs", {"ticks": TICKS, "clips": rows})


if __name__ == "__main__":
    main()
