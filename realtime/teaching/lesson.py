"""From a folder of clips to a model for `run` and `view`: the work behind `i3d-live teach`."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engines.cache_folder import locked, writing
from engines.errors import UsageError
from engines.load import load_features
from engines.spec import FLOW, Modality, Streams, StreamSpec, Tensors, Weights
from engines.training.accuracy import Floats, Integers, Report, confusion_picture, report
from engines.training.fit_head import CLEAR_CLIPS, Judged, learn, likely_range
from engines.weights.heads import as_flow, with_head
from engines.weights.public_sets import PUBLIC
from engines.weights.store import (
    has_weights,
    load_spec,
    load_weights,
    model_dir,
    save_weights,
    stored_names,
)
from realtime.teaching.clip_features import Example, features_of, find_examples
from realtime.teaching.fine_tune import finetune

if TYPE_CHECKING:
    from engines.training.finetune import Layers, Tuned

    Tune = Callable[["Studied", Layers, "Tell"], Tuned]

Tell = Callable[[str, int, int | None], object]
"""Progress: what is being done, the steps done, and their total if known."""
GOOD_ENOUGH = 0.95
"""Flow is tried if RGB alone gets fewer than this share of the held-out clips right."""
REPORT, PICTURE = "report.json", "confusion.png"
"""Stored next to a taught model's weights."""


@dataclass(frozen=True, eq=False)
class Studied:
    """One stream's features of the examples, and the head fitted on them."""

    weights: Weights
    tensors: Tensors
    """Weights of the network that the features come from."""
    spec: StreamSpec
    examples: tuple[Example, ...]
    """The examples that could be read."""
    features: tuple[Floats, ...]
    """For each example, as `engines.training.fit_head.learn` takes them."""
    judged: Judged
    unread: tuple[tuple[Path, str], ...]
    ready: int
    """Clips whose features were in the cache."""

    @property
    def modality(self) -> Modality:
        return self.weights.modality


@dataclass(frozen=True, eq=False)
class Lesson:
    """What was learnt, and how well."""

    name: str
    base: str
    labels: tuple[str, ...]
    report: Report
    """Results on the clips, each held out in turn, with the model's streams; classes in the order of `labels`."""
    studied: tuple[Studied, ...]
    """The streams that the model has."""
    trials: dict[str, int]
    """What was tried ("rgb", "flow", "rgb + flow") -> held-out clips that it got right."""
    tuned: "dict[Modality, Tuned]"
    """The result of fine-tuning each stream, if requested. `report` and `trials` describe the networks before it."""
    unread: tuple[tuple[Path, str], ...]
    ready: int
    """Clips whose features were in the cache."""

    @property
    def right(self) -> int:
        """Number of held-out clips that are right."""
        return int(self.report.confusion.diagonal().sum())

    @property
    def range(self) -> tuple[float, float]:
        """Where the true accuracy most likely lies."""
        return likely_range(self.right, self.report.clips)

    @property
    def cautions(self) -> list[str]:
        """Caveats about the accuracy, one line each."""
        counts = self.report.confusion.sum(axis=1).tolist()
        lines = [
            f"{label!r} has {count} clips: too few to tell how well it is known; ten or more would do"
            for label, count in zip(self.labels, counts, strict=True)
            if count < CLEAR_CLIPS
        ]
        if self.range[0] <= max(counts) / self.report.clips:
            lines.append("this is not clearly better than always naming the class with the most clips")
        return lines


def check_name(name: str, *, replace: bool) -> None:
    """Check that a model may be stored under that name.

    Raises:
        UsageError: it is not a valid name, is a public set's, or is taken; case is ignored.
    """
    model_dir(name)
    if public := [other for other in PUBLIC if other.casefold() == name.casefold()]:
        raise UsageError(f"{public[0]} is the name of a public set; choose another one with --name")
    taken = [other for other in stored_names() if other.casefold() == name.casefold()]
    if taken and not (replace and taken == [name]):
        raise UsageError(f"there is a model {taken[0]} already; choose another --name, or --replace it")


def teach(
    folder: Path,
    name: str,
    *,
    base: str,
    streams: Streams,
    backend: str,
    replace: bool,
    tell: Tell,
    layers: "Layers | None" = None,
    tune: "Tune" = finetune,
) -> Lesson:
    """Learn the classes of `folder` on the features of the model `base`, and store the result as the model `name`.

    streams: "auto" tries flow, which takes longer than everything else, only if RGB alone errs on more than one in
    twenty of the held-out clips, and keeps it only if both together err less.
    layers: then fine-tune these, each stream separately; kept only where that does better on held-out clips.
    tune: the function that fine-tunes.

    Raises:
        UsageError: the name is taken, or the folder cannot be learnt from.
        EngineError: no engine can be built, or scikit-learn is missing.
    """
    check_name(name, replace=replace)
    labels, examples = find_examples(folder)
    studied = [study("flow" if streams == "flow" else "rgb", base, backend, labels, examples, tell)]
    targets, unread = _targets(studied[0].examples), studied[0].unread
    trials: dict[str, int] = {studied[0].modality: _right(studied, targets)}
    if streams == "both" or (streams == "auto" and trials["rgb"] < GOOD_ENOUGH * len(targets)):
        studied.append(study("flow", base, backend, labels, studied[0].examples, tell))
        trials |= {"flow": _right(studied[1:], targets), "rgb + flow": _right(studied, targets)}
        if streams == "auto" and trials["rgb + flow"] <= trials["rgb"]:
            del studied[1]
    held_out = report(" + ".join(one.modality for one in studied), _logits(studied), targets)
    ready = min(one.ready for one in studied)
    tuned = {one.modality: tune(one, layers, tell) for one in studied} if layers else {}
    lesson = Lesson(name, base, labels, held_out, tuple(studied), trials, tuned, unread, ready)
    _store(lesson, replace=replace)
    return lesson


def base_of(name: str) -> str | None:
    """The model whose features a stored model was taught on; None if there is no such model, or it was not taught."""
    try:
        report = json.loads((model_dir(name) / REPORT).read_text("utf-8"))
        return str(report["base"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def study(
    modality: Modality,
    base: str,
    backend: str,
    labels: tuple[str, ...],
    examples: tuple[Example, ...],
    tell: Tell,
) -> Studied:
    """Compute the features of all examples and fit a head on them."""
    tell(f"loading the {modality} network; the first time it is built, which takes up to a minute", 0, None)
    weights, tensors, spec = trunk(base, modality)
    engine = load_features(weights, tensors, spec, backend)
    done = ready = 0

    def count(computed: bool) -> None:
        nonlocal done, ready
        done, ready = done + 1, ready + (not computed)
        tell(f"{modality} features", done, len(examples))

    tell(f"{modality} features", 0, len(examples))
    features, unread = features_of(examples, engine, count)
    kept = tuple(example for example in examples if example.sha256 in features)
    _check_counts(labels, kept, unread)
    tell("fitting", 0, None)
    rows = tuple(features[example.sha256] for example in kept)
    judged = learn(rows, _targets(kept))
    return Studied(weights, tensors, spec, kept, rows, judged, tuple(unread), ready)


def trunk(base: str, modality: Modality) -> tuple[Weights, Tensors, StreamSpec]:
    """The network whose features are learnt from. Flow starts from the RGB weights if there are no flow weights."""
    if modality == "flow" and not has_weights(base, "flow"):
        return *as_flow(*load_weights(base, "rgb")), FLOW
    return *load_weights(base, modality), load_spec(base, modality)


def _check_counts(labels: tuple[str, ...], kept: tuple[Example, ...], unread: list[tuple[Path, str]]) -> None:
    counts = np.bincount(_targets(kept), minlength=len(labels)) if kept else np.zeros(len(labels), int)
    for label, count in zip(labels, counts.tolist(), strict=True):
        if count < 2:
            why = f"; could not be read: {unread[0][1]}" if unread else ""
            raise UsageError(
                f"the class {label!r} has {count} clips to learn from; it needs two at the least, one to learn from and one"
                f" to be asked about, and ten to be any good{why}"
            )


def _targets(examples: tuple[Example, ...]) -> Integers:
    return np.array([example.label for example in examples], np.int64)


def _logits(studied: list[Studied]) -> Floats:
    """The sum of the streams' logits, as in the recogniser."""
    total: Floats = np.sum([one.judged.logits for one in studied], axis=0)
    return total


def _right(studied: list[Studied], targets: Integers) -> int:
    return int((_logits(studied).argmax(axis=1) == targets).sum())


def _store(lesson: Lesson, *, replace: bool) -> None:
    """Store an ordinary model, with a report and a picture next to it."""
    folder = model_dir(lesson.name)
    if replace:
        with locked(f"model-{lesson.name}"):
            shutil.rmtree(folder, ignore_errors=True)
    for one in lesson.studied:
        source = f"taught on {len(one.examples)} clips, from {lesson.base} ({one.weights.source})"
        tensors, tuned = with_head(one.tensors, one.judged.head), lesson.tuned.get(one.modality)
        if tuned is not None and tuned.better:
            tensors, source = tuned.tensors, f"{source}, {tuned.layers} layers fine-tuned"
        licence = one.weights.licence
        save_weights(
            lesson.name,
            one.modality,
            tensors,
            lesson.labels,
            source=source,
            licence=licence,
            shared_trunk=True,
        )
    with writing(folder):
        (folder / REPORT).write_text(json.dumps(facts(lesson), indent=1, ensure_ascii=False) + "\n", "utf-8")
    confusion_picture(lesson.report, lesson.labels, folder / PICTURE)


def facts(lesson: Lesson) -> dict[str, Any]:
    """The contents of report.json."""
    found = lesson.report
    return {
        "name": lesson.name,
        "base": lesson.base,
        "base_sha256": {one.modality: one.weights.sha256 for one in lesson.studied},
        "held_out": {
            "clips": found.clips,
            "right": lesson.right,
            "accuracy": round(found.top1, 4),
            "likely_between": [round(share, 4) for share in lesson.range],
            "tried": lesson.trials,
        },
        "settings": {
            one.modality: {"c": one.judged.setting.c, "mirrored": one.judged.setting.mirrored}
            for one in lesson.studied
        },
        "finetuned": {modality: _facts_of(tuned) for modality, tuned in lesson.tuned.items()},
        "classes": {
            label: {"clips": int(row.sum()), "taken_for": dict(zip(lesson.labels, row.tolist(), strict=True))}
            for label, row in zip(lesson.labels, found.confusion, strict=True)
        },
        "unread": [f"{path.parent.name}/{path.name}" for path, _ in lesson.unread],
        "cautions": lesson.cautions,
    }


def _facts_of(tuned: "Tuned") -> dict[str, Any]:
    """Figures before and after."""
    return {
        "layers": tuned.layers,
        "clips": tuned.held_out,
        "right": [tuned.before.right, tuned.after.right],
        "loss": [round(tuned.before.loss, 4), round(tuned.after.loss, 4)],
        "kept": tuned.better,
    }
