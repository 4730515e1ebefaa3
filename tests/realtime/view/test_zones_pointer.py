"""A zone goes where the pointer goes, whatever the page, the picture and the server do meanwhile."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.browsing import page_of, wait_for_label
from tests.support.serving import Served
from tests.support.zoning import HEAR, drag, wait_for


@pytest.fixture
def page(chromium: Any, quiet_server: Served) -> Iterator[Any]:
    with page_of(chromium, quiet_server, lambda page: page.add_init_script(HEAR)) as page:
        wait_for_label(page, "painting red")
        yield page


def test_the_picture_stands_still_once_it_may_be_drawn_on(page: Any) -> None:
    """It scrolled smoothly into view, and whoever was quick began to draw on a picture that moved."""
    page.set_viewport_size({"width": 1280, "height": 500})
    top = page.evaluate(
        """async () => {
          const stage = document.getElementById("stage");
          scrollTo({ top: 1000, behavior: "instant" });
          const before = stage.getBoundingClientRect().top;
          document.getElementById("draw-zone").click();
          return [before, stage.getBoundingClientRect().top];
        }"""
    )
    assert top[0] < -50
    assert top[1] >= 0
    drag(page, (60, 60), (160, 140))
    page.keyboard.press("Escape")
    wait_for(page, {"zone 1": (60, 60, 100, 80)})
