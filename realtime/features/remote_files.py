"""Videos in object stores, by addresses that fsspec knows, such as s3://bucket/folder."""

import os
import posixpath
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engines.extras import require
from engines.training.datasets import VIDEO_SUFFIXES
from realtime.errors import SourceError, UsageError, one_line
from realtime.sources.address import masked

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+)://", re.IGNORECASE)
_OURS = ("rtsp", "rtsps", "http", "https")
"""Cameras and servers, which FFmpeg opens."""
_HERE = ("file", "local")


def is_remote(text: str) -> bool:
    """Whether this is the address of something that fsspec opens. Raises EngineError if that is not installed."""
    scheme = _SCHEME.match(text)
    if scheme is None or scheme[1].lower() in (*_OURS, *_HERE):
        return False
    require(f"{scheme[0]}...", "fsspec", "cluster")
    import fsspec

    return scheme[1].lower() in fsspec.available_protocols()


def without_scheme(text: str) -> str:
    """file:///videos/a.mp4 as a path; anything else as it is."""
    scheme = _SCHEME.match(text)
    return text[scheme.end() :] if scheme and scheme[1].lower() in _HERE else text


def absolute(source: str) -> str:
    """A path as it is for another process; an address as it is."""
    return source if is_remote(source) else os.path.abspath(source)


@contextmanager
def local_copy(source: str) -> Iterator[str]:
    """A path or address as a path. What is not on a disk here is copied for the time of the block. Raises
    SourceError."""
    if not is_remote(source):
        yield source
        return
    name = masked(source)
    with tempfile.TemporaryDirectory(prefix="i3d-live-") as folder:
        path = Path(folder) / posixpath.basename(source)
        try:
            system, there = open_system(source)
            system.get_file(there, str(path))
        except UsageError as error:
            raise SourceError(str(error)) from error
        except FileNotFoundError as error:
            raise SourceError(f"{name}: no such file; check the address") from error
        except Exception as error:
            raise SourceError(f"{name}: cannot be read: {reason_at(error)}; check the address") from error
        yield str(path)


def videos_at(address: str) -> Iterator[tuple[str, Path]]:
    """The videos that an address names (a file, a folder with all that is in it, or a pattern), each with its path
    below the folder. Raises SourceError."""
    system, there = open_system(address)
    scheme = address.partition("://")[0]
    try:
        if any(sign in there for sign in "*?["):
            found = [(path, Path(posixpath.basename(path))) for path in sorted(system.glob(there))]
        elif system.isdir(there):
            root = there.rstrip("/")
            inside = (
                path for path in sorted(system.find(there)) if Path(path).suffix.lower() in VIDEO_SUFFIXES
            )
            found = [(path, Path(posixpath.relpath(path, root))) for path in inside]
        else:
            found = [(there, Path(posixpath.basename(there)))]
    except Exception as error:
        raise SourceError(
            f"{masked(address)}: cannot be read: {reason_at(error)}; check the address"
        ) from error
    for path, below in found:
        yield f"{scheme}://{path.lstrip('/')}", below


def open_system(address: str) -> tuple[Any, str]:
    """The file system of an address, and the path in it.

    Raises UsageError where the package for it is missing, SourceError.
    """
    import fsspec

    try:
        system, there = fsspec.core.url_to_fs(address)
    except ImportError as error:  # it names the package that knows this kind of store
        raise UsageError(
            f"{masked(address)}: {one_line(str(error))} with pip, on every machine that reads it"
        ) from error
    except Exception as error:  # each has its own; some connect already
        raise SourceError(
            f"{masked(address)}: cannot be opened: {reason_at(error)}; check the address"
        ) from error
    return system, str(there)


def reason_at(error: Exception) -> str:
    """Why a file system could not do it: each has its own errors."""
    return one_line(str(error)) or type(error).__name__
