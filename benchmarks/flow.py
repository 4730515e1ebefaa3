"""Flow on one core: quality compared with OpenCV's DualTVL1, checked before anything is timed, and speed.

    python -m benchmarks.flow            results/flow.json: energy, end-point error, speed, load of a 25 fps stream
    python -m benchmarks.flow --curve    results/flow_curve.json and docs/flow_curve.png: energy ratio against time
    python -m benchmarks.flow --parts    results/flow_parts.json: where the time of a field goes

Pairs: 17 from each of the real clips, and every rendered scene of tests/support/scenes.py. An energy ratio below 1 is
better than OpenCV's.
"""

import argparse
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks import card
from benchmarks.card import CLIPS, ROOT
from engines.spec import FLOW
from realtime.flow import tvl1
from realtime.flow.methods import Flow, flow_method
from realtime.flow.residuals import energy
from realtime.flow.stage import FlowFeed
from realtime.flow.tvl1 import TvL1
from realtime.flow.tvl1_plan import scales
from realtime.offline import ticks_of
from realtime.pictures import resize_short_side
from realtime.sources.open import open_video
from realtime.types import ResizedTick
from tests.support.scenes import Grey, Scene, clip_pairs, known_motions

SIZE_PX, PAIRS_A_CLIP = 256, 17
Field = NDArray[np.float32]
Pair = tuple[Grey, Grey]


def real_pairs() -> list[Pair]:
    files = [file for file in sorted(CLIPS.glob("*.*")) if file.suffix != ".md"]
    if not files:
        raise SystemExit(f"this benchmark needs video files in {CLIPS}")
    return [pair for file in files for pair in clip_pairs(file, PAIRS_A_CLIP, size_px=SIZE_PX)]


def computed(flow: Flow, pairs: Iterable[Pair]) -> tuple[list[Field], list[float]]:
    """Field of each pair, and its milliseconds of processor time, which on an idle core is wall-clock time."""
    fields, times_ms = [], []
    for previous, following in pairs:
        start = time.thread_time()
        fields.append(flow(previous, following))
        times_ms.append(1000 * (time.thread_time() - start))
    return fields, times_ms


def energies(pairs: list[Pair], fields: list[Field], cubic: float = -0.75) -> NDArray[np.float64]:
    return np.array([energy(*pair, field, cubic=cubic) for pair, field in zip(pairs, fields, strict=True)])


def spread(values: NDArray[np.float64]) -> dict[str, float]:
    return {
        "median": round(float(np.median(values)), 4),
        "p90": round(float(np.percentile(values, 90)), 4),
        "max": round(float(values.max()), 4),
    }


def endpoint_error_px(scene: Scene, field: Field) -> float:
    return float(np.hypot(*(field - scene.flow))[scene.visible].mean())


def check(flow: Flow, pairs: list[Pair], reference: list[Field], scenes: list[Scene]) -> dict[str, Any]:
    """Ends the benchmark if the flow is not as good as promised. The scenes are the last of the pairs."""
    fields, _ = computed(flow, pairs)
    ratio = energies(pairs, fields) / energies(pairs, reference)
    keys = energies(pairs, fields, -0.5) / energies(pairs, reference, -0.5)
    figures: dict[str, Any] = {
        "pairs": len(pairs),
        "energy_ratio": spread(ratio),
        "energy_ratio_keys": spread(keys),
    }
    real = len(pairs) - len(scenes)
    figures["to_opencv_px"] = round(
        float(
            np.mean([np.hypot(*(a - b)).mean() for a, b in zip(fields[:real], reference[:real], strict=True)])
        ),
        4,
    )
    errors = {
        scene.name: [round(endpoint_error_px(scene, field), 4) for field in (ours, theirs)]
        for scene, ours, theirs in zip(scenes, fields[real:], reference[real:], strict=True)
    }
    figures["endpoint_error_px"] = {"scene": ["tvl1", "opencv-tvl1"], **errors}
    for name, limit in (("median", 0.96), ("p90", 1.01), ("max", 1.25)):
        card.verify(f"energy ratio, {name}", figures["energy_ratio"][name], at_most=limit)
    for name, (ours, theirs) in errors.items():
        card.verify(f"end-point error of {name}, over OpenCV's", ours / theirs, at_most=1.2)
    return figures


def speed(flow: Flow, pairs: list[Pair], opencv_ms: list[float], rounds: int) -> dict[str, Any]:
    """Median of some rounds for each pair. OpenCV's was timed once: it takes long enough."""
    taken = np.array([computed(flow, pairs)[1] for _ in range(rounds + 1)])[1:]
    ours, theirs = np.median(taken, axis=0), np.array(opencv_ms)
    return {
        "tvl1_ms": card.summary(taken.ravel().tolist()),
        "opencv_ms": card.summary(opencv_ms),
        "speed_ratio_one_core": round(float(theirs.sum() / ours.sum()), 1),
        "speed_ratio_of_medians": round(float(np.median(theirs) / np.median(ours)), 1),
    }


def stream_load(clip: Path, rounds: int) -> float:
    """Processor seconds per second of video and core, of two, for a stream of flow at 25 fps: grey to network input."""
    with open_video(str(clip)) as video:
        ticks = [(tick, resize_short_side(tick.frame.rgb, SIZE_PX)) for tick in ticks_of(video, FLOW.fps)]
    seconds = []
    for _ in range(rounds):
        feed, start = FlowFeed(FLOW, "tvl1"), time.process_time()
        for tick, resized in ticks:
            feed.push(ResizedTick(tick, resized))
        feed.flush()
        seconds.append(time.process_time() - start)
    return min(seconds) * float(FLOW.fps) / len(ticks) / 2


def on_gpu(batch: int = 64) -> dict[str, Any]:
    """Pairs a second, if there is a GPU."""
    import torch

    if not torch.cuda.is_available():
        return {}
    from realtime.flow.tvl1_cuda import TvL1Cuda

    previous, following = torch.randint(
        0, 256, (2, batch, SIZE_PX, SIZE_PX), dtype=torch.uint8, device="cuda"
    )
    flow = TvL1Cuda(batch, SIZE_PX, SIZE_PX)

    def call() -> None:
        flow(previous, following)
        torch.cuda.synchronize()

    taken = card.time_ms(call, repeats=50, warm_up=10)
    return {"tvl1_cuda": {"batch": batch, **taken, "pairs_per_s": round(1000 * batch / taken["median_ms"])}}


def main_figures() -> None:
    pairs, scenes = real_pairs(), known_motions(SIZE_PX)
    real = len(pairs)
    pairs += [(scene.previous, scene.following) for scene in scenes]
    with card.cores(1):
        cv2.setNumThreads(1)
        flow = flow_method("tvl1")
        reference, opencv_ms = computed(flow_method("opencv-tvl1"), pairs)
        figures = check(flow, pairs, reference, scenes)
        figures |= speed(flow, pairs[:real], opencv_ms[:real], rounds=9)
        fields, dis_ms = computed(flow_method("dis"), pairs)
        ratio = energies(pairs, fields) / energies(pairs, reference)
        figures["dis"] = {"energy_ratio": spread(ratio), **card.summary(dis_ms)}
        figures["load_two_cores"] = round(stream_load(CLIPS / "v_Punch_g03_c01.avi", rounds=3), 4)
    card.report("flow", figures | on_gpu())


def parts(rounds: int = 15) -> None:
    """Milliseconds of a field by step and height of the scale, medians over the real pairs."""
    times_ms: dict[str, list[float]] = {"all": []}

    def timed(step: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def with_time(*arguments: Any) -> Any:
            start_ns = time.perf_counter_ns()
            done = call(*arguments)
            height_px = max(len(a) for a in arguments if isinstance(a, np.ndarray) and a.ndim > 1) // 16 * 16
            taken = times_ms.setdefault(f"{step} {height_px}", [])
            taken.append((time.perf_counter_ns() - start_ns) / 1e6)
            return done

        return with_time

    for step in (
        "load",
        "halve",
        "enlarge",
        "pack_pairs",
        "pack_quads",
        "linearise",
        "linearise_finest",
        "solve",
    ):
        setattr(tvl1, step, timed(step, getattr(tvl1, step)))
    pairs = real_pairs()
    with card.cores(1):
        flow = TvL1(SIZE_PX, SIZE_PX)
        computed(flow, pairs)
        times_ms = {"all": []}
        for _ in range(rounds):
            times_ms["all"] += computed(flow, pairs)[1]
    fields = len(times_ms["all"])
    found = {name: round(float(np.median(ms)) * len(ms) / fields, 4) for name, ms in times_ms.items()}
    for name, ms in sorted(found.items(), key=lambda item: -item[1]):
        print(f"{name:<24} {ms:.3f} ms")
    card.report("flow_parts", {"fields": fields, "ms": found})


def curve() -> None:
    pairs = real_pairs()[::2] + [(scene.previous, scene.following) for scene in known_motions(SIZE_PX)[::2]]
    points = []
    with card.cores(1):
        cv2.setNumThreads(1)
        theirs, opencv_ms = computed(flow_method("opencv-tvl1"), pairs)
        reference = energies(pairs, theirs)
        for finest_warps in (1, 2, 3, 4):
            for warps in (2, 3, 5):
                for iterations in (5, 8, 10, 15, 20, 30):
                    chosen = {"finest_warps": finest_warps, "warps": warps, "iterations": iterations}
                    flow = TvL1(SIZE_PX, SIZE_PX, scales(SIZE_PX, SIZE_PX, **chosen))
                    points.append(chosen | measured(flow, pairs, reference))
        for count in (2, 3, 4, 5):
            plan = scales(SIZE_PX, SIZE_PX)[:count]
            points.append({"scales": count} | measured(TvL1(SIZE_PX, SIZE_PX, plan), pairs, reference))
        points += [{"method": "dis"} | measured(flow_method("dis"), pairs, reference)]
    default = measured(flow_method("tvl1"), pairs, reference)
    draw(points, default, ROOT / "docs" / "flow_curve.png")
    opencv = {"ms": round(float(np.median(opencv_ms)), 1)}
    card.report("flow_curve", {"pairs": len(pairs), "opencv": opencv, "default": default, "points": points})


def measured(
    flow: Callable[[Grey, Grey], Field], pairs: list[Pair], reference: NDArray[np.float64]
) -> dict[str, Any]:
    rounds = [computed(flow, pairs) for _ in range(3)]
    ratio = energies(pairs, rounds[0][0]) / reference
    return {"ms": round(float(np.min([times for _, times in rounds])), 3), "energy_ratio": spread(ratio)}


def draw(points: list[dict[str, Any]], default: dict[str, Any], file: Path) -> None:
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5), layout="constrained")
    for quantity, colour in (("median", "tab:blue"), ("p90", "tab:orange")):
        for kind, marker in (("iterations", "o"), ("scales", "s"), ("method", "^")):
            some = [point for point in points if kind in point]
            label = f"{quantity}, {'dis' if kind == 'method' else 'varying ' + kind}"
            ratios = [point["energy_ratio"][quantity] for point in some]
            axes.plot([point["ms"] for point in some], ratios, marker, color=colour, ms=4, label=label)
        axes.plot(default["ms"], default["energy_ratio"][quantity], "*", color="black", ms=12)
    axes.axhline(1, color="grey", lw=1)
    axes.set(xlabel="ms a pair, 256 x 256, one core", ylabel="energy over OpenCV's DualTVL1", xscale="log")
    axes.set_xticks([2, 3, 5, 7, 10, 15, 20], ["2", "3", "5", "7", "10", "15", "20"])
    axes.minorticks_off()
    axes.set_title("TV-L1: energy against time; the stars are the default")
    axes.legend(fontsize=8)
    figure.savefig(file, dpi=120)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--curve", action="store_true", help="the curve instead of the figures")
    parser.add_argument("--parts", action="store_true", help="the time of each step instead of the figures")
    given = parser.parse_args()
    curve() if given.curve else parts() if given.parts else main_figures()
