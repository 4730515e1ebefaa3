"""The whole thing: `i3d-live view` with the trained network, a real browser, a webcam that sees a real clip.

With I3D_SCREENSHOTS=FOLDER it leaves pictures of the page there; `make screenshots` keeps them in docs/.
"""

import os
import sys
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines.errors import NotFetched
from engines.weights.fetch import fetch
from realtime.outputs.video_file import VideoWriter
from realtime.pictures import centre_crop, resize_short_side
from realtime.sources.open import open_video
from realtime.types import Image
from tests.conftest import in_ci
from tests.support.browsing import choose, fake_webcam, page_of, press, wait_for_label
from tests.support.serving import Served, viewed

SCREENSHOTS = os.environ.get("I3D_SCREENSHOTS")
I3D_LIVE = [sys.executable, "-c", "from realtime.cli import main; main()", "view", "--port", "0"]
# A preview and the software rendering of two browsers are too much for the smallest machines; screenshots show the
# default.
MODE = ["--mode", "preview" if SCREENSHOTS else "continual"]

ALPHA = """((left, top, right, bottom) => {
  const canvas = document.getElementById("where"), [w, h] = [canvas.width, canvas.height];
  const box = [left * w, top * h, (right - left) * w, (bottom - top) * h].map(Math.round);
  const { data } = canvas.getContext("2d").getImageData(...box);
  return data.reduce((sum, value, at) => sum + (at % 4 === 3 ? value : 0), 0) / (data.length / 4);
})"""
"""Mean opacity, 0 to 255, of what is drawn over a part of the stage, whose corners are shares of it."""
NAMES = """[...document.querySelectorAll(".who")].map((name) => {
  const { left, top, right, bottom } = name.getBoundingClientRect();
  return [name.textContent.split("\u2002")[0], [left, top, right, bottom]];
})"""
pytestmark = pytest.mark.weights


@pytest.fixture(scope="module")
def two_people(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of 72 frames: somebody boxes in its left half, and somebody lifts weights in its right half."""

    def half(name: str) -> Iterator[Image]:
        with open_video(clips / name) as video:
            for frame in video:
                middle = centre_crop(frame.rgb, frame.rgb.shape[0], frame.rgb.shape[0] // 2)
                yield resize_short_side(middle, 128)

    path = tmp_path_factory.mktemp("made") / "two-people.mp4"
    writer = VideoWriter(path, (256, 256))
    lifts = islice(half("clean_and_jerk.mp4"), 140, None)
    for number, halves in enumerate(islice(zip(half("v_Punch_g03_c01.avi"), lifts, strict=False), 72)):
        writer.write(np.concatenate(halves, axis=1), Fraction(number, 25))
    writer.close()
    return path


@pytest.fixture(scope="module")
def server(clips: Path, two_people: Path) -> Iterator[Served]:
    """As a user starts it."""
    try:
        fetch("kinetics")
    except NotFetched as error:
        if in_ci():
            raise
        pytest.skip(f"the trained weights cannot be fetched here: {error}")
    sources = [clips / "ta_chi.mp4", clips / "clean_and_jerk.mp4", two_people]
    command = [*I3D_LIVE, *MODE, "--model", "kinetics", *map(str, sources)]
    with viewed(command, ends_within_s=20) as served:
        yield served


@pytest.fixture(scope="module")
def lifting(
    playwright: Any, chromium_path: str, clips: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """A browser whose camera sees somebody lift weights."""
    with open_video(clips / "clean_and_jerk.mp4") as video:
        pictures = [frame.rgb[:, : frame.rgb.shape[1] // 2 * 2] for frame in video]
    arguments = fake_webcam(tmp_path_factory.mktemp("webcam") / "lifting.mjpeg", pictures)
    browser = playwright.chromium.launch(executable_path=chromium_path, args=["--no-sandbox", *arguments])
    yield browser
    browser.close()


def test_the_webcams_action_is_shown_on_the_page(lifting: Any, server: Served) -> None:
    with page_of(lifting, server) as page:
        choose(page, "This browser's webcam")
        press(page, "Start")
        page.set_default_timeout(180_000)
        page.wait_for_function(
            "document.getElementById('phase-text').textContent.startsWith('Live · webcam')"
        )
        wait_for_label(page, "clean and jerk")
        page.wait_for_function(
            "[...document.querySelectorAll('.timeline .event')].some(event => event.textContent === 'clean and jerk')"
        )
        keep(page, "view-webcam")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("view-desktop", {"color_scheme": "light"}),
        ("view-dark", {"color_scheme": "dark"}),
        (
            "view-phone",
            {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "is_mobile": True},
        ),
    ],
)
def test_the_servers_source_and_its_action_are_shown_on_the_page(
    chromium: Any, server: Served, name: str, options: dict[str, Any]
) -> None:
    with page_of(chromium, server, **options) as page:
        wait_for_label(page, "tai chi")
        page.wait_for_function("document.querySelector('.timeline .event')?.textContent === 'tai chi'")
        page.wait_for_function("document.getElementById('p50').textContent.endsWith('s')")
        keep(page, name)


def test_the_glow_lies_on_the_lifter(chromium: Any, server: Served) -> None:
    with page_of(chromium, server) as page:
        page.get_by_label("Show where").check()
        choose(page, "clean_and_jerk.mp4")
        press(page, "Start")
        wait_for_label(page, "clean and jerk")
        on_him, *beside = (
            f"{ALPHA}({box})" for box in ("0.4, 0.25, 0.6, 0.8", "0, 0, 0.3, 1", "0.7, 0, 1, 1")
        )
        page.wait_for_function(f"{on_him} > 20 && {on_him} > 4 * Math.max({beside[0]}, {beside[1]})")
        keep(page, "view-where")
        page.get_by_label("Show where").uncheck()
        page.wait_for_function(f"{ALPHA}(0, 0, 1, 1) === 0")


def test_two_people_two_names(chromium: Any, server: Served) -> None:
    with page_of(chromium, server) as page:
        choose(page, "two-people.mp4")
        press(page, "Start")
        page.wait_for_function("document.getElementById('phase')?.dataset.phase === 'ended'")
        page.wait_for_function("document.querySelectorAll('.who').length === 2")
        found = page.evaluate(NAMES)
        assert {words for words, *_ in found} == {"punching person (boxing)", "clean and jerk"}
        assert apart(*(box for _, box in found))
        for label, left, right in (("punching person (boxing)", 0.0, 0.5), ("clean and jerk", 0.5, 1.0)):
            page.get_by_role("button", name=label).click()
            page.wait_for_function(
                f"{ALPHA}({left}, 0, {right}, 0.8) > 4 * {ALPHA}(0.5 - {left}, 0, 1.5 - {right}, 0.8)"
            )
            assert label in page.locator("#asked").inner_text()
        page.locator("#asked").click()
        page.wait_for_function("document.getElementById('asked').hidden")


def keep(page: Any, name: str) -> None:
    """Save a picture of the whole page, if screenshots are wanted."""
    if SCREENSHOTS:
        page.wait_for_timeout(2500)
        page.screenshot(path=Path(SCREENSHOTS) / f"{name}.png", full_page=True)


def apart(one: list[float], other: list[float]) -> bool:
    """Whether two boxes (left, top, right, bottom) share nothing."""
    return one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
