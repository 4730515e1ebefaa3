"""Which videos there are, and where the features of each go."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from glob import glob
from pathlib import Path

from engines.spec import Modality
from engines.text_files import read_text
from engines.training.datasets import VIDEO_SUFFIXES
from realtime.errors import SourceError, UsageError, reason_of
from realtime.features.remote_files import absolute, is_remote, videos_at, without_scheme
from realtime.outputs.apart import identity
from realtime.sources.address import parse_source

LIST_SUFFIX = ".txt"


@dataclass(frozen=True)
class Target:
    """A video and its features."""

    source: str
    """Path or address of the video."""
    stem: Path
    """Path of the features, without the ending."""

    @property
    def facts(self) -> Path:
        """What the features are; written last."""
        return Path(f"{self.stem}.json")

    def arrays(self, streams: Sequence[str], *, separate: bool) -> dict[tuple[str, ...], Path]:
        """By the streams that are in it, side by side: each .npy file."""
        if separate:
            return {(stream,): Path(f"{self.stem}_{stream}.npy") for stream in streams}
        return {tuple(streams): Path(f"{self.stem}.npy")}


def targets(given: Sequence[str], out: Path) -> list[Target]:
    """What is given: files, folders with all that is in them, patterns, and lists (.txt, a path a line).

    Features keep the name of their video, and its place in a folder that was given. A video that is given twice is
    taken as it was given first.

    Raises:
        SourceError: a folder or a list that cannot be read.
        UsageError: nothing given is a video, an address, or two videos whose features would have the same name.
    """
    found: dict[Path, Target] = {}
    seen: set[str] = set()
    for source, inside in _videos(given):
        if (path := absolute(source)) in seen:
            continue
        seen.add(path)
        target = Target(source, out / inside.with_name(inside.stem))
        if (same := found.setdefault(target.stem, target)) is not target:
            raise UsageError(
                f"{same.source} and {source} would both become {target.stem}.npy; give their common folder, or "
                "another --out for one of them"
            )
    if not found:
        raise UsageError(f"no videos in {', '.join(given)}; give files, folders, patterns or a list (.txt)")
    _check_apart(list(found.values()))
    return list(found.values())


def shard(every: Sequence[Target], text: str | None) -> list[Target]:
    """The i-th of n parts, "i/n" with i from 1 on. Raises UsageError for anything else."""
    if text is None:
        return list(every)
    index, _, count = text.partition("/")
    try:
        i, n = int(index), int(count)
    except ValueError:
        i, n = 0, 0
    if not 1 <= i <= n:
        raise UsageError(f"shard {text!r}: give i/n, the i-th of n parts counted from 1, such as 1/8")
    return list(every[i - 1 :: n])


def _videos(given: Sequence[str]) -> Iterator[tuple[str, Path]]:
    """Each video, and its path below what was given."""
    for text in given:
        text = without_scheme(text)
        if is_remote(text):
            yield from videos_at(text)
        elif os.path.isdir(text):
            yield from _below(Path(text))
        elif text.lower().endswith(LIST_SUFFIX):
            yield from _videos(_listed(Path(text)))
        elif not os.path.lexists(text) and (matches := sorted(glob(text, recursive=True))):
            yield from _videos(matches)
        else:
            _require_file(text)
            yield text, Path(Path(text).name)


def _require_file(text: str) -> None:
    """Raises UsageError for what is no file. One that is missing fails when its turn comes, and no other with it."""
    try:
        address = parse_source(text)
    except SourceError:
        return
    if address.kind != "file":
        raise UsageError(
            f"{address.name}: features are of files; for a camera there is i3d-live run --features FOLDER"
        )


def _listed(path: Path) -> list[str]:
    try:
        lines = read_text(path).splitlines()
    except (OSError, ValueError) as error:
        raise SourceError(
            f"{path}: the list cannot be read: {reason_of(error)}; give a path a line"
        ) from error
    return [line.strip() for line in lines if line.strip()]


def _below(folder: Path) -> Iterator[tuple[str, Path]]:
    try:
        paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in VIDEO_SUFFIXES)
    except OSError as error:
        raise SourceError(f"{folder}: cannot be read ({error.strerror}); give a folder that can") from error
    for path in paths:
        inside = path.relative_to(folder)
        if not any(part.startswith(".") for part in inside.parts):
            yield str(path), inside


def _check_apart(every: Sequence[Target]) -> None:
    """Raises UsageError where features would be written over a video."""
    read = {identity(target.source): target.source for target in every}
    streams: tuple[Modality, ...] = ("rgb", "flow")
    for target in every:
        written = [*target.arrays(streams, separate=False).values(), target.facts]
        written += target.arrays(streams, separate=True).values()
        for path in written:
            if path.exists() and (same := read.get(identity(path))) is not None:
                raise UsageError(
                    f"the features of {target.source} would be written over {same}; name another --out"
                )
