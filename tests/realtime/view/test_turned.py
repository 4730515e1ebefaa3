"""The page's script turns rectangles as the server does."""

import json
import shutil
import subprocess
from fractions import Fraction
from itertools import product
from typing import Any

import pytest

from realtime.sources.upright import Turn
from realtime.stages.where import upright
from realtime.types import Frame, Picture
from realtime.view.page import STATIC
from realtime.view.page_state import Board
from realtime.view.settings import Settings
from tests.support.colours import coloured

NODE = shutil.which("node")


@pytest.mark.skipif(NODE is None, reason="needs Node.js")
def test_a_rectangle_is_turned_as_on_the_server_and_back() -> None:
    box, cases, wanted = (20, 6, 30, 8), [], []
    for flags, aspect in product(product((False, True), repeat=3), (Fraction(1), Fraction(3, 2))):
        width, height = (96, 64) if flags[0] else (64, 96)
        frame = coloured(0, {}, (height, width), turn=Turn(*flags), pixel_aspect=aspect)
        state = shown(frame)
        cases.append([box, state["size_px"], state["turn"]])
        wanted.append([*upright(box, Picture((height, width), Turn(*flags), aspect)), *box])
    script = (STATIC / "turned.js").read_text() + (
        f"console.log(JSON.stringify({json.dumps(cases)}.map(([box, size, turn]) => {{"
        " const there = shown(box, size, turn); return [...there, ...stored(there, size, turn)]; })))"
    )
    run = subprocess.run(
        [str(NODE), "--input-type=module", "-"], input=script, capture_output=True, text=True, check=True
    )
    assert json.loads(run.stdout) == wanted


def shown(frame: Frame) -> dict[str, Any]:
    """The page's message about a frame."""
    board = Board()
    board.push(frame)
    state: dict[str, Any] = json.loads(json.dumps(board.state(None, Settings())))
    return state
