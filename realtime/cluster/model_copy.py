"""A model as it travels to machines that do not have it, and is recognised by its hashes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engines.cache_folder import locked, replace_file, writing
from engines.load import choose_streams
from engines.spec import Modality, Streams
from engines.weights.model_json import FILE
from engines.weights.store import Model, find_model, model_dir
from realtime.errors import WeightsError


@dataclass(frozen=True)
class ModelCopy:
    """Some streams of a model."""

    name: str
    manifest: bytes
    sha256: Mapping[Modality, str]
    files: Mapping[str, Any]
    """By name: the content of each, as a reference in Ray's store."""


def copy_of(model: Model, streams: Streams) -> ModelCopy:
    """The streams that would run. Raises WeightsError where they are not stored here."""
    import ray

    folder = model_dir(model.name)
    stored = {modality: model.stored(modality) for modality in choose_streams(model, streams)[0]}
    for modality in stored:
        model.load(modality)  # raises for damaged ones
    files = {each.file: ray.put((folder / each.file).read_bytes()) for each in stored.values()}
    sha256 = {modality: each.sha256 for modality, each in stored.items()}
    return ModelCopy(model.name, (folder / FILE).read_bytes(), sha256, files)


def installed(copy: ModelCopy) -> Model:
    """The model on this machine, stored now if it is missing. Nothing that is there is replaced.

    Raises WeightsError where another model has its name.
    """
    with locked(f"model-{copy.name}"):
        found = find_model(copy.name)
        if found.manifest is not None:
            _check(found, copy)
        if not all(found.has(modality) for modality in copy.sha256):
            _store(copy)
    return find_model(copy.name)


def _check(found: Model, copy: ModelCopy) -> None:
    assert found.manifest is not None
    for modality, sha256 in copy.sha256.items():
        there = found.manifest.streams.get(modality)
        if there is None or there.sha256 != sha256:
            raise WeightsError(
                f"its model {copy.name} has other {modality} weights; remove {model_dir(copy.name)} there"
            )


def _store(copy: ModelCopy) -> None:
    import ray

    folder = model_dir(copy.name)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for name, reference in copy.files.items():
        replace_file(folder / name, ray.get(reference))
    replace_file(folder / FILE, copy.manifest)
