"""From the logits of the streams to one answer."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def fuse(logits: Mapping[str, Floats], weights: Mapping[str, float]) -> Floats:
    """Weighted sum of each stream's logits (classes,); *Quo Vadis* adds them with equal weight before the softmax."""
    total = sum((np.float32(weights[name]) * values for name, values in logits.items()), np.float32(0))
    return np.asarray(total, dtype=np.float32)


def softmax(logits: Floats) -> Floats:
    """Probabilities (classes,) of logits (classes,)."""
    exponentials = np.exp(logits - logits.max())
    return np.asarray(exponentials / exponentials.sum(), dtype=np.float32)


def top_labels(
    probabilities: Floats, labels: tuple[str, ...], count: int = 5
) -> tuple[tuple[str, float], ...]:
    """The likeliest labels with their probabilities, likeliest first; ties in the order of the classes."""
    order = np.argsort(-probabilities, kind="stable")[:count]
    return tuple((labels[i], float(probabilities[i])) for i in order)
