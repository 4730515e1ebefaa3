"""Features of a source as it is watched: a .npy that grows, a new one every hour, each with a .json of its times.

Rows are appended first, and then the number of rows at the head of the file is raised: whatever ends the program, the
.npy can be read. The .json is replaced as a whole, some seconds later.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.engine import Engine
from realtime.errors import OutputError, reason_of
from realtime.outputs.queued import Sink
from realtime.stages.feature_tap import FeatureRow

Floats = NDArray[np.float32]
FORMAT = 1
"""Version of the .json of features, here and in `realtime.features.files`."""
ROWS_AT_A_TIME = 32
"""About ten seconds."""
LONGEST_S = 3600.0
HEADER_BYTES = 128


def header(rows: int, numbers: int) -> bytes:
    """Of a .npy, version 1.0: always of one length, so that it can be written again in its place."""
    about = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {numbers}), }}"
    length = HEADER_BYTES - 10
    return b"\x93NUMPY\x01\x00" + length.to_bytes(2, "little") + about.ljust(length - 1).encode() + b"\n"


class FeatureFiles:
    """Sink for `FeatureRow`s."""

    def __init__(
        self,
        folder: Path,
        prefix: str,
        streams: Sequence[str],
        numbers: int,
        about: Mapping[str, Any],
        longest_s: float = LONGEST_S,
    ) -> None:
        """`prefix`: of the files' names. `streams`: side by side in this order, `numbers` of each. `about`: for the
        .json. `longest_s`: media time of a file. Raises OutputError if the folder cannot be made."""
        self._folder, self._prefix, self._about = folder, prefix, dict(about)
        self._streams, self._numbers, self._longest_s = tuple(streams), numbers, longest_s
        self._waiting: list[FeatureRow] = []
        self._times: list[tuple[float, float]] = []
        """Start and end of each row of the current file."""
        self._path: Path | None = None
        self._begun_s: float | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _error(folder, error) from error

    def push(self, row: FeatureRow) -> None:
        """The next row. One without a stream, which rests when the machine is late, has NaN in its place."""
        if self._begun_s is not None and row.end_s - self._begun_s > self._longest_s:
            self._write()
            self._path, self._times, self._begun_s = None, [], None
        if self._begun_s is None:
            self._begun_s = row.start_s
        self._waiting.append(row)
        if len(self._waiting) >= ROWS_AT_A_TIME:
            self._write()

    def close(self) -> None:
        """Nothing follows."""
        self._write()

    def _write(self) -> None:
        if not self._waiting:
            return
        rows, self._waiting = self._waiting, []
        path = self._path or self._folder / f"{self._prefix}{rows[0].start_s:08.1f}s.npy"
        numbers = len(self._streams) * self._numbers
        try:
            with open(path, "xb" if self._path is None else "r+b") as file:
                file.seek(HEADER_BYTES + 4 * numbers * len(self._times))
                file.write(np.stack([self._joined(row) for row in rows]).tobytes())
                file.flush()
                self._times += [(row.start_s, row.end_s) for row in rows]
                file.seek(0)
                file.write(header(len(self._times), numbers))
        except OSError as error:
            raise _error(path, error) from error
        self._path = path
        self._tell(path)

    def _joined(self, row: FeatureRow) -> Floats:
        missing = np.full(self._numbers, np.nan, np.float32)
        parts = [row.by_stream.get(stream, missing) for stream in self._streams]
        return np.concatenate(parts).astype("<f4")

    def _tell(self, path: Path) -> None:
        streams, rows = list(self._streams), len(self._times)
        shape = [rows, len(streams) * self._numbers]
        about = {
            "format": FORMAT,
            "files": [{"file": path.name, "streams": streams, "shape": shape}],
            "rows": rows,
            "start_s": [round(start, 4) for start, _ in self._times],
            "end_s": [round(end, 4) for _, end in self._times],
            **self._about,
        }
        final = path.with_suffix(".json")
        unfinished = final.with_name(f".{final.name}.part")
        try:
            unfinished.write_text(json.dumps(about) + "\n")
            os.replace(unfinished, final)
        except OSError as error:
            unfinished.unlink(missing_ok=True)
            raise _error(final, error) from error


def facts_of(engines: Mapping[str, Engine]) -> dict[str, Any]:
    """What a .json of features says of the engines, by stream, that they come from."""
    first = next(iter(engines.values()))
    return {
        "model": first.weights.name,
        "weights_sha256": {name: engine.weights.sha256 for name, engine in engines.items()},
        "backend": first.backend,
        "precision": first.precision,
    }


def feature_files(folder: Path, prefix: str, source: str, engines: Mapping[str, Engine]) -> FeatureFiles:
    """For what these engines see. `source`: name that may be shown. `engines`: by stream."""
    first = next(iter(engines.values()))
    about = {"source": source, "settings": {"mode": first.mode, **facts_of(engines)}}
    return FeatureFiles(folder, prefix, tuple(engines), first.head.kernel.shape[1], about)


class WithFeatures:
    """Sink: passes on the rows that the recogniser has made since the last frame, in the caller's thread."""

    def __init__(self, sink: Sink, take: Callable[[], list[FeatureRow]]) -> None:
        """`take`: that of the recogniser's `FeatureTap`."""
        self._sink, self._take = sink, take

    def push(self, item: object) -> None:
        for row in self._take():
            self._sink.push(row)

    def close(self) -> None:
        self.push(None)
        self._sink.close()


def _error(path: Path, error: OSError) -> OutputError:
    return OutputError(f"cannot write {path}: {reason_of(error)}; free space or name another --features")
