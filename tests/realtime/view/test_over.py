"""What lies over the picture, in a real browser: the glow, and names that do not cover each other."""

from typing import Any

from tests.support.browsing import page_of, wait_for_label
from tests.support.serving import Served

GLOW = """async () => {
  const { sample, joined, pixels } = await import("/live/static/glow.js");
  const cells = Array(49).fill(-1);
  cells[2 * 7 + 3] = 1;
  const map = joined([[10, 20, 70, 70]], [cells]);
  const image = pixels(map, [0, 0, 255], 1);
  const alpha = (x, y) => image.data[4 * (y * map.width + x) + 3];
  const wide = joined([[0, 0, 70, 70], [35, 0, 70, 70]], [cells, cells]);
  return {
    box: map.box, size: [map.width, map.height],
    middle: sample(cells, 3.5, 2.5), half: sample(cells, 4.0, 2.5), corner: sample(cells, 0, 7),
    peak: alpha(28, 20), beside: alpha(36, 20), far: alpha(8, 8), wide: [wide.box, wide.width, wide.height],
    peaks: [28, 56].map((x) => wide.values[20 * wide.width + x] > 0.7),
  };
}"""
PLACES = """async () => {
  const { places } = await import("/live/static/names.js");
  const boxes = [[10, 60, 80, 90], [12, 62, 80, 90], [11, 58, 80, 90], [150, 2, 40, 190], [-20, 180, 60, 40]];
  const wanted = boxes.map((box) => ({ box, width: 90, height: 20 }));
  const taken = [[0, 170, 200, 30]];
  const first = places(wanted, [200, 200], taken);
  const kept = places(wanted.map((each, i) => ({ ...each, side: first[i].side })), [200, 200], taken);
  return [first, kept, taken];
}"""


def test_only_scores_above_zero_glow_and_no_cell_can_be_told_from_the_next(
    chromium: Any, quiet_server: Served
) -> None:
    with page_of(chromium, quiet_server) as page:
        found = page.evaluate(GLOW)
    assert (found["box"], found["size"]) == ([10, 20, 70, 70], [56, 56])
    assert [found["middle"], found["half"], found["corner"]] == [1, 0, -1]
    assert found["peak"] > 100 > found["beside"] >= 0 == found["far"]
    assert found["wide"] == [[0, 0, 105, 70], 84, 56]
    assert found["peaks"] == [True, True]


def test_names_cover_neither_each_other_nor_what_stands_there_and_stay_on_the_stage(
    chromium: Any, quiet_server: Served
) -> None:
    with page_of(chromium, quiet_server) as page:
        first, kept, taken = page.evaluate(PLACES)
    filled = [*taken, *([name["x"], name["y"], 90, 20] for name in first)]
    for i, (x, y, width, height) in enumerate(filled[1:], 1):
        assert x >= 0 <= y
        assert x + width <= 200 >= y + height
        for left, top, wide, high in filled[:i]:
            assert x + width <= left or left + wide <= x or y + height <= top or top + high <= y
    assert kept == first


def test_a_label_that_is_clicked_is_shown_until_it_is_clicked_again(
    chromium: Any, quiet_server: Served
) -> None:
    with page_of(chromium, quiet_server) as page:
        wait_for_label(page, "painting red")
        asked = page.locator("#asked")
        assert not asked.is_visible()
        page.get_by_role("button", name="resting").click()
        page.wait_for_function(
            "document.getElementById('asked-text').textContent.startsWith('Why not resting?')"
        )
        page.wait_for_function("document.querySelector('#top [aria-pressed=true]')?.title === 'resting'")
        page.get_by_role("button", name="painting red").first.press("Enter")
        page.wait_for_function(
            "document.getElementById('asked-text').textContent.startsWith('Where painting red?')"
        )
        asked.click()
        asked.wait_for(state="hidden")
        page.wait_for_function("!document.querySelector('#top [aria-pressed=true]')")


def test_whether_to_show_where_is_remembered(chromium: Any, quiet_server: Served) -> None:
    with page_of(chromium, quiet_server) as page:
        wait_for_label(page, "painting red")
        switch = page.get_by_label("Show where")
        assert not switch.is_checked()
        switch.check()
        page.reload()
        page.wait_for_function("document.getElementById('where-switch')?.checked")
        switch.uncheck()
        page.reload()
        wait_for_label(page, "painting red")
        assert not switch.is_checked()


def test_nothing_is_painted_while_nothing_changes(chromium: Any, quiet_server: Served) -> None:
    with page_of(chromium, quiet_server) as page:
        page.wait_for_function("document.getElementById('phase')?.dataset.phase === 'running'")
        page.get_by_role("button", name="Stop", exact=True).click()
        page.wait_for_function("document.getElementById('idle-title').textContent === 'Stopped'")
        page.evaluate(
            "() => { window.painted = 0; const p = CanvasRenderingContext2D.prototype, plain = p.clearRect;"
            "p.clearRect = function (...box) { painted++; return plain.apply(this, box); }; }"
        )
        page.wait_for_timeout(600)
        assert page.evaluate("painted") <= 1
