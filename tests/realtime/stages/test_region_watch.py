"""Looking at a part of the picture, and choosing among a part of the labels."""

from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from realtime.errors import UsageError
from realtime.recognizer import Recognizer
from realtime.stages.region import Region, views
from realtime.types import Frame, Prediction
from tests.support.doubles import PositionTicks, SawTicks, constant_rate


def striped(count: int = 70, height: int = 300, width: int = 900) -> list[Frame]:
    """Three square stripes side by side: 10 at the left, 40 in the middle, 100 at the right."""
    rgb = np.zeros((height, width, 3), np.uint8)
    for i, value in enumerate((10, 40, 100)):
        rgb[:, i * width // 3 : (i + 1) * width // 3, 0] = value
    return [Frame(rgb, Fraction(i, 25), Fraction(1, 25)) for i in range(count)]


def first_logit(region: Region) -> float:
    """The double's first logit: the value of the first pixel that its engine was given."""
    engine = SawTicks()
    recognizer = Recognizer({"rgb": engine}, region=region)
    for frame in striped():
        recognizer.push(frame)
    assert engine.chunks[0].shape == (1, 64, 224, 224, 3)
    return float(engine.numbers(engine.chunks[0][0])[0])


@pytest.mark.parametrize(
    ("region", "seen"),
    [((0, 0, 300, 300), 10), ((300, 0, 300, 300), 40), ((600, 0, 300, 300), 100), (None, 40)],
)
def test_the_network_sees_the_region_and_nothing_else(region: Region, seen: int) -> None:
    assert first_logit(region) == seen


@pytest.mark.parametrize(
    "region", [(350, 20, 120, 90), (0, 0, 900, 300), (899, 299, 1, 1), (100, 100, 99, 150)]
)
def test_a_region_is_cut_before_the_resize(region: tuple[int, int, int, int]) -> None:
    x, y, width, height = region
    items = constant_rate(70, Fraction(25))
    rng = np.random.default_rng(0)
    noisy = [Frame(rng.integers(0, 256, (300, 900, 3), np.uint8), f.pts, f.duration) for f in items]
    cut = [Frame(f.rgb[y : y + height, x : x + width], f.pts, f.duration) for f in noisy]
    whole, part = SawTicks(), SawTicks()
    for frames, engine, looked_at in ((noisy, whole, region), (cut, part, None)):
        recognizer = Recognizer({"rgb": engine}, region=looked_at)
        for frame in frames:
            recognizer.push(frame)
    assert np.array_equal(whole.chunks[0], part.chunks[0])


def test_full_averages_the_logits_of_three_squares() -> None:
    engine = SawTicks()
    recognizer = Recognizer({"rgb": engine}, region="full", watch=("first", "count"))
    answers = [out for f in striped() for out in recognizer.push(f) if isinstance(out, Prediction)]
    assert [engine.numbers(chunk[0])[0] for chunk in engine.chunks[:3]] == [10, 40, 100]
    assert recognizer.counts.steps == 1
    ratio = np.log(answers[0].probabilities[1] / answers[0].probabilities[0])
    assert ratio == pytest.approx(64 - 50, rel=1e-4)


def test_full_of_a_tall_picture_goes_from_top_to_bottom() -> None:
    picture = np.arange(8 * 4 * 3, dtype=np.uint8).reshape(8, 4, 3)
    tops = [
        int(np.flatnonzero((picture == view[0, 0]).all(axis=2).any(axis=1))[0])
        for view in views(picture, "full")
    ]
    assert tops == [0, 2, 4]


@pytest.mark.parametrize(
    "region", [(-50, -50, 60, 60), (5000, 5000, 10, 10), (0, 0, 10**9, 10**9), (-9, -9, 1, 1)]
)
def test_a_region_that_no_longer_fits_the_picture_still_gives_a_picture(region: Region) -> None:
    (view,) = views(np.zeros((48, 64, 3), np.uint8), region)
    assert view.size > 0


def probabilities(watch: tuple[str, ...] | None) -> NDArray[np.float32]:
    recognizer = Recognizer({"rgb": PositionTicks()}, smooth=1, watch=watch)
    answers = [out for f in constant_rate(120, Fraction(25)) for out in recognizer.push(f)]
    return np.stack([out.probabilities for out in answers if isinstance(out, Prediction)])


def test_probabilities_of_the_watched_labels_sum_to_one_and_keep_their_ratio() -> None:
    everything, some = probabilities(None), probabilities(("consecutive", "last"))
    assert some.shape == (len(everything), 2)
    assert some.sum(axis=1) == pytest.approx(1, abs=1e-6)
    kept = everything[:, [1, 3]].astype(np.float64) + 1e-30
    assert np.log(some[:3, 1] / some[:3, 0]) == pytest.approx(np.log(kept[:3, 1] / kept[:3, 0]), abs=1e-3)


def test_watched_labels_are_those_of_the_predictions() -> None:
    recognizer = Recognizer({"rgb": SawTicks()}, watch=("count", "first", "count"))
    assert recognizer.labels == ("first", "count")
    answers = [out for f in constant_rate(70, Fraction(25)) for out in recognizer.push(f)]
    assert {label for out in answers if isinstance(out, Prediction) for label, _ in out.top} == {
        "first",
        "count",
    }


@pytest.mark.parametrize(
    ("watch", "message"),
    [(("frist", "count"), "did you mean 'first'"), (("count",), "at least two"), ((), "at least two")],
)
def test_labels_that_cannot_be_watched_are_refused(watch: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Recognizer({"rgb": SawTicks()}, watch=watch)


def test_each_stream_has_its_own_probabilities() -> None:
    class Sure(SawTicks):
        """Says "first" where its number is large and "count" where it is small, whatever it sees."""

        number = 90.0

        def numbers(self, ticks: NDArray[np.uint8]) -> NDArray[np.float64]:
            return np.full(len(ticks), self.number)

    class Opposite(Sure):
        number = -90.0

    recognizer = Recognizer({"rgb": Sure(), "flow": Opposite()}, watch=("first", "count"))
    answers = [out for f in constant_rate(80, Fraction(25)) for out in recognizer.push(f)]
    (answer, *_) = [out for out in answers if isinstance(out, Prediction)]
    assert answer.by_stream["rgb"][0] == ("first", pytest.approx(1.0))
    assert answer.by_stream["flow"][0] == ("count", pytest.approx(1.0))
    assert answer.label == "count"
