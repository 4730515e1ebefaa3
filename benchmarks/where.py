"""Are actions found in the right place and number? Pairs of clips side by side, in both orders, four in the quarters,
single clips, and scenes without any action.

    python -m benchmarks.where [--ticks 256]      results/where.json

Each clip of a pair fills one half of a square picture: its centre, as high as the picture and half as wide. A clip in
a quarter is half as large. Found, missed and extra are counted over the settled predictions of `--several`; the label
of a clip is right only in its half. Both actions are going on where each clip, beside plain grey, is named rightly
with a probability of at least 0.5. The zones are the left and the right three columns of cells. A scene without an
action is a still picture, one with camera noise, one that a camera pans over, plain colours or noise. Every scene
begins as if a camera were switched on. Time is not measured, so other programs may run meanwhile.
"""

import argparse
from collections.abc import Iterator
from fractions import Fraction
from itertools import combinations, permutations
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks import card
from benchmarks.card import CLIPS
from benchmarks.material import RGB_MODEL, checked_engines, precisions
from benchmarks.reaction import SIDE_PX, pictures
from engines.engine import Engine
from engines.spec import Mode
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
STREAMING: tuple[Mode, ...] = ("continual", "preview")
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


def quarters(four: list[Pictures]) -> Pictures:
    """Each at half its size, in the square that the network sees."""
    side = 7 * CELL_PX // 2
    whole = np.zeros_like(four[0])
    for number, some in enumerate(four):
        y, x = (EDGE_PX + side * place for place in divmod(number, 2))
        for picture, small in zip(whole, some, strict=True):
            picture[y : y + side, x : x + side] = cv2.resize(
                small, (side, side), interpolation=cv2.INTER_AREA
            )
    return whole


def going_on(engine: Engine, shown: dict[str, Pictures]) -> dict[str, list[bool]]:
    """By clip, after which predictions its half alone is named rightly."""
    found = {}
    for name, some in shown.items():
        alone = whole(recognised(engine, side_by_side(some, np.full_like(some, 128))))
        found[name] = [p.label == LABELS[name] and p.probability >= 0.5 for p in alone]
    return found


def recognised(engine: Engine, shown: Pictures) -> list[Output]:
    recognizer = Recognizer({"rgb": engine}, several=True, zones=ZONES)
    frames = [Frame(picture, Fraction(i, 25), Fraction(1, 25)) for i, picture in enumerate(shown)]
    return [out for frame in frames for out in recognizer.push(frame)] + recognizer.flush()


def whole(outputs: list[Output]) -> list[Prediction]:
    return [out for out in outputs if isinstance(out, Prediction) and out.zone is None and out.settled]


def actions_told(outputs: list[Output], wanted: set[str], going: list[bool] | None = None) -> dict[str, Any]:
    """Over the predictions of a scene in which these labels are right. `going`: after which all of them go on."""
    said = [{action.label for action in p.actions or ()} for p in whole(outputs)]
    going = [True] * len(said) if going is None else going
    extra = [out for out in outputs if isinstance(out, Event) and out.id and out.label not in wanted]
    return {
        "predictions": len(said),
        "found": sum(len(labels & wanted) for labels in said),
        "all": sum(labels >= wanted for labels in said),
        "going": sum(going),
        "all_going": sum(labels >= wanted for labels, goes_on in zip(said, going, strict=True) if goes_on),
        "extra_events": len(extra),
        "longest_extra_s": max((round(event.end_s - event.start_s, 2) for event in extra), default=0.0),
        "seconds": round(whole(outputs)[-1].end_s, 2),
    }


def in_halves(outputs: list[Output], halves: dict[str, str], going: dict[str, list[bool]]) -> dict[str, int]:
    """How often a box of an action, and the label of a zone, is that of its half.

    `halves`: labels by zone. `going`: after which predictions the action of a zone goes on, by zone.
    """
    boxes = right_boxes = zones = right_zones = zones_going = right_zones_going = 0
    goes_on = {name: iter(each) for name, each in going.items()}
    for out in outputs:
        if isinstance(out, Prediction) and not out.settled:
            continue
        if isinstance(out, Prediction) and out.zone is not None:
            right, now = out.label == halves[out.zone], next(goes_on[out.zone])
            zones, right_zones = zones + 1, right_zones + right
            zones_going, right_zones_going = zones_going + now, right_zones_going + (right and now)
        elif isinstance(out, Prediction):
            for action in out.actions or ():
                if action.where is not None and action.label in halves.values():
                    boxes += 1
                    middle_px = action.where[0] + action.where[2] / 2
                    right_boxes += halves["left" if middle_px < SIDE_PX / 2 else "right"] == action.label
    return {
        "boxes": boxes,
        "right_boxes": right_boxes,
        "zones": zones,
        "right_zones": right_zones,
        "zones_going": zones_going,
        "right_zones_going": right_zones_going,
    }


def events_told(outputs: list[Output]) -> dict[str, int]:
    found = [out for out in outputs if isinstance(out, Event)]
    return {
        "whole": sum(event.id is None and event.zone is None for event in found),
        "several": sum(event.id is not None for event in found),
        "zones": sum(event.zone is not None for event in found),
    }


def total(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Sums, and the longest extra event of all."""
    return {
        name: max(row[name] for row in rows)
        if name.startswith("longest")
        else round(sum(row[name] for row in rows), 2)
        for name in rows[0]
    }


def measure(mode: Mode, precision: str, ticks: int) -> dict[str, Any]:
    engine = checked_engines(precision, mode, "rgb", RGB_MODEL).rgb
    assert engine is not None
    shown = clips(ticks)
    going = going_on(engine, shown)
    pairs, fours, singles, stills = [], [], [], []
    for left, right in permutations(LABELS, 2):
        outputs = recognised(engine, side_by_side(shown[left], shown[right]))
        halves = {"left": LABELS[left], "right": LABELS[right]}
        both = [all(each) for each in zip(going[left], going[right], strict=True)]
        each = {"left": going[left], "right": going[right]}
        pairs.append(actions_told(outputs, set(halves.values()), both) | in_halves(outputs, halves, each))
        print(f"{mode} {precision} {left} | {right}: {pairs[-1]}", flush=True)
    for names in combinations(LABELS, 4):
        outputs = recognised(engine, quarters([shown[name] for name in names]))
        fours.append(actions_told(outputs, {LABELS[name] for name in names}))
        print(f"{mode} {precision} quarters: {fours[-1]}", flush=True)
    for name, label in LABELS.items():
        singles.append(actions_told(recognised(engine, shown[name]), {label}))
        print(f"{mode} {precision} {name}: {singles[-1]}", flush=True)
    for name, scene in still_scenes(shown, ticks // 2):
        stills.append(events_told(recognised(engine, scene)))
        print(f"{mode} {precision} {name}: {stills[-1]}", flush=True)
    minutes = {"scenes": len(stills), "minutes": round(len(stills) * (ticks // 2) / 25 / 60, 2)}
    rows = {"pairs": pairs, "quarters": fours, "singles": singles, "stills": stills}
    found = {name: total(some) for name, some in rows.items()}
    return found | {"stills": found["stills"] | minutes}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ticks", type=int, default=256, help="of each scene, 25 a second")
    given = parser.parse_args()
    rows = {
        f"{mode} {precision}": measure(mode, precision, given.ticks)
        for mode in STREAMING
        for precision in precisions()
        if precision != "float32"
    }
    card.report("where", {"model": RGB_MODEL, "ticks": given.ticks, "rows": rows})


if __name__ == "__main__":
    main()
