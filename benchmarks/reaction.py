"""How soon is a change of action seen, how steady are the predictions, and at what cost? Mode x smoothing, on spliced
clips.

    python -m benchmarks.reaction [--pieces 6]      results/reaction.json and docs/reaction.png

Pieces of three real clips with known labels follow each other. Reaction: from a splice to the tick from whose frame on
the predictions have the right label until the next splice; the engine's computing time is reported separately. A false
change is any change of the leading label beyond the one at each splice. Cost: seconds of the engine for a second of
video. RGB alone, in the default precision of this machine.
"""

import argparse
import math
import time
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import card
from benchmarks.card import CLIPS, ROOT
from benchmarks.material import RGB_MODEL, checked_engines, precisions
from engines.engine import Engine, Positions
from engines.spec import MODES, RGB
from realtime.offline import ticks_of
from realtime.pictures import resize_short_side
from realtime.recognizer import Recognizer
from realtime.sources.open import open_video
from realtime.types import Frame, Prediction

LABELS = {
    "ta_chi.mp4": "tai chi",
    "clean_and_jerk.mp4": "clean and jerk",
    "v_Punch_g03_c01.avi": "punching person (boxing)",
}
PIECE_TICKS = 100
SMOOTH = (1, 2, 3, 5)
SIDE_PX = 256


def pictures(path: Path) -> list[NDArray[np.uint8]]:
    """Squares of 256 px, 25 a second."""
    with open_video(path) as video:
        resized = [resize_short_side(tick.frame.rgb, SIDE_PX) for tick in ticks_of(video, RGB.fps)]
    left = (resized[0].shape[1] - SIDE_PX) // 2
    return [np.ascontiguousarray(picture[:SIDE_PX, left : left + SIDE_PX]) for picture in resized]


def spliced(pieces: int) -> tuple[list[Frame], list[str]]:
    """Frames, and the right label of each piece of `PIECE_TICKS`."""
    if not all((CLIPS / name).exists() for name in LABELS):
        raise SystemExit(f"this benchmark needs the clips {', '.join(LABELS)} in {CLIPS}")
    shown = {name: pictures(CLIPS / name) for name in LABELS}
    frames, labels = [], []
    for piece in range(pieces):
        name = list(LABELS)[piece % len(LABELS)]
        clip = shown[name]
        # A different part of the clip each time, if there is one.
        start = min(len(clip) - PIECE_TICKS, PIECE_TICKS * (piece // len(LABELS) % 2))
        labels.append(LABELS[name])
        for picture in clip[start : start + PIECE_TICKS]:
            frames.append(Frame(picture, Fraction(len(frames), 25), Fraction(1, 25)))
    return frames, labels


class Remembering:
    """An engine that caches its steps: smoothing does not change its inputs."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known: list[tuple[Positions, Any]] = []
        self.seconds: list[float] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def start(self, batch: int = 1, lead_ticks: int = 0) -> int:
        return 0

    def step(self, chunk: NDArray[Any], state: int, *, preview: bool = True) -> tuple[Positions, int]:
        if state == len(self._known):
            inner = self._known[-1][1] if self._known else self._engine.start()
            start_s = time.perf_counter()
            self._known.append(self._engine.step(chunk, inner, preview=preview))
            self.seconds.append(time.perf_counter() - start_s)
        return self._known[state][0], state + 1


def answers(engine: Remembering, frames: list[Frame], smooth: int) -> Iterator[tuple[int, str]]:
    """The newest prediction after each frame that completed one: number of that frame, and the leading label."""
    recognizer = Recognizer({"rgb": engine}, smooth=smooth)  # type: ignore[dict-item]
    for i, frame in enumerate(frames):
        found = [item for item in recognizer.push(frame) if isinstance(item, Prediction)]
        if found:
            yield i, found[-1].label


def measured(said: list[tuple[int, str]], labels: list[str]) -> dict[str, Any]:
    """Reaction of each splice but the first piece, in ticks, and false changes a minute from the first prediction
    on."""
    reactions: list[float] = []
    for piece in range(1, len(labels)):
        begins, ends = piece * PIECE_TICKS, (piece + 1) * PIECE_TICKS
        inside = [(tick, label) for tick, label in said if begins <= tick < ends]
        stable = math.inf
        for tick, label in reversed(inside):
            if label != labels[piece]:
                break
            stable = tick - begins + 1
        reactions.append(stable)
    changes = sum(a[1] != b[1] for a, b in pairwise(said))
    minutes = (said[-1][0] - said[0][0]) / 25 / 60
    median = float(np.median(reactions))
    return {
        "reaction_ticks": None if math.isinf(median) else median,
        "reaction_s": None if math.isinf(median) else round(median / 25, 2),
        "reached": sum(not math.isinf(r) for r in reactions),
        "splices": len(reactions),
        "reactions_ticks": [None if math.isinf(r) else r for r in reactions],
        "false_changes_a_minute": round(max(0, changes - len(reactions)) / minutes, 1),
    }


def measure(pieces: int) -> dict[str, Any]:
    frames, labels = spliced(pieces)
    precision = precisions()[0]
    rows: list[dict[str, Any]] = []
    for mode in MODES:
        engine = checked_engines(precision, mode, "rgb", RGB_MODEL).rgb
        assert engine is not None
        remembering = Remembering(engine)
        for smooth in SMOOTH:
            found = measured(list(answers(remembering, frames, smooth)), labels)
            step_ms = card.summary([1000 * s for s in remembering.seconds])
            cost = sum(remembering.seconds) * 25 / len(frames)
            rows.append({"mode": mode, "smooth": smooth, "cost": round(cost, 4), "step": step_ms} | found)
            print(f"{mode:<10} smooth {smooth}: {found}", flush=True)
    draw(rows, ROOT / "docs" / "reaction.png")
    return {"precision": precision, "pieces": pieces, "piece_ticks": PIECE_TICKS, "rows": rows}


def draw(rows: list[dict[str, Any]], file: Path) -> None:
    """Plot cost against reaction time: one point for each mode and smoothing, its size the false changes."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5), layout="constrained")
    for mode, colour in zip(MODES, ("tab:blue", "tab:orange", "tab:green"), strict=True):
        some = [row for row in rows if row["mode"] == mode and row["reaction_s"] is not None]
        x, y = [row["reaction_s"] for row in some], [row["cost"] for row in some]
        sizes = [30 + 10 * row["false_changes_a_minute"] for row in some]
        axes.scatter(x, y, s=sizes, color=colour, alpha=0.6, label=mode)
        for place in sorted({(row["reaction_s"], row["cost"]) for row in some}):
            here = [row for row in some if (row["reaction_s"], row["cost"]) == place]
            axes.annotate(
                "\n".join(f"{row['smooth']}: {row['false_changes_a_minute']:.0f}" for row in here),
                place,
                textcoords="offset points",
                xytext=(0, 12),
                fontsize=9,
                ha="center",
            )
    axes.set(
        xlabel="reaction to a change of action, s of video (median)",
        ylabel="engine, share of real time",
    )
    if any(row["reaction_s"] is not None for row in rows):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("{x:g}")
    axes.set_title("Above each point, predictions averaged: false changes a minute", fontsize=10)
    axes.margins(x=0.1, y=0.25)
    axes.legend()
    figure.savefig(file, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pieces", type=int, default=6, help="of 4 s each")
    given = parser.parse_args()
    card.report("reaction", {"model": RGB_MODEL} | measure(given.pieces))


if __name__ == "__main__":
    main()
