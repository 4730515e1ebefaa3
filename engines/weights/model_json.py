"""model.json: what a folder of the cache's `models` holds, in readable form. Imports no torch.

{"format": 1, "name": "kinetics", "architecture": "i3d",
 "streams": {"rgb": {"file": "rgb.safetensors", "sha256": "...", "source": "...", "licence": "...", "spec": {...}}},
 "labels": ["abseiling", ...]}
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

from engines.cache_folder import replace_file
from engines.errors import WeightsError
from engines.spec import Modality, StreamSpec

FORMAT = 1
FILE = "model.json"


@dataclass(frozen=True)
class StoredStream:
    """One stream of a model, as stored in the model's folder."""

    file: str
    """Name of the safetensors file in the same folder."""
    sha256: str
    """Hash of that file."""
    source: str
    """Where the weights came from."""
    licence: str
    spec: StreamSpec
    """How the input of the network is made."""
    shared_trunk: bool = False
    """Whether its engine gives features, with the last layer applied after it: every model with the same earlier
    layers can share it."""


@dataclass(frozen=True)
class Manifest:
    """One model: a network per stream, all with the same labels."""

    name: str
    architecture: str
    labels: tuple[str, ...]
    """One name per class, in the order of the logits."""
    streams: Mapping[Modality, StoredStream]


def read_manifest(folder: Path) -> Manifest | None:
    """The folder's manifest; None if there is no model.

    Raises:
        WeightsError: its model.json cannot be understood.
    """
    path = folder / FILE
    try:
        return _from_json(json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(
            f"{path} cannot be understood ({type(error).__name__}: {error}); remove the folder, then fetch or import again"
        ) from error


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replace the folder's model.json. The caller holds the model's lock.

    Raises:
        EngineError: the folder cannot be written.
    """
    replace_file(
        folder / FILE, (json.dumps(_to_json(manifest), indent=1, ensure_ascii=False) + "\n").encode()
    )


def _to_json(manifest: Manifest) -> dict[str, Any]:
    streams = {
        modality: asdict(stream) | {"spec": asdict(stream.spec) | {"fps": str(stream.spec.fps)}}
        for modality, stream in manifest.streams.items()
    }
    return {
        "format": FORMAT,
        "name": manifest.name,
        "architecture": manifest.architecture,
        "streams": streams,
        "labels": list(manifest.labels),
    }


def _from_json(facts: dict[str, Any]) -> Manifest:
    if facts["format"] != FORMAT:
        raise ValueError(f"its format is {facts['format']}, this version knows {FORMAT}")
    streams: dict[Modality, StoredStream] = {}
    for modality, stored in facts["streams"].items():
        spec = StreamSpec(**{**stored["spec"], "fps": Fraction(stored["spec"]["fps"])})
        streams[cast(Modality, modality)] = StoredStream(**{**stored, "spec": spec})
    return Manifest(facts["name"], facts["architecture"], tuple(map(str, facts["labels"])), streams)
