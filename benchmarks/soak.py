"""Does it stay up? A day of video as fast as possible, half an hour of an RTSP camera, and a server killed 20 times.

    make soak                                                     about an hour; writes results/soak.json
    python -m benchmarks.soak --media-hours 0.5 --rtsp-s 25 --kills 3 --out short.json     a minute and a half

The camera has every output: log, metrics, MQTT (needs mosquitto), annotated video, timeline, clips and snapshots of
events. It fails where memory grows by 1 % after the warm-up, lag grows, a frame is dropped as late or not accounted
for, or a recovery takes over 5 s. What an output left out is in the figures.
"""

import argparse
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import card
from benchmarks.material import real_ticks
from benchmarks.soak_day import WARM_UP, Memory, compressed, counted, outputs
from engines.load import load_engines
from realtime.clock import Stopwatch
from realtime.commands.outputs import OutputOptions, mqtt_queue
from realtime.commands.sinks import SourceOutputs
from realtime.outputs.log import Line
from realtime.outputs.video_file import VideoWriter
from realtime.recognizer import Recognizer
from realtime.session import Session
from realtime.sources.open import open_video
from realtime.sources.reconnect import keep_open
from realtime.turns import run_sessions
from realtime.worker_threads import submit
from tests.support.made_clips import every, write_clip
from tests.support.servers import free_port, rtsp_server
from tests.support.watching import assert_whole, killed_and_started

MOST_GROWTH = 0.01


def from_rtsp(clip: Path, seconds: float, mode: str, precision: str | None) -> dict[str, Any]:
    """A camera for `seconds`, through a real engine and all outputs."""
    clips = real_ticks() if precision == "int8" else None  # to calibrate it on
    engines = load_engines("kinetics", precision=precision, mode=mode, concurrent=True, clips=clips)  # type: ignore[arg-type]
    memory, lags, lines = Memory(), [], []
    done = threading.Event()
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        folder = Path(scratch)
        served = folder / "served"
        served.mkdir()
        as_h264(clip, served / "clip.mp4")
        server = stack.enter_context(rtsp_server(served))
        log, metrics = outputs(stack, folder)
        mqtt = mqtt_queue(stack, stack.enter_context(broker(folder)), wait=False)

        def write(line: Line) -> None:
            log.write(line)
            metrics.write(line)
            mqtt.push(line)
            if line["kind"] in ("summary", "level", "connection"):
                lines.append(line)

        stopwatch = Stopwatch()
        recognizer = Recognizer(engines.by_stream, stopwatch=stopwatch, submit=submit)
        video = keep_open(server.url("clip.mp4?play_count=0"), partial(open_video, keep_packets=True))
        made = SourceOutputs(every_output(folder), video, recognizer, "cam")
        session = Session(
            video,
            recognizer,
            name="cam",
            write=write,
            sinks=made.sinks,
            left_out=lambda: made.left_out() | {mqtt.name: mqtt.left_out["cam"]},
            stopwatch=stopwatch,
        )
        metrics.watch("cam", session.figures, stall_s=5)

        def look() -> None:
            start_s = time.monotonic()
            while not done.wait(min(1.0, seconds / 200)):
                share = (time.monotonic() - start_s) / seconds
                memory.sample(share)
                if session.pace is not None:
                    lags.append((share, session.pace.lag_s))
                if share >= 1:
                    session.mailbox.stop()
                    return

        watcher = threading.Thread(target=look)
        watcher.start()
        started_s = time.process_time()
        try:
            run_sessions([session])
        finally:
            done.set()
            watcher.join()
        red = [name for name in ("cam",) if metrics.trouble(name)]
        saved = {kind: len(list((folder / kind).iterdir())) for kind in ("clips", "snapshots")}
    figures = {"seconds": seconds, "engine": engines.reason, "mode": mode, "unhealthy_at_the_end": red}
    figures |= {"saved": saved, "processor_share": round((time.process_time() - started_s) / seconds, 3)}
    stages = {f"{stage}_share": round(s / seconds, 3) for stage, s in stopwatch.seconds.items()}
    return figures | counted(lines[-1]) | stages | lag_report(lags) | memory.report()


def every_output(folder: Path) -> OutputOptions:
    """Pictures and videos of all kinds. The timeline is drawn only at the end."""
    return OutputOptions(
        annotate=folder / "annotated.mp4",
        timeline=folder / "timeline.png",
        save_clips=folder / "clips",
        save_snapshots=folder / "snapshots",
        clips_mb=50,
    )


@contextmanager
def broker(folder: Path) -> Iterator[str]:
    """Address of a mosquitto of its own."""
    program = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        raise SystemExit("the camera's half hour needs an MQTT broker; install it: apt install mosquitto")
    config, port = folder / "mosquitto.conf", free_port()
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    process = subprocess.Popen(
        [program, "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        until_s = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                if time.monotonic() > until_s:
                    raise
                time.sleep(0.05)
        yield f"mqtt://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def as_h264(clip: Path, path: Path) -> None:
    """Convert the clip to a format that the server can send."""
    with open_video(clip) as video, VideoWriter(path, video.size_px) as writer:
        for frame in video:
            writer.write(frame.rgb, frame.pts)


def lag_report(lags: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """Seconds that frames waited in the first and the last third after the warm-up."""
    after = [(share, lag) for share, lag in lags if share >= WARM_UP]
    first = [lag for share, lag in after if share < 0.4]
    last = [lag for share, lag in after if share >= 0.7]
    every = [lag for _, lag in after]
    return {
        "lag_p50_s": round(float(np.median(every)), 3),
        "lag_p95_s": round(float(np.percentile(every, 95)), 3),
        "lag_max_s": round(max(every), 3),
        "lag_p95_first_third_s": round(float(np.percentile(first, 95)), 3),
        "lag_p95_last_third_s": round(float(np.percentile(last, 95)), 3),
    }


def kills(times: int) -> dict[str, Any]:
    """Seconds from each start of the server to the first prediction after it."""
    with tempfile.TemporaryDirectory() as folder:
        write_clip(Path(folder) / "clip.mp4", every(Fraction(1, 25), 256))
        with rtsp_server(Path(folder)) as server:
            watching, took_s = killed_and_started(server, times, random.Random(3))
    assert_whole(watching)
    return {
        "kills": times,
        "recovery_median_s": round(float(np.median(took_s)), 3),
        "recovery_max_s": round(max(took_s), 3),
    } | counted(watching.kinds("summary")[0])


def failures(figures: dict[str, Any]) -> list[str]:
    """Requirements that are not met."""
    found = []
    for part, values in figures.items():
        if values.get("not_accounted_for"):
            found.append(f"{part}: {values['not_accounted_for']} frames are not accounted for")
        if values.get("memory_growth", 0) >= MOST_GROWTH:
            found.append(f"{part}: memory grew by {values['memory_growth']:.2%}")
        if values.get("recovery_max_s", 0) > 5:
            found.append(f"{part}: a recovery took {values['recovery_max_s']} s")
        if late := values.get("dropped", {}).get("late", 0):
            found.append(f"{part}: {late} frames were dropped as late")
        if values.get("lag_max_s", 0) > 1.05:
            found.append(f"{part}: a frame waited {values['lag_max_s']} s")
        if values.get("lag_p95_last_third_s", 0) > values.get("lag_p95_first_third_s", 0) + 0.25:
            found.append(f"{part}: lag grew")
        if values.get("unhealthy_at_the_end"):
            found.append(f"{part}: not healthy at the end")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--media-hours", type=float, default=24)
    parser.add_argument("--rtsp-s", type=float, default=1800)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--clip", type=Path, help="Video that the RTSP server shows; default: the demo clip.")
    parser.add_argument("--mode", default="continual")
    parser.add_argument("--precision")
    parser.add_argument("--out", type=Path, help="Write the figures here instead of into results.")
    options = parser.parse_args()
    figures: dict[str, Any] = {}
    if options.kills:
        figures["killed"] = kills(options.kills)
    if options.media_hours:
        figures["compressed"] = compressed(options.media_hours)
    if options.rtsp_s:
        from engines.weights.fetch import demo_clip

        figures["rtsp"] = from_rtsp(
            options.clip or demo_clip(), options.rtsp_s, options.mode, options.precision
        )
    if options.out:
        options.out.write_text(json.dumps(figures, indent=2) + "\n")
    else:
        card.report("soak", figures)
    wrong = failures(figures)
    print("\n".join(wrong) or "all requirements are met", file=sys.stderr)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
