"""The whole thing: `i3d-live view` with the trained network, a real browser, a webcam that sees a real clip.

With I3D_SCREENSHOTS=FOLDER it leaves pictures of the page there; `make screenshots` keeps them in docs/.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engines.errors import NotFetched
from engines.weights.fetch import fetch
from realtime.sources.open import open_video
from tests.conftest import in_ci
from tests.support.browsing import choose, fake_webcam, page_of, press, wait_for_label
from tests.support.serving import Served

SCREENSHOTS = os.environ.get("I3D_SCREENSHOTS")
I3D_LIVE = [sys.executable, "-c", "from realtime.cli import main; main()", "view", "--port", "0"]
# A preview and the software rendering of two browsers are too much for the smallest machines; screenshots show the
# default.
MODE = ["--mode", "preview" if SCREENSHOTS else "continual"]

pytestmark = pytest.mark.weights


@pytest.fixture(scope="module")
def server(clips: Path) -> Iterator[Served]:
    """As a user starts it."""
    try:
        fetch("kinetics")
    except NotFetched as error:
        if in_ci():
            raise
        pytest.skip(f"the trained weights cannot be fetched here: {error}")
    command = [*I3D_LIVE, *MODE, "--model", "kinetics", str(clips / "ta_chi.mp4")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.fullmatch(r"Live view: http://127\.0\.0\.1:([0-9]+)/ +\(Ctrl-C stops it\)\n", line)
        assert found, line or process.communicate()[1]
        yield Served(process, int(found[1]))
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert "Traceback" not in errors


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


def keep(page: Any, name: str) -> None:
    """Save a picture of the whole page, if screenshots are wanted."""
    if SCREENSHOTS:
        page.wait_for_timeout(2500)
        page.screenshot(path=Path(SCREENSHOTS) / f"{name}.png", full_page=True)
