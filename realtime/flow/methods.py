"""The methods of computing flow, with one signature and chosen by name."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from engines.errors import UsageError
from engines.extras import install

Grey = NDArray[np.uint8]
Field = NDArray[np.float32]
Flow = Callable[[Grey, Grey], Field]
"""uint8 (H, W) and the next picture -> float32 (2, H, W): displacement of each pixel of the first, px, u then v."""


Maker = Callable[[int, int], Flow]
"""Height and width -> the method for that size, with its scratch memory."""


def _tvl1() -> Maker:
    from realtime.flow.tvl1 import TvL1

    return TvL1


def _tvl1_cuda() -> Maker:
    try:
        from realtime.flow.tvl1_cuda import TvL1Cuda, require_gpu
    except ImportError as error:
        raise UsageError(
            f"flow method 'tvl1-cuda' needs torch for CUDA and its triton ({error}); {install('torch')}, or use tvl1"
        ) from error
    require_gpu()

    def make(height: int, width: int) -> Flow:
        many = TvL1Cuda(1, height, width)
        return lambda previous, following: many(previous[None], following[None])[0].cpu().numpy()

    return make


def _opencv_tvl1() -> Maker:
    import cv2

    return lambda height, width: _from_opencv(cv2.optflow.DualTVL1OpticalFlow_create())  # type: ignore[attr-defined]


def _dis() -> Maker:
    import cv2

    preset = cv2.DISOPTICAL_FLOW_PRESET_FAST
    return lambda height, width: _from_opencv(cv2.DISOpticalFlow_create(preset))  # type: ignore[attr-defined]


METHODS: dict[str, Callable[[], Maker]] = {
    "tvl1": _tvl1,
    "tvl1-cuda": _tvl1_cuda,
    "opencv-tvl1": _opencv_tvl1,
    "dis": _dis,
}
"""Name -> function that imports the method.

"tvl1": this project's, on one core. "tvl1-cuda": the same on an NVIDIA GPU. "opencv-tvl1": the reference, OpenCV's
DualTVL1 with its defaults. "dis": OpenCV's dense inverse search (Kroeger 2016) with its fast preset: the quickest and
coarsest.
"""


def flow_method(name: str) -> Flow:
    """The method of that name. It keeps scratch memory for the size of the last pair: use one per stream, in one
    thread.

    Everything is imported (and "tvl1" compiled, if it has never been) before this returns. Raises UsageError for an
    unknown name, or if the method cannot run here. The method itself raises ValueError unless it is given two uint8
    (H, W) pictures of the same size, and UsageError for a size that it does not support.
    """
    if name not in METHODS:
        raise UsageError(f"flow method {name!r} is not known; choose one of {', '.join(METHODS)}")
    return _SizedFlow(METHODS[name]())


def compile_ahead() -> None:
    """Compile "tvl1" into the user's cache folder, so that no stream waits for it; takes about 20 s the first time."""
    import realtime.flow.tvl1  # noqa: F401


class _SizedFlow:
    """The method, recreated whenever the size of the pictures changes."""

    def __init__(self, make: Maker) -> None:
        self._make = make
        self._shape: tuple[int, ...] = ()
        self._flow: Flow

    def __call__(self, previous: Grey, following: Grey) -> Field:
        if previous.shape != following.shape or previous.ndim != 2 or 0 in previous.shape:
            raise ValueError(
                f"flow needs two grey pictures (H, W) of one size, got {previous.shape} and {following.shape}"
            )
        if previous.dtype != np.uint8 or following.dtype != np.uint8:
            raise ValueError(f"flow needs uint8 pictures, got {previous.dtype} and {following.dtype}")
        if previous.shape != self._shape:
            self._flow = self._make(*previous.shape)
            self._shape = previous.shape
        return self._flow(previous, following)


def _from_opencv(algorithm: object) -> Flow:
    """An OpenCV algorithm with this module's layout and errors."""
    import cv2

    def flow(previous: Grey, following: Grey) -> Field:
        try:
            field = algorithm.calc(previous, following, None)  # type: ignore[attr-defined]
        except cv2.error as error:
            height, width = previous.shape
            raise UsageError(
                f"OpenCV cannot compute this flow at {width}x{height} px: {error.err}; use tvl1 for small pictures"
            ) from error
        return np.ascontiguousarray(np.moveaxis(field, 2, 0), np.float32)

    return flow
