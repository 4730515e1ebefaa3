"""Are actions found in the right place and number? Pairs of clips side by side, in both orders, single clips, and
scenes without any action.

    python -m benchmarks.where [--ticks 104]      results/where.json

Each clip fills one half of a square picture: its centre, as high as the picture and half as wide. Found, missed
and extra are counted over the settled predictions of `--several`; the label of a clip is right only in its half. The
zones are the left and the right three columns of cells. A scene without an action is a still picture, one with
camera noise, one that a camera pans over, plain colours or noise. Every scene begins as if a camera were
switched on. Time is not measured, so other programs may run meanwhile.
"""

import argparse
from collections.abc import Iterator
from fractions import Fraction
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import card
from benchmarks.card import CLIPS
from benchmarks.material import RGB_MODEL, precisions
from benchmarks.reaction import SIDE_PX, pictures
from engines.engine import Engine
from engines.load import load_engines
from engines.weights.fetch import fetch
from realtime.recognizer import Output, Recognizer
from realtime.types import Event, Frame, Prediction
from realtime.zones import Zone

Pictures = NDArray[np.uint8]
LABELS = {
    "ta_chi.mp4": "tai chi",
    "clean_and_jerk.mp4": "clean and jerk",
    "v_Punch_g03_c01.avi": "punching person (boxing)",
    "eat.mkv": "sign language interpreting",
    "default_juggle.mp4": "juggling soccer ball",
}
EDGE_PX, CELL_PX = 16, 32
"""Of the 256 px square, the network sees the central 224 px."""
ZONES = (
    Zone("left", EDGE_PX, EDGE_PX, 3 * CELL_PX, 7 * CELL_PX),
    Zone("right", EDGE_PX + 4 * CELL_PX, EDGE_PX, 3 * CELL_PX, 7 * CELL_PX),
)


def clips(ticks: int) -> dict[str, Pictures]:
    """By name, (ticks, 256, 256, 3); a shorter one is repeated."""
    if not all((CLIPS / name).exists() for name in LABELS):
        raise SystemExit(f"this benchmark needs the clips {', '.join(LABELS)} in {CLIPS}")
    found = {name: pictures(CLIPS / name)[:ticks] for name in LABELS}
    return {name: np.stack(some)[np.arange(ticks) % len(some)] for name, some in found.items()}


def side_by_side(left: Pictures, right: Pictures) -> Pictures:
    quarter = SIDE_PX // 4
    return np.concatenate([each[:, :, quarter : 3 * quarter] for each in (left, right)], axis=2)


def still_scenes(shown: dict[str, Pictures], ticks: int) -> Iterator[tuple[str, Pictures]]:
    """By name; the same in every run."""
    rng = np.random.default_rng(0)
    shape = (ticks, SIDE_PX, SIDE_PX, 3)
    for name, some in shown.items():
        still = np.repeat(some[40:41], ticks, axis=0)
        yield f"still {name}", still
        yield f"grain {name}", np.clip(still + rng.normal(0, 12, shape), 0, 255).astype(np.uint8)
        wide = np.pad(some[40], ((0, 0), (40, 40), (0, 0)), mode="reflect")
        yield f"pan {name}", np.stack([wide[:, i // 2 % 80 :][:, :SIDE_PX] for i in range(ticks)])
    yield "black", np.zeros(shape, np.uint8)
    yield "grey", np.full(shape, 128, np.uint8)
    yield "noise", rng.integers(0, 256, shape, np.uint8)


def recognised(engine: Engine, shown: Pictures) -> list[Output]:
    recognizer = Recognizer({"rgb": engine}, several=True, zones=ZONES)
    frames = [Frame(picture, Fraction(i, 25), Fraction(1, 25)) for i, picture in enumerate(shown)]
    return [out for frame in frames for out in recognizer.push(frame)] + recognizer.flush()


def whole(outputs: list[Output]) -> list[Prediction]:
    return [out for out in outputs if isinstance(out, Prediction) and out.zone is None]


def actions_told(outputs: list[Output], wanted: set[str]) -> dict[str, int]:
    """Over the predictions of a scene in which these labels are right."""
    said = [{action.label for action in p.actions or ()} for p in whole(outputs)]
    return {
        "predictions": len(said),
        "found": sum(len(labels & wanted) for labels in said),
        "missed": sum(len(wanted - labels) for labels in said),
        "all": sum(labels >= wanted for labels in said),
        "extra": sum(len(labels - wanted) for labels in said),
    }


def in_halves(outputs: list[Output], halves: dict[str, str]) -> dict[str, int]:
    """How often a box of an action, and the label of a zone, is that of its half. `halves`: labels by zone."""
    boxes = right_boxes = zones = right_zones = 0
    for out in outputs:
        if isinstance(out, Prediction) and out.zone is not None:
            zones += 1
            right_zones += out.label == halves[out.zone]
        elif isinstance(out, Prediction):
            for action in out.actions or ():
                if action.where is not None and action.label in halves.values():
                    boxes += 1
                    middle_px = action.where[0] + action.where[2] / 2
                    right_boxes += halves["left" if middle_px < SIDE_PX / 2 else "right"] == action.label
    return {"boxes": boxes, "right_boxes": right_boxes, "zones": zones, "right_zones": right_zones}


def events_told(outputs: list[Output]) -> dict[str, int]:
    found = [out for out in outputs if isinstance(out, Event)]
    return {
        "whole": sum(event.id is None and event.zone is None for event in found),
        "several": sum(event.id is not None for event in found),
        "zones": sum(event.zone is not None for event in found),
    }


def total(rows: list[dict[str, int]]) -> dict[str, int]:
    return {name: sum(row[name] for row in rows) for name in rows[0]}


def measure(ticks: int) -> dict[str, Any]:
    precision = precisions()[0]
    fetch(RGB_MODEL)
    engine = load_engines(RGB_MODEL, "auto", precision, "continual", "rgb").rgb
    assert engine is not None
    shown = clips(ticks)
    pairs, singles, stills = [], [], []
    for left, right in permutations(LABELS, 2):
        outputs = recognised(engine, side_by_side(shown[left], shown[right]))
        wanted = {LABELS[left], LABELS[right]}
        halves = {"left": LABELS[left], "right": LABELS[right]}
        pairs.append(actions_told(outputs, wanted) | in_halves(outputs, halves))
        print(f"{left} | {right}: {pairs[-1]}", flush=True)
    for name, label in LABELS.items():
        singles.append(actions_told(recognised(engine, shown[name]), {label}))
        print(f"{name}: {singles[-1]}", flush=True)
    for name, scene in still_scenes(shown, ticks):
        stills.append(events_told(recognised(engine, scene)))
        print(f"{name}: {stills[-1]}", flush=True)
    minutes = len(stills) * ticks / 25 / 60
    found = {"precision": precision, "ticks": ticks, "pairs": total(pairs), "singles": total(singles)}
    return found | {"stills": total(stills) | {"scenes": len(stills), "minutes": round(minutes, 2)}}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ticks", type=int, default=104, help="of each scene, 25 a second")
    given = parser.parse_args()
    card.report("where", {"model": RGB_MODEL} | measure(given.ticks))


if __name__ == "__main__":
    main()
