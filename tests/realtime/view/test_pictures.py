"""What a page sees and records never makes a frame wait."""

import io
import threading
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from realtime.types import Frame
from realtime.view.latest_value import Latest
from realtime.view.pictures import Pictures
from tests.support.view_doubles import until


def frame(number: int) -> Frame:
    return Frame(np.full((64, 80, 3), number % 256, np.uint8), Fraction(number, 25), Fraction(1, 25))


class Slow:
    """A recorder whose disk hangs until it may go on."""

    def __init__(self) -> None:
        self.may, self.got = threading.Event(), []  # type: ignore[var-annotated]

    def frame(self, item: Frame) -> None:
        self.may.wait(20)
        self.got.append(item)


@pytest.fixture
def latest() -> tuple[Latest[bytes], Latest[bytes]]:
    return Latest(), Latest()


def test_a_recorder_that_hangs_holds_up_no_frame_of_a_camera(
    latest: tuple[Latest[bytes], Latest[bytes]],
) -> None:
    recorder = Slow()
    with Pictures(*latest, lambda: recorder, live=True) as pictures:  # type: ignore[arg-type, return-value]
        for number in range(1500):
            pictures.show(frame(number))
        missed = pictures.left_out()
        recorder.may.set()
    assert missed["--record"] in (499, 500)
    assert missed["page"] == 0
    assert [round(item.pts * 25) for item in recorder.got[-1000:]] == list(range(500, 1500))


def test_a_recorder_of_a_file_gets_every_frame(latest: tuple[Latest[bytes], Latest[bytes]]) -> None:
    recorder = Slow()
    with Pictures(*latest, lambda: recorder, live=False) as pictures:  # type: ignore[arg-type, return-value]
        threading.Timer(0.2, recorder.may.set).start()
        for number in range(1500):
            pictures.show(frame(number))
    assert len(recorder.got) == 1500
    assert pictures.left_out() == {"page": 0, "--record": 0}


def test_the_newest_picture_and_flow_are_shown_to_who_watches(
    latest: tuple[Latest[bytes], Latest[bytes]],
) -> None:
    picture, flow = latest
    with Pictures(picture, flow, lambda: None, live=True) as pictures:
        pictures.show(frame(0))
        pictures.show_flow(np.zeros((2, 16, 16), np.float32))
        with picture.watch(), flow.watch():
            for number in range(200):
                pictures.show(frame(number))
            pictures.show_flow(np.zeros((2, 16, 16), np.float32))
            until(lambda: flow.newest is not None)
    assert abs(Image.open(io.BytesIO(picture.newest or b"")).getpixel((5, 5))[0] - 199) < 4  # type: ignore[index]
    assert Image.open(io.BytesIO(flow.newest or b"")).size == (16, 16)
    assert picture.number + pictures.left_out()["page"] == 200
