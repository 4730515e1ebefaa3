"""While nothing moves, the page says since when, in a real browser."""

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from realtime.outputs.video_file import VideoWriter
from tests.support.browsing import page_of, wait_for_label
from tests.support.serving import Served, served

STILL_S, LENGTH_S = 7, 20


@pytest.fixture
def resting_server(tmp_path: Path) -> Iterator[Served]:
    """Offers a red video whose white square begins to move after `STILL_S`; it rests after three seconds."""
    path = tmp_path / "door.mp4"
    writer = VideoWriter(path, (320, 240))
    for number in range(25 * LENGTH_S):
        picture = np.zeros((240, 320, 3), np.uint8)
        picture[..., 0] = 200
        left = 140 + 4 * (max(number - 25 * STILL_S, 0) % 20)
        picture[100:120, left : left + 20] = 255
        writer.write(picture, Fraction(number, 25))
    writer.close()
    with served(path, idle_s=3) as server:
        yield server


def test_the_page_says_since_when_nothing_has_moved(chromium: Any, resting_server: Served) -> None:
    with page_of(chromium, resting_server) as page:
        wait_for_label(page, "painting red")
        page.wait_for_selector("#resting")
        words = page.locator("#resting").inner_text()
        assert re.fullmatch(r"Resting since \d{1,2}:\d\d:\d\d( [AP]M)?: nothing moves", words)
        assert page.locator("#phase-text").inner_text() == "Resting · door.mp4"
        assert page.locator("#caption").is_hidden()
        assert page.locator("#top").inner_text() == "Nothing is predicted while nothing moves."
        page.wait_for_timeout(1000)
        assert page.locator("#resting").inner_text() == words, "it does not flicker"
        wait_for_label(page, "painting red")
        page.wait_for_function("document.getElementById('phase-text').textContent === 'Live · door.mp4'")
        assert page.locator("#resting").is_hidden()
        assert page.locator("#resting").text_content() == ""
