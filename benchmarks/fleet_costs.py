"""What a camera costs, in cores, from results that other benchmarks have stored. Nothing is measured here.

Both streams: processor seconds for a second of video, from the reader to the log (`end_to_end`). RGB alone: that, less
the flow's input and the flow network's part of the engines' time. Resting (`--idle`): decoding, resizing and the
measure of motion. Other sizes of the picture: the ratio of their cost to that of 720p, both streams, bfloat16.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.card import RESULTS

PRECISIONS = ("int8", "bfloat16")
SIZES = ("480p", "720p", "1080p")


@dataclass(frozen=True)
class Cost:
    """Of a 720p camera of 25 frames a second, in cores."""

    works: float
    rests: float


@dataclass(frozen=True)
class Costs:
    """By kind, such as `RGB alone, int8`."""

    by_kind: dict[str, Cost]
    sizes: dict[str, float]
    """Cost by size of the picture, that of 720p being 1."""
    start_s: float
    """Until a camera is watched again once its server is there: the longest of twenty times."""
    held: dict[str, dict[str, float]]
    """By kind: how many live cameras `benchmarks.cameras` saw held, and on what share of its cores by these costs."""

    def document(self) -> dict[str, Any]:
        return asdict(self)


def read_costs(results: Path = RESULTS) -> Costs:
    end_to_end, peers, idle, cameras, soak = (
        json.loads((results / f"{name}.json").read_text())
        for name in ("end_to_end", "peers", "idle", "cameras", "soak")
    )
    runs = end_to_end["runs"]
    motion = idle["day"]["motion_ms_a_tick"] * 25 / 1000
    by_kind: dict[str, Cost] = {}
    for precision in PRECISIONS:
        run = runs[f"720p {precision}"]
        rests = run["decode_alone"] + run["stages"]["resize"] + motion
        both = run["cpu_seconds_a_second"]
        flow = _flow(run, peers["networks"], precision, end_to_end["machine"]["cores"])
        by_kind[f"RGB alone, {precision}"] = Cost(round(both - flow, 3), round(rests, 3))
        by_kind[f"both streams, {precision}"] = Cost(round(both, 3), round(rests, 3))
    one = runs["720p bfloat16"]["cpu_seconds_a_second"]
    sizes = {size: round(runs[f"{size} bfloat16"]["cpu_seconds_a_second"] / one, 3) for size in SIZES}
    return Costs(by_kind, sizes, soak["killed"]["recovery_max_s"], _held(cameras, by_kind))


def _flow(run: dict[str, Any], networks: dict[str, Any], precision: str, cores: int) -> float:
    """Cores that flow takes: its input on one, its network on all for its part of the engines' time."""
    rgb_ms, flow_ms = (
        networks[f"ours continual {precision} {name}"]["median_ms"] for name in ("rgb", "flow")
    )
    engines = run["stages"]["rgb and flow engine"] * cores
    taken: float = run["stages"]["flow input"] + engines * flow_ms / (rgb_ms + flow_ms)
    return taken


def _held(cameras: dict[str, Any], by_kind: dict[str, Cost]) -> dict[str, dict[str, float]]:
    kinds = {"720p both int8": "both streams, int8", "720p rgb int8": "RGB alone, int8"}
    held = {kinds[name]: row["best"]["cameras"] for name, row in cameras["rows"].items() if name in kinds}
    return {
        kind: {
            "cameras": count,
            "share": round(count * by_kind[kind].works / cameras["machine"]["cores"], 2),
        }
        for kind, count in held.items()
    }
