"""The data contract of a model: everything needed to make its input. Imports no torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from numpy.typing import NDArray

Modality = Literal["rgb", "flow"]
Mode = Literal["window", "continual", "preview"]
Tensors = Mapping[str, NDArray[Any]]
"""A state dict in pytorch-i3d's names."""
Streams = Literal["auto", "rgb", "flow", "both"]
MODES: tuple[Mode, ...] = ("window", "continual", "preview")
DEFAULT_MODE: Mode = "continual"
"""The mode unless one is named: the one with the least work. Only the page has another default, which reacts faster."""


@dataclass(frozen=True)
class StreamSpec:
    """How the input of one network is made. Preprocessing reads these numbers from here alone."""

    modality: Modality
    channels: int
    """3 for rgb (R, G, B as uint8), 2 for flow (u, v as float16 in [-1, 1])."""
    fps: Fraction = Fraction(25)
    """Ticks a second of media time."""
    window_ticks: int = 64
    """Ticks that the network sees in one pass; a shorter clip is repeated from its start."""
    short_side_px: int = 256
    """The shorter side of a frame after the resize; bilinear, aspect kept."""
    crop_px: int = 224
    """Side of the centre crop that the network sees."""
    flow_bound_px: float = 20.0
    """Flow is clipped to [-flow_bound_px, flow_bound_px] px a tick and scaled to [-1, 1]."""

    with_rgb: bool = False
    """One network for both streams, with 5 channels: R, G, B, scaled to [-1, 1], then u and v."""

    @property
    def dtype(self) -> str:
        """Type of a tick: "uint8" for rgb, which the engine scales itself, "float16" for flow."""
        return "uint8" if self.modality == "rgb" else "float16"

    @property
    def tick_shape(self) -> tuple[int, int, int]:
        """(H, W, C) of one tick."""
        return (self.crop_px, self.crop_px, self.channels)


RGB = StreamSpec("rgb", channels=3)
FLOW = StreamSpec("flow", channels=2)


@dataclass(frozen=True)
class Weights:
    """A set of trained weights for one stream, as stored in the cache folder."""

    name: str
    """Name of the set: "kinetics", "imagenet-kinetics", or what `weights import --name` gave."""
    modality: Modality
    labels: tuple[str, ...]
    """One name a class, in the order of the logits."""
    sha256: str
    """Of the safetensors file."""
    source: str
    """Where they came from."""
    licence: str
