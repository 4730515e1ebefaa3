"""Compares an engine with a reference: the paper's network, float32, over the whole video in one pass."""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from engines.engine import Engine
from engines.runtime.whole_clip import clip_logits
from engines.spec import RGB, StreamSpec, Tensors

TOLERANCE = {
    "float32": (5e-3, 5e-4),
    "float16": (0.2, 0.02),
    "bfloat16": (0.5, 0.05),
    "int8": (2.0, 0.3),
}
"""By precision: the largest and the mean difference of a logit that pass. Logits of real clips reach about 30."""
SHORT_WINDOW = 1.5
"""Times that tolerance for windows shorter than the model's: all their positions are near an end, where features are
larger. In bfloat16, without fewer multiplications, logits of windows of 16 ticks of three clips were off by 0.042 to
0.055 on average, those of 21 ticks by 0.026 to 0.046."""
CLEAR_MARGIN = 1.0
"""Where the reference's best class leads by this much, the engine must have the same best class."""


@dataclass(frozen=True)
class Comparison:
    """Engine and reference on one clip."""

    clip: str
    answers: int
    largest: float
    """Largest difference of a logit."""
    mean: float
    """Mean absolute difference of the logits."""
    clear: int
    """Predictions where the reference's best class leads by more than `CLEAR_MARGIN`."""
    agree: int
    """How many of those have the same best class."""


@dataclass(frozen=True)
class Report:
    """The result of `check`."""

    precision: str
    comparisons: tuple[Comparison, ...]
    reference: str = ""
    """What the engine was compared with."""
    factor: float = 1.0
    """Times the tolerance."""

    @property
    def failures(self) -> list[str]:
        """One line for each thing beyond the tolerance; none if the engine passes."""
        largest, mean = (self.factor * allowed for allowed in TOLERANCE[self.precision])
        lines = []
        for c in self.comparisons:
            if not c.largest <= largest:
                lines.append(f"{c.clip}: a logit is off by {c.largest:.3g}, allowed is {largest:.3g}")
            if not c.mean <= mean:
                lines.append(f"{c.clip}: logits are off by {c.mean:.3g} on average, allowed is {mean:.3g}")
            if c.agree < c.clear:
                lines.append(
                    f"{c.clip}: another best class in {c.clear - c.agree} of {c.clear} clear predictions"
                )
        return lines


class Reference(Protocol):
    """Ticks (B, T, 224, 224, C) of a whole video -> logits (B, ceil(T / 8) - 1, classes)."""

    name: str

    def __call__(self, ticks: NDArray[Any]) -> NDArray[np.float32]: ...


def check(
    engine: Engine,
    tensors: Tensors,
    clips: Mapping[str, NDArray[Any]] | None = None,
    *,
    torch: bool = False,
) -> Report:
    """Compare on random ticks and on real clips.

    Args:
        tensors: weights that the engine was built from.
        clips: by name, ticks (T, 224, 224, C) of the stream's type, T >= 64. A `window` engine is run on all whole
            windows in them.
        torch: use PyTorch as the reference instead of OpenVINO; it shares no description of the network with the
            engine.
    """
    reference = _reference(engine.spec, tensors, torch)
    inputs = {"random": random_ticks(engine.spec), **(clips or {})}
    comparisons = tuple(_compare(name, engine, reference, ticks) for name, ticks in inputs.items())
    short = engine.mode == "window" and engine.chunk_ticks < RGB.window_ticks
    return Report(engine.precision, comparisons, reference.name, SHORT_WINDOW if short else 1.0)


def has_torch() -> bool:
    return importlib.util.find_spec("torch") is not None


def _reference(spec: StreamSpec, tensors: Tensors, torch: bool) -> Reference:
    if torch:
        from engines.backends.pytorch import WholeVideo

        return WholeVideo(tensors)
    from engines.backends.openvino.build import WholeVideo as PlainGraph

    return PlainGraph(spec, tensors)


def random_ticks(spec: StreamSpec, length: int = 88) -> NDArray[Any]:
    """Noise (length, 224, 224, C) of the stream's type, the same each time."""
    shape = (length, spec.crop_px, spec.crop_px, spec.channels)
    noise = np.random.default_rng(0).random(shape, np.float32)
    return (noise * 255 if spec.modality == "rgb" else noise * 2 - 1).astype(spec.dtype)


def _compare(name: str, engine: Engine, reference: Reference, ticks: NDArray[Any]) -> Comparison:
    found = clip_logits(engine, ticks, len(ticks))
    if engine.mode == "window":
        length = engine.chunk_ticks
        windows = [ticks[i : i + length] for i in range(0, len(ticks) - length + 1, length)]
        wanted = np.concatenate([reference(window[None])[0] for window in windows])
    else:
        wanted = reference(ticks[None])[0]
    difference = np.abs(found - wanted)
    best = np.sort(wanted, axis=1)
    clear = best[:, -1] - best[:, -2] > CLEAR_MARGIN
    agree = clear & (found.argmax(axis=1) == wanted.argmax(axis=1))
    return Comparison(
        name,
        len(found),
        float(difference.max()),
        float(difference.mean()),
        int(clear.sum()),
        int(agree.sum()),
    )
