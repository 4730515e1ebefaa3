"""The page in a real browser, with an engine that names colours."""

from pathlib import Path
from typing import Any

import pytest

from tests.realtime.view.conftest import IDLE
from tests.support.browsing import CONTRAST, choose, draw, page_of, press, setting, wait_for_label
from tests.support.serving import Served
from tests.support.view_doubles import until


def test_the_page_opens_on_the_servers_source_and_follows_it(chromium: Any, quiet_server: Served) -> None:
    with page_of(chromium, quiet_server) as page:
        wait_for_label(page, "painting red")
        assert page.locator("#caption").get_attribute("class") == "caption provisional"
        wait_for_label(page, "painting green")
        page.wait_for_function(
            "document.querySelector('.timeline .event:not(.current)')?.textContent === 'painting red'"
        )
        page.wait_for_function("document.getElementById('settled').textContent.includes('painting green')")
        page.wait_for_function(
            "document.querySelector('#top li[value=\"1\"]').textContent.startsWith('painting green')"
        )
        # In the page itself: a row that is replaced meanwhile has no rendered text.
        page.wait_for_function(
            "document.querySelector('#streams tr').innerText.startsWith('RGB\\tpainting green')"
        )
        page.wait_for_function("document.getElementById('p50').textContent.endsWith('s')")
        assert "frames in" in page.locator("#facts").inner_text()
        assert page.evaluate("document.getElementById('picture').naturalWidth") == 320


def test_two_browsers_see_one_source_and_a_closed_tab_frees_it(chromium: Any, quiet_server: Served) -> None:
    with page_of(chromium, quiet_server) as one, page_of(chromium, quiet_server) as two:
        for page in (one, two):
            page.wait_for_function("document.getElementById('label')?.textContent.startsWith('painting')")
        assert quiet_server.holds()["running"] == ["painted.mp4"]
    until(lambda: quiet_server.holds() == IDLE, within_s=5.0)


def test_stop_start_and_switch_without_a_restart(chromium: Any, quiet_server: Served) -> None:
    with page_of(chromium, quiet_server) as page:
        wait_for_label(page, "painting red")
        press(page, "Stop")
        page.wait_for_function("document.getElementById('idle-title').textContent === 'Stopped'")
        until(lambda: quiet_server.holds()["running"] == [])
        press(page, "Start")
        wait_for_label(page, "painting red")
        choose(page, "Address or camera")
        page.get_by_label("Address", exact=True).fill("rtsp://me:secret@127.0.0.1:1/door")
        page.get_by_label("Address", exact=True).press("Enter")
        page.wait_for_function(
            "document.getElementById('problem').textContent.includes('connection refused')"
        )
        assert "secret" not in page.locator("main").inner_text()
        page.get_by_label("Address", exact=True).fill("/etc/passwd")
        press(page, "Start")
        page.get_by_text("is not an address; give rtsp").wait_for()


def test_a_page_that_is_reloaded_goes_on(chromium: Any, quiet_server: Served) -> None:
    with page_of(chromium, quiet_server) as page:
        wait_for_label(page, "painting red")
        page.reload()
        page.wait_for_function("document.getElementById('label')?.textContent.startsWith('painting')")
        assert quiet_server.holds()["running"] == ["painted.mp4"]


def test_a_file_is_sent_shown_and_deleted(
    chromium: Any, quiet_server: Served, painted: Path, tmp_path: Path
) -> None:
    with page_of(chromium, quiet_server) as page:
        wait_for_label(page, "painting red")
        choose(page, "Video file")
        press(page, "Start")
        page.wait_for_function("document.getElementById('problem').textContent === 'Choose a video first.'")
        page.wait_for_timeout(500)
        assert page.get_by_test_id("toast-text").count() == 0
        page.set_input_files("#file", str(painted))
        press(page, "Start")
        page.wait_for_function("document.getElementById('phase-text').textContent === 'Live · painted.mp4'")
        wait_for_label(page, "painting red")
        # The server's own source has the same name, so the page may still show that one.
        until(lambda: quiet_server.holds()["uploads"] == 1)
        press(page, "Stop")
        until(lambda: quiet_server.holds()["uploads"] == 0)


def test_a_file_that_is_not_a_video_is_explained(chromium: Any, quiet_server: Served, tmp_path: Path) -> None:
    path = tmp_path / "letter.mp4"
    path.write_text("Dear Sir or Madam,")
    context = chromium.new_context()
    page = context.new_page()
    page.goto(quiet_server.url)
    choose(page, "Video file")
    page.set_input_files("#file", str(path))
    press(page, "Start")
    page.get_by_text("letter.mp4: not a video; send MP4, MOV, MKV, WebM, AVI or MPEG").wait_for()
    context.close()


def test_settings_are_changed_while_it_runs(chromium: Any, quiet_server: Served) -> None:
    with page_of(chromium, quiet_server) as page:
        wait_for_label(page, "painting red")
        press(page, "Settings ▼") if page.get_by_role(
            "button", name="Settings ▼"
        ).count() else page.get_by_text("Settings").click()
        page.get_by_label("window", exact=True).check()
        page.wait_for_function("document.getElementById('facts').textContent.includes('window, stride 8')")
        page.get_by_label("preview", exact=True).check()
        page.wait_for_function("document.getElementById('facts').textContent.includes('preview')")
        press(page, "Whole picture")
        page.wait_for_function("document.querySelectorAll('#marks .seen').length === 3")
        setting(page, "region").fill("nonsense")
        setting(page, "region").press("Enter")
        page.get_by_text("give x,y,width,height in px of the source").first.wait_for()
        draw(page, (0.25, 0.25), (0.75, 0.75))
        page.wait_for_function("document.querySelectorAll('#marks .seen').length === 1")
        x, y, width, height = (int(n) for n in setting(page, "region").input_value().split(","))
        assert (x + width / 2, y, height) == (
            pytest.approx(160, abs=4),
            pytest.approx(60, abs=4),
            pytest.approx(120, abs=4),
        )


def test_everything_can_be_reached_by_keyboard(chromium: Any, quiet_server: Served) -> None:
    with page_of(chromium, quiet_server) as page:
        wait_for_label(page, "painting red")
        reached = set()
        for _ in range(40):
            page.keyboard.press("Tab")
            reached.add(
                page.evaluate(
                    "document.activeElement.id || document.activeElement.textContent.trim().slice(0, 20)"
                )
            )
        assert {"start", "stop", "Settings ▼"} <= {name.replace("◀", "▼") for name in reached}, reached
        page.get_by_label("Video file", exact=True).focus()
        page.keyboard.press("Space")
        page.wait_for_function("document.body.dataset.source === 'file'")
        page.focus("#stop")
        page.keyboard.press("Enter")
        page.wait_for_function("document.getElementById('idle-title').textContent === 'Stopped'")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_it_is_readable_at_any_width_in_light_and_dark(
    chromium: Any, quiet_server: Served, scheme: str, width: int
) -> None:
    with page_of(
        chromium, quiet_server, viewport={"width": width, "height": 800}, color_scheme=scheme
    ) as page:
        wait_for_label(page, "painting red")
        page.get_by_text("Settings").first.click()
        page.wait_for_function("document.getElementById('settled').textContent !== ''")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(CONTRAST) == []


def test_bars_keep_their_places_until_another_has_clearly_passed(chromium: Any, quiet_server: Served) -> None:
    with page_of(chromium, quiet_server) as page:
        arranged = page.evaluate(
            """async () => {
                const { arrange, percent } = await import("/live/static/bars.js");
                const abc = [["a", 0.4], ["b", 0.3], ["c", 0.1]];
                return [
                    arrange([], abc),
                    arrange(["a", "b", "c"], [["b", 0.42], ["a", 0.4], ["c", 0.1]]),
                    arrange(["a", "b", "c"], [["b", 0.5], ["a", 0.4], ["c", 0.1]]),
                    arrange(["a", "b", "c"], [["b", 0.42], ["a", 0.4], ["c", 0.1]], 0),
                    arrange(["a", "b", "c"], [["a", 0.4], ["d", 0.3], ["c", 0.28]]),
                    [1, 0.996, 0.5, 0.004, 0].map(percent),
                ];
            }"""
        )
    assert arranged == [
        ["a", "b", "c"], ["a", "b", "c"], ["b", "a", "c"], ["b", "a", "c"], ["a", "d", "c"],
        ["100 %", "> 99 %", "50 %", "< 1 %", "0 %"],
    ]  # fmt: skip


def test_the_page_says_when_the_server_has_gone(chromium: Any, quiet_server: Served) -> None:
    context = chromium.new_context()
    page = context.new_page()
    page.add_init_script(
        "const plain = setTimeout; window.setTimeout = (call, ms, ...rest) => plain(call, ms / 20, ...rest);"
    )
    page.route_web_socket("**/state", lambda socket: socket.close(code=1011))
    page.goto(quiet_server.url)
    page.wait_for_function(
        "document.getElementById('idle-title')?.textContent === 'The connection has ended'"
    )
    context.close()


def test_the_login_is_a_page_and_leads_to_the_view(chromium: Any, locked_server: Served) -> None:
    context = chromium.new_context()
    page = context.new_page()
    page.goto(locked_server.url)
    page.get_by_label("Password").fill("not this one")
    page.get_by_label("Password").press("Enter")
    page.get_by_text("That is not the password.").wait_for()
    page.get_by_label("Password").fill("correct horse")
    press(page, "Log in")
    page.get_by_text("Choose a source above and press Start.").wait_for()
    assert page.url == locked_server.url
    context.close()
