"""Zones drawn in a real browser: by mouse, by keyboard, by touch."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.browsing import CONTRAST, choose, page_of, press, wait_for_label
from tests.support.serving import Served
from tests.support.zoning import HEAR, at, drag, wait_for

WEBCAM = "This browser's webcam"


@pytest.fixture
def page(chromium: Any, quiet_server: Served) -> Iterator[Any]:
    with page_of(chromium, quiet_server, lambda page: page.add_init_script(HEAR)) as page:
        wait_for_label(page, "painting red")
        yield page


def test_a_zone_is_drawn_named_moved_resized_and_deleted_by_mouse(page: Any) -> None:
    press(page, "Draw a zone")
    drag(page, (60, 60), (160, 140))
    page.keyboard.type("door")
    page.keyboard.press("Enter")
    wait_for(page, {"door": (60, 60, 100, 80)})
    page.wait_for_function("document.querySelector('.zone .tag').textContent.startsWith('doorpainting')")
    drag(page, (120, 110), (150, 100))
    wait_for(page, {"door": (90, 50, 100, 80)})
    drag(page, (190, 130), (210, 150))
    wait_for(page, {"door": (90, 50, 120, 100)})
    drag(page, (150, 100), (900, 100))
    wait_for(page, {"door": (200, 50, 120, 100)})
    page.get_by_role("button", name="Rename door", exact=True).click()
    page.get_by_label("New name of door").fill("till")
    page.get_by_label("New name of door").press("Enter")
    wait_for(page, {"till": (200, 50, 120, 100)})
    rows = "[...document.querySelectorAll('.zone-row')].map((row) => row.innerText.includes('till'))"
    page.wait_for_function(f"{rows}.join() === 'true'")
    page.get_by_role("button", name="Delete till", exact=True).click()
    wait_for(page, {})
    page.locator("#zone-card").wait_for(state="hidden")


def test_all_of_it_by_keyboard(page: Any) -> None:
    page.wait_for_function("!document.getElementById('add-zone').disabled")  # else it takes no focus
    page.get_by_role("button", name="Add a zone").focus()
    page.keyboard.press("Enter")
    wait_for(page, {"zone 1": (120, 80, 80, 80)})
    page.wait_for_function("document.activeElement.dataset.name === 'zone 1'")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    for key in ["ArrowLeft"] * 5 + ["ArrowUp"] * 5 + ["Shift+ArrowRight"] * 5 + ["Shift+ArrowUp"] * 5:
        page.keyboard.press(key)
    wait_for(page, {"zone 1": (88, 56, 112, 56)})
    page.keyboard.press("Enter")
    page.keyboard.type("sofa")
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    page.keyboard.type("couch")
    page.keyboard.press("Enter")
    wait_for(page, {"couch": (88, 56, 112, 56)})
    page.wait_for_function("document.activeElement.dataset.name === 'couch'")
    label = page.locator(".zone").get_attribute("aria-label")
    assert label.startswith("couch")
    assert "Delete removes it" in label
    page.keyboard.press("Delete")
    wait_for(page, {})
    page.wait_for_function("document.activeElement.id === 'add-zone'")


def test_a_zone_that_cannot_be_is_explained_and_what_was_there_stays(page: Any) -> None:
    press(page, "Add a zone")
    wait_for(page, {"zone 1": (120, 80, 80, 80)})
    page.locator(".zone").press("Enter")
    page.keyboard.type("no <such> name")
    page.keyboard.press("Enter")
    page.get_by_text("give a name of at most 40 letters").wait_for()
    names = "[...document.querySelectorAll('.zone')].map((zone) => zone.dataset.name)"
    page.wait_for_function(f"{names}.join() === 'zone 1'")
    page.locator(".zone").press("ArrowLeft")
    page.wait_for_function("document.getElementById('problem').hidden")


def test_a_zone_is_dragged_by_touch_and_the_page_does_not_scroll(chromium: Any, quiet_server: Served) -> None:
    phone = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
    with page_of(chromium, quiet_server, lambda page: page.add_init_script(HEAR), **phone) as page:
        wait_for_label(page, "painting red")
        press(page, "Add a zone")
        wait_for(page, {"zone 1": (120, 80, 80, 80)})
        page.locator("#stage").scroll_into_view_if_needed()
        before = page.evaluate("scrollY")
        touch = page.context.new_cdp_session(page)
        for kind, points in (
            ("touchStart", [(160, 130)]),
            ("touchMove", [(160, 115)]),
            ("touchMove", [(160, 90)]),
            ("touchEnd", []),
        ):
            places = [dict(zip("xy", at(page, *point), strict=True)) for point in points]
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})
        wait_for(page, {"zone 1": (120, 40, 80, 80)})
        assert page.evaluate("scrollY") == before
        page.get_by_role("button", name="Delete zone 1", exact=True).click()
        wait_for(page, {})


def test_zones_of_a_source_of_the_server_stay_when_it_is_started_again(page: Any) -> None:
    press(page, "Add a zone")
    wait_for(page, {"zone 1": (120, 80, 80, 80)})
    press(page, "Stop")
    page.wait_for_function("document.querySelectorAll('.zone').length === 0")
    press(page, "Start")
    wait_for_label(page, "painting red")
    page.wait_for_function("document.querySelectorAll('.zone').length === 1")


def test_over_a_mirrored_picture_a_zone_goes_where_the_pointer_goes(
    with_camera: Any, bare_server: Served
) -> None:
    """At the left of the screen is what the camera has at its right; the picture has 640 x 480 px."""
    with page_of(with_camera, bare_server, lambda page: page.add_init_script(HEAR)) as page:
        choose(page, WEBCAM)
        press(page, "Start")
        page.wait_for_function("document.getElementById('rate').textContent.includes('640')")
        press(page, "Draw a zone")
        drag(page, (60, 60), (120, 140))
        page.keyboard.press("Escape")
        wait_for(page, {"zone 1": (400, 120, 120, 160)})
        drag(page, (90, 100), (110, 100))
        wait_for(page, {"zone 1": (360, 120, 120, 160)})
        drag(page, (140, 140), (150, 160))
        wait_for(page, {"zone 1": (340, 120, 140, 200)})
        page.locator(".zone").press("ArrowRight")
        wait_for(page, {"zone 1": (327, 120, 140, 200)})
        page.locator(".zone").press("Shift+ArrowRight")
        wait_for(page, {"zone 1": (314, 120, 153, 200)})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_panels_are_readable_at_any_width(chromium: Any, quiet_server: Served, scheme: str) -> None:
    size = {"width": 360, "height": 800}
    with page_of(
        chromium,
        quiet_server,
        lambda page: page.add_init_script(HEAR),
        viewport=size,
        color_scheme=scheme,
    ) as page:
        wait_for_label(page, "painting red")
        press(page, "Add a zone")
        page.locator(".zone").press("Enter")
        page.keyboard.type("w" * 40)
        page.keyboard.press("Enter")
        wait_for(page, {"w" * 40: (120, 80, 80, 80)})
        page.wait_for_function("document.querySelector('.zone-row').innerText.includes('painting red')")
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        assert page.evaluate(CONTRAST) == []
        page.get_by_role("button", name="Delete").click()
        wait_for(page, {})
