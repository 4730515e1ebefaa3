"""Streaming equals offline: `continual` and `preview` against the whole-video network, position by position."""

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engines.backends.graphs import graphs
from engines.backends.pytorch import TorchGraphs
from engines.backends.torch_operations import TorchGraph, fresh
from engines.engine import POSITION_TICKS, SEEN_TICKS, SETTLED_AFTER_STEPS, STEP_TICKS
from engines.head import head_of
from engines.nets.i3d import I3D, to_video
from engines.nets.place import Place
from engines.runtime.continual import StreamingEngine, StreamState, interior
from engines.runtime.whole_clip import clip_logits, lead_ticks
from engines.spec import Mode
from tests.support.networks import (
    CLASSES,
    DIVIDE,
    noise,
    plan,
    random_tensors,
    small,
    small_engine,
    small_spec,
)

TOLERANCE = 1e-4
"""Logits of about 1 in float32, summed in another order: 3e-6 was seen."""
LONGEST = 200
TENSORS = {3: random_tensors(3), 2: random_tensors(2, seed=1)}
ENGINES: dict[tuple[Mode, int], StreamingEngine] = {
    (mode, channels): small_engine(TENSORS[channels], mode, channels)
    for mode in ("continual", "preview")
    for channels in (3, 2)
}
VIDEO = {channels: noise(LONGEST, channels) for channels in (3, 2)}


def whole_video(ticks: np.ndarray, *, anchored: bool) -> np.ndarray:
    """(B, T, 32, 32, C) -> (B, positions, classes) from the network of `engines.nets.i3d`."""
    channels = ticks.shape[-1]
    net = small(I3D(CLASSES, channels, anchored=anchored, divide=DIVIDE), TENSORS[channels])
    if ticks.shape[1] < 9:  # one position's worth of ticks, which the average pool cannot take
        return np.empty((len(ticks), 0, CLASSES), np.float32)
    return net(to_video(torch.from_numpy(ticks), torch.float32)).numpy()


def live(engine: StreamingEngine, ticks: np.ndarray, cuts: list[int]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Ticks (T, ...) in pieces, cut anywhere -> settled logits in order, and the previews after each step."""
    state = engine.start()
    waiting = ticks[:0]
    settled: list[np.ndarray] = []
    previews: list[np.ndarray] = []
    for piece in np.split(ticks, cuts):
        waiting = np.concatenate((waiting, piece))
        while len(waiting) >= engine.chunk_ticks:
            positions, state = engine.step(waiting[None, : engine.chunk_ticks], state)
            waiting = waiting[engine.chunk_ticks :]
            young = max(0, -int(positions.first[0]))
            settled += list(positions.logits[0, young : positions.settled])
            previews.append(positions.logits[0, young:])
    positions = engine.flush(waiting[None], state)
    young = max(0, -int(positions.first[0]))
    settled += list(positions.logits[0, young:])
    return np.array(settled).reshape(-1, CLASSES), previews


@given(st.integers(1, LONGEST), st.lists(st.integers(0, LONGEST)), st.sampled_from(list(ENGINES)))
@example(1, [], ("continual", 3))
@example(200, [3, 3, 77], ("continual", 2))
@example(17, [5], ("preview", 3))
@settings(max_examples=10)
def test_a_live_stream_is_the_anchored_network(length: int, cuts: list[int], key: tuple[Mode, int]) -> None:
    ticks = VIDEO[key[1]][0, :length]
    found, _ = live(ENGINES[key], ticks, sorted(min(cut, length) for cut in cuts))
    wanted = whole_video(ticks[None], anchored=True)[0]
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=0, atol=TOLERANCE)


@given(st.integers(1, LONGEST), st.sampled_from(list(ENGINES)))
@example(61, ("continual", 3))
@example(62, ("preview", 3))
@example(63, ("continual", 2))
@settings(max_examples=10)
def test_a_clip_of_known_length_is_tensorflows_network(length: int, key: tuple[Mode, int]) -> None:
    ticks = VIDEO[key[1]][0, :length]
    wanted = whole_video(ticks[None], anchored=False)[0]
    found = clip_logits(ENGINES[key], iter(ticks), length)
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("channels", [3, 2])
def test_a_preview_is_what_the_video_would_give_if_it_ended_now(channels: int) -> None:
    ticks = VIDEO[channels][0, :96]
    _, previews = live(ENGINES["preview", channels], ticks, [])
    assert [len(p) for p in previews] == [0, 1, 2, 3, 4, 5, 6, 7, 7, 7, 7, 7]
    for step, preview in enumerate(previews[1:], start=2):
        wanted = whole_video(ticks[None, : 8 * step], anchored=True)[0, -len(preview) :]
        np.testing.assert_allclose(preview, wanted, rtol=0, atol=TOLERANCE)


def test_later_ticks_never_change_settled_logits() -> None:
    engine = ENGINES["preview", 3]
    ticks = VIDEO[3][0, :96].copy()
    other = ticks.copy()
    other[80:] = 255 - other[80:]
    first, second = live(engine, ticks, [])[0], live(engine, other, [])[0]
    np.testing.assert_array_equal(first[:3], second[:3])  # final after 80 ticks: positions 0, 1, 2
    assert np.abs(first[3:] - second[3:]).max() > 1e-2


def batched(engine: StreamingEngine, ticks: np.ndarray, state: StreamState) -> tuple[np.ndarray, StreamState]:
    found = []
    for start in range(0, ticks.shape[1], 8):
        positions, state = engine.step(ticks[:, start : start + 8], state)
        found.append(positions.logits)
    return np.concatenate(found, axis=1), state


def test_a_stream_does_not_depend_on_its_neighbours_in_the_batch() -> None:
    engine = ENGINES["continual", 3]
    three = noise(72, batch=3, seed=2)
    together, _ = batched(engine, three, engine.start(3))
    others = three.copy()
    others[[0, 2]] = 255 - others[[0, 2]]
    among_others, _ = batched(engine, others, engine.start(3))
    np.testing.assert_array_equal(together[1], among_others[1])
    alone, _ = batched(engine, three[1:2], engine.start())
    np.testing.assert_allclose(together[1], alone[0], rtol=0, atol=TOLERANCE)


def test_what_a_stream_remembers_does_not_grow() -> None:
    engine = ENGINES["continual", 2]
    state = engine.start()
    sizes = set()
    for _ in range(40):
        _, state = engine.step(VIDEO[2][:, :8], state)
        sizes.add(sum(m.untyped_storage().nbytes() for m in state.memory) + state.waiting.nbytes)
    assert len(sizes) <= 2  # while the video begins, and in its interior


def test_memories_and_lags_are_those_of_the_published_table() -> None:
    """Conv3d_1a 6 ticks and lag 2, then 3, 4, 5, pool 1 and 3, 4 .. 8, pool 0 and 4, 5, 6, average pool 1 and 7."""
    place, count = Place().after(kernel=7, stride=2)
    assert (place, count) == (Place(2, 2), SEEN_TICKS)
    for lag in (3, 4, 5):
        place, count = place.after(3, 1)
        assert (place, count) == (Place(2, lag), 2)
    place, count = place.after(3, 2)
    assert (place, count) == (Place(4, 3), 1)
    for lag in (4, 5, 6, 7, 8):
        place, count = place.after(3, 1)
        assert (place, count) == (Place(4, lag), 2)
    place, count = place.after(2, 2)
    assert (place, count) == (Place(8, 4), 0)
    for lag in (5, 6):
        place, count = place.after(3, 1)
        assert (place, count) == (Place(8, lag), 2)
    place, count = place.after(2, 1)
    assert (place, count) == (Place(8, SETTLED_AFTER_STEPS - 1), 1)


def test_bounds_are_needed_no_longer_than_the_engine_gives_them() -> None:
    """Once SETTLED_AFTER_STEPS steps are done, the two graphs agree: no memory reaches outside the video."""
    boundary, interior = graphs(small_spec(3), "continual", TENSORS[3])
    masked, plain = TorchGraph(boundary), TorchGraph(interior)
    memories = fresh(interior)
    ticks = np.concatenate((np.zeros_like(VIDEO[3][:, :SEEN_TICKS]), VIDEO[3]), axis=1)
    differences = []
    for step in range(12):
        chunk = torch.from_numpy(ticks[:, 8 * step : 8 * step + STEP_TICKS])
        bounds = torch.tensor([[3 - POSITION_TICKS * step, POSITION_TICKS]], dtype=torch.int32)
        without, *_ = plain(chunk, *memories)
        logits, *memories = masked(chunk, bounds, *memories)
        differences.append(float((logits - without).abs().max()))
    assert max(differences[:6]) > 1e-2
    assert max(differences[SETTLED_AFTER_STEPS:]) == 0


def test_a_chunk_of_another_shape_is_refused() -> None:
    engine = ENGINES["continual", 3]
    for wrong in (VIDEO[3][:, :7], VIDEO[3][0, :8], VIDEO[2][:, :8], VIDEO[3][:, :8].astype(np.float32)):
        with pytest.raises(ValueError, match=r"a chunk of rgb must be uint8 \(B, 8, 32, 32, 3\), got"):
            engine.step(wrong, engine.start())


@pytest.mark.parametrize("name", ["boundary", "interior", "preview"])
def test_every_graph_recalls_what_it_keeps(name: str) -> None:
    """Each memory keeps its shape, which is the same in all three graphs."""
    made = {graph.name: graph for graph in graphs(small_spec(3), "preview", TENSORS[3])}
    inputs = [
        torch.zeros((1, *port.shape), dtype=getattr(torch, port.dtype)) for port in made[name].inputs.values()
    ]
    memories = fresh(made[name])
    _, *kept = TorchGraph(made[name])(*inputs, *memories)
    assert (
        [x.shape for x in kept] == [x.shape for x in memories] == [x.shape for x in fresh(made["interior"])]
    )


def test_lead_ticks_fill_up_to_a_multiple_of_four() -> None:
    assert [lead_ticks(n) for n in (64, 65, 66, 67, 251)] == [0, 3, 2, 1, 1]


def stepping(ticks: int) -> StreamingEngine:
    """A `continual` engine with steps of this many ticks."""
    small_plan = plan("continual")
    by_name = {g.name: g for g in graphs(small_plan.spec, "continual", TENSORS[3], step_ticks=ticks)}
    made = TorchGraphs(by_name, TorchGraph)
    facts = ("torch", "float32", "CPU")
    return StreamingEngine(
        small_plan.spec, small_plan.weights, "continual", *facts, made, head_of(TENSORS[3]), ticks
    )


LONG = {ticks: stepping(ticks) for ticks in (16, 24, 64)}


@given(st.integers(1, LONGEST), st.sampled_from(list(LONG)), st.booleans())
@example(1, 64, True)
@example(8, 16, False)
@example(63, 64, False)
@example(64, 64, True)
@example(65, 64, False)
@example(129, 24, True)
@settings(max_examples=20)
def test_longer_steps_give_the_same_positions(length: int, step_ticks: int, known_length: bool) -> None:
    """Each once and in order, whatever remains at the end."""
    engine, ticks = LONG[step_ticks], VIDEO[3][0, :length]
    if known_length:
        found = clip_logits(engine, iter(ticks), length)
    else:
        found, _ = live(engine, ticks, [])
    wanted = whole_video(ticks[None], anchored=not known_length)[0]
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=0, atol=TOLERANCE)


def test_longer_steps_leave_the_masks_out_only_inside_the_video() -> None:
    bounds = np.array([[-64, 24], [-63, 24], [-64, 23], [-64, 8]], np.int32)
    assert interior(bounds, 24).tolist() == [True, False, False, False]
    assert interior(bounds).tolist() == [True, False, True, True]
