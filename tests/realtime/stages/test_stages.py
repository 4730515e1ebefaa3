"""The small stages between ticks and events, against models of a line or two."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.spec import RGB
from realtime.pictures import centre_crop, resize_short_side
from realtime.stages.events import EventOptions, Events, OpenEvent
from realtime.stages.fuse import fuse, softmax, top_labels, top_labels_of_each
from realtime.stages.region import rgb_input
from realtime.stages.ring import Ring
from realtime.stages.schedule import Schedule
from realtime.stages.smooth import Smooth
from realtime.types import Event, Prediction


@given(st.integers(1, 9), st.integers(0, 40), st.integers(1, 40), st.data())
def test_ring_holds_the_newest_ticks(capacity: int, first: int, count: int, data: st.DataObject) -> None:
    ring = Ring(capacity, (2,), np.int64)
    for i in range(first, first + count):
        ring.append(i, np.array([i, -i]))
    kept = range(max(first, first + count - capacity), first + count)
    assert (ring.start, ring.stop) == (kept.start, kept.stop)
    start = data.draw(st.integers(kept.start, kept.stop))
    stop = data.draw(st.integers(start, kept.stop))
    assert ring.read(start, stop)[:, 0].tolist() == list(range(start, stop))


def test_ring_gives_no_tick_that_it_does_not_hold() -> None:
    ring = Ring(4, (), np.uint8)
    for i in range(6):
        ring.append(i, np.uint8(i))
    with pytest.raises(ValueError, match=r"ticks \[1, 5\) asked for, the ring holds \[2, 6\)"):
        ring.read(1, 5)
    with pytest.raises(ValueError, match="tick 7 does not follow tick 5"):
        ring.append(7, np.uint8(7))
    ring.clear()
    ring.append(7, np.uint8(7))
    assert ring.read(7, 8).tolist() == [7]


@given(st.integers(1, 70), st.integers(1, 20), st.integers(0, 5), st.integers(0, 300))
def test_schedule_gives_each_span_when_its_last_tick_comes(
    chunk: int, stride: int, first: int, count: int
) -> None:
    schedule = Schedule(chunk, stride)
    got = [(i, span) for i in range(first, first + count) for span in schedule.push(i)]
    starts = [s for s in range(first, first + count, stride) if s + chunk <= first + count]
    if chunk >= stride:
        assert got == [(s + chunk - 1, (s, s + chunk)) for s in starts]


def test_resize_keeps_the_aspect_and_crops_the_middle() -> None:
    image = np.zeros((240, 320, 3), np.uint8)
    assert resize_short_side(image, 256).shape == (256, 341, 3)
    assert resize_short_side(image.transpose(1, 0, 2), 256).shape == (341, 256, 3)
    same = np.zeros((256, 340, 3), np.uint8)
    assert resize_short_side(same, 256) is same
    same[16:240, 58:282] = 7
    assert (rgb_input(same, RGB) == 7).all()


@pytest.mark.parametrize("size", [(8, 8), (1, 1), (1, 4000), (2160, 4096), (37, 53)])
def test_every_size_becomes_a_crop(size: tuple[int, int]) -> None:
    image = np.full((*size, 3), 9, np.uint8)
    cropped = rgb_input(resize_short_side(image, 256), RGB)
    assert cropped.shape == (224, 224, 3)
    assert (cropped == 9).all()


def test_centre_crop_of_odd_sizes_leans_to_the_upper_left() -> None:
    image = np.arange(5, dtype=np.uint8).reshape(1, 5, 1)
    assert centre_crop(image, 1, 2)[0, :, 0].tolist() == [1, 2]


def test_fusion_adds_logits_with_their_weights() -> None:
    logits = {"rgb": np.array([1.0, 2.0], np.float32), "flow": np.array([3.0, -1.0], np.float32)}
    assert fuse(logits, {"rgb": 1, "flow": 1}).tolist() == [4.0, 1.0]
    assert fuse(logits, {"rgb": 1, "flow": 0.5}).tolist() == [2.5, 1.5]


def test_softmax_survives_large_logits() -> None:
    assert softmax(np.array([1000.0, 1000.0], np.float32)).tolist() == [0.5, 0.5]


def test_top_labels_are_ordered() -> None:
    top = top_labels(np.array([0.2, 0.5, 0.3], np.float32), ("a", "b", "c"), 2)
    assert [label for label, _ in top] == ["b", "c"]


def test_of_equal_probabilities_the_first_classes_are_on_top_in_every_row() -> None:
    labels, random = tuple(map(str, range(30))), np.random.default_rng(1)
    rows = np.round(random.random((50, 30), np.float32), 1)
    tops = top_labels_of_each(rows, labels)
    for row, top in zip(rows, tops, strict=True):
        wanted = np.argsort(-row, kind="stable")[:5]
        assert top == tuple((labels[i], float(row[i])) for i in wanted) == top_labels(row, labels)


def test_smooth_averages_the_newest_logits_and_says_where_they_begin() -> None:
    smooth = Smooth(2)
    answers = [smooth.push(8 * i, {"rgb": np.array([float(i)], np.float32)}) for i in range(3)]
    assert [(start, mean["rgb"].item()) for start, mean in answers] == [(0, 0.0), (0, 0.5), (8, 1.5)]
    start, mean = smooth.peek([(24, {"rgb": np.array([9.0], np.float32)})])
    assert (start, mean["rgb"].item()) == (16, 5.5)
    assert smooth.push(24, {"rgb": np.array([3.0], np.float32)})[1]["rgb"].item() == 2.5


def test_smooth_leaves_out_a_stream_that_is_not_in_all_that_it_averages() -> None:
    smooth = Smooth(2)
    rgb, flow = np.array([1.0], np.float32), np.array([5.0], np.float32)
    given = [
        {"rgb": rgb, "flow": flow},
        {"rgb": 3 * rgb},
        {"rgb": rgb, "flow": flow},
        {"rgb": rgb, "flow": flow},
    ]
    found = [smooth.push(8 * i, logits)[1] for i, logits in enumerate(given)]
    assert [sorted(mean) for mean in found] == [["flow", "rgb"], ["rgb"], ["rgb"], ["flow", "rgb"]]
    assert [mean["rgb"].item() for mean in found] == [1, 2, 2, 1]


LABELS = ("a", "b", "c")


def predictions(*leaders: tuple[str, float]) -> list[Prediction]:
    """One prediction of 2 s every second; the rest of the probability is spread over the other labels."""
    out = []
    for i, (label, p) in enumerate(leaders):
        values = np.array([p if name == label else (1 - p) / 2 for name in LABELS], np.float32)
        top = top_labels(values, LABELS)
        out.append(Prediction(25 * i, 25 * i + 50, float(i), i + 2.0, values, top, ("rgb",), "window"))
    return out


def events(options: EventOptions, *leaders: tuple[str, float]) -> list[tuple[str, float, float]]:
    stage = Events(options, LABELS)
    out = [out for p in predictions(*leaders) for out in stage.push(p)] + stage.flush()
    return [(e.label, e.start_s, e.end_s) for e in out if isinstance(e, Event)]


def test_an_action_that_fills_the_clip_lasts_as_long_as_the_clip() -> None:
    assert events(EventOptions(), ("a", 0.9), ("a", 0.8), ("a", 0.9)) == [("a", 0.0, 4.0)]


def test_hysteresis_carries_an_action_through_a_dip_above_the_lower_threshold() -> None:
    assert events(EventOptions(on=0.5, off=0.3), ("a", 0.9), ("a", 0.4), ("a", 0.9)) == [("a", 0.0, 4.0)]
    assert events(EventOptions(on=0.5, off=0.45), ("a", 0.9), ("a", 0.4), ("a", 0.9)) == [
        ("a", 0.0, 2.0),
        ("a", 3.0, 4.0),
    ]


def test_a_change_of_action_is_placed_in_the_middle_of_the_span_that_shows_it() -> None:
    assert events(EventOptions(), ("a", 0.9), ("b", 0.9), ("b", 0.9)) == [("a", 0.0, 2.0), ("b", 2.0, 4.0)]


def test_short_and_weak_actions_are_left_out() -> None:
    assert events(EventOptions(min_length_s=1.5), ("a", 0.9), ("b", 0.9), ("a", 0.9)) == [("a", 0.0, 2.0)]
    assert events(EventOptions(), ("a", 0.4), ("b", 0.45)) == []


def test_event_probability_is_the_mean_over_its_predictions() -> None:
    stage = Events(EventOptions(), LABELS)
    for prediction in predictions(("a", 0.9), ("a", 0.5)):
        stage.push(prediction)
    assert stage.current == OpenEvent("a", 0.0)
    assert stage.flush()[0].probability == pytest.approx(0.7)
