"""The figures of the benchmarks, from predictions for which they are known."""

import importlib
import os
import subprocess
import sys

import numpy as np
import pytest

from benchmarks import card, cores, engines, idle
from benchmarks.peers import STRIDE_TICKS, ways
from benchmarks.reaction import PIECE_TICKS, measured
from realtime.types import Event
from tests.conftest import ROOT

LABELS = ["a", "b", "a", "b"]


BENCHMARKS = sorted(path.stem for path in (ROOT / "benchmarks").glob("[a-z]*.py"))


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_finds_what_it_needs(name: str) -> None:
    importlib.import_module(f"benchmarks.{name}")


def said(delay_ticks: int, every_ticks: int = 8) -> list[tuple[int, str]]:
    """Predictions that name what was shown `delay_ticks` earlier."""
    ticks = range(every_ticks - 1, len(LABELS) * PIECE_TICKS, every_ticks)
    return [(tick, LABELS[max(0, tick - delay_ticks) // PIECE_TICKS]) for tick in ticks]


def test_a_change_is_seen_once_the_predictions_stay_right() -> None:
    found = measured(said(delay_ticks=20), LABELS)
    assert found["reactions_ticks"] == [28, 24, 28]
    assert (found["reached"], found["splices"], found["false_changes_a_minute"]) == (3, 3, 0)
    assert found["reaction_s"] == 28 / 25


def test_a_prediction_that_wavers_is_late_and_counted() -> None:
    answers = said(delay_ticks=20)
    at = next(i for i, (tick, _) in enumerate(answers) if tick >= PIECE_TICKS + 60)
    answers[at] = (answers[at][0], "c")
    found = measured(answers, LABELS)
    assert found["reactions_ticks"] == [answers[at + 1][0] - PIECE_TICKS + 1, 24, 28]
    minutes = (answers[-1][0] - answers[0][0]) / 25 / 60
    assert found["false_changes_a_minute"] == pytest.approx(2 / minutes, abs=0.05)


def test_a_change_that_is_never_seen_has_no_time() -> None:
    found = measured([(tick, "a") for tick, _ in said(20)], LABELS)
    assert found["reactions_ticks"][0] is None
    assert found["reached"] == 1
    assert found["reaction_s"] is None


def test_the_baseline_is_two_networks_and_a_flow_field_for_each_tick() -> None:
    times = {"eager window rgb": 1000, "eager window flow": 1100}
    times |= {"ours continual float32 rgb": 100, "ours continual float32 flow": 110, "X3D-M rgb": 200}
    networks = {name: {"median_ms": ms} for name, ms in times.items()}
    fields = {"opencv-tvl1": 700, "dis": 2, "farneback": 20, "tvl1": 9}
    found = ways(networks, {name: {"median_ms": ms} for name, ms in fields.items()})
    usual = 2100 + STRIDE_TICKS * 700
    ours = 210 + STRIDE_TICKS * 9
    assert found["eager window, DualTVL1"] == {"ms": usual, "load": usual / 320, "usual_over_it": 1}
    assert found["ours continual float32, our TV-L1"]["usual_over_it"] == round(usual / ours, 1)
    assert found["X3D-M, RGB alone"]["load"] == 200 / 320


def placed(places: str) -> dict[str, dict[str, dict[str, float]]]:
    """The times of two calls whose cores are near (n) or far (f), before and after each turn, as `places` says."""
    left = iter(places)
    nothing = {"a": lambda: None, "b": lambda: None}
    found = engines.in_turns(nothing, rounds=1, near=lambda: next(left) == "n")
    assert not list(left), "turns were left out"
    return found


def test_a_step_on_far_cores_has_its_own_figures() -> None:
    found = placed("ffffnnnn")
    assert {place: times["a"]["repeats"] for place, times in found.items()} == {"near": 4, "far": 4}


def test_a_turn_in_which_the_cores_move_does_not_count() -> None:
    found = placed("nfnnnn")
    assert {name: times["repeats"] for name, times in found["near"].items()} == {"a": 4, "b": 4}
    assert "far" not in found


def test_what_is_not_timed_on_the_same_cores_is_not_compared() -> None:
    with pytest.raises(SystemExit, match="run again"):
        placed("nn" + "ff" * engines.MOST_ROUNDS)


def test_the_time_to_pass_a_number_between_cores_is_plausible() -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two cores")
    allowed = os.sched_getaffinity(0)
    assert 1 < cores.one_way_ns() < 1e6
    assert os.sched_getaffinity(0) == allowed


def test_a_wrong_result_is_not_timed() -> None:
    card.verify("a difference", 0.1, at_most=0.1)
    for value in (0.2, float("nan")):
        with pytest.raises(SystemExit, match="not timed: a difference"):
            card.verify("a difference", value, at_most=0.1)


def test_the_memory_of_a_process_is_not_that_of_its_parent() -> None:
    held = b"x" * 200_000_000
    code = "from benchmarks.card import peak_memory_mb; print(peak_memory_mb())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert card.peak_memory_mb() > len(held) / 1e6 > float(done.stdout) > 5


def test_an_event_is_found_if_one_of_its_label_overlaps_it() -> None:
    wanted = Event("yoga", 10.0, 14.0, 0.9)
    others = [Event("yoga", 2.0, 9.9, 0.9), Event("lunge", 10.0, 14.0, 0.9), Event("yoga", 14.0, 20.0, 0.9)]
    assert idle.same(wanted, others) is None
    early, near = Event("yoga", 3.0, 10.5, 0.9), Event("yoga", 11.0, 12.0, 0.9)
    assert idle.same(wanted, [*others, early, near]) == near


def test_what_began_before_the_action_is_not_off() -> None:
    assert idle.off_s(Event("a", 2.0, 50.0, 0.9), Event("a", 37.5, 50.0, 0.9), 40.0) == 0
    assert idle.off_s(Event("a", 41.0, 50.0, 0.9), Event("a", 39.0, 50.0, 0.9), 40.0) == 1


def test_events_of_a_time_are_those_that_overlap_it() -> None:
    outputs = [Event("a", 1.0, 5.0, 0.9), Event("b", 6.0, 7.0, 0.9), Event("c", 9.0, 12.0, 0.9)]
    assert [event.label for event in idle.events(outputs, (5.0, 9.5))] == ["b", "c"]
    assert len(idle.events(outputs)) == 3


def test_the_measure_of_stills_is_the_largest_of_each_second_after_two() -> None:
    still = np.full((256, 256, 3), 100, np.uint8)
    moved = still.copy()
    moved[60:80, 60:80] = 200
    measures = idle.wakes_of([still] * 80 + [moved] + [still] * 44)
    assert len(measures) == 3
    assert measures[0] < 1 < measures[1]
