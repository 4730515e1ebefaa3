"""Accuracy as in the paper's tables: top-1, top-5, per class, confusion; RGB, flow and both. No torch.

Decoding and the engine are passed in as one function; everything else is arithmetic on its scores.
"""

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.errors import I3DLiveError, UsageError
from engines.training.datasets import Clip

Floats = NDArray[np.floating[Any]]
Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Scores:
    """The networks' output for every clip."""

    logits: dict[str, Floats]
    """Stream ("rgb", "flow") -> float (clips, classes), each row the mean over the clip's temporal positions."""
    targets: Integers
    """int64 (clips,): index of the right class."""
    unread: tuple[tuple[Path, str], ...]
    """Clips that could not be scored, and why; they are not counted."""


@dataclass(frozen=True, eq=False)
class Report:
    """Accuracy of one stream, or of both together."""

    stream: str
    clips: int
    top1: float
    top5: float
    """Shares of clips, 0 to 1."""
    per_class: Floats
    """(classes,): share of each class's clips that is recognised; NaN if it has no clips."""
    confusion: Integers
    """int64 (classes, classes): clips of class [row] that were classified as [column]."""


def score_clips(
    clips: Iterable[Clip],
    score: Callable[[Path], Mapping[str, Floats]],
    columns: Integers | None = None,
    done: Callable[[], object] = lambda: None,
) -> Scores:
    """Score every clip. `score`: path -> stream -> logits (classes,). `done` is called after each clip, for a progress
    bar.

    `columns` (see `columns_of`) selects the dataset's classes among the model's.
    """
    rows: list[Mapping[str, Floats]] = []
    targets: list[int] = []
    unread: list[tuple[Path, str]] = []
    for clip in clips:
        try:
            logits = score(clip.path)
        except I3DLiveError as error:
            unread.append((clip.path, str(error)))
        else:
            rows.append({s: v if columns is None else v[columns] for s, v in logits.items()})
            targets.append(clip.label)
        done()
    if not rows:
        why = unread[0][1] if unread else "the split is empty"
        raise UsageError(f"no clip could be scored: {why}")
    streams = rows[0].keys()
    return Scores({s: np.stack([r[s] for r in rows]) for s in streams}, np.array(targets), tuple(unread))


def columns_of(labels: Sequence[str], model_labels: Sequence[str]) -> Integers:
    """For each class of a dataset, its index in the model. Case, spaces and underscores are ignored."""
    number = {_plain(label): n for n, label in enumerate(model_labels)}
    if unknown := [label for label in labels if _plain(label) not in number]:
        raise UsageError(
            f"{len(unknown)} of the dataset's {len(labels)} classes are not among the model's {len(model_labels)}"
            f" (first: {unknown[0]!r}); give a model that was trained on them"
        )
    return np.array([number[_plain(label)] for label in labels])


def _plain(label: str) -> str:
    return label.replace("_", "").replace(" ", "").lower()


def reports(scores: Scores) -> list[Report]:
    """One report per stream, and if there are two, one for both: their logits added, as in the paper."""
    every = dict(scores.logits)
    if len(every) > 1:
        every[" + ".join(every)] = np.sum(list(every.values()), axis=0)
    return [report(stream, logits, scores.targets) for stream, logits in every.items()]


def report(stream: str, logits: Floats, targets: Integers) -> Report:
    classes = logits.shape[1]
    matrix = np.zeros((classes, classes), np.int64)
    np.add.at(matrix, (targets, logits.argmax(axis=1)), 1)
    of_class = matrix.sum(axis=1)
    per_class = np.where(of_class > 0, matrix.diagonal() / np.maximum(of_class, 1), np.nan)
    return Report(
        stream, len(targets), top_k(logits, targets, 1), top_k(logits, targets, 5), per_class, matrix
    )


def top_k(logits: Floats, targets: Integers, k: int) -> float:
    """Share of clips with fewer than k classes scoring at least as high as the right one. Ties count as wrong, so a
    constant gets none."""
    right = np.take_along_axis(logits, targets[:, None], axis=1)
    at_or_above = (logits >= right).sum(axis=1) - 1
    return float((at_or_above < k).mean())


def summary_rows(found: Sequence[Report]) -> list[dict[str, str]]:
    """One row per report, column title -> text."""
    return [
        {
            "stream": r.stream,
            "clips": str(r.clips),
            "top-1": f"{r.top1:.1%}",
            "top-5": f"{r.top5:.1%}",
            "mean over classes": f"{np.nanmean(r.per_class):.1%}",
        }
        for r in found
    ]


def class_rows(found: Sequence[Report], labels: Sequence[str]) -> list[dict[str, str]]:
    """One row per class with clips, sorted by the last report (both streams if there are two), worst first."""
    last = found[-1]
    of_class = last.confusion.sum(axis=1)
    order = sorted(np.flatnonzero(of_class).tolist(), key=lambda n: last.per_class[n])
    return [
        {"class": labels[n], "clips": str(of_class[n])}
        | {r.stream: f"{r.per_class[n]:.0%}" for r in found}
        | {"most taken for": _mistaken(last.confusion[n], n, labels)}
        for n in order
    ]


def _mistaken(row: Integers, right: int, labels: Sequence[str]) -> str:
    others = row.copy()
    others[right] = 0
    worst = int(others.argmax())
    return f"{labels[worst]} ({others[worst]})" if others[worst] else ""


def confusion_picture(found: Report, labels: Sequence[str], path: Path) -> None:
    """The confusion matrix as a picture (PNG, SVG or PDF by its suffix), each row as shares of its class."""
    from matplotlib.figure import Figure  # without pyplot: no windows, no global state

    classes = len(labels)
    side_in = min(4 + 0.32 * classes, 20)
    figure = Figure(figsize=(side_in, side_in), layout="constrained", dpi=110)
    axes = figure.subplots()
    shares = found.confusion / np.maximum(found.confusion.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    figure.colorbar(image, ax=axes, shrink=0.6, label="share of the class's clips")
    axes.set_title(f"{found.stream}: {found.top1:.1%} of {found.clips} clips right")
    axes.set_xlabel("taken for")
    axes.set_ylabel("is")
    if classes <= 120:  # more names do not fit on the page; the axes then show indices
        size = 10 if classes <= 60 else 7
        axes.set_xticks(range(classes), labels, rotation=90, fontsize=size, parse_math=False)
        axes.set_yticks(range(classes), labels, fontsize=size, parse_math=False)
    if classes <= 30:
        for row, column in np.argwhere(found.confusion):
            dark = shares[row, column] > 0.5
            axes.text(
                column,
                row,
                str(found.confusion[row, column]),
                ha="center",
                va="center",
                color="w" if dark else "k",
            )
    try:
        with warnings.catch_warnings():
            # Letters that its font does not have become boxes.
            warnings.filterwarnings("ignore", message=r"Glyph \d+")
            figure.savefig(path)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"the picture {path} cannot be written: {error}; give a file ending in .png"
        ) from error
