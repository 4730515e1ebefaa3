"""The parts of a picture that rows of features are computed from."""

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from engines.spec import StreamSpec
from realtime.features.conventions import Crops
from realtime.flow.stage import FlowStage, network_input
from realtime.pictures import centre_crop
from realtime.types import ResizedTick, Submit

Scalar = TypeVar("Scalar", bound=np.generic)
CropInputs = tuple[int, list[NDArray[Any]]]
"""Number of a tick, and the network's input for each crop."""


def crops_of(picture: NDArray[Scalar], side_px: int, crops: Crops) -> list[NDArray[Scalar]]:
    """(H, W, C) -> as many views of (side_px, side_px, C), in the order of torchvision's five_crop and ten_crop: top
    left, top right, bottom left, bottom right, centre; then the same of the mirrored picture."""
    centre = centre_crop(picture, side_px, side_px)
    if crops == 1:
        return [centre]
    height, width = picture.shape[:2]
    corners = [(y, x) for y in (0, height - side_px) for x in (0, width - side_px)]
    five = [*(picture[y : y + side_px, x : x + side_px] for y, x in corners), centre]
    return five if crops == 5 else five + crops_of(picture[:, ::-1], side_px, 5)


class RgbCrops:
    """Stage: ticks in, `CropInputs` out, without delay."""

    def __init__(self, spec: StreamSpec, crops: Crops) -> None:
        self._side_px, self._crops = spec.crop_px, crops

    def push(self, resized: ResizedTick) -> list[CropInputs]:
        return [(resized.tick.index, crops_of(resized.image, self._side_px, self._crops))]

    def flush(self) -> list[CropInputs]:
        return []


class FlowCrops:
    """Stage: ticks in, `CropInputs` out, one distinct frame later. In a mirrored picture, what moved right moves
    left."""

    def __init__(self, spec: StreamSpec, method: str, crops: Crops, submit: Submit | None) -> None:
        self._spec, self._crops = spec, crops
        self._stage = FlowStage(
            spec.fps,
            method,
            side_px=spec.short_side_px,
            bound_px=spec.flow_bound_px,
            region="square" if crops == 1 else "frame",
            submit=submit,
        )

    def push(self, resized: ResizedTick) -> list[CropInputs]:
        return [(index, self._inputs(field)) for index, field in self._stage.push(resized)]

    def flush(self) -> list[CropInputs]:
        return [(index, self._inputs(field)) for index, field in self._stage.flush()]

    def _inputs(self, field: NDArray[np.float32]) -> list[NDArray[Any]]:
        parts: list[NDArray[np.float32]] = crops_of(np.moveaxis(field, 0, 2), self._spec.crop_px, self._crops)
        mirrored = [part * np.array([-1, 1], np.float32) for part in parts[5:]]
        return [network_input(part, self._spec.flow_bound_px) for part in [*parts[:5], *mirrored]]
