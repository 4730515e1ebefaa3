"""Rows of features: which ticks each one stands for, and that they are those of the network over the whole video."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engines.backends import pytorch as torch_backend
from engines.backends.pytorch import network
from engines.engine import Positions
from engines.nets.i3d import I3D, to_video
from engines.spec import RGB, StreamSpec
from realtime.features.conventions import PRESETS, Convention
from realtime.features.crops import FlowCrops, crops_of
from realtime.features.extract import FeatureRows, Features, extract
from realtime.types import Frame, ResizedTick, Tick
from realtime.worker_threads import submit
from tests.support.doubles import SawTicks, everywhere, frames
from tests.support.networks import plan, random_tensors, small_engine, small_spec

OWN = None
TENSORS = random_tensors(3)
TOLERANCE = 1e-4


class Numbers(SawTicks):
    """Double of a `window` engine whose features are the numbers of the first and the last frame of each clip, their
    count, and 1 where all numbers rise by one."""

    def __init__(self, clip: int, spec: StreamSpec = RGB) -> None:
        super().__init__(replace(spec, window_ticks=clip), chunk_ticks=clip)
        self.batches: list[int] = []

    def start(self, batch: int = 1, lead_ticks: int = 0) -> None:
        return None

    def step(self, chunk: NDArray[Any], state: None, *, preview: bool = True) -> tuple[Positions, None]:
        self.batches.append(len(chunk))
        rows = []
        for clip in chunk:
            numbers = self.numbers(clip)
            rows.append([numbers[0], numbers[-1], len(numbers), float(np.all(np.diff(numbers) == 1))])
        return everywhere(np.array(rows, np.float32)[:, None], np.zeros(len(chunk), np.int64), 1), None


def stamps(count: int, fps: Fraction | int) -> list[Fraction]:
    return [Fraction(i) / fps for i in range(count)]


def numbered(count: int, convention: Convention, fps: Fraction | int = 25) -> Features:
    assert convention.clip is not None
    engine = Numbers(convention.clip)
    return extract(frames(stamps(count, fps), 1 / Fraction(fps)), FeatureRows({"rgb": engine}, convention))


@pytest.mark.parametrize("clip", [10, 16, 21, 64])
@pytest.mark.parametrize("stride", [1, 4, 16, 20])
@pytest.mark.parametrize("count", [64, 79, 80, 81, 100])
def test_windows_begin_every_stride_and_none_is_incomplete(clip: int, stride: int, count: int) -> None:
    found = numbered(count, Convention(clip, stride, OWN))
    starts = range(0, count - clip + 1, stride)
    assert found.by_stream["rgb"][:, 0].tolist() == [[s, s + clip - 1, clip, 1] for s in starts]
    spans = [(Fraction(s, 25), Fraction(s + clip, 25)) for s in starts]
    assert found.spans == spans
    covered = {tick for s in starts for tick in range(s, s + clip)}
    assert found.counts.left_over == count - len(covered)


def test_a_row_for_each_frame_with_that_frame_in_the_middle() -> None:
    """The first and the last are repeated beyond the video: row t is of t - 10 .. t + 10, as MS-TCN's features are."""
    found = numbered(40, PRESETS["segmentation"], 30)
    rows = found.by_stream["rgb"][:, 0]
    assert [(row[0], row[1]) for row in rows] == [(max(t - 10, 0), min(t + 10, 39)) for t in range(40)]
    assert found.spans == [(Fraction(t, 30), Fraction(t + 1, 30)) for t in range(40)]
    assert found.counts.left_over == 0


@pytest.mark.parametrize("count", [1, 15])
def test_a_video_shorter_than_a_clip_is_repeated_until_it_fills_one(count: int) -> None:
    found = numbered(count, Convention(16, 4, OWN))
    assert found.by_stream["rgb"][:, 0, :3].tolist() == [[0, 15 % count, 16]]
    assert found.spans == [(0, Fraction(count, 25))]
    assert found.counts.left_over == 0


def test_at_25_a_second_and_at_its_own_rate() -> None:
    """Of 60 frames at 30 a second, 25 a second shows 50."""
    own, ticks = (numbered(60, Convention(16, 16, fps), 30) for fps in (OWN, Fraction(25)))
    assert [row[0, 0] for row in own.by_stream["rgb"]] == [0, 16, 32]
    assert own.spans[1] == (Fraction(16, 30), Fraction(32, 30))
    assert [row[0, 0] for row in ticks.by_stream["rgb"]] == [0, 19, 38]
    assert ticks.spans[1] == (Fraction(16, 25), Fraction(32, 25))
    assert (own.counts.unseen, ticks.counts.unseen) == (0, 10)


@pytest.mark.parametrize("fps", [OWN, Fraction(25)])
@pytest.mark.parametrize("clip", [16, 21])
@pytest.mark.parametrize("centred", [False, True])
def test_no_row_spans_a_gap(fps: Fraction | None, clip: int, *, centred: bool) -> None:
    """Half a minute is missing between two parts; a third is too short for a row, and counted."""
    times = [*stamps(50, 25), *(30 + t for t in stamps(40, 25)), *(60 + t for t in stamps(5, 25))]
    convention = Convention(clip, 1 if centred else 4, fps, centred=centred)
    found = extract(frames(times), FeatureRows({"rgb": Numbers(clip)}, convention))
    assert len(found.counts.gaps) == 2
    for (first, last, *_), (start, end) in zip(found.by_stream["rgb"][:, 0], found.spans, strict=True):
        parts = {0 if number < 50 else 1 if number < 90 else 2 for number in (first, last)}
        assert len(parts) == 1
        assert (start < 10) == (end < 10) == (parts == {0})
    ends = (50 - clip) % 4 + (40 - clip) % 4 + 5
    assert found.counts.left_over == (0 if centred else ends)


@pytest.mark.parametrize("crops", [1, 5, 10])
def test_clips_go_through_the_engine_in_batches(crops: int) -> None:
    engine = Numbers(16)
    convention = Convention(16, 4, OWN, crops=crops)  # type: ignore[arg-type]
    found = extract(frames(stamps(100, 25)), FeatureRows({"rgb": engine}, convention))
    assert found.by_stream["rgb"].shape == (22, crops, 4)
    assert sum(engine.batches) == 22 * crops
    assert max(engine.batches) == 8
    assert engine.batches.count(8) >= 22 * crops // 8 - 3


def test_crops_are_in_torchvisions_order() -> None:
    """Top left, top right, bottom left, bottom right, centre, then of the mirrored picture. Each pixel says where it
    is: 100 y + x."""
    y, x = np.mgrid[:6, :8]
    picture = (100 * y + x)[..., None]
    found = [crop[0, 0, 0] for crop in crops_of(picture, 2, 10)]
    assert found == [0, 6, 400, 406, 203, 7, 1, 407, 401, 204]
    assert [crop[0, 0, 0] for crop in crops_of(picture, 2, 1)] == [203]
    assert all(crop.shape == (2, 2, 1) for crop in crops_of(picture, 2, 10))


def pictures(count: int, seed: int = 0) -> list[Frame]:
    """Frames of 256 x 256 px that blend from one picture to the next: other than noise, they have flow."""
    import cv2

    rng = np.random.default_rng(seed)
    wide = cv2.resize(rng.integers(0, 256, (40, 60, 3), np.uint8), (400, 300))
    places = [(2 * i % 44, 3 * i % 120) for i in range(count)]
    return [
        Frame(np.ascontiguousarray(wide[y : y + 256, x : x + 256]), Fraction(i, 25), Fraction(1, 25))
        for i, (y, x) in enumerate(places)
    ]


def of_network(ticks: np.ndarray, *, anchored: bool = False) -> np.ndarray:
    """Features (positions, features) by the network of `engines.nets.i3d`, in one pass. ticks: (T, 32, 32, 3)."""
    net = network(TENSORS, lambda *args, **how: I3D(*args, **how, anchored=anchored))
    with torch.inference_mode():
        pooled = net.avg_pool(net.trunk(to_video(torch.from_numpy(ticks[None]), torch.float32)))
    return pooled[0, :, :, 0, 0].T.numpy()


def seen(video: Sequence[Frame], px: int = 32) -> np.ndarray:
    """The centre of each frame, as the small network sees it."""
    return np.stack([crops_of(frame.rgb, px, 1)[0] for frame in video])


@given(st.integers(9, 150))
@example(9)
@example(64)
@example(128)
@settings(max_examples=6)
def test_dense_rows_are_the_positions_of_the_network_over_the_whole_video(length: int) -> None:
    video = pictures(length)
    found = extract(video, FeatureRows({"rgb": small_engine(TENSORS, "continual")}, PRESETS["dense"]))
    wanted = of_network(seen(video), anchored=True)
    assert found.by_stream["rgb"].shape == (len(wanted), 1, wanted.shape[1])
    np.testing.assert_allclose(found.by_stream["rgb"][:, 0], wanted, rtol=0, atol=TOLERANCE)
    starts = [Fraction(8 * i, 25) for i in range(len(wanted))]
    assert found.spans == [(s, min(s + Fraction(16, 25), Fraction(length, 25))) for s in starts]
    assert found.counts.left_over == 0


@pytest.mark.parametrize("length", [1, 8])
def test_a_video_that_is_too_short_for_a_position_is_repeated(length: int) -> None:
    video = pictures(length)
    found = extract(video, FeatureRows({"rgb": small_engine(TENSORS, "continual")}, PRESETS["dense"]))
    repeated = seen(video)[np.arange(16) % length]
    np.testing.assert_allclose(
        found.by_stream["rgb"][:, 0], of_network(repeated, anchored=True), rtol=0, atol=TOLERANCE
    )
    assert found.spans == [(0, Fraction(length, 25))]


@pytest.mark.parametrize("preset", [name for name, each in PRESETS.items() if each.clip])
def test_rows_of_each_preset_are_the_networks(preset: str) -> None:
    """Against the network of `engines.nets.i3d` over each clip by itself, its positions averaged."""
    convention = replace(PRESETS[preset], crops=1)
    clip = convention.clip
    assert clip is not None
    made = plan("window")
    engine = torch_backend.load(replace(made, spec=replace(small_spec(3), window_ticks=clip)), None, TENSORS)
    video = pictures(clip + 2 * convention.stride)
    found = extract(video, FeatureRows({"rgb": engine}, convention)).by_stream["rgb"][:, 0]
    ticks = seen(video)
    if convention.centred:
        ticks = np.concatenate((ticks[:1].repeat(10, 0), ticks, ticks[-1:].repeat(10, 0)))
    starts = range(0, len(ticks) - clip + 1, convention.stride)
    wanted = [of_network(ticks[s : s + clip]).mean(0) for s in starts]
    np.testing.assert_allclose(found, wanted, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("preset", ["dense", "thumos", "segmentation"])
def test_pieces_give_what_the_whole_gives_and_later_frames_change_nothing(preset: str) -> None:
    """Row by row: two videos with the same beginning have the same rows as far as they look."""
    convention = PRESETS[preset]
    made = plan("window" if convention.clip else "continual")
    spec = replace(small_spec(3), window_ticks=convention.clip or 64)
    engine = torch_backend.load(replace(made, spec=spec), None, TENSORS)
    one = pictures(120)
    other = [*one[:100], *pictures(20, seed=1)]
    other = [replace(frame, pts=Fraction(i, 25)) for i, frame in enumerate(other)]
    rows = []
    for video in (one, other):
        stage = FeatureRows({"rgb": engine}, convention)
        rows.append([row for frame in video[:100] for row in stage.push(frame)])
    assert len(rows[0]) > 1
    for a, b in zip(*rows, strict=True):
        np.testing.assert_array_equal(a.by_stream["rgb"], b.by_stream["rgb"])
    whole = extract(one, FeatureRows({"rgb": engine}, convention))
    for i, row in enumerate(rows[0]):
        np.testing.assert_allclose(row.by_stream["rgb"], whole.by_stream["rgb"][i], rtol=0, atol=1e-6)


def test_both_streams_have_the_same_rows_with_or_without_worker_threads() -> None:
    engines = {
        name: torch_backend.load(
            replace(plan("window", channels), spec=replace(small_spec(channels), window_ticks=16)),
            None,
            random_tensors(channels),
        )
        for name, channels in (("rgb", 3), ("flow", 2))
    }
    convention = Convention(16, 4, OWN)
    alone, threads = (
        extract(pictures(50), FeatureRows(engines, convention, flow="dis", **how))
        for how in ({}, {"submit": submit})
    )
    for stream in engines:
        np.testing.assert_array_equal(alone.by_stream[stream], threads.by_stream[stream])
    assert alone.by_stream["flow"].shape == alone.by_stream["rgb"].shape == (9, 1, 128)
    assert alone.spans == threads.spans


def test_what_moves_right_moves_left_in_the_mirrored_crops() -> None:
    """Ten crops of a picture that moves right by 2 px a tick: u is positive in the first five and negative in the
    others, and v is the same."""
    spec = replace(small_spec(2), short_side_px=256)
    stage = FlowCrops(spec, "dis", 10, None)
    video = [replace(f, pixels=np.roll(pictures(1)[0].rgb, 2 * i, axis=1)) for i, f in enumerate(pictures(3))]
    found = []
    for i, each in enumerate(video):
        found += stage.push(ResizedTick(Tick(i, each, repeated=False), each.rgb))
    u = [float(np.median(crop[..., 0])) for crop in found[1][1]]
    assert all(value > 0.05 for value in u[:5])
    assert all(value < -0.05 for value in u[5:])


def test_flow_of_a_corner_is_that_of_the_whole_frame() -> None:
    """Only the left sixth of a wide picture moves: the crops at the left show it, the centre does not."""
    spec = replace(small_spec(2), short_side_px=256)
    stage = FlowCrops(spec, "dis", 5, None)
    texture = pictures(1)[0].rgb
    found = []
    for i in range(3):
        wide = np.concatenate([np.roll(texture, 3 * i, axis=0)[:, :80], texture, texture[:, :100]], axis=1)
        frame = Frame(np.ascontiguousarray(wide), Fraction(i, 25), Fraction(1, 25))
        found += stage.push(ResizedTick(Tick(i, frame, repeated=False), frame.rgb))
    v = [float(np.median(crop[..., 1])) for crop in found[1][1]]
    assert v[0] > 0.1
    assert v[2] > 0.1
    assert max(abs(v[1]), abs(v[3]), abs(v[4])) < 0.02


def test_at_its_own_rate_neighbouring_frames_are_a_tick_apart_whatever_the_rate() -> None:
    """The same pictures at 25 and at 50 a second have the same flow, and the same rows."""
    spec = replace(small_spec(2), window_ticks=16)
    engine = torch_backend.load(replace(plan("window", 2), spec=spec), None, random_tensors(2))
    rows = []
    for fps in (25, 50):
        video = [
            replace(frame, pts=Fraction(i, fps), duration=Fraction(1, fps))
            for i, frame in enumerate(pictures(20))
        ]
        stage = FeatureRows({"flow": engine}, Convention(16, 4, OWN), flow="dis")
        rows.append(extract(video, stage).by_stream["flow"])
    np.testing.assert_array_equal(*rows)
