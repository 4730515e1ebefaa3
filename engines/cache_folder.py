"""Files in the user's cache folder: locked while they change, replaced atomically, and trusted if their hash is
correct."""

import errno
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from engines.errors import EngineError

Progress = Callable[[str, int, int | None], None]
"""Called with what is being fetched, the bytes so far, and the total if known."""


HASHES = "sha256.json"
"""In a folder of compiled files: the hash of each."""


def silent(what: str, done_bytes: int, total_bytes: int | None) -> None:
    """Shows no progress."""


def cache_dir() -> Path:
    """The user's cache folder of this project; it need not exist yet. Raises EngineError for a user without a home."""
    import platformdirs

    no_home = "there is no home folder to hold the cache; set HOME, or XDG_CACHE_HOME to a folder"
    try:
        folder = platformdirs.user_cache_path("i3d-live", appauthor=False)
    except RuntimeError as error:
        raise EngineError(no_home) from error
    if folder.parts[0].startswith("~"):  # older platformdirs do not expand it
        raise EngineError(no_home)
    return folder


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Translates errors of writing `path` or something in it. For code without network calls."""
    try:
        yield
    except OSError as error:
        advice = "or set XDG_CACHE_HOME to a folder elsewhere"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise EngineError(f"no space left to write {path}; free some, {advice}") from error
        why = error.strerror or type(error).__name__
        raise EngineError(f"cannot write {path}: {why}; make its folder writable, {advice}") from error


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold the lock of this name, across processes and threads; waits for its turn."""
    import filelock

    path = cache_dir() / "locks" / f"{name}.lock"
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(path)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def replace_file(path: Path, data: bytes) -> None:
    """Write `path` atomically. The caller holds a lock that covers it."""
    unfinished = path.with_name(f".{path.name}.tmp")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(unfinished, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(unfinished, path)
        finally:
            unfinished.unlink(missing_ok=True)


@contextmanager
def intact(folder: Path) -> Iterator[None]:
    """For files that a library compiles and later runs: inside the `with` block, `folder` holds only files unchanged
    since they were made; new ones are recorded. Changed files are deleted, so that they are made again.

    One process at a time. Raises EngineError if the folder cannot be written.
    """
    with locked(f"{folder.parent.name}-{folder.name}"):
        kept: dict[str, str | None] = {}
        with writing(folder):
            known = _recorded(folder / HASHES)
            for name, path in _files(folder):
                if (found := sha256_of(path)) is not None and known.get(name) == found:
                    kept[name] = found
                else:
                    path.unlink(missing_ok=True)
        yield
        made = {name: kept.get(name) or sha256_of(path) for name, path in _files(folder)}
        if made != known:
            with suppress(EngineError):  # a full disk: they are made again
                replace_file(folder / HASHES, json.dumps(made).encode())


def _files(folder: Path) -> list[tuple[str, Path]]:
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != HASHES)
    return [(path.relative_to(folder).as_posix(), path) for path in sorted(found)]


def _recorded(path: Path) -> dict[str, str | None]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def sha256_of(path: Path) -> str | None:
    """Hash of a file; None if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
