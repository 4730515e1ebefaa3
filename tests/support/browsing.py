"""A real browser on the page, as a viewer uses it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import cv2
import numpy as np

from tests.support.serving import Served

WATCH_OTHERS = """
window.othersAsked = [];
new PerformanceObserver((list) => list.getEntries().forEach((entry) => {
  if (!["data:", "blob:"].includes(new URL(entry.name).protocol) && new URL(entry.name).host !== location.host) window.othersAsked.push(entry.name);
})).observe({ type: "resource", buffered: true });
"""
CONTRAST = """
() => {
  const part = (v) => ((v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  const read = (colour) => (colour.match(/[\\d.]+/g) ?? [0, 0, 0, 0]).map(Number);
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const colour = read(getComputedStyle(node).backgroundColor);
      if (colour.length < 4 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  const texts = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const node = texts.currentNode.parentElement, style = getComputedStyle(node);
    if (!texts.currentNode.data.trim() || !node.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true })) continue;
    if (node.closest(".stage, .timeline, .unseen, :disabled, .switch, #source > span, [data-testid=block-info].sr-only")) continue;
    const a = light(read(style.color)), b = light(behind(node));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) found.push(`${texts.currentNode.data.trim().slice(0, 40)}: ${ratio.toFixed(2)}`);
  }
  return found;
}
"""

SHOWN = """
() => {
  const texts = {};
  for (const id of ["phase-text", "problem", "late-text", "idle-title", "idle-text", "label", "rate", "recorder"]) {
    const node = document.getElementById(id);
    if (node?.checkVisibility() && node.textContent) texts[id] = node.textContent;
  }
  const seen = (selector) => [...document.querySelectorAll(selector)].filter((node) => node.checkVisibility()).map((node) => node.textContent.trim());
  const mirror = document.getElementById("mirror");
  return { ...texts, source: document.body.dataset.source, buttons: seen("button"), toasts: seen("[data-testid=toast-text]"),
    mirror: mirror ? `${mirror.videoWidth} x ${mirror.videoHeight}` : "none" };
}
"""

IDLE_CONTEXTS: WeakKeyDictionary[Any, dict[str, list[Any]]] = WeakKeyDictionary()
"""The contexts in which no page is open, by browser and options."""


@contextmanager
def page_of(
    browser: Any, server: Served, before: Callable[[Any], object] = lambda page: None, **options: Any
) -> Iterator[Any]:
    """The page, as if in a separate browser. Fails if the page had an error or contacted another host.

    `before`: called with the page before it is opened. What an earlier page fetched (77 files) is cached.
    """
    options = {"viewport": {"width": 1280, "height": 900}} | options
    idle = IDLE_CONTEXTS.setdefault(browser, {}).setdefault(repr(options), [])
    context = idle.pop() if idle else browser.new_context(**options)
    page = context.new_page()
    page.add_init_script(WATCH_OTHERS)
    page.set_default_timeout(30_000)
    problems: list[str] = []
    asked: set[str] = set()
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if is_problem(message) else None)
    page.on("request", lambda request: asked.add(request.url))
    try:
        before(page)
        page.goto(server.url)
        yield page
        elsewhere = [url for url in asked if not url.startswith((server.url, "data:", "blob:"))]
        elsewhere += page.evaluate("window.othersAsked ?? []")
        assert not problems, problems
        assert not elsewhere, elsewhere
        page.close()
    except BaseException as error:
        error.add_note(f"The page showed {shown(page)}; its problems: {problems}")
        context.close()
        raise
    context.clear_cookies()
    idle.append(context)


def is_problem(message: Any) -> bool:
    """Whether a console message is a problem. A refused start or zone is not: the page explains it."""
    place = message.location["url"]
    explained = place.endswith("/live/start") or "/zones?name=" in place
    refused = explained and message.text.endswith("status of 400 (Bad Request)")
    return message.type == "error" and not refused


def shown(page: Any) -> Any:
    """What a viewer can read on the page, for the message of a failed test."""
    try:
        return page.evaluate(SHOWN)
    except Exception as error:
        return f"nothing that can be read ({error})"


def choose(page: Any, source: str) -> None:
    page.get_by_label(source, exact=True).check()


def press(page: Any, button: str) -> None:
    page.get_by_role("button", name=button, exact=True).click()


def wait_for_label(page: Any, label: str) -> None:
    """Wait until the page shows this label as the prediction."""
    page.wait_for_function("label => document.getElementById('label')?.textContent === label", arg=label)


def setting(page: Any, name: str) -> Any:
    """The text field of a setting."""
    return page.locator(f"#{name} textarea, #{name} input").first


def draw(page: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Draw a region; corners as shares of the stage."""
    press(page, "Draw on the picture")
    page.wait_for_function("document.getElementById('stage').classList.contains('drawing')")
    box = page.locator("#stage").bounding_box()
    at = [(box["x"] + box["width"] * x, box["y"] + box["height"] * y) for x, y in (start, end)]
    page.mouse.move(*at[0])
    page.mouse.down()
    page.mouse.move(*at[1], steps=4)
    page.mouse.up()


def fake_webcam(path: Path, pictures: list[np.ndarray]) -> list[str]:
    """Arguments that make Chromium show these pictures (RGB) as the camera, at 30 frames a second, over and over."""
    with path.open("wb") as file:
        for picture in pictures:
            done, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
            assert done
            file.write(data.tobytes())
    return [
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={path}",
    ]
