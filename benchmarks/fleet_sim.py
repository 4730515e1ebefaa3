"""SIMULATION: how many nodes do so many cameras need, and how much of the time is each one watched?

    python -m benchmarks.fleet_sim [--quick]      results/fleet_sim.json

No camera, network or cluster is involved. Cameras cost what other benchmarks measured on two cores
(`benchmarks.fleet_costs`), where they are watched is decided by the program's own function, and all else is assumed
(`benchmarks.fleet_case`). Nodes die, come back and get their share again; cameras work by day and rest by night.
"""

import argparse
import gc
import math
import statistics
from dataclasses import asdict, replace
from typing import Any

from benchmarks import card
from benchmarks.fleet_case import Assumed, Case, Found
from benchmarks.fleet_costs import SIZES, Cost, Costs, read_costs
from benchmarks.fleet_world import DAY_S, World
from realtime.fleet.placement import BALANCE, OVERFULL, decide
from realtime.fleet.plan import FULL, Camera, Node

COUNTS = (10, 50, 100, 300, 1000)
KINDS = ("RGB alone, int8", "both streams, bfloat16")
"""The cheapest and the dearest are simulated."""
CAMERA_DAYS, LEAST_DAYS = 5000, 14
"""Small fleets for longer, so that nodes die in them too."""
VARIED = 100
"""The number of cameras with which the assumptions are varied."""
VARIATIONS: dict[str, dict[str, Any]] = {
    "as above": {},
    "no spare node": {"spare_share": 0.0},
    "a dead node is noticed after 15 s": {"detected_after_s": 15.0},
    "a dead node is noticed after 60 s": {"detected_after_s": 60.0},
    "a node dies every 3 days": {"dies_every_days": 3.0},
    "nodes of 8 cores": {"node_cores": 8.0},
    "nodes of 64 cores": {"node_cores": 64.0},
    "placed by mean cost, rests included": {"mean_cost": True},
    "a node is slowed every 3 days": {"slows_every_days": 3.0},
    "... and that it was late is forgotten at once": {"slows_every_days": 3.0, "remembers_s": 0.0},
}


def sizes_of(count: int, costs: Costs) -> tuple[float, ...]:
    """A third of the cameras of each size."""
    return tuple(costs.sizes[SIZES[i % len(SIZES)]] for i in range(count))


def nodes_needed(cost: Cost, sizes: tuple[float, ...], node_cores: float) -> int:
    """The fewest on which all are placed."""
    cameras = [Camera(f"c{i:04}", 0, cost.works * size) for i, size in enumerate(sizes)]
    count = math.ceil(sum(camera.cores for camera in cameras) / (FULL * node_cores))
    while len(decide(cameras, [Node(f"n{i:03}", node_cores) for i in range(count)], {})) < len(cameras):
        count += 1
    return count


def case(costs: Costs, kind: str, count: int, assumed: Assumed) -> Case:
    sizes, cost = sizes_of(count, costs), costs.by_kind[kind]
    needed = nodes_needed(cost, sizes, assumed.node_cores)
    nodes = needed + math.ceil(assumed.spare_share * needed)
    return Case(cost, costs.start_s, sizes, nodes, max(LEAST_DAYS, CAMERA_DAYS / count), assumed)


def row(case: Case, found: Found) -> dict[str, Any]:
    """The figures of a run."""
    count, hours = len(case.sizes), case.days * 24
    unwatched_s = sum(found.unwatched_s.values())
    return {
        "cameras": count,
        "cores_needed": round(sum(case.cost.works * size for size in case.sizes), 1),
        "nodes": case.nodes,
        "days": case.days,
        "deaths": found.deaths,
        "highest_by_mean": _mean(found.highest_by_mean),
        "filled": _mean(found.filled),
        "used": _mean(found.used),
        "used_most": round(max(found.used, default=0.0), 3),
        "late": round(found.late_s / case.nodes / case.days / DAY_S, 6),
        "moves_an_hour": round(found.moves.total() / hours, 3),
        "moves_an_hour_by_cause": {name: round(n / hours, 3) for name, n in sorted(found.moves.items())},
        "unwatched_s_a_camera_and_day": round(unwatched_s / count / case.days, 2),
        "by_cause": {
            name: round(seconds / count / case.days, 2) for name, seconds in sorted(found.unwatched_s.items())
        },
        "watched": round(1 - unwatched_s / count / case.days / DAY_S, 6),
        "recovered_s": {
            "median": round(statistics.median(found.recovered_s), 1) if found.recovered_s else None,
            "worst": round(max(found.recovered_s), 1) if found.recovered_s else None,
        },
        "waiting_most": found.waiting_most,
        "waited_s_by_priority": {str(k): round(v) for k, v in sorted(found.waited_s.items()) if v},
        "decide_ms": card.summary(found.decide_ms) | {"max_ms": round(max(found.decide_ms), 2)},
        "first_ms": round(found.first_ms, 2),
    }


def _mean(values: list[float]) -> float:
    return round(statistics.fmean(values), 3) if values else 0.0


def simulated(case: Case) -> dict[str, Any]:
    gc.collect()  # what the last world left behind must not count as time of `decide`
    return row(case, World(case).run())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the days; nothing is stored")
    quick = parser.parse_args().quick
    costs, assumed = read_costs(), Assumed()

    def told(kind: str, count: int, assumed: Assumed) -> dict[str, Any]:
        made = case(costs, kind, count, assumed)
        found = simulated(replace(made, days=made.days / 10) if quick else made)
        print(kind, found, flush=True)
        return found

    needed = {
        kind: {str(count): nodes_needed(cost, sizes_of(count, costs), assumed.node_cores) for count in COUNTS}
        for kind, cost in costs.by_kind.items()
    }
    rows = {kind: [told(kind, count, assumed) for count in COUNTS] for kind in KINDS}
    varied = {
        name: told(KINDS[-1], VARIED, replace(assumed, **changes)) for name, changes in VARIATIONS.items()
    }
    figures = {
        "what": "a simulation: costs as measured by other benchmarks, everything under `assumed` assumed",
        "costs": costs.document(),
        "assumed": asdict(assumed),
        "rules": {"full": FULL, "overfull": OVERFULL, "balance": BALANCE},
        "nodes_needed": needed,
        "rows": rows,
        "varied": varied,
    }
    if not quick:
        card.report("fleet_sim", figures)


if __name__ == "__main__":
    main()
