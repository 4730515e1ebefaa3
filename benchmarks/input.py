"""What a frame costs before the networks, all threads together, and what sampling YUV instead of RGB would change.

    python -m benchmarks.input [CLIP ...]        results/input.json; without clips: those of shared/clips

sizes          of a file at 25 and at 60 frames a second, ms of processor time for a decoded frame: decoding; and the
               whole input of an RGB stream (decode, convert, resample, resize, crop). Before: the display matrix
               of each picture is read, which keeps its buffer from the decoder, and it is converted as soon as it is
               decoded, into new memory. Now: when a tick shows it, in buffers that are used again. Page faults a frame.
               In turn, in the same process; what the networks get is the same to the bit.
sampled        not in use: Y, U and V resized each, the small picture converted. Grey levels and logits by which it
               differs, of clips enlarged to 720p and 1080p, and ms beside those of the conversion and the resize.
unreferenced   not in use: pictures that no other refers to and no tick shows are not decoded. ms of processor time for
               a picture of 1080p60 with B frames: all, without those, without any that no other refers to.
"""

import itertools
import resource
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from statistics import fmean, median
from typing import Any

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from benchmarks import card
from benchmarks.material import RGB_MODEL, SIZES_PX
from engines.load import load_engines
from engines.runtime.whole_clip import clip_logits, repeat_to
from engines.spec import RGB
from engines.weights.fetch import demo_clip, fetch
from realtime.offline import ticks_of
from realtime.outputs.video_file import VideoWriter
from realtime.pictures import resize_short_side
from realtime.reader_threads import Source, read_ahead
from realtime.sources.open import frame_times, open_video
from realtime.sources.to_rgb import ToRgb
from realtime.stages.region import rgb_input
from realtime.types import Frame, Image

SIZES, RATES = ("720p", "1080p"), (25, 60)
FRAMES, TURNS, TICKS = 150, 5, 96
BT709_LIMITED = np.array(
    [
        [1.16438, 0.0, 1.79274, -248.1],
        [1.16438, -0.21325, -0.53291, 76.88],
        [1.16438, 2.1124, 0.0, -289.02],
    ]
)
"""From Y, U, V and 1 to R, G, B."""


class Before:
    """Source: reads the display matrix of each frame and converts it as soon as it is decoded, into memory of its own.
    The slow reference."""

    live, corrupt_packets = False, 0

    def __init__(self, path: Path) -> None:
        self.name, self._path = str(path), path

    def __iter__(self) -> Iterator[Frame]:
        reformatter = VideoReformatter()
        with av.open(str(self._path)) as file:
            stream = file.streams.video[0]
            stream.thread_type = "AUTO"
            for picture in file.decode(stream):
                picture.side_data.get("DISPLAYMATRIX")  # type: ignore[call-overload]
                rgb = reformatter.reformat(picture, format="rgb24", threads=1).to_ndarray()
                pts, duration = (
                    n * Fraction(stream.time_base or 1) for n in (picture.pts or 0, picture.duration)
                )
                yield Frame(rgb, pts, duration)

    def close(self) -> None:
        """Nothing to close."""


def networks_get(video: Source) -> Iterator[Image]:
    """What an RGB network is given, as `realtime.stages.inputs` makes it."""
    last: Frame | None = None
    for tick in ticks_of(read_ahead(video), RGB.fps):
        if tick.frame is not last:
            last, image = tick.frame, resize_short_side(tick.frame.rgb, RGB.short_side_px)
        yield rgb_input(image, RGB)


def cost(call: Callable[[], object]) -> tuple[float, float]:
    """Milliseconds of processor time and page faults, of all threads, for each of `FRAMES`."""
    faults, start_s = resource.getrusage(resource.RUSAGE_SELF).ru_minflt, time.process_time()
    call()
    spent_s = time.process_time() - start_s
    return 1000 * spent_s / FRAMES, (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults) / FRAMES


def sizes(path: Path) -> dict[str, float]:
    """The medians of several turns."""

    def decode() -> None:
        with open_video(path) as video:
            for _ in video.times():
                pass

    def now() -> Iterator[Image]:
        with open_video(path) as video:
            yield from networks_get(video)

    for ours, other in zip(now(), networks_get(Before(path)), strict=True):
        if not np.array_equal(ours, other):
            raise SystemExit("not timed: what the networks get differs")
    ways: dict[str, Callable[[], Any]] = {
        "decode": decode,
        "before": lambda: sum(1 for _ in networks_get(Before(path))),
        "now": lambda: sum(1 for _ in now()),
    }
    turns: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for _ in range(TURNS):
        for name, call in ways.items():
            turns[name].append(cost(call))
    ms = {name: median(each[0] for each in found) for name, found in turns.items()}
    faults = {f"{name}_faults": median(each[1] for each in found) for name, found in turns.items()}
    ratios = {
        "ratio": ms["now"] / ms["before"],
        "ratio_without_decoding": (ms["now"] - ms["decode"]) / (ms["before"] - ms["decode"]),
    }
    return {name: round(value, 3) for name, value in (ms | faults | ratios).items()}


def sampled(picture: Any, size_px: tuple[int, int]) -> Image:
    """A picture in BT.709, as `VideoWriter` writes it, at this width and height."""
    planes = [np.frombuffer(p, np.uint8).reshape(p.height, p.line_size)[:, : p.width] for p in picture.planes]
    small = [cv2.resize(plane, size_px, interpolation=cv2.INTER_LINEAR) for plane in planes]
    return np.asarray(cv2.transform(cv2.merge(small), BT709_LIMITED), np.uint8)


def sampling(path: Path, engine: Any) -> dict[str, float]:
    """How far it differs, and what both take."""
    to_rgb, spent_s = ToRgb(None), defaultdict[str, list[float]](list)
    inputs: list[list[Image]] = [[], []]
    greys: list[float] = []
    with av.open(str(path)) as file:
        for picture in file.decode(video=0):
            times_s = [time.perf_counter()]
            rgb = to_rgb(picture).rgb
            times_s.append(time.perf_counter())
            image = resize_short_side(rgb, RGB.short_side_px)
            times_s.append(time.perf_counter())
            other = sampled(picture, (image.shape[1], image.shape[0]))
            times_s.append(time.perf_counter())
            for name, (start_s, stop_s) in zip(
                ("convert", "resize", "sampled"), itertools.pairwise(times_s), strict=True
            ):
                spent_s[name].append(1000 * (stop_s - start_s))
            greys.append(float(cv2.absdiff(image, other).mean()))
            for ticks, each in zip(inputs, (image, other), strict=True):
                ticks.append(rgb_input(each, RGB))
    stacks = [repeat_to(np.stack(ticks), RGB.window_ticks) for ticks in inputs]
    ours, others = (clip_logits(engine, stack, len(stack)) for stack in stacks)
    apart = np.abs(ours - others)
    found = {f"{name}_ms": median(each) for name, each in spent_s.items()}
    found |= {
        "grey_mean": fmean(greys),
        "logit_mean": float(apart.mean()),
        "logit_max": float(apart.max()),
    }
    return {name: round(value, 4) for name, value in found.items()}


def enlarged(clip: Path, path: Path, height_px: int) -> Path:
    """The clip's first ticks, at this height."""
    with open_video(clip) as video:
        width_px = round(height_px * video.size_px[0] / video.size_px[1])
        with VideoWriter(path, (width_px, height_px)) as writer:
            for frame in itertools.islice(video, TICKS):
                writer.write(frame.rgb, frame.pts)
    return path


def write_at(path: Path, size_px: tuple[int, int], fps: int) -> Path:
    """The demo clip at this size and rate."""
    with open_video(demo_clip()) as video:
        frames = [frame.rgb for frame in video]
    with VideoWriter(path, size_px) as writer:
        for i in range(FRAMES):
            writer.write(frames[i % len(frames)], Fraction(i, fps))
    return path


def write_with_b_frames(path: Path) -> Path:
    """The demo clip at 1080p60 as x264 encodes files: most pictures are B frames."""
    with open_video(demo_clip()) as video, av.open(str(path), "w") as file:
        stream: Any = file.add_stream("libx264", rate=60, options={"preset": "faster", "crf": "23"})
        stream.width, stream.height = SIZES_PX["1080p"]
        for frame in itertools.islice(video, FRAMES):
            file.mux(stream.encode(VideoFrame.from_ndarray(cv2.resize(frame.rgb, SIZES_PX["1080p"]))))
        file.mux(stream.encode())
    return path


def decoded(path: Path, left_out: set[Fraction]) -> set[Fraction]:
    """The stamps that come; of the pictures in `left_out` those that no other refers to are not decoded."""
    came: set[Fraction] = set()
    with av.open(str(path)) as file:
        stream: Any = file.streams.video[0]
        for packet in file.demux(stream):
            skip = packet.pts is not None and packet.pts * packet.time_base in left_out
            stream.codec_context.skip_frame = "NONREF" if skip else "DEFAULT"
            came |= {picture.pts * picture.time_base for picture in stream.codec_context.decode(packet)}
    return came


def unreferenced(path: Path) -> dict[str, Any]:
    stamps = sorted(pts for pts, _ in frame_times(path))
    shown = {max(pts for pts in stamps if pts * 25 <= k) for k in range(int(stamps[-1] * 25) + 1)}
    ways: dict[str, set[Fraction]] = {"all": set(), "not_shown": set(stamps) - shown, "any": set(stamps)}
    came = {name: decoded(path, left_out) for name, left_out in ways.items()}
    card.verify("pictures lost that ticks show", len(shown - came["not_shown"]), at_most=0)
    times_ms: dict[str, list[float]] = defaultdict(list)
    for _ in range(TURNS):
        for name, left_out in ways.items():
            times_ms[name].append(cost(lambda left_out=left_out: decoded(path, left_out))[0])  # type: ignore[misc]
    found: dict[str, Any] = {
        name: {
            "ms": round(median(times_ms[name]), 3),
            "skipped": len(stamps) - len(came[name]),
            "shown_lost": len(shown - came[name]),
        }
        for name in ways
    }
    return found | {"pictures": len(stamps), "shown": len(shown)}


def main() -> None:
    clips = [Path(text) for text in sys.argv[1:]] or sorted(
        path for path in card.CLIPS.iterdir() if path.suffix in (".mp4", ".mkv", ".avi")
    )
    fetch(RGB_MODEL)
    engine = load_engines(RGB_MODEL, "openvino", "bfloat16", "continual", "rgb").rgb
    figures: dict[str, Any] = {"sizes": {}, "sampled": {}}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for size, fps in itertools.product(SIZES, RATES):
            path = write_at(folder / f"{size}{fps}.mp4", SIZES_PX[size], fps)
            row = figures["sizes"][f"{size}{fps}"] = sizes(path)
            print(f"{size}{fps}", row, flush=True)
        figures["unreferenced"] = unreferenced(write_with_b_frames(folder / "b.mp4"))
        print("unreferenced", figures["unreferenced"], flush=True)
        for clip, size in itertools.product(clips, SIZES):
            path = enlarged(clip, folder / "clip.mp4", SIZES_PX[size][1])
            row = figures["sampled"][f"{clip.name} {size}"] = sampling(path, engine)
            print(clip.name, size, row, flush=True)
    card.report("input", figures)


if __name__ == "__main__":
    main()
