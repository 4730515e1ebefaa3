"""The browser's webcam: what reaches the network, and what the page says when there is none."""

from pathlib import Path
from typing import Any

import pytest

from realtime.sources.open import open_video
from realtime.view.recorder import CLIP_S
from tests.realtime.view.conftest import IDLE
from tests.support.browsing import choose, draw, page_of, press, setting, wait_for_label
from tests.support.serving import Served
from tests.support.view_doubles import until

WEBCAM = "This browser's webcam"
WATCH_RECORDER = """
window.saidByRecorder = [];
new MutationObserver(() => saidByRecorder.push(document.getElementById("recorder").textContent))
  .observe(document.getElementById("recorder"), { childList: true });
"""
AS_OLDER_BROWSERS = """
delete HTMLVideoElement.prototype.requestVideoFrameCallback;
delete window.VideoFrame;
"""
SENDER = """
async () => {
  const double = `
    let sockets = 0;
    self.WebSocket = class {
      readyState = 1;
      constructor(address) {
        this.number = ++sockets;
        postMessage({ opened: address });
        newest = this;
      }
      send() { postMessage({ sent: this.number }); }
      close() { this.readyState = 3; }
    };
    let newest = null;
    addEventListener("message", (message) => {
      if (!message.data.server) return;
      message.stopImmediatePropagation();
      newest[message.data.server](message.data.event);
    });
  `;
  const script = await (await fetch("live/static/camera_sender.js")).text();
  const worker = new Worker(URL.createObjectURL(new Blob([double, script, "postMessage({ loaded: true });"], { type: "text/javascript" })));
  window.heard = [];
  worker.onmessage = ({ data }) => data !== "due" && heard.push(data);
  await new Promise((go) => worker.addEventListener("message", go, { once: true }));
  heard.splice(0);
  const wait = () => new Promise((go) => setTimeout(go, 400));
  window.ask = async (message) => { worker.postMessage(message); await wait(); return heard.splice(0); };
  window.give = async (count) => {
    for (let i = 0; i < count; i++) {
      const picture = await createImageBitmap(new ImageData(16, 12));
      worker.postMessage({ picture, takenMs: 1e12 + i }, [picture]);
    }
    await wait();
    return heard.splice(0).filter((said) => said.sent).length;
  };
}
"""
"""The page's worker, with a double of its socket that is told what the server says."""


def test_what_the_page_mirrors_reaches_the_network_as_it_is(with_camera: Any, bare_server: Served) -> None:
    with page_of(with_camera, bare_server) as page:
        page.get_by_text("Settings").first.click()
        setting(page, "region").fill("0,0,320,480")
        choose(page, WEBCAM)
        press(page, "Start")
        wait_for_label(page, "painting red")
        assert (
            page.evaluate("getComputedStyle(document.getElementById('mirror')).transform")
            == "matrix(-1, 0, 0, 1, 0, 0)"
        )
        assert page.evaluate("document.getElementById('mirror').videoWidth") == 640
        setting(page, "region").fill("320,0,320,480")
        setting(page, "region").press("Enter")
        wait_for_label(page, "painting blue")


def test_a_browser_that_tells_of_no_new_picture_sends_them_all_the_same(
    with_camera: Any, bare_server: Served
) -> None:
    """As a tab in the background does, and Firefox before 132."""
    with page_of(
        with_camera, bare_server, before=lambda page: page.add_init_script(AS_OLDER_BROWSERS)
    ) as page:
        choose(page, WEBCAM)
        press(page, "Start")
        page.wait_for_function("document.getElementById('label')?.textContent.startsWith('painting')")
        page.wait_for_function("parseFloat(document.getElementById('rate').textContent) > 10")


def test_five_pictures_are_under_way_at_most(chromium: Any, bare_server: Served) -> None:
    with page_of(chromium, bare_server) as page:
        page.evaluate(SENDER)
        assert page.evaluate("ask({ address: 'ws://a' })") == [{"opened": "ws://a"}]
        assert page.evaluate("give(9)") == 5
        page.evaluate("ask({ server: 'onmessage', event: { data: '2' } })")
        assert page.evaluate("give(9)") == 2
        page.evaluate("ask({ address: '' })")
        assert page.evaluate("give(3)") == 0


def test_a_lost_road_is_opened_again_unless_the_server_closed_it_for_a_reason(
    chromium: Any, bare_server: Served
) -> None:
    with page_of(chromium, bare_server) as page:
        page.evaluate(SENDER)
        page.evaluate("ask({ address: 'ws://a' })")
        page.evaluate("give(5)")
        page.evaluate("ask({ server: 'onclose', event: { code: 1006 } })")
        page.wait_for_function("heard.length === 1")
        assert page.evaluate("heard.splice(0)") == [{"opened": "ws://a"}]
        assert page.evaluate("give(9)") == 5, "what was lost with the old road is no longer under way"
        page.evaluate("ask({ server: 'onclose', event: { code: 4404 } })")
        page.wait_for_timeout(700)
        assert page.evaluate("heard") == []


def test_a_region_is_drawn_where_the_viewer_sees_it(with_camera: Any, bare_server: Served) -> None:
    """At the left of the mirrored picture is what the camera has at its right."""
    with page_of(with_camera, bare_server) as page:
        choose(page, WEBCAM)
        press(page, "Start")
        page.wait_for_function("document.getElementById('rate').textContent.includes('640')")
        page.get_by_text("Settings").first.click()
        draw(page, (0.2, 0.2), (0.45, 0.8))
        wait_for_label(page, "painting blue")
        x, _, width, _ = (int(n) for n in setting(page, "region").input_value().split(","))
        assert x > 330
        assert x + width < 640


def test_a_clip_of_an_action_is_counted_down_and_kept_as_the_camera_saw_it(
    with_camera: Any, recording_server: tuple[Served, Path]
) -> None:
    server, folder = recording_server
    with page_of(with_camera, server) as page:
        choose(page, WEBCAM)
        press(page, "Start")
        page.wait_for_function("document.getElementById('rate').textContent.includes('640')")
        page.get_by_text("Record your own actions").click()
        setting(page, "action").fill("waving")
        page.locator("#recording input[type=number]").fill("1")
        page.evaluate(WATCH_RECORDER)
        press(page, "Record")
        page.wait_for_function("document.getElementById('recorder')?.dataset.phase === 'done'")
        said = page.evaluate("window.saidByRecorder")
        down = [f"In {n}: waving, 1 of 1" for n in (3, 2, 1)]
        running = [f"● {n} s: waving, 1 of 1" for n in (3, 2, 1)]
        words = [*down, *running, "1 clip of waving recorded"]
        assert said == [word for word in words if word in said], "each once, in this order"
        assert len(said) >= 5, "a busy machine may skip one"
        assert said[-1] == words[-1]
        assert page.evaluate("document.getElementById('stage').getBoundingClientRect().top") >= 0, (
            "out of sight"
        )
    assert [path.relative_to(folder).as_posix() for path in folder.rglob("*.*")] == ["waving/001.mp4"]
    with open_video(folder / "waving" / "001.mp4") as video:
        frames = list(video)
    length_s = float(frames[-1].pts + frames[-1].duration)
    assert length_s == pytest.approx(CLIP_S, abs=0.5)
    assert len(frames) > 20
    for frame in (frames[0], frames[-1]):
        left, right = frame.rgb[:, :300].mean((0, 1)), frame.rgb[:, 340:].mean((0, 1))
        assert (left.argmax(), right.argmax()) == (0, 2), "red at the left, blue at the right"


def test_frames_carry_their_times_and_closing_the_tab_releases_everything(
    with_camera: Any, bare_server: Served
) -> None:
    with page_of(with_camera, bare_server) as page:
        choose(page, WEBCAM)
        press(page, "Start")
        page.wait_for_function("document.getElementById('p50').textContent.endsWith('s')")
        assert "webcam of the browser" in bare_server.holds()["running"]
    until(lambda: bare_server.holds() == IDLE, within_s=5.0)


def test_stop_switches_the_camera_off_and_start_switches_it_on_again(
    with_camera: Any, bare_server: Served
) -> None:
    with page_of(with_camera, bare_server) as page:
        choose(page, WEBCAM)
        for again in (False, True):
            press(page, "Start")
            if again:
                page.wait_for_function("document.getElementById('label')?.textContent.startsWith('painting')")
                press(page, "Start")
                page.wait_for_function("document.getElementById('label')?.textContent === ''")
            page.wait_for_function("document.getElementById('label')?.textContent.startsWith('painting')")
            page.evaluate("window.track = document.getElementById('mirror').srcObject.getTracks()[0]")
            press(page, "Stop")
            page.wait_for_function("window.track.readyState === 'ended'")
            until(lambda: bare_server.holds()["running"] == [])


def test_a_camera_that_is_refused_is_explained(
    playwright: Any, chromium_path: str, bare_server: Served
) -> None:
    arguments = ["--no-sandbox", "--use-fake-device-for-media-stream", "--deny-permission-prompts"]
    browser = playwright.chromium.launch(executable_path=chromium_path, args=arguments)
    with page_of(browser, bare_server) as page:
        choose(page, WEBCAM)
        press(page, "Start")
        page.get_by_text("The camera was refused. Allow it for this page").wait_for()
        assert "webcam of the browser" not in bare_server.holds()["running"]
    browser.close()


def test_a_missing_camera_is_explained(chromium: Any, bare_server: Served) -> None:
    with page_of(chromium, bare_server) as page:
        choose(page, WEBCAM)
        press(page, "Start")
        page.get_by_text("No camera was found.").wait_for()


def test_a_page_that_may_not_use_a_camera_says_how_it_may(chromium: Any, bare_server: Served) -> None:
    """Browsers hide the camera from pages that are neither local nor https."""
    with page_of(chromium, bare_server) as page:
        page.evaluate("Object.defineProperty(navigator, 'mediaDevices', { value: undefined })")
        choose(page, WEBCAM)
        press(page, "Start")
        page.get_by_text("only to pages from localhost or over https").wait_for()
