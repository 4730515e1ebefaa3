"""What resting saves while nothing moves, what it loses, and what wakes it for nothing.

    python -m benchmarks.idle      results/idle.json, in about four minutes of processor time

day      A shortened day of three cameras: a still picture, a real clip that begins and ends with it, a still picture
         again; with noise of a sensor, and compressed as cameras do (H.264, a key frame every 2 s). The same video goes
         through a recogniser that rests and one that does not.
stills   Nothing but still pictures, through the measure of motion alone: how often it would have woken the engines.

An event of the action is found if the recogniser that rests has one of the same label at the same time. RGB alone,
`continual`, in the default precision of this machine. Times are those of the processor, so that other work on the
machine hardly shows.
"""

import tempfile
import time
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import av
import numpy as np

from benchmarks import card
from benchmarks.card import CLIPS
from benchmarks.material import RGB_MODEL, checked_engines, precisions
from benchmarks.reaction import LABELS, SIDE_PX, pictures
from engines.load import Engines
from engines.spec import RGB
from realtime.clock import StageName, Stopwatch
from realtime.recognizer import Recognizer
from realtime.sources.open import open_video
from realtime.stages.motion import Motion
from realtime.types import Event, Idle, Image

FPS = 25
STILL_S = 40
IDLE_S = 10.0
NOISE = 4.0
"""Grey levels: a cheap camera in a room."""
STILLS_S = 300
CAMERA = {"preset": "veryfast", "crf": "26", "bf": "0"}
"""Three pictures of 256 x 256 px: about 150 kbit a second."""
LOW_RATE = {"preset": "veryfast", "b": "60k", "maxrate": "60k", "bufsize": "60k", "bf": "0"}
EARLIEST_S = 0.1
"""A wake-up that comes this much before the clip has another reason."""


def noisy(frames: Iterable[np.ndarray], level: float = NOISE) -> Iterator[Image]:
    """With noise: one of a few pictures of it, shifted, is added to each frame."""
    generator = np.random.default_rng(0)
    few = generator.normal(0, level, (16, SIDE_PX, SIDE_PX, 1)).astype(np.float32)
    for frame in frames:
        noise = np.roll(few[generator.integers(16)], generator.integers(SIDE_PX), axis=0)
        yield np.clip(frame + noise + 0.5, 0, 255).astype(np.uint8)


def encode(path: Path, frames: Iterable[Image], options: dict[str, str]) -> Path:
    with av.open(str(path), "w") as file:
        stream: Any = file.add_stream("libx264", rate=FPS, options={**options, "g": str(2 * FPS)})
        stream.width = stream.height = SIDE_PX
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        file.mux(stream.encode())
    return path


def watched(path: Path, engines: Engines, idle_s: float | None) -> tuple[list[Any], Recognizer, Stopwatch]:
    """All outputs."""
    stopwatch = Stopwatch(time.process_time)
    recognizer = Recognizer(engines.by_stream, idle_s=idle_s, stopwatch=stopwatch)
    with open_video(path) as video:
        outputs = [out for frame in video for out in recognizer.push(frame)]
    return outputs + recognizer.flush(), recognizer, stopwatch


def camera(path: Path, clip_s: float, engines: Engines) -> dict[str, float]:
    """One of the day: figures of both recognisers."""
    action_s = (float(STILL_S), STILL_S + clip_s)
    before, plain, plain_watch = watched(path, engines, None)
    after, resting, watch = watched(path, engines, IDLE_S)
    wanted = events(before, action_s)
    pairs = [(one, found) for one in wanted if (found := same(one, events(after, action_s))) is not None]
    wakes = [
        float(out.at) for out in after if isinstance(out, Idle) and not out.resting and out.since < out.at
    ]
    return {
        "media_s": plain.counts.ticks / FPS,
        "resting_s": resting.counts.idle_ticks / FPS,
        "engine_s_without": plain_watch.seconds[StageName.RGB_ENGINE],
        "engine_s_with": watch.seconds[StageName.RGB_ENGINE],
        "motion_s": watch.seconds[StageName.MOTION],
        "steps_without": plain.counts.steps,
        "steps_with": resting.counts.steps,
        "events_without": len(wanted),
        "events_found": len(pairs),
        "start_off_s": max((off_s(one, found, action_s[0]) for one, found in pairs), default=0.0),
        "events_of_stills_without": len(events(before)) - len(wanted),
        "events_of_stills_with": len(events(after)) - len(events(after, action_s)),
        "false_wake_ups": sum(not action_s[0] - EARLIEST_S <= at_s <= action_s[1] for at_s in wakes),
    }


def events(outputs: list[Any], within_s: tuple[float, float] = (0.0, np.inf)) -> list[Event]:
    """Those that overlap a time."""
    found = [out for out in outputs if isinstance(out, Event)]
    return [event for event in found if event.start_s < within_s[1] and event.end_s > within_s[0]]


def off_s(event: Event, found: Event, earliest_s: float) -> float:
    """How far apart they begin; what begins earlier counts as beginning there."""
    return abs(max(event.start_s, earliest_s) - max(found.start_s, earliest_s))


def same(event: Event, others: list[Event]) -> Event | None:
    """The other one of its label that begins at the nearest time and overlaps it."""
    overlap = [
        other
        for other in others
        if other.label == event.label and other.start_s < event.end_s and other.end_s > event.start_s
    ]
    return min(overlap, key=lambda other: abs(other.start_s - event.start_s), default=None)


def day(engines: Engines, folder: Path) -> dict[str, float]:
    """Sums over the cameras; the start that is furthest off."""
    rows = []
    for name in LABELS:
        clip = pictures(CLIPS / name)
        still = STILL_S * FPS
        frames = noisy(chain([clip[0]] * still, clip, [clip[-1]] * still))
        path = encode(folder / "day.mp4", frames, CAMERA)
        rows.append(camera(path, len(clip) / FPS, engines))
        print(name, rows[-1], flush=True)
    found = {key: round(sum(row[key] for row in rows), 3) for key in rows[0]}
    found["start_off_s"] = round(max(row["start_off_s"] for row in rows), 3)
    found["engine_share_saved"] = round(1 - found["engine_s_with"] / found["engine_s_without"], 3)
    found["steps_share_saved"] = round(1 - found["steps_with"] / found["steps_without"], 3)
    found["motion_ms_a_tick"] = round(1000 * found["motion_s"] / (FPS * found["media_s"]), 2)
    return found


def stills(folder: Path) -> dict[str, dict[str, float]]:
    """By what happens to the picture in which nothing moves."""
    scenes = [pictures(CLIPS / name)[0].astype(np.float32) for name in LABELS]
    count = STILLS_S * FPS // len(scenes)
    ticks = np.arange(count)
    clouds = 1 + 0.15 * np.sin(2 * np.pi * ticks / (20 * FPS)) + 0.03 * np.sin(2.1 * ticks)
    found = {}
    kinds = {
        "noise of 8 grey levels": lambda scene: noisy([scene] * count, 8.0),
        "exposure that changes by 15 % within 5 s, lamps that flicker": lambda scene: noisy(
            (scene * gain for gain in clouds), 2.0
        ),
        "H.264 of a low rate": lambda scene: decoded(
            encode(folder / "still.mp4", noisy([scene] * count), LOW_RATE)
        ),
    }
    for kind, made in kinds.items():
        measured = [largest for scene in scenes for largest in wakes_of(made(scene))]
        found[kind] = {
            "minutes": round(len(scenes) * count / FPS / 60, 2),
            "false_wake_ups": sum(measure > 1 for measure in measured),
            "largest": round(max(measured), 2),
        }
        print(kind, found[kind], flush=True)
    return found


def decoded(path: Path) -> Iterator[Image]:
    with open_video(path) as video:
        yield from (frame.rgb for frame in video)


def wakes_of(frames: Iterable[Image]) -> list[float]:
    """The largest measure of each second, the first two of which do not count; above 1, it wakes."""
    motion = Motion(RGB)
    measures = iter([motion.push([frame]) for frame in frames][2 * FPS :])
    return [max(second) for second in iter(lambda: list(islice(measures, FPS)), [])]


def main() -> None:
    if not all((CLIPS / name).exists() for name in LABELS):
        raise SystemExit(f"this benchmark needs the clips {', '.join(LABELS)} in {CLIPS}")
    precision = precisions()[0]
    engines = checked_engines(precision, "continual", "rgb", RGB_MODEL)
    with tempfile.TemporaryDirectory() as folder:
        figures = {
            "precision": precision,
            "idle_s": IDLE_S,
            "day": day(engines, Path(folder)),
            "stills": stills(Path(folder)),
        }
    card.report("idle", figures)


if __name__ == "__main__":
    main()
