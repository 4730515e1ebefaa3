"""The files of a video's features: one .npy or one a stream, and a .json that says what they are.

The .json is written last, and each file under another name first: a file that is there is complete.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from realtime.errors import OutputError, UsageError, reason_of
from realtime.features.claims import Claim
from realtime.features.conventions import Convention
from realtime.features.extract import Features
from realtime.features.targets import Target
from realtime.outputs.feature_files import FORMAT

Array = NDArray[np.float32] | NDArray[np.float16]


@dataclass(frozen=True)
class Settings:
    """All that shapes features, besides the video."""

    convention: Convention
    preset: str | None
    flow: str
    """Method of the flow, where there is a flow stream."""

    def facts(self, engines: Mapping[str, Any]) -> dict[str, Any]:
        """As the .json has them. `engines`: what `facts_of` says of them."""
        fps = self.convention.fps
        how = asdict(self.convention) | {"fps": "own" if fps is None else float(fps)}
        return {
            "preset": self.preset,
            **how,
            "padding": self.convention.padding,
            "streams": list(engines["weights_sha256"]),
            "flow": self.flow if "flow" in engines["weights_sha256"] else None,
            **engines,
        }


def is_done(target: Target, settings: Mapping[str, Any]) -> bool:
    """Whether the features of this video are there.

    Raises UsageError for those that were made with other settings: they are never overwritten.
    """
    try:
        found = json.loads(target.facts.read_text(encoding="utf-8"))["settings"]
    except FileNotFoundError:
        return False
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{target.facts} is not of these features; name another --out") from error
    for name, wanted in settings.items():
        if found.get(name) != wanted:
            raise UsageError(
                f"{target.facts} was made with other settings ({name} {found.get(name)}, not {wanted}); name another "
                "--out, or delete it"
            )
    return True


def save(
    features: Features, target: Target, convention: Convention, settings: Mapping[str, Any], claim: Claim
) -> list[Path]:
    """Write all files of a video's features, and name them, in order. `settings`: as `Settings.facts`. Raises
    OutputError."""
    files = []
    paths = target.arrays(settings["streams"], separate=convention.separate)
    for streams, path in paths.items():
        array = stored(features, streams, convention)
        with _complete(path, claim) as file:
            np.save(file, array)
        files.append({"file": path.name, "streams": list(streams), "shape": list(array.shape)})
    with _complete(target.facts, claim) as file:
        file.write(json.dumps(about(features, target, files, settings)).encode() + b"\n")
    return [*paths.values(), target.facts]


def stored(features: Features, streams: Sequence[str], convention: Convention) -> Array:
    """The array of some streams, side by side: (rows, numbers), (numbers, rows), or (rows, crops, numbers) of several
    crops."""
    rows = np.concatenate([features.by_stream[name] for name in streams], axis=2)
    array = rows if convention.crops > 1 else rows[:, 0]
    if convention.layout == "columns":
        array = array.T
    return np.ascontiguousarray(array, dtype=convention.dtype)


def about(
    features: Features, target: Target, files: list[dict[str, Any]], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """The content of the .json."""
    counts = features.counts
    return {
        "format": FORMAT,
        "source": os.path.basename(target.source),
        "files": files,
        "rows": len(features.spans),
        "start_s": [_seconds(start) for start, _ in features.spans],
        "end_s": [_seconds(end) for _, end in features.spans],
        "frames": counts.frames,
        "frames_between_ticks": counts.unseen,
        "ticks": counts.ticks,
        "ticks_left_over": counts.left_over,
        "gaps": [
            {"start_s": _seconds(g.start), "end_s": _seconds(g.end), "cause": g.cause} for g in counts.gaps
        ],
        "settings": dict(settings),
    }


def _seconds(value: Fraction) -> float:
    return round(float(value), 4)


@contextmanager
def _complete(path: Path, claim: Claim) -> Iterator[BinaryIO]:
    """A file that is there once it is complete. Until then it has another name, with the number of the claim."""
    scratch = claim.scratch(path.name)
    try:
        with open(scratch, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(scratch, path)
    except OSError as error:
        why = reason_of(error)
        raise OutputError(f"{path}: cannot be written: {why}; free space or name another --out") from error
    finally:  # also what a run that was killed has left
        each: Claim | None = claim
        while each is not None:
            each.scratch(path.name).unlink(missing_ok=True)
            each = each.before
