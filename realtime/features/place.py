"""Where features go in the end: a folder, or an address that fsspec knows."""

import posixpath
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from realtime.errors import OutputError
from realtime.features.remote_files import open_system, reason_at
from realtime.features.targets import Target
from realtime.sources.address import masked


class Place(Protocol):
    """Where features go in the end."""

    def fetch(self, target: Target) -> None:
        """If they are there: bring the .json of a video's features to where `target` has it."""

    def publish(self, target: Target, files: Sequence[Path]) -> None:
        """The files of a video's features are complete. Raises OutputError."""


class Folder:
    """The folder that they are written to."""

    def fetch(self, target: Target) -> None:
        pass

    def publish(self, target: Target, files: Sequence[Path]) -> None:
        pass


class Store:
    """An address. The .json of each video is uploaded last, and stays here for the next look."""

    def __init__(self, address: str, folder: Path) -> None:
        """`folder`: where they are written first. Raises UsageError for an address that cannot be used."""
        self._name, self._folder = masked(address), folder
        self._system, self._root = open_system(address)

    def fetch(self, target: Target) -> None:
        there = self._there(target.facts)
        if target.facts.exists():
            return
        try:
            if self._system.exists(there):
                target.facts.parent.mkdir(parents=True, exist_ok=True)
                self._system.get_file(there, str(target.facts))
        except Exception as error:  # each store has its own
            raise OutputError(
                f"{self._name}: cannot be read: {reason_at(error)}; name another --out"
            ) from error

    def publish(self, target: Target, files: Sequence[Path]) -> None:
        try:
            for path in files:
                there = self._there(path)
                self._system.makedirs(posixpath.dirname(there), exist_ok=True)
                self._system.put_file(str(path), there)
        except Exception as error:
            target.facts.unlink(missing_ok=True)
            why = reason_at(error)
            raise OutputError(f"{self._name}: cannot be written: {why}; name another --out") from error
        finally:
            for path in files:
                if path != target.facts:
                    path.unlink()

    def _there(self, path: Path) -> str:
        return posixpath.join(self._root, path.relative_to(self._folder).as_posix())
