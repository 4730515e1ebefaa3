"""Prevents a command from overwriting its inputs, or writing two outputs to one file.

Files are compared by identity, not by name: links, hard links and relative paths may lead to the same one.
"""

import os
import stat
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from realtime.errors import UsageError

Identity = tuple[int | str, ...]


def check_apart(inputs: Iterable[Path | str], outputs: Mapping[str, Path | None]) -> None:
    """To be called before anything is opened.

    inputs: paths, "-" for stdin, or addresses, which are not files. A folder that is read as a whole is
        given as the list of its files.
    outputs: what the user calls it ("--log") -> file or folder, existing or not; None if not requested, and
        "-" for stdout.

    Raises UsageError if an output is an input or another output. stdout and stderr count as outputs.
    """
    read = {same: str(path) for path in inputs if (same := identity(path)) is not None}
    written: dict[Identity, str] = {}
    for name, stream in (("stdout", sys.stdout), ("stderr", sys.stderr)):
        if (same := _of_stream(stream)) is not None:
            if same in read:
                raise UsageError(f"{name} is redirected into the input {read[same]}; name another file")
            written.setdefault(same, name)
    for name, path in outputs.items():
        if path is None or str(path) == "-" or (same := identity(path)) is None:
            continue
        if same in read:
            raise UsageError(f"{name} {path} is the input {read[same]}; name another file")
        if same in written:
            raise UsageError(f"{name} {path} is the same file as {written[same]}; name another one")
        written[same] = name


def check_not_deleted(
    paths: Iterable[Path | str], folder: Path, ours: Callable[[str], bool], name: str
) -> None:
    """Raises UsageError for a file among `paths` that would be deleted to make room in `folder`, because its name
    matches that of our own files there (`ours`). `name`: the output that fills the folder."""
    there = identity(folder)
    for path in map(Path, paths):
        if ours(path.name) and identity(path.parent) == there:
            raise UsageError(
                f"{path} is one of the files that {name} deletes to make room; name another folder"
            )


def identity(path: Path | str) -> Identity | None:
    """Identity of a file, independent of its name; None for a device or a socket, which cannot be overwritten."""
    if str(path) == "-":
        return _of_stream(sys.stdin)
    try:
        return _known_by(os.stat(path))
    except (OSError, ValueError):  # missing or inaccessible: its path still identifies it
        pass
    try:
        place, name = os.path.split(os.path.realpath(path))
    except (OSError, ValueError):
        return (str(path),)
    with suppress(OSError, ValueError):
        folder = os.stat(place)
        return folder.st_dev, folder.st_ino, os.path.normcase(name)
    return (os.path.normcase(place), os.path.normcase(name))


def _of_stream(stream: TextIO | None) -> Identity | None:
    if stream is None:
        return None
    try:
        return _known_by(os.fstat(stream.fileno()))
    except (OSError, ValueError):  # closed, or a test's double
        return None


def _known_by(facts: os.stat_result) -> Identity | None:
    if stat.S_ISCHR(facts.st_mode) or stat.S_ISSOCK(facts.st_mode):
        return None
    return facts.st_dev, facts.st_ino
