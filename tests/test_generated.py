"""The pages, pictures and figures of docs/ that come from the program are up to date."""

import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import cv2
import pytest

from engines.check import TOLERANCE
from engines.spec import FLOW, MODES, RGB
from tests.conftest import ROOT
from tests.support import commands_page, errors_page
from tests.support.networks import random_tensors


@pytest.mark.parametrize("made", [errors_page, commands_page], ids=["errors", "commands"])
def test_a_generated_page_is_up_to_date(made: object) -> None:
    page, path = made.page(), made.PAGE  # type: ignore[attr-defined]
    assert path.read_text(encoding="utf-8") == page, f"python -m {made.__name__} regenerates it"  # type: ignore[attr-defined]


ADVICE = re.compile(r"[;:] |\b(give|name|choose|build|make|pip install)\b")
OF_ELSEWHERE = ">"
"""A message that ends with text from elsewhere carries that text's advice."""


def test_every_error_says_what_to_do() -> None:
    """It says what was given, then what to do."""
    texts = {text for _, _, text in errors_page.raised() if not text.endswith(OF_ELSEWHERE)}
    assert sorted(text for text in texts if not ADVICE.search(text)) == []


def test_the_pictures_are_drawn_by_the_script(tmp_path: Path) -> None:
    script = ROOT / "docs" / "pictures.py"
    subprocess.run([sys.executable, str(script), str(tmp_path)], check=True, cwd=ROOT)
    drawn = {path.name for path in tmp_path.glob("*.png")}
    assert drawn == {
        "mode-window.png",
        "mode-continual.png",
        "mode-preview.png",
        "engines.png",
        "layer-memory.png",
    }
    for name in drawn:
        new, kept = (cv2.imread(str(folder / name)).astype(int) for folder in (tmp_path, ROOT / "docs"))
        assert new.shape == kept.shape, f"python docs/pictures.py redraws {name}"
        assert abs(new - kept).mean() < 0.1, f"python docs/pictures.py redraws {name}"  # 0 on one machine


def macs() -> dict[str, float]:
    """10^9 multiply-adds for 8 new ticks: of the RGB stream in each mode, and of flow in `continual`."""
    from engines.backends.graphs import graphs
    from engines.backends.torch_operations import dry_run
    from engines.nets.cost import multiply_adds

    rgb, flow = random_tensors(3, 400, divide=1), random_tensors(2, 400, divide=1)
    last = {mode: graphs(RGB, mode, rgb)[-1] for mode in MODES}
    last["flow"] = graphs(FLOW, "continual", flow)[-1]
    return {name: multiply_adds(partial(dry_run, graph)) / 1e9 for name, graph in last.items()}


def test_the_counted_work_is_what_the_pages_say() -> None:
    counted = macs()
    page = (ROOT / "docs" / "engines-and-modes.md").read_text()
    for mode in ("window", "continual", "preview"):
        share = 100 * counted[mode] / counted["window"]
        share_text = f"{share:.0f} %" if mode == "window" else f"{share:.1f} %"
        assert re.search(rf"\| `{mode}` \| {counted[mode]:.1f} G[^|]*\| {share_text} \|", page), mode
    jetson = (ROOT / "docs" / "jetson.md").read_text()
    assert f"{counted['continual']:.1f} G and {counted['flow']:.1f} G" in jetson
    gflops = (counted["continual"] + counted["flow"]) / 8 * 25 * 2
    assert f"{gflops:.0f} GFLOP/s" in jetson
    rows = re.findall(r"\| (\d+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) % \|", jetson)
    assert len(rows) == 3
    for sms, clock_ghz, peak, load in rows:
        tflops = int(sms) * 1024 * 2 * float(clock_ghz) / 1000
        assert float(peak) == pytest.approx(tflops, abs=0.06)
        assert float(load) == pytest.approx(100 * gflops / (tflops * 1000 / 5), abs=0.06)


def test_the_tolerances_are_those_of_the_check() -> None:
    page = (ROOT / "docs" / "accuracy.md").read_text()
    found = {
        name: (float(a), float(b)) for name, a, b in re.findall(r"\| (\w+) \| ([\d.]+) \| ([\d.]+) \|", page)
    }
    assert found == TOLERANCE
