"""What several benchmarks run on: a model with both streams, its checked engines, a video of any size, and the
baseline.

Trained flow weights are not available everywhere, so the flow network has the RGB weights averaged over colours, and
its logits are divided by four: right in shape and cost, but no measure of accuracy. Untrained for flow, it has
activations in ranges that no trained network has; with undivided logits its int8 engine is off by up to 5, which says
nothing about int8 and would end every benchmark.
"""

from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.backends.registry import backend_module, choose_backend
from engines.check import check
from engines.load import Engines, load_engines
from engines.spec import FLOW, RGB, Mode, Tensors
from engines.weights.fetch import demo_clip, fetch, has_weights, load_weights, save_weights
from realtime.outputs.video_file import VideoWriter
from realtime.sources.open import open_video

MODEL, RGB_MODEL = "made-both-streams", "kinetics"
CHECKED_TICKS = 72
SIZES_PX = {"480p": (854, 480), "720p": (1280, 720), "1080p": (1920, 1080)}


def store_model() -> None:
    """Store a model with both streams in the cache folder, unless it is there."""
    if has_weights(MODEL, "flow"):
        return
    fetch("kinetics", "rgb")
    weights, tensors = load_weights("kinetics", "rgb")
    source, licence = "made for benchmarks from kinetics", weights.licence
    save_weights(MODEL, "rgb", tensors, weights.labels, source=source, licence=licence)
    first = "Conv3d_1a_7x7.conv3d.weight"
    averaged = np.repeat(tensors[first].mean(axis=1, keepdims=True), 2, axis=1) * (3 / 2)
    last = {name: tensor / 4 for name, tensor in tensors.items() if name.startswith("logits.")}
    flow = {**tensors, first: averaged, **last}
    save_weights(MODEL, "flow", flow, weights.labels, source=source, licence=licence)


def precisions() -> tuple[str, ...]:
    """Precisions of the backend that `auto` chooses here, the default first."""
    return backend_module(choose_backend("auto")[0]).precisions()


@cache
def real_ticks() -> dict[Any, NDArray[Any]]:
    """By stream, ticks of the demo clip, on which int8 is calibrated and engines are checked."""
    from realtime.offline import clip_inputs

    ticks = {}
    for spec in (RGB, FLOW):
        with open_video(demo_clip()) as video:
            ticks[spec.modality] = np.stack(list(clip_inputs(video, spec)))
    return ticks


def checked_engines(precision: str, mode: Mode, streams: str = "both", model: str = MODEL) -> Engines:
    """Engines from the cache or built now, with weights that are fetched or made. Ends the benchmark if they differ too
    much from the reference."""
    store_model() if model == MODEL else fetch(model)
    engines = load_engines(model, "auto", precision, mode, streams, clips=real_ticks())  # type: ignore[arg-type]
    for modality, engine in engines.by_stream.items():
        clip = real_ticks()[modality][:CHECKED_TICKS]
        tensors = load_weights(model, engine.spec.modality)[1]
        if failures := check(engine, tensors, {"clip": clip}).failures:
            raise SystemExit(f"not timed: {modality} {precision} {mode}: {'; '.join(failures)}")
    return engines


def write_video(path: Path, size_px: tuple[int, int], seconds: float) -> None:
    """Write the demo clip at this size, 25 frames a second, repeated for `seconds`."""
    with open_video(demo_clip()) as video:
        frames = [frame.rgb for frame in video]
    with VideoWriter(path, size_px) as writer:
        for i in range(round(25 * seconds)):
            writer.write(frames[i % len(frames)], Fraction(i, 25))


def eager(tensors: Tensors, module: Callable[[Any], Any] = lambda net: net) -> Callable[[NDArray[Any]], Any]:
    """The paper's network over a window as the ports run it: PyTorch, float32. `module`: applied to it first."""
    import torch

    from engines.backends.pytorch import Window, network
    from engines.nets.i3d import I3D

    window = module(Window(network(tensors, I3D)))

    def call(ticks: NDArray[Any]) -> Any:
        with torch.inference_mode():
            return window(torch.from_numpy(ticks[None])).numpy()

    return call


def usual_strides(path: Path, stride_ticks: int = 8) -> Iterator[None]:
    """The baseline, a sliding window over a 25 fps file. Each `next` is a stride: new ticks decoded, resized, their
    flow by OpenCV's DualTVL1 at 256 x 256 px with its defaults, then both networks over the whole window.

    The flow of the first window is filled with DIS, since that is not timed.
    """
    import cv2

    from realtime.flow.methods import flow_method
    from realtime.flow.stage import network_input
    from realtime.pictures import centre_crop, resize_short_side

    nets = [eager(load_weights(MODEL, spec.modality)[1]) for spec in (RGB, FLOW)]
    tvl1, dis = flow_method("opencv-tvl1"), flow_method("dis")
    rgb: list[NDArray[Any]] = []
    flow: list[NDArray[Any]] = []
    last: NDArray[np.uint8] | None = None

    def take(frame: Any, method: Callable[..., Any]) -> None:
        nonlocal last
        side, crop = RGB.short_side_px, RGB.crop_px
        square = np.ascontiguousarray(centre_crop(resize_short_side(frame.rgb, side), side, side))
        grey = np.asarray(cv2.cvtColor(square, cv2.COLOR_RGB2GRAY), np.uint8)
        field = method(grey if last is None else last, grey)
        last = grey
        rgb.append(centre_crop(square, crop, crop))
        flow.append(network_input(centre_crop(np.moveaxis(field, 0, 2), crop, crop), FLOW.flow_bound_px))

    with open_video(path) as video:
        frames = iter(video)
        for frame in islice(frames, RGB.window_ticks - stride_ticks):
            take(frame, dis)
        while True:
            for frame in islice(frames, stride_ticks):
                take(frame, tvl1)
            for net, ticks in zip(nets, (rgb, flow), strict=True):
                net(np.stack(ticks[-RGB.window_ticks :]))
            yield
