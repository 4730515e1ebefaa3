"""Start and Stop, with responses that come late and in any order: the newest press counts, and nothing of an older one
is left."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.browsing import CONTRAST, choose, page_of, press, wait_for_label
from tests.support.serving import Served
from tests.support.view_doubles import until

WEBCAM, PAINTED = "This browser's webcam", "painted.mp4"
IN_BROWSER = "webcam of the browser"
SLOW_CAMERA = """
window.streams = [];
window.asked = 0;
const plain = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = async (wanted) => {
  const mine = ++window.asked;
  const stream = await plain(wanted);
  window.streams.push(stream);
  while (mine === window.slow) await new Promise((go) => setTimeout(go, 20));
  return stream;
};
"""
"""Holds back the camera that is asked for as number `window.slow` until that is changed."""
CAMERA_IS_OFF = "streams.every((stream) => stream.getTracks().every((track) => track.readyState === 'ended'))"

FRAMES_IN = "Number(document.querySelector('#facts dd').textContent.replace(/\\D/g, ''))"
SLOW_WAITING = """
const later = window.setTimeout;
window.waited = 0;
window.setTimeout = (call, ms, ...rest) => {
  if (ms !== 50 || window.waited++) return later(call, ms, ...rest);
  return later(() => { call(); later(() => (window.opened = true), 500); }, 3000);
};
"""
"""What waits for the page's script first, the page's opening, looks again after three seconds."""
SLOW_ANSWERS = """
const plain = window.fetch;
window.fetch = async (address, ...rest) => {
  const answer = await plain(address, ...rest);
  if (address === "live/start") await new Promise((go) => setTimeout(go, 700));
  return answer;
};
"""

OWN_CLOCK = """
const now = performance.now.bind(performance);
window.aheadMs = 0;
performance.now = () => now() + window.aheadMs;
"""
"""The page's clock is `window.aheadMs` ahead."""
LOST_PICTURES = """
const plain = Worker.prototype.postMessage;
let first = true;
Worker.prototype.postMessage = function (message, ...rest) {
  if (message.address && first) message.address = message.address.replace(/live\\/[^/]+/, "live/nobody");
  if (message.address) first = false;
  return plain.call(this, message, ...rest);
};
"""
"""The pictures of the first start go to a channel that does not exist."""


class Held:
    """Holds back the response to a page's start number `number`, counted from 1, until it is told to give it."""

    def __init__(self, number: int) -> None:
        self._number, self._asked = number, 0
        self._kept: tuple[Any, Any] | None = None

    def __call__(self, page: Any) -> None:
        page.route("**/live/start", self._take)

    def _take(self, route: Any) -> None:
        self._asked += 1
        if self._asked == self._number:
            self._kept = route, route.fetch()
        else:
            route.continue_()

    def wait(self, page: Any) -> None:
        """Wait until the server has answered."""
        for _ in range(500):
            if self._kept is not None:
                return
            page.wait_for_timeout(20)
        raise AssertionError("the page has not asked for it")

    def give_and_see_it_let_go(self, page: Any) -> None:
        """The page stops that start immediately: the hub would do it too, after waiting for a page to connect."""
        assert self._kept is not None
        route, answer = self._kept
        with page.expect_request(f"**/live/{answer.json()['token']}/stop"):
            route.fulfill(response=answer)


def go_on(page: Any, phase: str) -> None:
    """Wait until the page shows this source and its frames keep coming."""
    says = "text => document.getElementById('phase-text').textContent === text"
    page.wait_for_function(says, arg=phase)
    page.wait_for_function(
        f"frames => {FRAMES_IN} > frames + 25", arg=page.evaluate(FRAMES_IN), timeout=90_000
    )
    page.wait_for_function(says, arg=phase)


def pass_s(page: Any, seconds: float) -> None:
    """Let time pass on the page's clock, which the page then looks at a few times."""
    page.evaluate("seconds => window.aheadMs += 1000 * seconds", seconds)
    page.wait_for_timeout(500)


def no_camera(page: Any) -> None:
    page.add_init_script(SLOW_CAMERA + "window.slow = 1;")


def no_pictures(page: Any) -> None:
    page.add_init_script(LOST_PICTURES)


def test_a_late_response_to_the_pages_own_start_does_not_end_the_viewers(
    with_camera: Any, quiet_server: Served
) -> None:
    first = Held(1)
    with page_of(with_camera, quiet_server, before=first) as page:
        first.wait(page)
        choose(page, WEBCAM)
        press(page, "Start")
        page.wait_for_function("document.getElementById('label')?.textContent.startsWith('painting')")
        first.give_and_see_it_let_go(page)
        until(lambda: quiet_server.holds()["running"] == [IN_BROWSER])
        go_on(page, f"Live · {IN_BROWSER}")


def test_a_start_that_is_served_before_the_opening_of_the_page_counts(
    with_camera: Any, quiet_server: Served
) -> None:
    """Both wait for the page's script to be there, and either may see it first."""
    scripts: list[Any] = []

    def before(page: Any) -> None:
        page.add_init_script(SLOW_WAITING)
        page.route("**/controls.js", lambda route: scripts.append(route))

    with page_of(with_camera, quiet_server, before) as page:
        page.wait_for_function("window.waited === 1")
        choose(page, WEBCAM)
        press(page, "Start")
        scripts[0].continue_()
        page.wait_for_function("document.body.dataset.source === 'browser'")
        page.wait_for_function("window.opened")
        go_on(page, f"Live · {IN_BROWSER}")
        assert quiet_server.holds()["running"] == [IN_BROWSER]
        assert page.evaluate("document.body.dataset.source") == "browser"


def test_a_late_response_to_an_older_start_is_discarded(with_camera: Any, bare_server: Served) -> None:
    older = Held(1)
    with page_of(with_camera, bare_server, before=older) as page:
        choose(page, WEBCAM)
        press(page, "Start")
        older.wait(page)
        press(page, "Start")
        go_on(page, f"Live · {IN_BROWSER}")
        older.give_and_see_it_let_go(page)
        until(lambda: bare_server.holds()["running"] == [IN_BROWSER])
        go_on(page, f"Live · {IN_BROWSER}")


def test_stop_ends_a_start_that_is_under_way(with_camera: Any, bare_server: Served) -> None:
    held = Held(1)

    def before(page: Any) -> None:
        page.add_init_script(SLOW_CAMERA)
        held(page)

    with page_of(with_camera, bare_server, before) as page:
        choose(page, WEBCAM)
        press(page, "Start")
        held.wait(page)
        press(page, "Stop")
        page.wait_for_function(CAMERA_IS_OFF)
        held.give_and_see_it_let_go(page)
        until(lambda: bare_server.holds()["running"] == [])
        page.wait_for_timeout(500)
        assert page.inner_text("#idle-title") == "Stopped"
        assert page.inner_text("#phase-text") == "No source"
        press(page, "Start")
        page.wait_for_function("document.getElementById('label')?.textContent.startsWith('painting')")


def test_a_camera_that_comes_after_stop_is_closed(with_camera: Any, bare_server: Served) -> None:
    with page_of(with_camera, bare_server, before=no_camera) as page:
        choose(page, WEBCAM)
        press(page, "Start")
        page.wait_for_function("window.streams.length === 1")
        press(page, "Stop")
        page.evaluate("window.slow = 0")
        page.wait_for_function(CAMERA_IS_OFF)
        page.wait_for_timeout(500)
        assert page.inner_text("#idle-title") == "Stopped"
        assert bare_server.holds()["running"] == []
        press(page, "Start")
        page.wait_for_function("document.getElementById('label')?.textContent.startsWith('painting')")
        press(page, "Stop")
        page.wait_for_function(CAMERA_IS_OFF)


def test_a_camera_that_comes_after_a_newer_start_does_not_replace_it(
    with_camera: Any, bare_server: Served
) -> None:
    with page_of(with_camera, bare_server, before=no_camera) as page:
        choose(page, WEBCAM)
        press(page, "Start")
        page.wait_for_function("window.streams.length === 1")
        press(page, "Start")
        go_on(page, f"Live · {IN_BROWSER}")
        page.evaluate("window.slow = 0")
        page.wait_for_function("streams[0].getTracks()[0].readyState === 'ended'")
        go_on(page, f"Live · {IN_BROWSER}")
        assert bare_server.holds()["running"] == [IN_BROWSER]


def test_many_starts_in_a_row_do_not_use_up_the_servers_places(with_camera: Any, bare_server: Served) -> None:
    with page_of(with_camera, bare_server, before=lambda page: page.add_init_script(SLOW_ANSWERS)) as page:
        choose(page, WEBCAM)
        press(page, "Start")
        page.wait_for_function("document.getElementById('label')?.textContent.startsWith('painting')")
        for _ in range(12):
            press(page, "Start")
        page.wait_for_function("document.getElementById('label')?.textContent === ''")
        page.wait_for_function("document.getElementById('label')?.textContent.startsWith('painting')")
        assert page.inner_text("#problem") == ""
        until(lambda: bare_server.holds()["running"] == [IN_BROWSER])


@pytest.mark.parametrize(
    ("before", "words"),
    [
        (Held(1), "the server has not answered"),
        (no_camera, "the browser has not given its camera. It may be asking for your permission"),
        (no_pictures, "no picture of your camera has reached the server"),
    ],
    ids=["no answer", "no camera", "no pictures"],
)
def test_a_start_that_does_not_become_live_says_so_and_is_tried_again(
    with_camera: Any,
    bare_server: Served,
    before: Callable[[Any], object],
    words: str,
) -> None:
    def with_clock(page: Any) -> None:
        page.add_init_script(OWN_CLOCK)
        before(page)

    with page_of(with_camera, bare_server, with_clock) as page:
        choose(page, WEBCAM)
        press(page, "Start")
        page.wait_for_timeout(1000)
        pass_s(page, 4)
        assert not page.locator("#late").is_visible()
        pass_s(page, 6)
        page.get_by_text(f"Not live yet: for 10 s {words}").wait_for()
        assert page.evaluate(CONTRAST) == []
        page.evaluate("window.aheadMs = 0")
        press(page, "Try again")
        go_on(page, f"Live · {IN_BROWSER}")
        assert not page.locator("#late").is_visible()


def test_a_start_beside_a_live_source_that_does_not_become_live_says_so_too(
    with_camera: Any, quiet_server: Served
) -> None:
    """What the page hears of the live source is no progress of the other."""

    def before(page: Any) -> None:
        page.add_init_script(OWN_CLOCK)
        no_camera(page)

    with page_of(with_camera, quiet_server, before) as page:
        wait_for_label(page, "painting red")
        choose(page, WEBCAM)
        press(page, "Start")
        page.wait_for_function("window.streams.length === 1")
        pass_s(page, 10)
        page.get_by_text("Not live yet: for 10 s the browser has not given its camera").wait_for()
        page.evaluate("window.aheadMs = 0")
        press(page, "Try again")
        page.wait_for_function(f"document.getElementById('phase-text').textContent === 'Live · {IN_BROWSER}'")


def test_an_engine_that_takes_its_time_is_not_reported_as_late(chromium: Any, quiet_server: Served) -> None:
    """Whatever the server says, the page hears that the engine is being prepared."""

    def not_ready(socket: Any) -> None:
        server = socket.connect_to_server()
        server.on_message(lambda text: socket.send(json.dumps(json.loads(text) | {"phase": "engine"})))

    def before(page: Any) -> None:
        page.add_init_script(OWN_CLOCK)
        page.route_web_socket("**/state", not_ready)

    with page_of(chromium, quiet_server, before) as page:
        page.wait_for_function(
            "document.getElementById('phase-text')?.textContent === 'Preparing the engine…'"
        )
        pass_s(page, 12)
        assert not page.locator("#late").is_visible()
