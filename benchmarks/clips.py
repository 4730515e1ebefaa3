"""What does a clip of an event cost? 10 s of H.264, 1280 x 720 at 30 a second with sound, cut from a camera's packets.

    python -m benchmarks.clips      results/clips.json, in under a minute

Processor time of the thread that does it, not wall time: for the clip of one event, from the first packet that is
written to the finished file, and for a second of video in which nothing happens. The latter has two parts: what the
reader does beside decoding (copy packets, note their places), and what the output does (look what is over).
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from benchmarks import card
from engines.weights.fetch import demo_clip
from realtime.outputs.clip_files import Passed, Writer
from realtime.outputs.clip_folder import CLIP, ClipFolder
from realtime.outputs.event_clips import EventClips, GoingOn, without_pictures
from realtime.sources.open import open_video
from realtime.sources.packets import Keeper, Kept
from realtime.stages.events import OpenEvent
from realtime.types import Event

SIZE_PX, RATE, KEY_EVERY = (1280, 720), 30, 60
SECONDS = 40
EVENT = Event("made", 12.0, 22.0, 0.9)
DELAY_S = Fraction(6)
REPEATS = 9


def as_camera(clip: Path, path: Path) -> None:
    """The clip again and again, as a camera would send it: a key frame every two seconds, and noise for sound."""
    with open_video(clip) as video:
        pictures = [cv2.resize(frame.rgb, SIZE_PX) for frame in video]
    chance = np.random.default_rng(0)
    options = {"preset": "ultrafast", "crf": "23", "bf": "0", "g": str(KEY_EVERY)}
    with av.open(str(path), "w") as file:
        stream: Any = file.add_stream("libx264", rate=RATE, options=options)
        stream.width, stream.height = SIZE_PX
        sound: Any = file.add_stream("aac", rate=48_000)
        shown = chain.from_iterable(repeat(pictures))
        for number, rgb in zip(range(SECONDS * RATE), shown, strict=False):
            file.mux(stream.encode(VideoFrame.from_ndarray(rgb)))
            for start in range(-(-number * 1600 // 1024) * 1024, (number + 1) * 1600, 1024):
                noise = chance.normal(0, 0.1, (1, 1024)).astype(np.float32)
                heard = AudioFrame.from_ndarray(noise, "fltp", "mono")
                heard.sample_rate, heard.pts = 48_000, start
                file.mux(sound.encode(heard))
        file.mux(stream.encode())
        file.mux(sound.encode())


def frames_of(source: Path) -> list[Passed]:
    """As they come to the output, with all packets kept."""
    with open_video(source, keep_packets=True) as video:
        passed = list(map(without_pictures(), video))
    assert all(isinstance(each, Passed) for each in passed)
    return passed  # type: ignore[return-value]


def cut(source: Path, folder: Path, event: Event | None) -> float:
    """Processor seconds of the output's thread for the whole video."""
    passed = frames_of(source)
    clips = EventClips(ClipFolder(folder, CLIP, 1e9), never, DELAY_S)
    start_s = time.thread_time()
    for each in passed:
        if event is not None and each.pts == Fraction(event.start_s) + 3:
            clips.push(GoingOn(OpenEvent(event.label, event.start_s)))
        if event is not None and each.pts == Fraction(event.end_s) + 3:
            clips.push(GoingOn(None))
            clips.push(event)
        clips.push(each)
    clips.close()
    return time.thread_time() - start_s


def never(path: Path, size_px: tuple[int, int]) -> Writer:
    raise AssertionError("nothing is to be encoded")


def reading(source: Path) -> float:
    """Processor seconds of the reader's thread beside decoding, for the whole video."""
    with av.open(str(source)) as container:
        stream = container.streams.video[0]
        keeper, spent_s = Keeper(container, stream), 0.0

        def timed(call: Callable[[], Any]) -> Any:
            nonlocal spent_s
            start_s = time.thread_time()
            found = call()
            spent_s += time.thread_time() - start_s
            return found

        for packet in container.demux():
            if packet.size:
                timed(lambda packet=packet: keeper.add(packet))
            for picture in packet.decode() if packet.stream_index == stream.index else ():
                kept: Kept = timed(lambda picture=picture: keeper.kept(picture))
                timed(lambda kept=kept: kept.packets.place(kept.number, Fraction(kept.number)))
    return spent_s


def check(source: Path, clip: Path) -> None:
    """The clip begins with a key frame two seconds before its event or earlier, and has the source's pictures."""
    first = round((EVENT.start_s - 2) * RATE) // KEY_EVERY * KEY_EVERY
    last = round((EVENT.end_s + 2) * RATE)
    with av.open(str(clip)) as file:
        card.verify("key frames missing at the start", not next(file.demux(video=0)).is_keyframe, at_most=0)
    with open_video(source) as before, open_video(clip) as after:
        wanted = [frame.rgb for number, frame in enumerate(before) if first <= number <= last]
        found = [frame.rgb for frame in after]
    card.verify("pictures missing", abs(len(wanted) - len(found)), at_most=0)
    off = max(np.abs(a.astype(int) - b).max() for a, b in zip(wanted, found, strict=True))
    card.verify("difference of a pixel", float(off), at_most=0)


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder, source = Path(scratch), Path(scratch, "camera.mp4")
        as_camera(demo_clip(), source)
        cut(source, folder / "first", EVENT)
        (clip,) = (folder / "first").iterdir()
        check(source, clip)
        with_event = [cut(source, folder / f"{i}", EVENT) for i in range(REPEATS)]
        without = [cut(source, folder / "none", None) for _ in range(REPEATS)]
        read = [reading(source) for _ in range(3)]
        idle_s = statistics.median(without)
        ms = sorted(1000 * (each - idle_s) for each in with_event)
        figures = {
            "clip": f"{EVENT.end_s - EVENT.start_s:.0f} s of an event, with what is before and after",
            "video": f"H.264, {SIZE_PX[0]} x {SIZE_PX[1]}, {RATE} a second, a key frame every {KEY_EVERY}, AAC",
            "clip_mb": round(clip.stat().st_size / 1e6, 2),
            "cut_processor_ms": {
                "median": round(statistics.median(ms), 2),
                "max": round(ms[-1], 2),
                "repeats": REPEATS,
            },
            "output_ms_a_second": round(1000 * idle_s / SECONDS, 3),
            "reader_ms_a_second": round(1000 * statistics.median(read) / SECONDS, 3),
        }
    card.report("clips", figures)
    if statistics.median(ms) > 20:
        sys.exit(f"a clip cost {statistics.median(ms):.1f} ms of processor, it may be 20")


if __name__ == "__main__":
    main()
