"""From the logits of the streams to one prediction."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

import numpy as np

from engines.head import Floats
from realtime.errors import UsageError


def fuse(logits: Mapping[str, Floats], weights: Mapping[str, float]) -> Floats:
    """Weighted sum of each stream's logits (classes,); *Quo Vadis* adds them with equal weight before the softmax."""
    total = sum((np.float32(weights[name]) * values for name, values in logits.items()), np.float32(0))
    return np.asarray(total, dtype=np.float32)


def softmax(logits: Floats) -> Floats:
    """Probabilities (..., classes) of logits (..., classes)."""
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=-1, keepdims=True), dtype=np.float32)


def top_labels(
    probabilities: Floats, labels: tuple[str, ...], count: int = 5
) -> tuple[tuple[str, float], ...]:
    """The most likely labels with their probabilities (classes,), in descending order; ties in the order of the
    classes."""
    return top_labels_of_each(probabilities[None], labels, count)[0]


def top_labels_of_each(
    probabilities: Floats, labels: tuple[str, ...], count: int = 5
) -> list[tuple[tuple[str, float], ...]]:
    """`top_labels` of each row of probabilities (rows, classes), for all rows together."""
    count = min(count, len(labels))
    # Few of 400 classes are among the likeliest: sorting all of them takes ten times as long.
    least = np.partition(probabilities, -count, axis=-1)[:, -count]
    rows, classes = np.nonzero(probabilities >= least[:, None])
    values = probabilities[rows, classes]
    order = np.lexsort((-values, rows))  # by row, then from the likeliest; stable, so ties stay as they are
    found: list[list[tuple[str, float]]] = [[] for _ in probabilities]
    for row, number, value in zip(
        rows[order].tolist(), classes[order].tolist(), values[order].tolist(), strict=True
    ):
        found[row].append((labels[number], value))
    return [tuple(each[:count]) for each in found]


def watched_classes(labels: tuple[str, ...], watch: Sequence[str] | None) -> list[int]:
    """Numbers, in ascending order, of the classes to choose from; all if `watch` is None.

    Raises UsageError for labels that the model does not have, and for fewer than two: one alone would always be
    certain.
    """
    if watch is None:
        return list(range(len(labels)))
    for label in watch:
        if label not in labels:
            near = get_close_matches(label, labels, n=3)
            hint = (
                f"did you mean {' or '.join(map(repr, near))}?"
                if near
                else "see i3d-live info for its labels"
            )
            raise UsageError(f"{label[:60]!r} cannot be watched: the model has no such label; {hint}")
    classes = sorted({labels.index(label) for label in watch})
    if len(classes) < 2:
        raise UsageError(
            "fewer than two labels to watch: one alone would always be certain; name at least two"
        )
    return classes
