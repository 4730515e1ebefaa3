"""A video at its own pace, and pictures from a browser."""

import io
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from realtime.errors import UsageError
from realtime.types import Frame
from realtime.view.browser_camera import BrowserCamera, Shown, decode_picture
from tests.support.doubles import constant_rate


class Listed:
    """Source: frames that are available immediately."""

    name = "listed"

    def __init__(self, frames: list[Frame], live: bool) -> None:
        self.frames, self.live, self.closed = frames, live, False

    def __iter__(self) -> Iterator[Frame]:
        return iter(self.frames)

    def close(self) -> None:
        self.closed = True


def jpeg(value: int, size: tuple[int, int] = (32, 24)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, (value, value, value)).save(out, "JPEG")
    return out.getvalue()


def test_a_file_is_read_at_its_own_pace_and_its_frames_are_taken_when_they_are_due() -> None:
    frames = constant_rate(6, Fraction(25))
    shown: list[Frame] = []
    start_s = time.monotonic()
    out = list(Shown(Listed(frames, live=False), shown.append))
    taken_s = [frame.taken_s for frame in out if frame.taken_s is not None]
    assert out == shown
    assert all(taken >= start_s + i / 25 for i, taken in enumerate(taken_s))
    assert [frame.pts for frame in out] == [frame.pts for frame in frames]


def test_a_live_source_is_passed_on_as_it_comes() -> None:
    frames = constant_rate(50, Fraction(1))
    shown: list[Frame] = []
    assert list(Shown(Listed(frames, live=True), shown.append)) == frames == shown


def test_a_file_that_waits_for_its_time_can_be_closed() -> None:
    source = Listed(constant_rate(3, Fraction(1, 1000)), live=False)
    shown = Shown(source, lambda frame: None)
    out: list[Frame] = []
    thread = threading.Thread(target=lambda: out.extend(shown))
    thread.start()
    shown.close()
    thread.join(5)
    assert not thread.is_alive()
    assert len(out) <= 1
    assert source.closed


def taken(camera: BrowserCamera, count: int) -> list[Frame]:
    frames = []
    for frame in camera:
        frames.append(frame)
        if len(frames) == count:
            return frames
    return frames


def test_pictures_are_placed_by_their_own_times_however_they_arrive() -> None:
    camera = BrowserCamera()
    times_ms = [1_764_025_200_000.5 + step for step in (0, 40, 80, 200, 240)]
    for i, time_ms in enumerate(times_ms):
        camera.put(jpeg(10 * i), time_ms)
    frames = taken(camera, 5)
    assert [frame.pts for frame in frames] == [Fraction(step, 1000) for step in (0, 40, 80, 200, 240)]
    assert [round(frame.rgb.mean() / 10) for frame in frames] == [0, 1, 2, 3, 4]
    assert camera.taken_ms(0.2) == pytest.approx(times_ms[3], abs=0.01)


def test_a_picture_counts_as_taken_before_it_arrived() -> None:
    camera = BrowserCamera()
    before_s = time.monotonic()
    for step in (0, 40, 80):
        camera.put(jpeg(0), 1e12 + step)
    after_s = time.monotonic()
    frames = taken(camera, 3)
    assert [before_s <= (frame.taken_s or 0) <= after_s for frame in frames] == [True] * 3


def test_the_same_picture_twice_is_one_and_older_ones_are_late() -> None:
    camera = BrowserCamera()
    for step in (0, 40, 40, 20, 80):
        camera.put(jpeg(0), 1e12 + step)
    assert [float(frame.pts) for frame in taken(camera, 3)] == [0, 0.04, 0.08]
    assert camera.late == 1


def test_a_clock_that_is_set_back_makes_a_gap() -> None:
    camera = BrowserCamera()
    for time_ms in (1e12, 1e12 + 40, 1e12 - 3_600_000, 1e12 - 3_599_960):
        camera.put(jpeg(0), time_ms)
    frames = taken(camera, 4)
    assert [frame.after_gap for frame in frames] == [False, False, True, False]
    assert [a.pts < b.pts for a, b in pairwise(frames)] == [True] * 3


def test_pictures_that_nobody_takes_are_counted_not_kept() -> None:
    camera = BrowserCamera()
    for step in range(100):
        camera.put(b"", 1e12 + step)
    assert camera.late == 70


def test_closing_ends_the_waiting() -> None:
    camera = BrowserCamera()
    thread = threading.Thread(target=lambda: list(camera))
    thread.start()
    camera.close()
    thread.join(5)
    assert not thread.is_alive()


@pytest.mark.parametrize("time_ms", [float("nan"), -1.0, float("inf"), 1e15])
def test_an_impossible_time_is_refused(time_ms: float) -> None:
    with pytest.raises(UsageError, match="milliseconds"):
        BrowserCamera().put(jpeg(0), time_ms)


@pytest.mark.parametrize("content", [b"", b"\xff\xd8\xff", jpeg(0)[:200], b"GIF89a" + bytes(50), bytes(1000)])
def test_what_is_not_a_jpeg_is_refused(content: bytes) -> None:
    with pytest.raises(UsageError, match="no JPEG"):
        decode_picture(content)


def test_a_small_file_that_says_it_is_a_huge_picture_is_refused() -> None:
    size = jpeg(0).index(b"\xff\xc0") + 5
    bomb = jpeg(0)[:size] + b"\xff\xff\xff\xff" + jpeg(0)[size + 4 :]
    with pytest.raises(UsageError, match="too large"):
        decode_picture(bomb)


def test_a_grey_picture_becomes_rgb() -> None:
    out = io.BytesIO()
    Image.new("L", (8, 8), 200).save(out, "JPEG")
    rgb = decode_picture(out.getvalue())
    assert rgb.shape == (8, 8, 3)
    assert np.abs(rgb.astype(int) - 200).max() < 3
