"""The clips that a model is taught from: a folder with a subfolder per class, and the features of each clip, computed
once.

Features are cached by the clip's content and the network, so an interrupted run continues where it was.
"""

import hashlib
import io
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.cache_folder import cache_dir, locked, replace_file, sha256_of
from engines.engine import Engine
from engines.errors import I3DLiveError, UsageError
from engines.runtime.whole_clip import repeat_to
from engines.spec import Modality
from engines.training.datasets import VIDEO_SUFFIXES
from realtime.errors import SourceError
from realtime.offline import clip_inputs
from realtime.sources.open import open_video

FORMAT = 3
"""Version of the cached features; a change in how they are computed needs a new number."""
DIGEST_BYTES = hashlib.sha256().digest_size
MIDDLE = slice(2, 5)
"""Positions of a window that are learnt from. Near its ends, positions see blank ticks in place of half of what a
position in the interior of a live stream sees, and their features are 50 % larger."""
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Example:
    path: Path
    label: int
    """Index of its class."""
    sha256: str
    """SHA-256 of the file."""


def find_examples(folder: Path) -> tuple[tuple[str, ...], tuple[Example, ...]]:
    """Classes by name, and the videos in each one's subfolder at any depth; a file that occurs twice counts once.

    Raises:
        UsageError: fewer than two classes, a class without a video, two names that differ only in case, or one video
            in two classes.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder; give one with a subfolder of clips for each class")
    classes = [p for p in sorted(folder.iterdir()) if p.is_dir() and not p.name.startswith(".")]
    labels = tuple(p.name for p in classes)
    if len(labels) < 2:
        has = f"only {labels[0]!r}" if labels else "none"
        raise UsageError(
            f"{folder} must have a subfolder for each class, at least two, and has {has};"
            " to tell one action from everything else, put clips of other things into 'none of these'"
        )
    _check_names(labels)
    examples: dict[str, Example] = {}
    for label, of_class in enumerate(classes):
        paths = [p for p in sorted(of_class.rglob("*")) if p.suffix.lower() in VIDEO_SUFFIXES and p.is_file()]
        if not paths:
            raise UsageError(
                f"the class {of_class.name!r} has no videos ({', '.join(sorted(VIDEO_SUFFIXES))});"
                f" put clips into {of_class} or remove it"
            )
        for path in paths:
            content = sha256_of(path) if path.stat().st_size else None
            example = Example(path, label, content or f"unreadable {path}")
            same = examples.setdefault(example.sha256, example)
            if same.label != label and not _opens(path):  # both are left out later, each with its reason
                examples[f"unreadable {path}"] = replace(example, sha256=f"unreadable {path}")
            elif same.label != label:
                raise UsageError(
                    f"{same.path} and {path} are the same video in two classes; leave it in the right one"
                )
    return labels, tuple(examples.values())


def _opens(path: Path) -> bool:
    try:
        open_video(path).close()
    except SourceError:
        return False
    return True


def _check_names(labels: Sequence[str]) -> None:
    seen: dict[str, str] = {}
    for label in labels:
        same = seen.setdefault(label.strip().casefold(), label)
        if same is not label:
            raise UsageError(f"the classes {same!r} and {label!r} have the same name; rename or merge them")


def features_of(
    examples: Iterable[Example], engine: Engine, done: Callable[[bool], object] = lambda computed: None
) -> tuple[dict[str, Floats], list[tuple[Path, str]]]:
    """Hash of a clip -> its features, float32 (2, positions, features): plain, and mirrored. Second: files that could
    not be read, and why.

    `engine`: gives features, in `window` mode. `done` is called after each clip, with False if it was in the cache.
    """
    found: dict[str, Floats] = {}
    unread: list[tuple[Path, str]] = []
    for example in examples:
        path = _cached(example, engine)
        features = _load(path)
        known = features is not None
        if features is None:
            try:
                features = window_features(example.path, engine)
            except I3DLiveError as error:
                unread.append((example.path, str(error)))
                done(True)
                continue
            _store(path, features)
        found[example.sha256] = features
        done(not known)
    return found, unread


def _cached(example: Example, engine: Engine) -> Path:
    """Named by everything that shapes the features."""
    facts = (FORMAT, example.sha256, engine.weights.sha256, engine.backend, engine.precision, engine.spec)
    key = hashlib.sha256(repr(facts).encode()).hexdigest()[:32]
    return cache_dir() / "features" / key[:2] / f"{key}.npy"


def _load(path: Path) -> Floats | None:
    """None if they are not there, or not as they were stored: they are computed again."""
    try:
        stored = path.read_bytes()
    except OSError:
        return None
    data = stored[:-DIGEST_BYTES]
    if hashlib.sha256(data).digest() != stored[-DIGEST_BYTES:]:
        return None
    features: Floats = np.load(io.BytesIO(data))
    return features


def _store(path: Path, features: Floats) -> None:
    """As a .npy file, followed by its SHA-256."""
    data = io.BytesIO()
    np.save(data, features)
    with locked("features"):
        replace_file(path, data.getvalue() + hashlib.sha256(data.getvalue()).digest())


def window_features(path: Path, engine: Engine) -> Floats:
    """Features of a video, float32 (2, positions, features): plain, and mirrored.

    Windows follow one another without overlap. If at least half a window is left over at the end, one more window
    covers it and reaches back. A clip shorter than a window is repeated, as for `classify`.

    Raises:
        SourceError: the video cannot be read.
    """
    with open_video(path) as video:
        return features_of_ticks(clip_inputs(video, engine.spec), engine)


def features_of_ticks(ticks: Iterable[NDArray[Any]], engine: Engine) -> Floats:
    """`window_features` of the network's inputs, (224, 224, C) each; at least one."""
    size, modality = engine.spec.window_ticks, engine.spec.modality
    last: deque[NDArray[Any]] = deque(maxlen=size)
    parts: list[Floats] = []
    fresh = 0
    for tick in ticks:
        last.append(tick)
        fresh += 1
        if fresh == size:
            parts.append(_both_ways(np.stack(last), engine, modality))
            fresh = 0
    if not parts or fresh >= size // 2:
        parts.append(_both_ways(repeat_to(np.stack(last), size), engine, modality))
    return np.concatenate(parts, axis=1)


def _both_ways(window: NDArray[Any], engine: Engine, modality: Modality) -> Floats:
    both = np.stack((window, mirrored(window, modality)))
    positions, _ = engine.step(both, engine.start(batch=2))
    return positions.logits[:, MIDDLE]


def mirrored(ticks: NDArray[Any], modality: Modality) -> NDArray[Any]:
    """Network inputs (T, H, W, C), mirrored: flow to the right becomes flow to the left."""
    seen = ticks[:, :, ::-1].copy()
    if modality == "flow":
        seen[..., 0] = -seen[..., 0]
    return seen
