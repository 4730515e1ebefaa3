"""From ticks to flow fields: the same motion at any rate, nothing across a cut, and the two streams on the same
ticks."""

from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest

from engines.errors import UsageError
from realtime.flow.methods import flow_method
from realtime.flow.stage import FlowFeed, FlowStage, network_input
from realtime.offline import ticks_of
from realtime.pictures import resize_short_side
from realtime.recognizer import Recognizer
from realtime.stages.inputs import RgbFeed
from realtime.types import FlowRegion, Frame, Prediction, ResizedTick, Tick
from realtime.worker_threads import submit
from tests.support.doubles import FLOW, FPS, RGB, SawTicks, constant_rate

PX_PER_S = 50.0
"""2 px per tick at 25 fps."""


def texture(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).random((80, 160), np.float32)
    return cv2.resize(noise, (800, 400), interpolation=cv2.INTER_CUBIC)


def moving(fps: Fraction, seconds: float = 1.0, seed: int = 0) -> list[Frame]:
    """A texture that moves to the right at PX_PER_S."""
    image, frames = texture(seed), []
    for i in range(int(fps * Fraction(seconds))):
        shift = np.float32([[1, 0, -200 + PX_PER_S * i / fps], [0, 1, -50]])
        grey = cv2.warpAffine(image, shift, (256, 256), flags=cv2.INTER_CUBIC)
        rgb = np.repeat((grey.clip(0, 1) * 255).astype(np.uint8)[:, :, None], 3, axis=2)
        frames.append(Frame(rgb, i / fps, 1 / fps))
    return frames


def resized(tick: Tick, short_side_px: int = 256) -> ResizedTick:
    return ResizedTick(tick, resize_short_side(tick.frame.rgb, short_side_px))


def fields_of(stage: FlowStage, frames: list[Frame]) -> dict[int, np.ndarray]:
    fields = {}
    for tick in ticks_of(frames, FPS):
        fields |= dict(stage.push(resized(tick)))
    return fields | dict(stage.flush())


@pytest.mark.parametrize(
    "fps", [Fraction(8), Fraction(10), Fraction(25, 2), *map(Fraction, (15, 20, 24, 25, 30, 50, 60))], ids=str
)
def test_the_same_motion_gives_the_same_field_at_any_rate(fps: Fraction) -> None:
    fields = fields_of(FlowStage(FPS, "tvl1"), moving(fps))
    assert list(fields) == list(range(24 if fps == Fraction(25, 2) else 25))
    inner = [np.median(field[0, 32:-32, 32:-32]) for field in fields.values()]
    assert inner == pytest.approx([PX_PER_S / 25] * len(fields), rel=0.1)


def test_nothing_flows_across_a_cut_and_the_cut_is_counted() -> None:
    first, second = moving(FPS, 0.4, seed=1), moving(FPS, 0.4, seed=2)
    spliced = first + [Frame(f.rgb, f.pts + Fraction(2, 5), f.duration) for f in second]
    stage = FlowStage(FPS, "tvl1")
    fields = fields_of(stage, spliced)
    assert stage.health.cuts == 1
    assert np.array_equal(fields[9], fields[8])
    assert np.median(fields[10][0]) == pytest.approx(2, rel=0.1)


def test_a_single_frame_has_no_motion() -> None:
    fields = fields_of(FlowStage(FPS, "dis"), moving(FPS, 0.04))
    assert (fields[0] == 0).all()


def test_equal_distinct_frames_are_blank_and_counted() -> None:
    still = moving(FPS, 0.04)[0].rgb
    stage = FlowStage(FPS, "dis")
    fields_of(stage, [Frame(still, Fraction(i, 25), Fraction(1, 25)) for i in range(5)])
    assert stage.health.report()["blank_share"] == 1.0


def test_a_size_change_is_a_cut_for_the_whole_frame() -> None:
    frames = moving(FPS, 0.4)
    wide = [Frame(np.repeat(f.rgb, 2, axis=1), f.pts + Fraction(2, 5), f.duration) for f in frames]
    stage = FlowStage(FPS, "dis", region="frame")
    fields = fields_of(stage, frames + wide)
    assert stage.health.cuts == 1
    assert fields[9].shape == (2, 256, 256)
    assert fields[10].shape == (2, 256, 512)


def test_health_detects_a_wrong_sign() -> None:
    stage, right = FlowStage(FPS, "tvl1"), flow_method("tvl1")
    fields_of(stage, moving(FPS, 0.2))
    assert stage.health.report()["verdict"] == "good"
    wrong = FlowStage(FPS, lambda: lambda before, after: -right(before, after))
    fields_of(wrong, moving(FPS, 0.2))
    assert "sign" in str(wrong.health.report()["verdict"])


@pytest.mark.parametrize("fps", [10, 25, 60])
def test_flow_on_worker_threads_is_the_same_flow(fps: int) -> None:
    frames = [*moving(Fraction(fps), 0.4, seed=1)]
    frames += [Frame(f.rgb, f.pts + Fraction(2, 5), f.duration) for f in moving(Fraction(fps), 0.4, seed=2)]
    alone, two = FlowStage(FPS, "tvl1"), FlowStage(FPS, "tvl1", submit=submit)
    expected, fields = fields_of(alone, frames), fields_of(two, frames)
    assert list(fields) == list(expected)
    assert all(np.array_equal(fields[i], expected[i]) for i in expected)
    assert two.health == alone.health
    assert two.health.cuts == 1


def test_flow_on_worker_threads_comes_one_frame_later_and_reset_forgets_what_is_under_way() -> None:
    first, second = moving(FPS, 0.2, seed=1), moving(FPS, 0.2, seed=2)
    stage = FlowStage(FPS, "tvl1", submit=submit)
    came = [[i for i, _ in stage.push(resized(t))] for t in ticks_of(first, FPS)]
    assert came == [[], [], [0], [1], [2]]
    stage.reset()
    expected, fields = fields_of(FlowStage(FPS, "tvl1"), second), fields_of(stage, second)
    assert list(fields) == list(expected)
    assert all(np.array_equal(fields[i], expected[i]) for i in expected)


def test_an_error_on_a_worker_thread_reaches_the_caller() -> None:
    stage = FlowStage(FPS, "dis", side_px=4, submit=submit)
    tiny = [replace(f, pixels=f.rgb[:4, :4]) for f in moving(FPS, 0.2)]
    first, second, third, *_ = ticks_of(tiny, FPS)
    assert stage.push(resized(first, 4)) == stage.push(resized(second, 4)) == []
    with pytest.raises(UsageError, match="tvl1 for small pictures"):
        stage.push(resized(third, 4))


def test_the_network_gets_256_levels_truncated_as_in_the_published_release() -> None:
    flow = np.array([0.0, 20.0, -20.0, 30.0, -30.0, 0.08, 0.079], np.float32)
    expected = [127 / 127.5 - 1, 1, -1, 1, -1, 128 / 127.5 - 1, 128 / 127.5 - 1]
    assert network_input(flow, 20.0) == pytest.approx(expected, abs=5e-4)
    assert network_input(flow, 20.0, quantise=False)[0] == 0


def test_feed_gives_the_centre_of_each_field() -> None:
    feed = FlowFeed(FLOW, "dis")
    for tick in ticks_of(moving(FPS, 0.08), FPS):
        inputs = feed.push(resized(tick))
    assert inputs[0][0] == 0
    assert inputs[0][1].shape == (224, 224, 2)
    assert inputs[0][1].dtype == np.float16


class TickFlow:
    """Double of a feed: the input of tick t is its frame's number, known one tick later, like flow."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._owed: list[tuple[int, np.ndarray]] = []

    def push(self, resized: ResizedTick) -> list[tuple[int, np.ndarray]]:
        owed, self._owed = self._owed, [(resized.tick.index, np.float16(resized.image[:224, :224, :2]))]
        return owed

    def flush(self) -> list[tuple[int, np.ndarray]]:
        owed, self._owed = self._owed, []
        return owed


@pytest.mark.parametrize("length", [40, 64, 100])
def test_the_windows_that_are_fused_cover_the_same_ticks(length: int) -> None:
    rgb, flow = SawTicks(RGB), SawTicks(FLOW)
    recognizer = Recognizer(
        {"rgb": rgb, "flow": flow}, new_feed=lambda spec: RgbFeed(spec) if spec is RGB else TickFlow()
    )
    outputs = [out for f in constant_rate(length, FPS) for out in recognizer.push(f)] + recognizer.flush()
    assert len(rgb.chunks) == len(flow.chunks) == max(1, (length - 56) // 8)
    for a, b in zip(rgb.chunks, flow.chunks, strict=True):
        assert np.array_equal(rgb.numbers(a[0]), flow.numbers(b[0]))
    assert all(p.streams == ("rgb", "flow") for p in outputs if isinstance(p, Prediction))


@pytest.mark.parametrize(("flow_region", "width"), [("square", 256), ("frame", 512)])
def test_the_recogniser_takes_flow_of_the_region_it_is_told(flow_region: FlowRegion, width: int) -> None:
    wide = [replace(f, pixels=np.repeat(f.rgb, 2, axis=1)) for f in moving(FPS, 0.2)]
    recognizer = Recognizer({"flow": SawTicks(FLOW)}, flow="dis", flow_region=flow_region)
    for frame in wide:
        recognizer.push(frame)
    assert recognizer.flow_field is not None
    assert recognizer.flow_field.shape == (2, 256, width)
