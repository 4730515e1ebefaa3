"""A zone goes where the pointer goes, whatever the page, the picture and the server do meanwhile."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.browsing import page_of, press, wait_for_label
from tests.support.serving import Served
from tests.support.zoning import HEAR, at, drag, wait_for

DEAF = """
window.missed = [];
const Hearing = WebSocket;
window.WebSocket = function (...given) {
  const socket = new Hearing(...given);
  let hear = () => {};
  Object.defineProperty(socket, "onmessage", { set: (heard) => (hear = heard) });
  socket.addEventListener("message", (event) => (window.deaf ? window.missed.push(() => hear(event)) : hear(event)));
  return socket;
};
"""
"""While `deaf` is set, the page is told nothing; what it missed waits in `missed`."""


@pytest.fixture
def page(chromium: Any, quiet_server: Served) -> Iterator[Any]:
    with page_of(chromium, quiet_server, lambda page: page.add_init_script(HEAR)) as page:
        wait_for_label(page, "painting red")
        yield page


def test_a_change_does_not_jump_back_however_late_the_server_tells_of_it(
    chromium: Any, quiet_server: Served
) -> None:
    """On a busy machine a page has stood still for five seconds; a zone that had jumped back was where nobody saw it,
    and the pointer went down beside it."""
    listen = f"{HEAR}{DEAF}"
    with page_of(chromium, quiet_server, lambda page: page.add_init_script(listen)) as page:
        wait_for_label(page, "painting red")
        press(page, "Add a zone")
        wait_for(page, {"zone 1": (120, 80, 80, 80)})
        page.evaluate("window.deaf = true")
        with page.expect_response("**/zones?name=*"):
            drag(page, (160, 130), (130, 130))
        wait_for(page, {"zone 1": (90, 80, 80, 80)})
        page.evaluate(
            "{ const now = performance.now.bind(performance); performance.now = () => now() + 60000; }"
        )
        page.wait_for_timeout(300)  # it is drawn every 100 ms
        drag(page, (100, 130), (70, 130))
        wait_for(page, {"zone 1": (60, 80, 80, 80)})
        page.evaluate("window.deaf = false; window.missed.forEach((hear) => hear());")
        page.wait_for_timeout(300)
        drag(page, (100, 130), (70, 120))
        wait_for(page, {"zone 1": (30, 70, 80, 80)})


def test_a_zone_goes_where_the_pointer_goes_while_the_page_moves(page: Any) -> None:
    press(page, "Draw a zone")
    page.set_viewport_size({"width": 1000, "height": 700})
    page.mouse.move(*at(page, 60, 60))
    page.mouse.down()
    page.evaluate("document.getElementById('stage').style.marginTop = '70px'")
    page.set_viewport_size({"width": 1200, "height": 800})
    page.mouse.move(*at(page, 160, 140), steps=4)
    page.mouse.up()
    page.keyboard.press("Escape")
    wait_for(page, {"zone 1": (60, 60, 100, 80)})
    page.mouse.move(*at(page, 110, 100))
    page.mouse.down()
    page.mouse.move(*at(page, 120, 100))
    page.evaluate("document.getElementById('stage').style.marginTop = '0'")
    page.set_viewport_size({"width": 1000, "height": 700})
    page.mouse.move(*at(page, 140, 110), steps=4)
    page.mouse.up()
    wait_for(page, {"zone 1": (90, 70, 100, 80)})


def test_the_picture_stands_still_once_it_may_be_drawn_on(page: Any) -> None:
    """It scrolled smoothly into view, and whoever was quick began to draw on a picture that moved."""
    page.set_viewport_size({"width": 1280, "height": 500})
    page.wait_for_selector("#draw-zone:enabled")  # within 100 ms of the label; click() does nothing before
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


def test_a_region_is_drawn_on_the_picture_that_is_shown_when_the_button_is_released(page: Any) -> None:
    """A phone that is turned gives pictures of another size."""
    drawn = page.evaluate(
        """async () => {
          const { drawRegion } = await import("/live/static/region.js");
          const stage = document.createElement("div"), at = (type, clientX, clientY) =>
            stage.dispatchEvent(Object.assign(new PointerEvent(type, { pointerId: 1, clientX, clientY })));
          Object.assign(stage.style, { position: "fixed", inset: 0, width: "400px", height: "400px" });
          stage.scrollIntoView = stage.setPointerCapture = () => {};
          document.body.append(stage);
          let size = [400, 200];
          const box = drawRegion(document.createElement("svg"), stage, () => ({ size, mirrored: false }));
          at("pointerdown", 100, 150);
          size = [200, 400];
          at("pointerup", 250, 300);
          return [await box, stage.remove()][0];
        }"""
    )
    assert drawn == [50, 100, 100, 200]


def test_a_drag_right_after_an_arrow_key_counts(page: Any) -> None:
    press(page, "Add a zone")
    wait_for(page, {"zone 1": (120, 80, 80, 80)})
    page.locator(".zone").press("ArrowLeft")
    drag(page, (150, 130), (150, 100))
    wait_for(page, {"zone 1": (114, 50, 80, 80)})
    page.wait_for_timeout(500)  # the key is told of after 300 ms
    wait_for(page, {"zone 1": (114, 50, 80, 80)})


def test_a_name_that_is_typed_at_the_edge_does_not_scroll_the_picture(page: Any) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    press(page, "Draw a zone")
    drag(page, (240, 60), (300, 140))
    page.keyboard.type("a long name at the right edge")
    assert page.evaluate("document.getElementById('stage').scrollLeft") == 0
    page.keyboard.press("Enter")
    wait_for(page, {"a long name at the right edge": (240, 60, 60, 80)})
