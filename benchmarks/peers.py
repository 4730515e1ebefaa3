"""Comparison with alternatives: cost of a prediction every 8 ticks (0.32 s of video), all in one run and in turns.

    python -m benchmarks.peers [--quick]      results/peers.json

Networks: the baseline, a sliding window (64 ticks every 8, eager PyTorch, float32), its RGB half through torch.compile,
X3D-M of pytorchvideo if that is installed (16 pictures of 224 px, random weights: only its cost), and ours in each mode
and precision. Flow: ours, and OpenCV's DualTVL1, DIS and Farneback, a field of 256 x 256 px. `ways` adds up what a user
would combine; decoding is left out, as it is the same for all.
"""

import importlib.util
import sys
import types
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks import card
from benchmarks.engines import in_turns, steps
from benchmarks.material import (
    MODEL,
    RGB_MODEL,
    checked_engines,
    eager,
    precisions,
    real_ticks,
    store_model,
)
from engines.spec import FLOW, RGB, Modality
from engines.weights.fetch import demo_clip, load_weights
from realtime.flow.methods import flow_method
from realtime.flow.residuals import energy
from realtime.offline import ticks_of
from realtime.pictures import centre_crop, resize_short_side
from realtime.sources.open import open_video

STRIDE_TICKS, STRIDE_MS = 8, 320.0
STREAMS: tuple[Modality, ...] = ("rgb", "flow")
MOST_COMPILED_DIFFERENCE = 0.01
Grey = NDArray[np.uint8]


def grey_pairs(count: int) -> list[tuple[Grey, Grey]]:
    """Consecutive pictures of the demo clip, 256 x 256 px."""
    import cv2

    side = FLOW.short_side_px
    greys: list[Grey] = []
    with open_video(demo_clip()) as video:
        for tick in ticks_of(video, FLOW.fps):
            square = centre_crop(resize_short_side(tick.frame.rgb, side), side, side)
            greys.append(np.asarray(cv2.cvtColor(np.ascontiguousarray(square), cv2.COLOR_RGB2GRAY), np.uint8))
    return [(greys[i], greys[i + 1]) for i in range(20, 20 + count)]


def farneback(previous: Grey, following: Grey) -> NDArray[np.float32]:
    """OpenCV's, with the settings of its tutorial."""
    import cv2

    field = cv2.calcOpticalFlowFarneback(previous, following, None, 0.5, 3, 15, 3, 5, 1.2, 0)  # type: ignore[call-overload]
    return np.ascontiguousarray(np.moveaxis(field, 2, 0), np.float32)


def flows(quick: bool) -> dict[str, Any]:
    """Milliseconds of a field, and how well it explains the pictures: energy of TV-L1 over that of OpenCV's
    DualTVL1."""
    methods: dict[str, Callable[[Grey, Grey], Any]] = {
        name: flow_method(name) for name in ("opencv-tvl1", "dis", "tvl1")
    }
    methods["farneback"] = farneback
    pairs = grey_pairs(3 if quick else 9)
    fields = {name: [method(*pair) for pair in pairs] for name, method in methods.items()}
    reference = [energy(*pair, field) for pair, field in zip(pairs, fields["opencv-tvl1"], strict=True)]
    found: dict[str, Any] = {}
    times: dict[str, list[float]] = {name: [] for name in methods}
    for pair in pairs:
        for name, figures in in_turns({n: lambda m=m, p=pair: m(*p) for n, m in methods.items()}, 1).items():
            times[name].append(figures["median_ms"])
    for name in methods:
        ratios = [energy(*p, f) / e for p, f, e in zip(pairs, fields[name], reference, strict=True)]
        found[name] = card.summary(times[name]) | {"energy_ratio": round(float(np.median(ratios)), 3)}
    card.verify("energy of our flow over OpenCV's", found["tvl1"]["energy_ratio"], at_most=1.01)
    return found


def x3d() -> Callable[[], Any] | None:
    """A step of X3D-M: 16 pictures; None where pytorchvideo is not installed."""
    if importlib.util.find_spec("pytorchvideo") is None:
        return None
    if importlib.util.find_spec("torchvision") is None:
        # Its detection heads import it; X3D does not need it.
        empty = types.ModuleType("torchvision.ops")
        empty.RoIAlign = None  # type: ignore[attr-defined]
        sys.modules |= {"torchvision": types.ModuleType("torchvision"), "torchvision.ops": empty}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pytorchvideo.models.x3d import create_x3d

        net = create_x3d(
            input_clip_length=16, input_crop_size=224, model_num_class=400, depth_factor=2.2
        ).eval()
    video = torch.rand(1, 3, 16, 224, 224)

    def call() -> Any:
        with torch.inference_mode():
            return net(video)

    if call().shape != (1, 400):
        raise SystemExit("not timed: X3D-M gives no logits of 400 classes")
    return call


def compiled(window: NDArray[Any]) -> Callable[[], Any] | str:
    """The baseline's RGB network through torch.compile, compared with the eager one; or why that fails. Compiling takes
    minutes."""
    tensors = load_weights(MODEL, "rgb")[1]
    try:
        call = eager(tensors, torch.compile)
        difference = float(np.abs(call(window) - eager(tensors)(window)).max())
    except (RuntimeError, torch._dynamo.exc.TorchDynamoException) as error:
        return " ".join(str(error).split())[:200]
    card.verify("torch.compile", difference, at_most=MOST_COMPILED_DIFFERENCE)
    return lambda: call(window)


def main() -> None:
    quick = "--quick" in sys.argv
    rounds = 2 if quick else 5
    store_model()
    ticks = real_ticks()
    calls: dict[str, Callable[[], Any]] = {}
    for stream in STREAMS:
        net, window = eager(load_weights(MODEL, stream)[1]), ticks[stream][: RGB.window_ticks]
        calls[f"eager window {stream}"] = lambda net=net, window=window: net(window)
    through_compile = "left out" if quick else compiled(ticks["rgb"][: RGB.window_ticks])
    if not isinstance(through_compile, str):
        calls["torch.compile window rgb"] = through_compile
    if x3d_step := x3d():
        calls["X3D-M rgb"] = x3d_step
    for precision in precisions():
        for stream, engine in checked_engines(precision, "continual").by_stream.items():
            calls[f"ours continual {precision} {stream}"] = steps(engine)
        for mode in () if quick else ("window", "preview"):
            engine = checked_engines(precision, mode, "rgb", RGB_MODEL).rgb
            assert engine is not None
            calls[f"ours {mode} {precision} rgb"] = steps(engine)
    networks, flow = in_turns(calls, rounds), flows(quick)
    found = ways(networks, flow)
    print(f"{'a prediction every 0.32 s':<44} {'ms':>9} {'of real time':>13} {'speed-up':>9}")
    for name, row in found.items():
        print(f"{name:<44} {row['ms']:>9.1f} {row['load']:>13.3f} {row['usual_over_it']:>8.1f}x")
    report = {"stride_ticks": STRIDE_TICKS, "networks": networks, "flow": flow, "ways": found}
    if isinstance(through_compile, str):
        report["torch.compile"] = through_compile
    if x3d_step is None:
        report["X3D-M"] = "pytorchvideo is not installed"
    card.report("peers", report)


def ways(networks: dict[str, Any], flow: dict[str, Any]) -> dict[str, Any]:
    """What a user would combine, in ms a prediction; the first is the baseline."""
    ms = {name: figures["median_ms"] for name, figures in networks.items()}
    field = {name: STRIDE_TICKS * figures["median_ms"] for name, figures in flow.items()}

    def both(network: str) -> float:
        return float(ms[f"{network} rgb"] + ms[f"{network} flow"])

    found = {"eager window, DualTVL1": both("eager window") + field["opencv-tvl1"]}
    for method in ("dis", "farneback", "tvl1"):
        name = "our TV-L1" if method == "tvl1" else method
        found[f"eager window, {name}"] = both("eager window") + field[method]
    found["eager window, RGB alone"] = ms["eager window rgb"]
    if "torch.compile window rgb" in ms:
        found["torch.compile window, RGB alone"] = ms["torch.compile window rgb"]
    if "X3D-M rgb" in ms:
        found["X3D-M, RGB alone"] = ms["X3D-M rgb"]
    for name in ms:
        if name.startswith("ours") and name.endswith("rgb"):
            network = name.removesuffix(" rgb")
            if f"{network} flow" in ms:
                found[f"{network}, our TV-L1"] = both(network) + field["tvl1"]
            found[f"{network}, RGB alone"] = ms[name]
    usual = next(iter(found.values()))
    return {
        name: {
            "ms": round(value, 1),
            "load": round(value / STRIDE_MS, 4),
            "usual_over_it": round(usual / value, 1),
        }
        for name, value in found.items()
    }


if __name__ == "__main__":
    main()
