"""A day of generated video through the whole chain, as fast as possible; and code that the soak test's parts share."""

import gc
import itertools
import random
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.engine import Engine
from engines.head import Head
from engines.runtime.continual import Bounds, StreamingEngine
from engines.spec import RGB, Weights
from realtime.clock import Stopwatch
from realtime.outputs.log import Line
from realtime.outputs.metrics import Metrics
from realtime.outputs.rotating_log import RotatedLog
from realtime.recognizer import Recognizer
from realtime.session import Session
from realtime.turns import run_sessions
from realtime.types import Frame
from tests.support.watching import resident_mb

WARM_UP = 0.1
"""Share of each run after which memory must not grow."""
LABELS = tuple(f"action {i}" for i in range(20))
SIDE_PX = 256


class Cheap:
    """Graphs of an engine that does almost nothing: the logits are the brightness of the chunk. See
    `engines.runtime.continual`."""

    def fresh(self, batch: int) -> NDArray[np.float32]:
        return np.zeros((batch, 7, len(LABELS)), np.float32)

    def run(
        self, chunk: NDArray[Any], bounds: Bounds, memory: Any, preview: bool
    ) -> tuple[NDArray[np.float32], Any]:
        logits = np.zeros((len(chunk), 1, len(LABELS)), np.float32)
        logits[:, 0, int(chunk[0, 0, 0, 0, 0]) % len(LABELS)] = 8
        known = np.concatenate((memory, logits), axis=1)
        whole = preview or int(bounds[0, 0]) > -64 or int(bounds[0, 1]) < 8
        found = known[:, 1:] if whole else known[:, 1:2]
        return found[:, :, None, None], known[:, 1:]

    def merge(self, memories: Sequence[Any]) -> Any:
        return np.concatenate(memories)

    def split(self, memory: Any) -> list[Any]:
        return [memory[i : i + 1] for i in range(len(memory))]


def cheap_engine() -> Engine:
    weights = Weights("made", "rgb", LABELS, "0" * 64, "made for this benchmark", "none")
    head = Head(np.eye(len(LABELS), dtype=np.float32), np.zeros(len(LABELS), np.float32))
    return StreamingEngine(RGB, weights, "preview", "made", "none", "none", Cheap(), head)


@dataclass
class Day:
    """A camera with 30 pictures a second whose time stamps jitter, and which is lost for some seconds now and then. It
    waits for the recogniser."""

    hours: float
    name: str = "made"
    live: bool = False
    corrupt_packets: int = 0
    duration_s: float | None = None

    def __iter__(self) -> Iterator[Frame]:
        pictures = [np.full((SIDE_PX, SIDE_PX, 3), shade, np.uint8) for shade in range(len(LABELS))]
        chance, shift, rate = random.Random(1), Fraction(0), Fraction(30)
        for number in itertools.count():
            lost = number % 40_000 == 39_999
            shift += Fraction(chance.randrange(1, 9_000), 1000) if lost else 0
            pts = number / rate + shift
            if pts >= self.hours * 3600:
                return
            jitter = Fraction(chance.randrange(10), 1000)
            shown = pictures[number // 1700 % len(pictures)]
            yield Frame(shown, pts + jitter, 1 / rate, after_gap=lost, taken_s=time.monotonic())

    def close(self) -> None:
        pass


class Memory:
    """Resident memory over a run, as sampled by calls of `sample`."""

    def __init__(self) -> None:
        self._samples: list[tuple[float, float]] = []

    def sample(self, done: float) -> None:
        """`done`: share of the run."""
        gc.collect()
        self._samples.append((done, resident_mb()))

    def report(self) -> dict[str, Any]:
        """Growth: the last tenth compared with the tenth after the warm-up."""
        first = [mb for done, mb in self._samples if WARM_UP <= done < WARM_UP + 0.1]
        last = [mb for done, mb in self._samples if done >= 0.9]
        growth = float(np.mean(last) / np.mean(first) - 1)
        return {
            "memory_after_warm_up_mb": round(float(np.mean(first)), 1),
            "memory_at_the_end_mb": round(float(np.mean(last)), 1),
            "memory_growth": round(growth, 5),
        }


def outputs(stack: ExitStack, folder: Path) -> tuple[RotatedLog, Metrics]:
    log = stack.enter_context(
        RotatedLog(folder / "log.jsonl", largest_bytes=20e6, longest=timedelta(hours=1), keep=2)
    )
    return log, stack.enter_context(Metrics("127.0.0.1", 0))


def counted(summary: Line) -> dict[str, Any]:
    """The summary's figures, and whether they add up."""
    frames = summary["frames"]
    accounted = frames["used"] + sum(frames["dropped"].values())
    picked = (
        "ticks",
        "steps",
        "predictions",
        "events",
        "gaps",
        "reconnects",
        "level_steps",
        "wall_s",
        "ended",
    )
    figures = {
        **frames,
        "not_accounted_for": frames["decoded"] - accounted,
        "left_out": summary.get("left_out", {}),
    }
    return figures | {key: summary[key] for key in picked}


def compressed(hours: float) -> dict[str, Any]:
    """Hours of media time through the whole chain with the cheapest engine, as fast as possible."""
    memory, start_s, next_share = Memory(), time.perf_counter(), itertools.count(1)
    due = next(next_share) / 200
    lines: list[Line] = []
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        log, metrics = outputs(stack, Path(folder))

        def write(line: Line) -> None:
            nonlocal due
            log.write(line)
            metrics.write(line)
            if line["kind"] == "summary":
                lines.append(line)
            elif line["kind"] == "prediction" and line["end_s"] >= due * hours * 3600:
                memory.sample(due)
                scrape(metrics)
                due = next(next_share) / 200

        stopwatch = Stopwatch()
        recognizer = Recognizer({"rgb": cheap_engine()}, stopwatch=stopwatch)
        session = Session(Day(hours), recognizer, name="made", write=write, stopwatch=stopwatch)  # type: ignore[arg-type]
        metrics.watch("made", session.figures, stall_s=60)
        run_sessions([session])
    took_s = time.perf_counter() - start_s
    figures = {
        "media_hours": hours,
        "wall_s": round(took_s, 1),
        "times_real_time": round(hours * 3600 / took_s, 1),
    }
    return figures | counted(lines[0]) | memory.report()


def scrape(metrics: Metrics) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{metrics.port}/metrics", timeout=30) as answer:
        body: bytes = answer.read()
        return body
