"""The annotated video: each frame carries what was known at its time, and no more."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.outputs.annotated_video import Annotator, Recent
from realtime.outputs.overlay import STRIP_S, draw, label_colour
from realtime.outputs.video_file import VideoWriter
from realtime.sources.open import open_video
from realtime.types import Event, Frame, Gap, Idle, Image, Prediction

FPS = 25
LABELS = ["archery", "yoga", "lunge", "side kick"]


class Kept:
    """A writer that keeps the pictures."""

    def __init__(self, fail_after: int = 10**9) -> None:
        self.pictures: list[Image] = []
        self.pts: list[Fraction] = []
        self.closed = 0
        self._fail_after = fail_after

    def write(self, rgb: Image, pts: Fraction) -> None:
        if len(self.pictures) == self._fail_after:
            raise OSError("disk full")
        self.pictures.append(rgb)
        self.pts.append(pts)

    def close(self) -> None:
        self.closed += 1


def frame(number: int, height: int = 32, width: int = 400) -> Frame:
    return Frame(np.zeros((height, width, 3), np.uint8), Fraction(number, FPS), Fraction(1, FPS))


def predict(start: int, stop: int, label: str, *, settled: bool = True) -> Prediction:
    """A prediction of the ticks start to stop - 1, of probability 1: the bar is as wide as the picture."""
    probabilities, top = np.ones(1, np.float32), ((label, 1.0),)
    return Prediction(start, stop, start / FPS, stop / FPS, probabilities, top, ("rgb",), "window", settled)


def shown(picture: Image) -> str | None:
    """The label whose bar is at the top of a picture that is too low for text."""
    return next((label for label in LABELS if tuple(picture[0, 0]) == label_colour(label)), None)


def test_the_labels_of_these_tests_differ_in_colour() -> None:
    assert len({label_colour(label) for label in LABELS}) == len(LABELS)


@given(
    frames=st.integers(1, 40),
    span=st.integers(1, 20),
    stride=st.integers(1, 12),
    early=st.booleans(),
)
def test_a_frame_shows_the_newest_prediction_whose_span_has_ended(
    frames: int, span: int, stride: int, early: bool
) -> None:
    """`early`: predictions come before the frame that made them certain instead of after it; it makes no difference."""
    writer = Kept()
    annotator = Annotator(writer)
    stops = list(range(span, frames, stride))
    for number in range(frames):
        answers = [
            predict(stop - span, stop, LABELS[index % 4])
            for index, stop in enumerate(stops)
            if stop == number  # tick stop - 1 is certain once frame `stop` has come
        ]
        for item in [*answers, frame(number)] if early else [frame(number), *answers]:
            annotator.push(item)
    annotator.close()
    assert writer.pts == [Fraction(number, FPS) for number in range(frames)]
    for number, picture in enumerate(writer.pictures):
        ended = [index for index, stop in enumerate(stops) if stop <= number]
        assert shown(picture) == (LABELS[ended[-1] % 4] if ended else None)


def test_a_prediction_is_not_shown_before_its_span_has_ended() -> None:
    writer = Kept()
    annotator = Annotator(writer)
    annotator.push(predict(0, 3, "yoga"))
    annotator.push(predict(3, 6, "lunge"))
    for number in range(8):
        annotator.push(frame(number))
    annotator.close()
    assert [shown(picture) for picture in writer.pictures] == [None] * 3 + ["yoga"] * 3 + ["lunge"] * 2


def test_the_last_frame_shows_the_prediction_of_a_clip_that_was_repeated_to_fill_a_window() -> None:
    writer = Kept()
    annotator = Annotator(writer)
    for number in range(5):
        annotator.push(frame(number))
    annotator.push(predict(0, 64, "yoga"))
    annotator.close()
    assert [shown(picture) for picture in writer.pictures] == [None] * 4 + ["yoga"]


def test_a_gap_takes_the_prediction_from_the_screen() -> None:
    writer = Kept()
    annotator = Annotator(writer)
    annotator.push(frame(0))
    annotator.push(frame(2))
    annotator.push(predict(0, 2, "yoga"))
    annotator.push(frame(50))
    annotator.push(Gap(Fraction(3, FPS), Fraction(50, FPS), "no frames"))
    annotator.push(frame(51))
    annotator.push(predict(50, 51, "lunge"))
    annotator.close()
    assert [shown(picture) for picture in writer.pictures] == [None, "yoga", None, "lunge"]


def test_a_rest_takes_the_prediction_from_the_screen() -> None:
    writer = Kept()
    annotator = Annotator(writer)
    annotator.push(frame(0))
    annotator.push(frame(2))
    annotator.push(predict(0, 2, "yoga"))
    annotator.push(frame(50))
    annotator.push(Idle(True, Fraction(1, FPS), Fraction(40, FPS)))
    annotator.push(frame(90))
    annotator.push(Idle(False, Fraction(70, FPS), Fraction(90, FPS)))
    annotator.push(predict(70, 90, "lunge"))
    annotator.close()
    assert [shown(picture) for picture in writer.pictures] == [None, "yoga", None, "lunge"]


def test_a_provisional_prediction_is_shown_until_the_next_one() -> None:
    writer = Kept()
    annotator = Annotator(writer)
    for number, answers in enumerate(
        [[], [predict(0, 1, "yoga"), predict(0, 1, "lunge", settled=False)], [predict(1, 2, "yoga")], []]
    ):
        annotator.push(frame(number))
        for answer in answers:
            annotator.push(answer)
    annotator.close()
    assert [shown(picture) for picture in writer.pictures] == [None, "lunge", "yoga", "yoga"]


def test_each_picture_is_what_draw_gives() -> None:
    writer = Kept()
    annotator = Annotator(writer, caption="rgb, weights: kinetics")
    event = Event("yoga", 0.0, 0.06, 0.9)
    for item in [frame(0, 240, 320), frame(3, 240, 320), predict(0, 3, "yoga"), event, frame(4, 240, 320)]:
        annotator.push(item)
    annotator.close()
    expected = draw(
        frame(3, 240, 320).rgb,
        now_s=0.12,
        prediction=predict(0, 3, "yoga"),
        events=[event],
        trail=[Event("yoga", 0.0, 0.12, 1.0)],
        caption="rgb, weights: kinetics",
    )
    assert np.array_equal(writer.pictures[1], expected)


def test_a_zone_that_moves_loses_its_own_prediction_alone() -> None:
    recent = Recent(STRIP_S)
    whole = predict(0, 40, LABELS[0])
    for zone in (None, "far", "near"):
        recent.push(replace(whole, zone=zone))
    recent.push(Gap(Fraction(2), Fraction(2), "zone moved", zone="far"))
    assert recent.prediction is not None
    assert recent.of_zones.keys() == {"near"}
    recent.push(Gap(Fraction(2), Fraction(3), "no frames"))
    assert (recent.prediction, recent.of_zones) == (None, {})


def test_the_trail_changes_in_the_middle_of_a_span_and_starts_afresh_after_a_gap() -> None:
    recent = Recent()
    for answer in (
        predict(0, 50, "yoga"),
        predict(25, 75, "lunge"),
        predict(30, 80, "archery", settled=False),
    ):
        recent.push(answer)
    assert [(s.label, s.start_s, s.end_s) for s in recent.trail] == [("yoga", 0, 2), ("lunge", 2, 3)]
    assert recent.prediction is not None
    assert recent.prediction.label == "archery"
    recent.push(Gap(Fraction(4), Fraction(6), "no frames"))
    recent.push(predict(150, 200, "yoga"))
    assert [(s.start_s, s.end_s) for s in recent.trail] == [(0, 2), (2, 3), (6, 8)]


def test_predictions_further_apart_than_they_are_long_leave_breaks_in_the_trail() -> None:
    recent = Recent()
    recent.push(predict(0, 25, "yoga"))
    recent.push(predict(100, 125, "yoga"))
    assert [(s.start_s, s.end_s) for s in recent.trail] == [(0, 1), (4.5, 5)]


def test_what_has_left_the_strip_is_forgotten() -> None:
    recent = Recent()
    for second in range(1000):
        recent.push(predict(FPS * second, FPS * (second + 1), "yoga"))
        recent.push(Event("yoga", second, second + 1, 0.9))
        recent.forget(float(second + 1))
        assert len(recent.events) <= STRIP_S
        assert len(recent.trail) <= STRIP_S + 1


def test_the_file_is_closed_when_the_last_picture_cannot_be_written() -> None:
    writer = Kept(fail_after=1)
    annotator = Annotator(writer)
    annotator.push(frame(0))
    annotator.push(frame(1))
    with pytest.raises(OSError, match="disk full"):
        annotator.close()
    assert writer.closed == 1


def test_without_frames_the_file_is_closed_without_pictures() -> None:
    writer = Kept()
    Annotator(writer).close()
    assert (writer.pictures, writer.closed) == ([], 1)


def test_the_video_has_each_frame_at_its_time_with_its_prediction(tmp_path: Path) -> None:
    """Through the encoder and back. Colours come back within what H.264 at this quality loses on flat areas."""
    stamps = [Fraction(0), Fraction(1, 25), Fraction(3, 25), Fraction(4, 25), Fraction(9, 25), Fraction(1)]
    path = tmp_path / "annotated.mp4"
    annotator = Annotator(VideoWriter(path, (320, 240)), caption="rgb, weights: kinetics")
    for pts in stamps:
        annotator.push(Frame(np.full((240, 320, 3), 90, np.uint8), pts, Fraction(1, 25)))
        if pts == Fraction(4, 25):
            annotator.push(predict(0, 4, "lunge"))
    annotator.close()
    with open_video(path) as video:
        frames = list(video)
    assert [frame.pts for frame in frames] == stamps
    green = [(frame.rgb[:60].astype(int) @ (-1, 2, -1) > 150).sum() for frame in frames]
    assert max(green[:3]) == 0
    assert min(green[3:]) > 500


def test_a_real_clip_keeps_its_frames_and_times(clips: Path, tmp_path: Path) -> None:
    with open_video(clips / "eat.mkv") as video:
        annotator = Annotator(VideoWriter(tmp_path / "out.mp4", video.size_px))
        before = []
        for frame in video:
            before.append(frame.pts)
            annotator.push(frame)
        annotator.push(predict(0, 64, "yoga"))
        annotator.close()
    with open_video(tmp_path / "out.mp4") as video:
        after = [(frame.pts, frame.rgb.shape) for frame in video]
    assert after == [(pts, (480, 640, 3)) for pts in before]
