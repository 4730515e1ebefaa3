"""The tables in docs/ and the figures in the README come from the results, and from nothing else."""

import json
import shutil
from pathlib import Path

import pytest

from benchmarks.tables import (
    OTHERS,
    PAGE,
    PLACE,
    README,
    README_TABLES,
    RESULTS,
    SENTENCES,
    SIZING,
    SIZING_TABLES,
    TABLES,
    block,
    faster,
    result_of,
    written,
)
from tests.conftest import ROOT

PAGES = [README, PAGE, SIZING]
IN_README, IN_PAGE, IN_SIZING = (
    [found[2] for found in PLACE.finditer(page.read_text(encoding="utf-8"))] for page in PAGES
)
NAMES = IN_README + IN_PAGE + IN_SIZING


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_holds_what_the_results_say(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text == written(text), "python -m benchmarks.tables regenerates it"


def test_every_table_has_its_place() -> None:
    assert sorted(IN_PAGE) == sorted(TABLES | OTHERS)
    assert sorted(IN_SIZING) == sorted(SIZING_TABLES)
    assert sorted(IN_README) == sorted([*README_TABLES, *SENTENCES])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_figure_says_that_something_takes_x_as_long(page: Path) -> None:
    assert "as long |" not in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("times", "said"),
    [(39.4, "39x faster"), (4.25, "4.2x faster"), (1, "baseline"), (0.8, "0.8x the speed")],
)
def test_a_speed_is_given_as_a_factor_of_the_baseline(times: float, said: str) -> None:
    assert faster(times) == said


def test_make_runs_exactly_the_benchmarks_that_have_a_table() -> None:
    lines = (ROOT / "Makefile").read_text().splitlines()
    lists = [line.partition(" = ")[2] for line in lines if "BENCHMARKS = " in line]
    assert sorted(" ".join(lists).split()) == sorted(TABLES)


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.json")), ids=lambda path: path.stem)
def test_a_result_names_its_machine_and_date(path: Path) -> None:
    found = json.loads(path.read_text())
    assert found["benchmark"] == path.stem
    assert {"date", "cpu", "cores", "versions"} <= set(found["machine"])


@pytest.mark.parametrize("name", [name for name in NAMES if (RESULTS / f"{result_of(name)}.json").exists()])
def test_a_changed_figure_changes_the_table(name: str, tmp_path: Path) -> None:
    shutil.copytree(RESULTS, tmp_path / "results")
    path = tmp_path / "results" / f"{result_of(name)}.json"
    found = json.loads(path.read_text())
    path.write_text(json.dumps(changed(found)))
    before, after = block(name, RESULTS).splitlines(), block(name, tmp_path / "results").splitlines()
    assert len(before) == len(after)
    assert sum(a != b for a, b in zip(before, after, strict=True)) >= len(before) // 2


def changed(value: object) -> object:
    """The value with every number x replaced by 3 x + 1."""
    if isinstance(value, dict):
        return {name: changed(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [changed(inner) for inner in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return 3 * value + 1
    return value


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_without_a_result_the_place_stays_empty(page: Path, tmp_path: Path) -> None:
    empty = written(page.read_text(encoding="utf-8"), tmp_path)
    assert {found[3] for found in PLACE.finditer(empty)} == {""}
