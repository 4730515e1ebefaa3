"""The page of a fleet in a real browser."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.browsing import CONTRAST, page_of

pytest.importorskip("gradio")  # the extra, which brings the server

from tests.support.fleet_doubles import MadeUpFleet, ServedFleet, camera, mixed, node, served_fleet, status

NAMES = "[...document.querySelectorAll('#cameras > li:not([hidden]) h3')].map(each => each.textContent)"
ODD = "<b>x</b><img src=x onerror=alert(1)>"


@pytest.fixture
def fleet() -> MadeUpFleet:
    cameras = {ODD: camera(0, "<i>n1"), "yard": camera(1, "n2"), "door": camera(2, "n2", error="401")}
    return MadeUpFleet(status(cameras, {"<i>n1": node(), "n2": node(draining=True)}, moves=1))


@pytest.fixture
def server(fleet: MadeUpFleet) -> Iterator[ServedFleet]:
    with served_fleet(fleet) as place:
        yield place


def wait_for(page: Any, condition: str) -> None:
    """Playwright's own `wait_for_function` needs the `eval` that the page's policy forbids."""
    deadline_s = time.monotonic() + 30
    while not page.evaluate(condition):
        assert time.monotonic() < deadline_s, condition
        page.wait_for_timeout(50)


def wait_for_names(page: Any, names: list[str]) -> None:
    wait_for(page, f"JSON.stringify({NAMES}) === JSON.stringify({json.dumps(names)})")


def test_every_name_is_shown_as_it_is_and_trouble_comes_first(chromium: Any, server: ServedFleet) -> None:
    with page_of(chromium, server) as page:
        wait_for_names(page, ["door", ODD, "yard"])
        assert page.locator("#cameras b, #cameras i, #machines .machine-head i").count() == 0
        card = page.locator("#cameras > li").nth(0)
        assert card.locator(".chip").inner_text() == "failed"
        assert card.locator(".why").inner_text() == "401"
        card = page.locator("#cameras > li").nth(1)
        wait_for(page, "document.querySelectorAll('#cameras img')[1].naturalWidth === 320")
        assert card.locator(".now").inner_text() == "tai chi"
        assert card.locator(".facts").inner_text() == "25.0 fps · 0.1 s behind"
        assert card.locator(".on").inner_text() == "<i>n1"
        assert page.locator("#summary").inner_text() == "3 cameras: 1 failed"
        assert page.locator("#counts").inner_text() == "1 move · 0 machines lost"
        assert page.locator("#machines > li").nth(1).inner_text().split("\n")[:2] == ["n2", "drains"]


def test_a_picture_is_replaced_only_by_one_that_is_decoded(chromium: Any, server: ServedFleet) -> None:
    """At no moment is a picture empty, after the first."""
    watch = """async () => {
        const image = document.querySelectorAll('#cameras img')[1];
        const seen = new Set();
        for (let n = 0; n < 400 && seen.size < 3; n++) {
            if (image.hidden || !image.complete || !image.naturalWidth) return 'empty';
            seen.add(image.src);
            await new Promise(requestAnimationFrame);
        }
        return seen.size;
    }"""
    with page_of(chromium, server) as page:
        wait_for(page, "document.querySelectorAll('#cameras img')[1]?.naturalWidth === 320")
        assert page.evaluate(watch) == 3


def test_cards_stay_the_same_elements_and_keep_the_focus(
    chromium: Any, server: ServedFleet, fleet: MadeUpFleet
) -> None:
    with page_of(chromium, server) as page:
        wait_for_names(page, ["door", ODD, "yard"])
        page.evaluate("document.querySelectorAll('#cameras > li')[2].mine = true")
        page.get_by_role("button", name="n2: show its cameras").focus()
        cameras = dict(fleet.told["cameras"])
        cameras["yard"] = cameras["yard"] | {"lost": "no picture for 5 s"}
        cameras["new"] = camera(3)
        del cameras[ODD]
        nodes = fleet.told["nodes"] | {"n2": node(error="gone")}
        fleet.told = status(cameras, nodes)
        wait_for_names(page, ["door", "yard", "new"])
        assert page.evaluate("document.querySelectorAll('#cameras > li')[1].mine") is True
        assert page.evaluate("document.activeElement.textContent") == "n2"
        assert page.locator("#machines > li").nth(0).locator("button").inner_text() == "n2"


def test_the_filter_takes_names_actions_and_machines(chromium: Any, server: ServedFleet) -> None:
    with page_of(chromium, server) as page:
        wait_for_names(page, ["door", ODD, "yard"])
        field = page.get_by_label("Filter")
        for text, names in (("JUGGLING", ["yard"]), ("n2 failed", ["door"]), ("<b>", [ODD]), ("zzz", [])):
            field.fill(text)
            wait_for_names(page, names)
            assert page.locator("#matches").inner_text() == f"{len(names)} of 3"
        page.get_by_text("No camera matches the filter.").wait_for()
        field.press("Escape")
        wait_for_names(page, ["door", ODD, "yard"])
        page.get_by_role("button", name="<i>n1: show its cameras").focus()
        page.keyboard.press("Enter")
        wait_for_names(page, [ODD])


def test_three_hundred_cameras_cost_what_can_be_seen(chromium: Any) -> None:
    fleet = MadeUpFleet(mixed(300))
    with served_fleet(fleet) as server, page_of(chromium, server) as page:
        wait_for(page, "document.querySelectorAll('#cameras > li').length === 300")
        wait_for(
            page,
            "[...document.querySelectorAll('#cameras img')].filter(each => each.naturalWidth).length > 5",
        )
        page.wait_for_timeout(1500)
        assert len(fleet.asked) < 60
        page.get_by_label("Filter").fill("roof 37")
        wait_for(page, "document.querySelector('#cameras > li:not([hidden]) img')?.naturalWidth === 320")
        assert page.evaluate(NAMES) == ["roof 37"]


def test_a_silent_fleet_is_named_and_the_page_goes_on_by_itself(
    chromium: Any, server: ServedFleet, fleet: MadeUpFleet
) -> None:
    context = chromium.new_context()
    page = context.new_page()
    page.goto(server.url)
    wait_for_names(page, ["door", ODD, "yard"])
    fleet.silent = "the supervisor of the fleet does not answer"
    page.get_by_role("alert").get_by_text("the supervisor of the fleet does not answer").wait_for()
    assert "What you see is from" in page.get_by_role("alert").inner_text()
    assert page.evaluate(NAMES) == ["door", ODD, "yard"]
    fleet.silent = None
    page.locator("#problem").wait_for(state="hidden")
    fleet.told = fleet.told | {"error": "the log cannot be written"}
    page.get_by_role("alert").get_by_text("the log cannot be written").wait_for()
    fleet.told = status({})
    page.get_by_text("The fleet watches no camera.").wait_for()
    context.close()


def test_a_server_that_has_gone_is_named(chromium: Any, fleet: MadeUpFleet) -> None:
    context = chromium.new_context()
    page = context.new_page()
    with served_fleet(fleet) as server:
        page.goto(server.url)
        wait_for_names(page, ["door", ODD, "yard"])
    page.get_by_role("alert").get_by_text("see whether i3d-live fleet view still runs").wait_for()
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 360, 1280])
def test_it_is_readable_at_any_width_in_light_and_dark(chromium: Any, scheme: str, width: int) -> None:
    fleet = MadeUpFleet(mixed(40))
    fleet.told["cameras"]["w" * 200] = camera(0, "n" * 200, label="l" * 200, error="e" * 200)
    viewport = {"width": width, "height": 800}
    with (
        served_fleet(fleet) as server,
        page_of(chromium, server, viewport=viewport, color_scheme=scheme) as page,
    ):
        wait_for(page, "document.querySelectorAll('#cameras > li').length === 41")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(CONTRAST) == []
