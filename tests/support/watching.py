"""A camera watched for a while in a separate thread, and what that leaves behind."""

import os
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from realtime.outputs.log import Line
from realtime.recognizer import Recognizer
from realtime.session import Session
from realtime.sources.reconnect import Reconnecting, keep_open
from realtime.sources.video import Video
from realtime.turns import run_sessions
from realtime.types import Frame
from tests.support.doubles import PositionTicks
from tests.support.made_clips import read_number
from tests.support.servers import Server

TICK_S = 1 / 25


@dataclass
class Watching:
    """Runs a session in a thread, remembers its lines and when they came, and the number that each frame shows."""

    video: Video | Reconnecting
    recognizer: Recognizer
    lines: list[tuple[float, Line]] = field(default_factory=list)
    frames: list[tuple[int, bool]] = field(default_factory=list)
    """(number, after a gap)."""
    errors: list[Exception] = field(default_factory=list)

    def __enter__(self) -> "Watching":
        self.session = Session(self.video, self.recognizer, name="cam", write=self._write, sinks=[self])
        self._thread = threading.Thread(target=lambda: self.errors.extend(run_sessions([self.session])))
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.session.mailbox.stop()
        self._thread.join()

    def push(self, item: Any) -> None:
        if isinstance(item, Frame):
            self.frames.append((read_number(item.rgb), item.after_gap))

    def close(self) -> None:
        pass

    def kinds(self, kind: str) -> list[Line]:
        return [line for _, line in list(self.lines) if line["kind"] == kind]

    def wait_for(self, enough: Callable[[], bool], limit_s: float = 60.0) -> float:
        """Wait until `enough()` is true; the seconds that it took."""
        start_s = time.monotonic()
        while not enough():
            assert time.monotonic() - start_s < limit_s, [line for _, line in self.lines[-5:]]
            time.sleep(0.01)
        return time.monotonic() - start_s

    def _write(self, line: Line) -> None:
        self.lines.append((time.monotonic(), line))


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def assert_whole(watching: Watching, *, numbered: bool = True) -> None:
    """Every missing frame is reported, no prediction spans a gap, and the counts add up."""
    for (number, _), (following, after_gap) in pairwise(watching.frames) if numbered else ():
        assert after_gap or following == (number + 1) % 256
    spans = [
        (prediction["start_s"], prediction["end_s"], prediction["settled"], gap)
        for prediction in watching.kinds("prediction")
        for gap in watching.kinds("gap")
        # A span ends with its last tick, which lasts to the next one; a gap may begin before that.
        if prediction["start_s"] < gap["end_s"] and gap["start_s"] < prediction["end_s"] - TICK_S
    ]
    assert spans == []
    (summary,) = watching.kinds("summary")
    frames = summary["frames"]
    assert frames["decoded"] == frames["used"] + sum(frames["dropped"].values())
    assert not watching.errors


def killed_and_started(server: Server, times: int, chance: random.Random) -> tuple[Watching, list[float]]:
    """Kill and restart it at random moments; what was watched, and how long after each start a prediction came."""
    took_s: list[float] = []
    video = keep_open(server.url("clip.mp4?play_count=0"))
    with Watching(video, Recognizer({"rgb": PositionTicks("preview")})) as watching:
        watching.wait_for(lambda: bool(watching.kinds("prediction")))
        for _ in range(times):
            time.sleep(chance.uniform(0, 1.5))
            server.stop()
            time.sleep(chance.uniform(0, 1.5))
            gaps = len(watching.kinds("gap"))
            server.start()
            started_s = time.monotonic()

            def back(gaps: int = gaps) -> bool:
                since = [line["kind"] for _, line in list(watching.lines)]
                return since.count("gap") > gaps and "prediction" in since[::-1][: since[::-1].index("gap")]

            watching.wait_for(back)
            took_s.append(time.monotonic() - started_s)
    return watching, took_s
