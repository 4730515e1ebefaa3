"""A short soak test, of a minute and a half, in CI only."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, in_ci


@pytest.mark.skipif(not in_ci(), reason="takes a minute and a half: runs in CI; make soak is the long one")
def test_a_minute_and_a_half_of_the_soak_test_hold(tmp_path: Path) -> None:
    out = tmp_path / "soak.json"
    command = [sys.executable, "-m", "benchmarks.soak", "--out", str(out), "--precision", "float32"]
    lengths = ["--media-hours", "0.5", "--rtsp-s", "25", "--kills", "3"]
    done = subprocess.run([*command, *lengths], capture_output=True, text=True, cwd=ROOT, check=False)
    assert out.exists(), done.stderr
    figures = json.loads(out.read_text())
    for part in ("killed", "compressed", "rtsp"):
        assert figures[part]["not_accounted_for"] == 0
        assert figures[part]["decoded"] > 0
    assert figures["compressed"]["ticks"] > 1800 * 25 * 0.99
    assert figures["killed"]["reconnects"] == 3
    assert figures["rtsp"]["predictions"] > 0
    # Tighter limits on times and memory are for the long run: this one is short, and its machine may be shared.
    assert figures["compressed"]["memory_growth"] < 0.05
    assert "Traceback" not in done.stderr
