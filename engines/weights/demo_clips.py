"""The clip of a first run: one that shows a known action if it can be fetched, else one from the Python package index.

As with weights (`engines.weights.best_set`), what is stored decides unless a better one is requested.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engines.cache_folder import Progress, cache_dir, locked, sha256_of, silent, writing
from engines.errors import NotFetched
from engines.weights.connection import Network
from engines.weights.download import WebFile, download
from engines.weights.fixed_clip import DEMO_CLIP, FIXED, FixedClip, demo_clip


@dataclass(frozen=True)
class KnownClip:
    """A public clip, and the action in it."""

    source: WebFile
    label: str
    """Of Kinetics-400."""

    @property
    def path(self) -> Path:
        """Where it is stored."""
        return cache_dir() / "clips" / f"{self.label.replace(' ', '-')}.mp4"


def _github(address: str, blob_id: str, sha256: str) -> WebFile:
    return WebFile(f"https://github.com/{address}", blob_id, "Apache-2.0", sha256)


_MMSKELETON = "open-mmlab/mmskeleton/raw/b4c076baa9e02e69b5876c49fa7c509866d902c7/resource/data_example"
KNOWN_CLIPS = (
    KnownClip(
        _github(
            "facebookresearch/sam2/raw/2b90b9f5ceec907a1c18123530e92e794ad901a4/demo/data/gallery/05_default_juggle.mp4",
            "eb986b5e992e58bf2b07bf5e9700716c76489270",
            "60d23773ad50389a5c2df9ba4ab05e9b4d39d21dfa7b75d15b46666ff7a4e2bb",
        ),
        "juggling soccer ball",
    ),
    KnownClip(
        _github(
            f"{_MMSKELETON}/clean_and_jerk.mp4",
            "bda60ea4a9ba552ab9232c973b6462ab57502e64",
            "64406fcbaba318cc4054df43fb4192a600d00aec9fd4664d0838e7fbf5615df3",
        ),
        "clean and jerk",
    ),
    KnownClip(
        _github(
            f"{_MMSKELETON}/ta_chi.mp4",
            "8c0a62aef36102879d55d2f0dd96ddc75b250254",
            "0a65dcd054bd8539aa6af91f8cfdf00c43a33cdf8eae74210b186da1cfd243c7",
        ),
        "tai chi",
    ),
)
"""The preferred one first."""
FALLBACK = f"clip of {DEMO_CLIP.name}, without a known action"


@dataclass(frozen=True)
class ChosenClip:
    """The clip to show."""

    path: Path
    label: str | None
    """The action in it; None if it is none of the 400."""
    why: str
    """Which clip it is and why, on one line."""


def choose_clip(
    progress: Progress = silent,
    network: Network | None = None,
    clips: Sequence[KnownClip] = KNOWN_CLIPS,
    fallback: FixedClip = FIXED,
    *,
    again: bool = False,
) -> ChosenClip:
    """The first known clip that is stored, else the first that can be fetched, else `fallback`.

    `again`: try to get a known one even if the fallback is stored.

    Raises:
        NotFetched: none is stored, and none could be fetched.
        EngineError: the cache folder cannot be written.
    """
    for clip in clips:
        if sha256_of(clip.path) == clip.source.sha256:
            return ChosenClip(clip.path, clip.label, f"clip {clip.label}: from {clip.source.host}")
    if not again and (kept := fallback.kept):
        return ChosenClip(kept, None, FALLBACK)
    network = network or Network()
    reasons: dict[str, None] = {}
    for clip in clips:
        try:
            _fetch(clip, progress, network)
        except NotFetched as error:
            reasons[error.reason] = None
        else:
            return ChosenClip(clip.path, clip.label, f"clip {clip.label}: from {clip.source.host}")
    return ChosenClip(demo_clip(progress, fallback), None, f"{FALLBACK}: {'; '.join(reasons)}")


def _fetch(clip: KnownClip, progress: Progress, network: Network) -> None:
    with locked("demo-clip"):
        fetched = download(clip.source, cache_dir() / "downloads", progress, network)
        with writing(clip.path):
            clip.path.parent.mkdir(parents=True, exist_ok=True)
            fetched.replace(clip.path)
