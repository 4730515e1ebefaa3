"""Zones in a real browser: where the pointer goes, and what the server holds."""

from typing import Any

BOXES = "Object.fromEntries(window.told.map((zone) => [zone.name, zone.box.map(Math.round)]))"
"""What the server holds: in px of the picture, which has 320 x 240."""
HEAR = """
window.told = [];
const Plain = WebSocket;
window.WebSocket = function (...given) {
  const socket = new Plain(...given);
  socket.addEventListener("message", ({ data }) => (window.told = JSON.parse(data).zones ?? window.told));
  return socket;
};
"""


def at(page: Any, x: float, y: float) -> tuple[float, float]:
    """Where a px of the picture is on the screen."""
    box = page.locator("#stage").bounding_box()
    scale = min(box["width"] / 320, box["height"] / 240)
    left, top = (box["width"] - 320 * scale) / 2, (box["height"] - 240 * scale) / 2
    return box["x"] + left + x * scale, box["y"] + top + y * scale


def drag(page: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    page.mouse.move(*at(page, *start))
    page.mouse.down()
    page.mouse.move(*at(page, *end), steps=4)
    page.mouse.up()


def wait_for(page: Any, zones: dict[str, tuple[int, int, int, int]]) -> None:
    """Until the server holds exactly these, to a px or two."""
    near = "(a, b) => a.length === b.length && a.every((edge, i) => Math.abs(edge - b[i]) <= 2)"
    same = f"""(wanted) => {{
          const held = {BOXES}, near = {near};
          return Object.keys(held).sort().join() === Object.keys(wanted).sort().join()
            && Object.keys(wanted).every((name) => near(held[name], wanted[name]));
        }}"""
    try:
        page.wait_for_function(same, arg={name: list(box) for name, box in zones.items()})
    except Exception as error:
        error.add_note(f"The server holds {page.evaluate(BOXES)}")
        raise
