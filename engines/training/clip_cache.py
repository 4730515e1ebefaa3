"""Decoded clips and their flow, kept on disk so that training computes them once.

A clip takes one .npy file per stream, with its SHA-256 beside it, uint8 (T, H, W, C) as in `engines.training.augment`;
training maps it into memory and reads the window it needs. Ten seconds at 340 x 256 take 65 MB of rgb and 44 MB of
flow.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.cache_folder import sha256_of
from engines.errors import I3DLiveError, UsageError
from engines.spec import Modality, StreamSpec
from engines.training.augment import Levels, flow_levels
from engines.training.datasets import Clip

Reader = Callable[[Path], Mapping[Modality, NDArray[Any]]]
"""Video file -> the whole clip per stream: uint8 (T, H, W, 3), and flow (T, H, W, 2) in [-1, 1] or already as
levels."""


def cached_files(video: Path, specs: Sequence[StreamSpec], folder: Path) -> dict[Modality, Path]:
    """Paths of a video's cached streams. The name changes with the file and with how its contract prepares frames."""
    stat = video.stat()
    files: dict[Modality, Path] = {}
    for spec in specs:
        asked = (
            str(video.resolve()),
            stat.st_size,
            stat.st_mtime_ns,
            spec.fps,
            spec.short_side_px,
            spec.flow_bound_px,
        )
        key = hashlib.sha256(repr(asked).encode()).hexdigest()[:20]
        files[spec.modality] = folder / key[:2] / f"{key}.{spec.modality}.npy"
    return files


def cache_clip(video: Path, specs: Sequence[StreamSpec], folder: Path, read: Reader) -> dict[Modality, Path]:
    """Read the video unless it is cached already, as it was stored. A file appears only once complete, so a killed run
    leaves no partial one."""
    files = cached_files(video, specs, folder)
    if all(_intact(file) for file in files.values()):
        return files
    streams = read(video)
    for spec in specs:
        file, ticks = files[spec.modality], streams[spec.modality]
        if ticks.dtype != np.uint8:
            ticks = flow_levels(ticks)
        file.parent.mkdir(parents=True, exist_ok=True)
        half = file.with_name(f"{file.name}.{os.getpid()}")
        with half.open("wb") as out:
            np.save(out, ticks)
        digest = hashlib.sha256(half.read_bytes()).hexdigest()
        half.replace(file)
        _recorded(file).write_text(digest)  # cut off, it is not that of the file, which is then read again
    return files


def _intact(file: Path) -> bool:
    try:
        return sha256_of(file) == _recorded(file).read_text()
    except (OSError, ValueError):
        return False


def _recorded(file: Path) -> Path:
    """Where the SHA-256 of a cached file is."""
    return file.with_suffix(".sha256")


def cache_clips(
    clips: Iterable[Clip],
    specs: Sequence[StreamSpec],
    folder: Path,
    read: Reader,
    done: Callable[[], object] = lambda: None,
) -> tuple[list[Clip], list[tuple[Path, str]]]:
    """Cache all clips; returns those in the cache afterwards, and those that could not be read, with the reason."""
    kept: list[Clip] = []
    unread: list[tuple[Path, str]] = []
    for clip in clips:
        try:
            cache_clip(clip.path, specs, folder, read)
        except I3DLiveError as error:
            unread.append((clip.path, str(error)))
        else:
            kept.append(clip)
        done()
    return kept, unread


def load_cached(video: Path, specs: Sequence[StreamSpec], folder: Path) -> dict[Modality, Levels]:
    """The streams of a cached video, mapped into memory."""
    files = cached_files(video, specs, folder)
    if missing := [file for file in files.values() if not file.is_file()]:
        raise UsageError(
            f"{video} is not in the cache ({missing[0]} is missing); fill the cache before training"
        )
    return {modality: np.load(file, mmap_mode="r") for modality, file in files.items()}
