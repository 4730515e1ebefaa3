"""The prediction drawn over the picture, checked in the pixels."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime.outputs.overlay import PALETTE, STRIP_S, clock, draw, label_colour
from realtime.outputs.text import BOLD, percent, write_line
from realtime.types import Event, Prediction

STRANGE = [
    "",
    " ",
    "中文 日本語 한국어",
    "עברית العربية",
    "a\nb\tc\x00",
    "\ud800",
    "🎾" * 40,
    "w" * 500,
    "é́́́",
    "$x^{$",
]
BLACK = (0, 0, 0)


def predict(label: str = "tai chi", probability: float = 0.5, *, settled: bool = True) -> Prediction:
    rest = [("capoeira", 0.1), ("side kick", 0.05), ("lunge", 0.01), ("yoga", 0.001)]
    top = ((label, probability), *rest)
    return Prediction(0, 64, 0.0, 2.56, np.zeros(0, np.float32), top, ("rgb",), "window", settled)


def plain(height: int, width: int, colour: tuple[int, int, int] = BLACK) -> np.ndarray:
    return np.full((height, width, 3), colour, np.uint8)


def pixels_of(picture: np.ndarray, label: str) -> np.ndarray:
    """bool (H, W): where the picture has the label's colour."""
    return (picture == label_colour(label)).all(axis=2)


SIZES = [
    (1, 1),
    (8, 8),
    (9, 7),
    (71, 73),
    (75, 75),
    (76, 4000),
    (4000, 76),
    (240, 320),
    (241, 321),
    (480, 854),
    (1920, 1080),
    (2160, 4096),
]


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_any_size_gives_a_new_picture_of_that_size(height: int, width: int) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    before = rgb.copy()
    out = draw(
        rgb,
        now_s=30.0,
        prediction=predict(),
        events=[Event("yoga", 12.0, 29.0, 0.9)],
        trail=[Event("lunge", 9.0, 30.0, 0.9)],
        caption="rgb, weights: kinetics",
        flow=plain(224, 224, (9, 9, 9)),
    )
    assert np.array_equal(rgb, before)
    assert not np.shares_memory(out, rgb)
    assert (out.shape, out.dtype) == (rgb.shape, rgb.dtype)
    assert pixels_of(out, "yoga").any()  # drawn last, where one pixel is all there is
    assert pixels_of(out, "tai chi").any() or height == 1


def test_a_read_only_picture_and_a_view_can_be_drawn_on() -> None:
    rgb = plain(240, 640)[:, ::2]
    rgb.flags.writeable = False
    assert np.array_equal(
        draw(rgb, now_s=1.0, prediction=predict()), draw(plain(240, 320), now_s=1.0, prediction=predict())
    )


@pytest.mark.parametrize(("height", "width"), [(8, 800), (240, 320), (480, 640), (1080, 1920)])
def test_the_bar_is_as_long_as_the_prediction_is_likely(height: int, width: int) -> None:
    def bar_px(probability: float) -> int:
        out = draw(plain(height, width), now_s=0.0, prediction=predict(probability=probability))
        return int(pixels_of(out, "tai chi").any(axis=0).sum())

    full_px = bar_px(1.0)
    assert full_px > width / 4
    for probability in (0.0, 0.003, 0.25, 0.5, 0.9):
        assert abs(bar_px(probability) - probability * full_px) <= 1
    assert bar_px(1.5) == full_px


def test_a_provisional_prediction_looks_different() -> None:
    settled, provisional = (
        draw(plain(480, 640), now_s=0.0, prediction=predict(settled=settled)) for settled in (True, False)
    )
    share = pixels_of(provisional, "tai chi").sum() / pixels_of(settled, "tai chi").sum()
    assert 0.3 < share < 0.7  # hatched
    assert settled.max() == 255
    assert provisional.max() < 240  # grey letters


def test_before_the_first_prediction_the_picture_says_so() -> None:
    out = draw(plain(480, 640), now_s=0.0)
    assert out[:60].any()
    assert not any(pixels_of(out, label).any() for label in ("tai chi", "yoga"))


def test_runners_up_are_shown_where_there_is_room() -> None:
    def ink_below(height: int, width: int) -> bool:
        out = draw(plain(height, width), now_s=0.0, prediction=predict())
        bar_end = int(np.flatnonzero(pixels_of(out, "tai chi").any(axis=1))[-1])
        return bool(out[bar_end + 1 : height * 2 // 3].any())

    assert ink_below(480, 640)
    assert ink_below(1080, 1920)
    assert not ink_below(240, 320)


@pytest.mark.parametrize(("height", "width"), [(240, 320), (480, 641), (1080, 1920), (64, 64)])
def test_events_are_drawn_at_their_time(height: int, width: int) -> None:
    now_s = 100.0
    event = Event("tai chi", now_s - 15, now_s - 5, 0.9)
    out = draw(plain(height, width), now_s=now_s, events=[event])
    columns = np.flatnonzero(pixels_of(out, "tai chi").any(axis=0))
    margin_px = 10 if height < 1000 else 18
    assert abs(columns[0] - 0.25 * width) <= margin_px
    assert abs(columns[-1] - 0.75 * width) <= margin_px
    assert np.flatnonzero(pixels_of(out, "tai chi").any(axis=1))[0] > height * 0.8


def test_only_the_past_of_the_strip_is_drawn() -> None:
    def columns(start_s: float, end_s: float) -> int:
        out = draw(plain(240, 320), now_s=50.0, events=[Event("tai chi", start_s, end_s, 0.9)])
        return int(pixels_of(out, "tai chi").any(axis=0).sum())

    full = columns(0.0, 100.0)
    assert 300 < full <= 320
    assert columns(50.0 - STRIP_S, 50.0) == full
    assert (
        columns(50.0 - STRIP_S - 1.0, 40.0) == columns(50.0 - STRIP_S, 40.0) == pytest.approx(full / 2, abs=2)
    )
    assert columns(0.0, 50.0 - STRIP_S) == 0
    assert columns(50.0, 60.0) == 0


def test_an_event_is_named_where_its_name_has_room() -> None:
    def dark_in_bar(length_s: float) -> bool:
        """Whether letters are on the bar, which is otherwise of one colour except for its last column."""
        out = draw(plain(480, 640), now_s=50.0, events=[Event("tai chi", 50.0 - length_s, 50.0, 0.9)])
        coloured = pixels_of(out, "tai chi")
        rows, columns = (np.flatnonzero(coloured.any(axis=axis)) for axis in (1, 0))
        return not coloured[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()

    assert dark_in_bar(10.0)
    assert not dark_in_bar(1.5)


def test_neighbouring_events_of_one_colour_stay_apart() -> None:
    events = [Event("tai chi", 40.0, 45.0, 0.9), Event("tai chi", 45.0, 50.0, 0.9)]
    two = pixels_of(draw(plain(240, 320), now_s=50.0, events=events), "tai chi").any(axis=0)
    one = pixels_of(draw(plain(240, 320), now_s=50.0, events=[Event("tai chi", 40.0, 50.0, 0.9)]), "tai chi")
    assert two.sum() == one.any(axis=0).sum() - 1


def test_the_trail_is_fainter_than_an_event_and_lies_under_it() -> None:
    stretch = Event("tai chi", 30.0, 50.0, 0.9)
    out = draw(plain(240, 320), now_s=50.0, trail=[stretch])
    assert not pixels_of(out, "tai chi").any()
    unsure = draw(plain(240, 320), now_s=50.0, trail=[Event("tai chi", 30.0, 50.0, 0.1)])
    assert int(out[-8, 160, 2]) > int(unsure[-8, 160, 2]) > 50  # of (86, 180, 233) over grey 50
    both = draw(plain(240, 320), now_s=50.0, trail=[stretch], events=[stretch])
    assert np.array_equal(both, draw(plain(240, 320), now_s=50.0, events=[stretch]))


def test_a_label_keeps_its_colour() -> None:
    assert label_colour("tai chi") == (86, 180, 233)
    other_process = "from realtime.outputs.overlay import label_colour; print(label_colour('tai chi'))"
    printed = subprocess.run(
        [sys.executable, "-c", other_process], capture_output=True, text=True, check=True
    )
    assert printed.stdout.strip() == "(86, 180, 233)"
    assert {label_colour(f"class {number}") for number in range(200)} == set(PALETTE)
    assert label_colour("\ud800") in PALETTE


@pytest.mark.parametrize("strange", STRANGE, ids=ascii)
def test_no_label_writes_outside_the_panels(strange: str) -> None:
    """On a frame of one colour the panels are what differs; their outline does not depend on the text."""
    odd = (250, 10, 240)  # no blend of the colours drawn gives it

    def changed(label: str) -> np.ndarray:
        out = draw(
            plain(360, 500, odd),
            now_s=20.0,
            prediction=predict(label),
            events=[Event(label, 5.0, 8.0, 0.9)],
            caption=label,
        )
        return (out != odd).any(axis=2)

    assert np.array_equal(changed(strange), changed("yoga"))
    assert not changed(strange).all()


@settings(max_examples=60)
@given(
    text=st.text(st.characters(exclude_categories=()), max_size=60),
    height=st.integers(0, 40),
    width=st.integers(0, 200),
    size_px=st.integers(9, 60),
    right=st.booleans(),
)
def test_a_line_stays_in_its_box(text: str, height: int, width: int, size_px: int, right: bool) -> None:
    picture = plain(60, 240)
    box = picture[10 : 10 + height, 20 : 20 + width]
    used = write_line(box, text, size_px, (255, 255, 255), BOLD, least_px=9, right=right)
    assert 0 <= used <= width
    box[:] = 0
    assert not picture.any()


def test_a_long_line_is_set_smaller_and_then_cut() -> None:
    def line(width: int, least_px: int) -> tuple[int, int]:
        box = plain(60, width)
        used = write_line(box, "punching person (boxing)", 30, (255, 255, 255), least_px=least_px)
        return used, int(box.any(axis=(1, 2)).sum())

    roomy, small, cut = line(600, 30), line(300, 15), line(300, 30)
    assert 270 < small[0] <= 300 < roomy[0]
    assert small[1] < roomy[1]  # smaller letters
    assert cut[0] <= 300
    assert cut[1] > small[1]


def test_the_flow_picture_is_set_in_at_the_right() -> None:
    flow = plain(100, 100, (10, 200, 30))
    out = draw(plain(480, 640), now_s=0.0, prediction=predict(), flow=flow)
    rows, columns = np.nonzero((out == (10, 200, 30)).all(axis=2))
    assert columns.min() > 400
    assert rows.max() < 240
    assert len(rows) == (rows.max() - rows.min() + 1) * (columns.max() - columns.min() + 1) > 50 * 50


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00.0"), (75.25, "1:15.2"), (59.99, "0:59.9"), (3723.4, "1:02:03.4")]
)
def test_the_clock_shows_hours_only_where_needed(seconds: float, text: str) -> None:
    assert clock(seconds) == text


@pytest.mark.parametrize(
    ("probability", "text"),
    [(0.0, "0%"), (0.004, "<1%"), (0.5, "50%"), (0.99, "99%"), (0.994, ">99%"), (1.0, ">99%")],
)
def test_a_percentage_is_never_certain(probability: float, text: str) -> None:
    assert percent(probability) == text


def test_importing_the_sinks_is_light() -> None:
    code = (
        "import sys, realtime.outputs.annotated_video, realtime.outputs.timeline;"
        "print(sorted({'cv2', 'matplotlib', 'av', 'torch'} & set(sys.modules)))"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "[]\n"
    )
