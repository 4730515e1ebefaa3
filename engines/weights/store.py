"""Models in the user's cache folder: what is stored under a name, and reading and writing its tensors. No torch.

A model is one folder, <cache>/models/<name>, with `rgb.safetensors` and `flow.safetensors` (or one of them) and
`model.json` (see `engines.weights.model_json`).
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from engines.cache_folder import cache_dir, locked, replace_file, sha256_of
from engines.errors import UsageError, WeightsError, reason_of
from engines.spec import FLOW, RGB, Modality, StreamSpec, Weights
from engines.text_files import read_text
from engines.weights.formats import Tensors, checked, read_safetensors
from engines.weights.model_json import FILE, Manifest, StoredStream, read_manifest, write_manifest
from engines.weights.public_sets import PUBLIC

SPECS: dict[Modality, StreamSpec] = {"rgb": RGB, "flow": FLOW}
KINETICS_400 = Path(__file__).parent / "labels" / "kinetics400.txt"
ARCHITECTURE = "i3d"
CLASSIFIER = "logits.conv3d.bias"


def model_dir(name: str) -> Path:
    """The folder of the model of that name; it may not exist yet.

    Raises:
        UsageError: the name is not valid.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
        raise UsageError(
            f"{name!r} is no model's name; use up to 64 letters, digits, dots, dashes and underscores"
        )
    return cache_dir() / "models" / name


def load_labels(path: Path = KINETICS_400) -> tuple[str, ...]:
    """The class names in a text file, one per line, ignoring blank lines. By default those of Kinetics-400.

    Raises:
        WeightsError: it cannot be read, is empty, or names a class twice.
    """
    try:
        lines = read_text(path).splitlines()
    except (OSError, ValueError) as error:
        why = reason_of(error)
        raise WeightsError(f"labels {path} cannot be read: {why}") from error
    labels = tuple(line.strip() for line in lines if line.strip())
    if not labels:
        raise WeightsError(f"labels {path} is empty; it must name the classes, one a line")
    if twice := sorted(label for label in set(labels) if labels.count(label) > 1):
        raise WeightsError(f"labels {path} names {twice[0]!r} twice; each class needs its own name")
    return labels


@dataclass(frozen=True)
class Model:
    """A model as it was in its folder when it was looked up. `find_model` resolves a name once; this value is passed
    on."""

    name: str
    manifest: Manifest | None
    """None: nothing is stored under that name."""

    def has(self, modality: Modality) -> bool:
        """Whether that stream is stored; its hash is checked when it is loaded."""
        stored = self.manifest.streams.get(modality) if self.manifest else None
        return stored is not None and (model_dir(self.name) / stored.file).is_file()

    def is_intact(self, modality: Modality) -> bool:
        """Whether it is stored and the file is unchanged since."""
        stored = self.manifest.streams.get(modality) if self.manifest else None
        return stored is not None and sha256_of(model_dir(self.name) / stored.file) == stored.sha256

    def stored(self, modality: Modality) -> StoredStream:
        """One stream. Raises WeightsError, which says how to get it, if it is not stored; so do all methods below."""
        if self.manifest and modality in self.manifest.streams:
            return self.manifest.streams[modality]
        if modality in PUBLIC.get(self.name, {}):
            raise WeightsError(f"the {modality} weights of {self.name} are not here; {_again(self.name)}")
        if self.name in PUBLIC:
            others = ", ".join(other for other, streams in PUBLIC.items() if modality in streams)
            raise WeightsError(f"{self.name} has no {modality} weights; {others} has")
        if self.manifest:
            raise WeightsError(
                f"model {self.name} has no {modality} weights, only {', '.join(self.manifest.streams)}"
            )
        names = sorted({*PUBLIC, *stored_names()})
        raise WeightsError(
            f"there is no model {self.name}; there are {', '.join(names)}; add one: i3d-live weights import FILE"
        )

    def weights(self, modality: Modality) -> Weights:
        """Description of the weights, from the manifest alone: the tensors are not read, nor is their hash checked."""
        stored = self.stored(modality)
        assert self.manifest is not None
        labels = self.manifest.labels
        return Weights(self.name, modality, labels, stored.sha256, stored.source, stored.licence)

    def load(self, modality: Modality) -> tuple[Weights, Tensors]:
        """The weights, and their float32 tensors under the names of `engines.nets.i3d.I3D`'s state dict.

        Raises WeightsError also where they are damaged or not of the network's shapes.
        """
        weights = self.weights(modality)
        path = model_dir(self.name) / self.stored(modality).file
        assert self.manifest is not None
        if self.manifest.architecture != ARCHITECTURE:
            raise WeightsError(
                f"model {self.name} is of architecture {self.manifest.architecture}; {ARCHITECTURE} is needed"
            )
        try:
            data = path.read_bytes()
        except OSError as error:
            raise WeightsError(f"{path} cannot be read: {error.strerror}; {_again(self.name)}") from error
        found = hashlib.sha256(data).hexdigest()
        if found != weights.sha256:
            raise WeightsError(
                f"{path} is damaged: its sha256 is {found}, was {weights.sha256}; {_again(self.name)}"
            )
        tensors = checked(read_safetensors(data, str(path)), str(path), modality)
        _check_count(weights.labels, tensors, str(path))
        return weights, tensors


def find_model(name: str) -> Model:
    """What is stored under a name.

    Raises:
        UsageError: not a name.
        WeightsError: its model.json cannot be understood.
    """
    return Model(name, read_manifest(model_dir(name)))


def has_weights(name: str, modality: Modality) -> bool:
    """`Model.has` of a name."""
    return find_model(name).has(modality)


def describe(name: str, modality: Modality) -> Weights:
    """`Model.weights` of a name."""
    return find_model(name).weights(modality)


def load_spec(name: str, modality: Modality) -> StreamSpec:
    """How the input of a stored model is made. Raises WeightsError if it is not stored."""
    return find_model(name).stored(modality).spec


def load_weights(name: str, modality: Modality) -> tuple[Weights, Tensors]:
    """`Model.load` of a name."""
    return find_model(name).load(modality)


def forget_damaged(name: str) -> None:
    """Remove a manifest that cannot be understood, so that the model can be stored again. The caller holds its lock."""
    try:
        read_manifest(model_dir(name))
    except WeightsError:
        (model_dir(name) / FILE).unlink()


def stored_names() -> list[str]:
    """Names of the models in the cache folder."""
    return sorted(path.parent.name for path in (cache_dir() / "models").glob("*/model.json"))


def _again(name: str) -> str:
    command = f"fetch {name}" if name in PUBLIC else f"import FILE --name {name}"
    return f"get them: i3d-live weights {command}"


def _check_count(labels: tuple[str, ...], tensors: Tensors, origin: str) -> None:
    classes = len(tensors[CLASSIFIER])
    if len(labels) != classes:
        raise WeightsError(
            f"{origin} has {classes} classes, and {len(labels)} labels were given; they must match"
        )


def save_weights(
    name: str,
    modality: Modality,
    tensors: Mapping[str, NDArray[Any]],
    labels: tuple[str, ...],
    *,
    source: str,
    licence: str,
    shared_trunk: bool = False,
) -> Weights:
    """Store one stream of a model, replacing any earlier one; `tensors` must be complete, under pytorch-i3d's names.

    `shared_trunk`: see `engines.weights.model_json.StoredStream`.

    Raises:
        UsageError: the name is a public set's.
        WeightsError: these are not the network's tensors, or the labels do not fit them or the model's other stream.
        EngineError: the cache folder cannot be written.
    """
    if name in PUBLIC:
        raise UsageError(
            f"{name} is the name of a public set, which these weights are not; choose another name"
        )
    with locked(f"model-{name}"):
        tensors = checked(tensors, source, modality)
        store(name, modality, tensors, labels, shared_trunk, source=source, licence=licence)
    return describe(name, modality)


def store(
    name: str,
    modality: Modality,
    tensors: Tensors,
    labels: tuple[str, ...],
    shared_trunk: bool = False,
    /,
    *,
    source: str,
    licence: str,
) -> None:
    """`save_weights` for tensors that have been checked, under any name. The caller holds the model's lock."""
    import safetensors.numpy

    _check_count(labels, tensors, source)
    folder = model_dir(name)
    manifest = read_manifest(folder) or Manifest(name, ARCHITECTURE, labels, {})
    others = [other for other in manifest.streams if other != modality]
    if others and manifest.labels != labels:
        raise WeightsError(
            f"{source} has other labels than the {others[0]} stream of {name}; both must agree, or choose another name"
        )
    data = safetensors.numpy.save(tensors)
    stored = StoredStream(
        f"{modality}.safetensors",
        hashlib.sha256(data).hexdigest(),
        source,
        licence,
        SPECS[modality],
        shared_trunk,
    )
    replace_file(folder / stored.file, data)
    streams = {**manifest.streams, modality: stored}
    write_manifest(folder, Manifest(name, ARCHITECTURE, labels, streams))
