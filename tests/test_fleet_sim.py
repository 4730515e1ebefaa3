"""The simulation of a fleet, in cases whose outcome is known."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.card import RESULTS
from benchmarks.fleet_case import Assumed, Case, Found
from benchmarks.fleet_costs import Cost, read_costs
from benchmarks.fleet_sim import case, nodes_needed, simulated, sizes_of
from benchmarks.fleet_world import DAY_S, World
from realtime.fleet.plan import FULL

NEVER = 1e9
QUIET = Assumed(
    dies_every_days=NEVER,
    slows_every_days=NEVER,
    works_by_day=1.0,
    works_by_night=1.0,
    cost_varies_by=0.0,
    decides_every_s=60.0,
    back_after_s=60.0,
    detected_after_s=15.0,
)
DETECTED_S, START_S = QUIET.detected_after_s, 2.0


def run(cameras: int, nodes: int, cores: float = 5.0, days: float = 60.0, **changes: Any) -> Found:
    """Of cameras that cost so many cores each, on nodes of 16."""
    start_s = changes.pop("start_s", START_S)
    assumed = replace(QUIET, **changes)
    return World(Case(Cost(cores, 0.1), start_s, (1.0,) * cameras, nodes, days, assumed)).run()


def test_while_nothing_happens_everyone_is_watched() -> None:
    found = run(cameras=6, nodes=4, days=2.0)
    assert (dict(found.unwatched_s), found.moves.total(), found.deaths, found.waiting_most) == ({}, 0, 0, 0)
    assert set(found.filled) == set(found.used) == {6 * 5 / (4 * 16)}
    assert set(found.highest_by_mean) == {10 / 7.5}


def test_a_dead_nodes_camera_is_unwatched_until_that_is_noticed_and_it_has_started() -> None:
    """One camera on each of two nodes: when a node comes back, it gets its camera back."""
    found = run(cameras=2, nodes=2, dies_every_days=2.0)
    assert found.deaths > 20
    assert {round(seconds, 6) for seconds in found.recovered_s} == {DETECTED_S + START_S}
    assert found.moves == {"death": len(found.recovered_s), "balance": len(found.recovered_s)}
    assert found.unwatched_s["death"] == pytest.approx(len(found.recovered_s) * (DETECTED_S + START_S))
    assert found.unwatched_s["move"] == pytest.approx(found.moves["balance"] * START_S)
    assert set(found.unwatched_s) == {"death", "move"}


def test_a_node_starts_one_camera_after_another() -> None:
    found = run(cameras=4, nodes=2, cores=3.0, dies_every_days=2.0)
    assert {round(seconds) for seconds in found.recovered_s} == {17, 19}


def test_nobody_moves_for_balance_before_it_has_settled() -> None:
    assert run(cameras=2, nodes=2, dies_every_days=2.0, settled_after_s=NEVER).moves["balance"] == 0


def test_a_start_fails_if_the_node_dies_meanwhile() -> None:
    seconds = 1 / DAY_S
    found = run(1, 1, days=1.0, dies_every_days=5 * seconds, start_s=20.0, decides_every_s=1.0)
    assert len(found.recovered_s) < 0.1 * found.moves["place"]
    assert max(found.recovered_s) > 2 * (QUIET.back_after_s + 20.0)
    found = run(1, 1, days=1.0, dies_every_days=10 * seconds, start_s=1000.0, decides_every_s=1.0)
    assert found.recovered_s == []


def test_without_room_the_least_important_wait_until_the_node_is_back() -> None:
    found = run(cameras=20, nodes=7, cores=4.0, dies_every_days=10.0, back_after_s=600.0)
    assert found.waiting_most >= 2
    assert found.waited_s[0] > 0
    assert found.waited_s[1] == found.waited_s[2] == 0
    assert max(found.recovered_s) == pytest.approx(600.0 + START_S, abs=2 * 60.0)


def test_who_never_fits_is_unwatched_all_the_time() -> None:
    found = run(cameras=3, nodes=1, days=1.0)
    assert found.waiting_most == 1
    assert found.unwatched_s == {"wait": DAY_S}


def test_a_node_that_was_late_gets_its_cameras_back_only_later() -> None:
    slowed = {"cores": 1.0, "days": 20.0, "slows_every_days": 2.0}
    remembers, forgets = run(33, 3, **slowed), run(33, 3, **slowed, remembers_s=0.0)
    assert 0 < remembers.late_s < forgets.late_s
    assert 0 < remembers.moves.total() < forgets.moves.total()
    assert remembers.waiting_most == forgets.waiting_most == 0


def test_nobody_waits_because_a_node_is_slow() -> None:
    found = run(cameras=6, nodes=3, slows_every_days=2.0)
    assert (found.moves.total(), found.waiting_most) == (0, 0)
    assert found.late_s > 3600


def test_cameras_placed_by_their_mean_cost_move_without_need() -> None:
    restless = {"works_by_day": 0.5, "works_by_night": 0.5, "days": 10.0}
    assert run(cameras=12, nodes=4, cores=3.0, **restless).moves.total() == 0
    assert run(cameras=12, nodes=4, cores=3.0, mean_cost=True, **restless).moves.total() > 0


def test_cameras_rest_by_night() -> None:
    found = run(cameras=12, nodes=4, cores=4.0, days=3.0, works_by_day=0.8, works_by_night=0.05)
    assert min(found.used) < 0.1
    assert max(found.used) > 0.5


def test_the_same_seed_gives_the_same_result() -> None:
    def of(seed: int) -> dict[str, Any]:
        assumed = replace(Assumed(), dies_every_days=2.0)
        made = Case(Cost(3.0, 0.1), START_S, (1.0,) * 12, 4, 5.0, assumed, seed)
        return vars(World(made).run()) | {"first_ms": 0, "decide_ms": []}

    assert of(1) == of(1) != of(2)


# Costs, and nodes


def test_costs_are_those_that_were_measured(tmp_path: Path) -> None:
    found = read_costs()
    runs = json.loads((RESULTS / "end_to_end.json").read_text())["runs"]
    for precision in ("int8", "bfloat16"):
        rgb, both = (found.by_kind[f"{name}, {precision}"] for name in ("RGB alone", "both streams"))
        assert both.works == runs[f"720p {precision}"]["cpu_seconds_a_second"]
        assert rgb.rests == both.rests < rgb.works < both.works
    shutil.copytree(RESULTS, tmp_path / "results")
    document = json.loads((RESULTS / "end_to_end.json").read_text())
    document["runs"]["720p int8"]["cpu_seconds_a_second"] *= 2
    (tmp_path / "results" / "end_to_end.json").write_text(json.dumps(document))
    before, twice = (
        read_costs(folder).by_kind["both streams, int8"] for folder in (RESULTS, tmp_path / "results")
    )
    assert twice.works == pytest.approx(2 * before.works)


@pytest.mark.parametrize(("cores", "nodes"), [(13.6, 10), (6.9, 10), (6.8, 5), (3.4, 3)])
def test_as_many_nodes_are_needed_as_hold_the_cameras(cores: float, nodes: int) -> None:
    assert round(FULL * 16, 9) == 13.6
    assert nodes_needed(Cost(cores, 0.1), (1.0,) * 10, 16.0) == nodes


def test_a_case_has_its_spare_nodes_and_a_third_of_each_size() -> None:
    costs = read_costs()
    sizes = sizes_of(100, costs)
    needed = nodes_needed(costs.by_kind["both streams, int8"], sizes, 16.0)
    assert case(costs, "both streams, int8", 100, Assumed()).nodes == needed + 1
    assert case(costs, "both streams, int8", 100, Assumed(spare_share=0.0)).nodes == needed
    assert sorted(sizes.count(size) for size in costs.sizes.values()) == [33, 33, 34]


def test_the_figures_of_a_run_are_per_camera_and_day() -> None:
    made = Case(Cost(5.0, 0.1), START_S, (1.0,) * 3, 1, 2.0, QUIET)
    found = simulated(made)
    assert found["unwatched_s_a_camera_and_day"] == pytest.approx(DAY_S / 3)
    assert found["watched"] == pytest.approx(2 / 3, abs=1e-6)
    assert (found["waiting_most"], found["recovered_s"]) == (1, {"median": None, "worst": None})
