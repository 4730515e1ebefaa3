"""The tables of the README are those of the results, and of nothing else."""

import json
import shutil
from pathlib import Path

import pytest

from benchmarks.tables import PLACE, README, RESULTS, TABLES, block, written
from tests.conftest import ROOT

NAMES = [found[2] for found in PLACE.finditer(README.read_text(encoding="utf-8"))]


def test_the_readme_holds_what_the_results_say() -> None:
    text = README.read_text(encoding="utf-8")
    assert text == written(text), "python -m benchmarks.tables writes it anew"


def test_every_table_has_its_place_in_the_readme() -> None:
    assert sorted(NAMES) == sorted(TABLES)


def test_make_measures_every_table_and_nothing_that_needs_a_name() -> None:
    lines = (ROOT / "Makefile").read_text().splitlines()
    lists = [line.partition(" = ")[2] for line in lines if "BENCHMARKS = " in line]
    assert sorted(" ".join(lists).split()) == sorted(TABLES)


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.json")), ids=lambda path: path.stem)
def test_a_result_says_of_which_machine_and_day_it_is(path: Path) -> None:
    found = json.loads(path.read_text())
    assert found["benchmark"] == path.stem
    assert {"date", "cpu", "cores", "versions"} <= set(found["machine"])


@pytest.mark.parametrize("name", [name for name in NAMES if (RESULTS / f"{name}.json").exists()])
def test_another_figure_is_another_table(name: str, tmp_path: Path) -> None:
    shutil.copytree(RESULTS, tmp_path / "results")
    path = tmp_path / "results" / f"{name}.json"
    found = json.loads(path.read_text())
    path.write_text(json.dumps(changed(found)))
    before, after = block(name, RESULTS).splitlines(), block(name, tmp_path / "results").splitlines()
    assert len(before) == len(after)
    assert sum(a != b for a, b in zip(before, after, strict=True)) >= len(before) // 2


def changed(value: object) -> object:
    """With every number three times as large and one more."""
    if isinstance(value, dict):
        return {name: changed(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [changed(inner) for inner in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return 3 * value + 1
    return value


def test_without_a_result_the_place_stays_empty(tmp_path: Path) -> None:
    empty = written(README.read_text(encoding="utf-8"), tmp_path)
    assert {found[3] for found in PLACE.finditer(empty)} == {""}
