"""A linear head from few examples, and its accuracy on clips that it has not seen. scikit-learn; no torch.

A clip gives many rows of features, and as many again when mirrored. All of them stay on one side of every split, so
that no clip is judged by a head that has seen another part of it, or its mirror image.
"""

import importlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.extras import absent
from engines.head import Floats, Head

Integers = NDArray[np.int64]
Splits = list[tuple[Integers, Integers]]

FOLDS = 5
CHOOSING_FOLDS = 3
CLEAR_CLIPS = 5
"""A class with fewer clips than this cannot be judged."""


@dataclass(frozen=True)
class Setting:
    """How a head is fitted."""

    c: float = 0.1
    """Inverse strength of the regularisation, as in scikit-learn; each clip has weight 1."""
    mirrored: bool = True
    """Whether mirrored clips are learnt from too; wrong if left and right distinguish classes."""


STRENGTHS = (0.01, 0.1, 1.0, 10.0)


@dataclass(frozen=True, eq=False)
class Judged:
    """A head, and the logits of heads fitted like it for clips that they had not seen."""

    head: Head
    setting: Setting
    logits: Floats
    """float32 (clips, classes): each row is the mean over a clip, by a head that was fitted and chosen without that
    clip."""


def learn(clips: Sequence[Floats], targets: Integers) -> Judged:
    """Choose the setting by cross-validation, judge that choice by an outer one, and fit on everything.

    Args:
        clips: features, float32 (2, positions, features) each: plain, and mirrored.
        targets: int64 (clips,), classes counted from 0, at least two clips of each.
    """
    if len(clips) != len(targets) or np.bincount(targets).min() < 2:
        raise ValueError("learn needs a target for every clip and two clips of every class")
    logits = np.zeros((len(clips), int(targets.max()) + 1), np.float32)
    # The products are small: on more threads they are ten times slower, since threads wait for one another.
    with _package("threadpoolctl").threadpool_limits(1):
        for known, unseen in splits_of(targets, FOLDS):
            setting = _choose([clips[i] for i in known], targets[known])
            head = fit([clips[i] for i in known], targets[known], setting)
            for i in unseen:
                logits[i] = head(clips[i][0]).mean(axis=0)
        setting = _choose(clips, targets)
        return Judged(fit(clips, targets, setting), setting, logits)


def splits_of(targets: Integers, folds: int) -> Splits:
    """(known, unseen) indices of clips: each clip is unseen once, classes are spread evenly. Small classes mean fewer
    folds."""
    folds = min(folds, int(np.bincount(targets).min()))
    splitter = _package("sklearn.model_selection").StratifiedKFold(folds, shuffle=True, random_state=0)
    return [(known, unseen) for known, unseen in splitter.split(targets, targets)]


def _choose(clips: Sequence[Floats], targets: Integers) -> Setting:
    """The setting with the lowest cross-entropy on unseen clips: first mirroring, then the strength is chosen."""
    if np.bincount(targets).min() < 2:
        return Setting()
    splits = splits_of(targets, CHOOSING_FOLDS)

    def surprise(setting: Setting) -> float:
        found = 0.0
        for known, unseen in splits:
            head = fit([clips[i] for i in known], targets[known], setting)
            logits = np.stack([head(clips[i][0]).mean(axis=0) for i in unseen])
            found += cross_entropy(logits, targets[unseen]) * len(unseen)
        return found

    mirrored = min((True, False), key=lambda mirrored: surprise(Setting(mirrored=mirrored)))
    return min((Setting(c, mirrored) for c in STRENGTHS), key=surprise)


def fit(clips: Sequence[Floats], targets: Integers, setting: Setting) -> Head:
    """Logistic regression on standardised features; each class has equal weight, and so has each clip within a
    class."""
    views = 2 if setting.mirrored else 1
    rows = [clip[:views].reshape(-1, clip.shape[2]) for clip in clips]
    counts = [len(row) for row in rows]
    of_class = np.bincount(targets)[targets]
    weights = len(clips) / len(np.unique(targets)) / of_class / counts
    x = np.concatenate(rows)
    mean, scale = x.mean(axis=0), x.std(axis=0) + np.float32(1e-3)
    model = _package("sklearn.linear_model").LogisticRegression(C=setting.c, max_iter=300, tol=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # with weak regularisation the last digits do not converge
        model.fit((x - mean) / scale, np.repeat(targets, counts), np.repeat(weights, counts))
    kernel, bias = _per_class(model)
    kernel = kernel / scale
    return Head(kernel.astype(np.float32), (bias - kernel @ mean).astype(np.float32))


def _per_class(model: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """One row per class; for two classes scikit-learn keeps only the second, whose logit is the difference."""
    if len(model.classes_) > 2:
        return model.coef_, model.intercept_
    return np.concatenate((-model.coef_, model.coef_)) / 2, np.concatenate(
        (-model.intercept_, model.intercept_)
    ) / 2


def cross_entropy(logits: Floats, targets: Integers) -> float:
    """Mean over the clips of -log p(right class)."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    right = np.take_along_axis(shifted, targets[:, None], axis=1)[:, 0]
    return float((np.log(np.exp(shifted).sum(axis=1)) - right).mean())


def likely_range(right: int, total: int) -> tuple[float, float]:
    """Bounds of the true accuracy with 95 % confidence (Wilson's interval).

    Raises:
        EngineError: scikit-learn, which SciPy comes with, is not installed.
    """
    low, high = _package("scipy.stats").binomtest(right, total).proportion_ci(method="wilson")
    return float(low), float(high)


def _package(name: str) -> Any:
    """A module of scikit-learn, or of what comes with it: SciPy, threadpoolctl.

    Raises:
        EngineError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise absent("teaching", error, "teach") from error
