"""What is done about being late: the order of the steps, that predictions stay right at each of them, and that nothing
grows."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engines.engine import Positions
from engines.spec import FLOW, RGB, Mode, StreamSpec, Weights
from realtime.overload import CALM_S, LATE_S, LONGEST_CALM_S, SETTLE_S, Ladder, Level, levels_of
from realtime.reader_threads import LIVE_WAIT_S, End, Mailbox, Pace
from realtime.recognizer import Output, Recognizer
from realtime.stages.inputs import Feed, Input, RgbFeed
from realtime.types import Frame, Gap, Image, Prediction, ResizedTick
from tests.support.clocks import ManualClock
from tests.support.doubles import everywhere, exact, frame, no_head

FPS = Fraction(25)
WAYS = levels_of("preview", ["rgb", "flow"])
PX = 16
"""Small pictures and crops, so that minutes of video take seconds."""
SMALL = {
    "rgb": replace(RGB, short_side_px=PX, crop_px=PX),
    "flow": replace(FLOW, short_side_px=PX, crop_px=PX),
}


def pictures(count: int, fps: Fraction = FPS) -> list[Frame]:
    return [frame(i, i / fps, 1 / fps, size_px=PX) for i in range(count)]


def names(mode: str, *streams: str) -> list[str]:
    return [level.name for level in levels_of(mode, streams)]


def test_the_steps_come_in_the_stated_order() -> None:
    assert names("preview", "rgb", "flow") == ["all", "fewer previews", "no previews", "rgb alone", "pieces"]
    assert names("preview", "rgb") == ["all", "fewer previews", "no previews", "pieces"]
    assert names("continual", "rgb", "flow") == ["all", "rgb alone", "pieces"]
    assert names("continual", "flow") == ["all", "pieces"]
    assert names("window", "rgb", "flow") == ["all", "rgb alone", "stride x 2", "stride x 4", "stride x 8"]
    assert names("window", "rgb") == ["all", "stride x 2", "stride x 4", "stride x 8"]
    assert not any(level.flow for level in levels_of("window", ["rgb", "flow"])[1:])


def climb(ladder: Ladder, lags: Sequence[tuple[float, float]]) -> list[tuple[float, str]]:
    """(seconds, lag from then on) -> when it went to which level; the ladder is asked every tenth of a second."""
    found, lag = [], 0.0
    for tenth in range(round(lags[-1][0] * 10)):
        lag = next((lag_s for since_s, lag_s in reversed(lags) if tenth / 10 >= since_s), 0.0)
        level = ladder.update(lag, tenth / 10)
        if level is not None:
            found.append((tenth / 10, level.name))
    return found


def test_it_goes_down_immediately_then_step_by_step_and_up_only_after_a_calm_time() -> None:
    found = climb(Ladder(WAYS), [(0, 0.1), (5, 1.0), (8, 0.2), (60, 0)])
    expected = [5.0, 5.0 + SETTLE_S, 5.0 + 2 * SETTLE_S, *(7.9 + i * CALM_S for i in (1, 2, 3))]
    assert [at_s for at_s, _ in found] == pytest.approx(expected, abs=0.15)
    assert [name for _, name in found] == [WAYS[place].name for place in (1, 2, 3, 2, 1, 0)]


def test_a_normal_lag_changes_nothing() -> None:
    assert climb(Ladder(WAYS), [(0, LATE_S), (100, 0)]) == []


def test_a_step_up_that_fails_is_tried_ever_more_rarely() -> None:
    """A machine that keeps up only at the level below: late within a second whenever it is at the top."""
    ladder, found = Ladder(WAYS[:2]), []
    for tenth in range(40_000):
        level = ladder.update(1.0 if ladder.place == 0 else 0.1, tenth / 10)
        if level is not None and level.name == "all":
            found.append(tenth / 10)
    waits = [b - a for a, b in pairwise([0.0, *found])]
    assert waits[:5] == pytest.approx([10, 20, 40, 80, 160], abs=2)
    assert waits[6:] == pytest.approx([LONGEST_CALM_S + SETTLE_S] * len(waits[6:]), abs=1)
    assert len(found) > 10


def test_after_a_step_up_that_holds_the_next_is_tried_sooner_again() -> None:
    ladder = Ladder(WAYS[:2])
    climb(ladder, [(0, 1.0), (1, 0.0), (12, 1.0), (15, 0.0), (100, 0)])
    assert ladder.place == 0
    assert [place for place, _ in climb_from(ladder, 100, 1.0)][:1] == [100]
    assert climb_from(ladder, 101, 0.0)[0] == (pytest.approx(100 + CALM_S, abs=0.3), "all")


def climb_from(ladder: Ladder, start_s: float, lag_s: float) -> list[tuple[float, str]]:
    moves = [(start_s + i / 10, ladder.update(lag_s, start_s + i / 10)) for i in range(10 if lag_s else 300)]
    return [(at_s, level.name) for at_s, level in moves if level is not None]


@given(st.lists(st.tuples(st.floats(0, 3), st.floats(0.01, 5)), max_size=200))
def test_it_never_leaves_the_ladder_and_never_skips_a_step(lags: list[tuple[float, float]]) -> None:
    ladder, now_s, places = Ladder(WAYS), 0.0, [0]
    for lag_s, passed_s in lags:
        now_s += passed_s
        level = ladder.update(lag_s, now_s)
        assert (level is None) == (ladder.place == places[-1])
        assert level in (None, WAYS[ladder.place])
        places.append(ladder.place)
    assert all(abs(b - a) <= 1 for a, b in pairwise(places))


class Chunks:
    """Double of an engine: a position's label is the number of its chunk, so that a test can read off whether it
    is right."""

    backend, precision, device = "double", "none", "none"
    engines_at_a_time = 1
    labels = tuple(str(i) for i in range(64))

    def __init__(self, mode: Mode, spec: StreamSpec = SMALL["rgb"]) -> None:
        self.mode, self.spec = mode, spec
        self.chunk_ticks = 64 if mode == "window" else 8
        self.weights = Weights("made", spec.modality, self.labels, "0" * 64, "made for a test", "none")
        self.head = no_head(len(self.labels))
        self.whole: list[bool] = []
        """For each step, whether its ticks are consecutive."""

    def start(self, batch: int = 1, lead_ticks: int = 0) -> Any:
        return ()

    def step(self, chunk: NDArray[Any], state: Any, *, preview: bool = True) -> tuple[Positions, Any]:
        self.whole.append(bool((np.diff(self._numbers(chunk)) == 1).all()))
        seen = (*state, self._row(chunk))
        if self.mode == "window":
            return everywhere(np.stack(seen[-1:])[None], np.zeros(1, np.int64), settled=1), ()
        count = 7 if preview and self.mode == "preview" else 1
        return self._positions(seen, len(seen) - 8, count), seen

    def flush(self, tail: NDArray[Any], state: Any) -> Positions:
        seen = (*state, self._row(tail)) if tail.shape[1] else state
        first, last = len(state) - 7, len(seen) - 2
        return replace(self._positions(seen, first, last - first + 1), settled=last - first + 1)

    def _positions(self, seen: Any, first: int, count: int) -> Positions:
        blank = np.full(64, np.nan, np.float32)
        rows = [seen[p] if p >= 0 else blank for p in range(first, first + count)]
        logits = np.array(rows, np.float32).reshape(1, count, 64)
        return everywhere(logits, np.array([first], np.int64), settled=1)

    def _row(self, chunk: NDArray[Any]) -> NDArray[np.float32]:
        return 20 * np.eye(64, dtype=np.float32)[int(self._numbers(chunk)[0]) // 8 % 64]

    def _numbers(self, chunk: NDArray[Any]) -> NDArray[np.float64]:
        pixel = chunk[0, :, 0, 0].astype(np.float64)
        return pixel @ (256.0 ** np.arange(pixel.shape[-1]))


class NumberedFlow:
    """Double of the flow feed: a tick's number, known one tick later."""

    def __init__(self) -> None:
        self.reset()

    def push(self, resized: ResizedTick) -> list[Input]:
        out, self._owed = self._owed, [self._input(resized.tick.index, resized.image)]
        return out

    def flush(self) -> list[Input]:
        out, self._owed = self._owed, []
        return out

    def reset(self) -> None:
        self._owed: list[Input] = []

    @staticmethod
    def _input(index: int, image: Image) -> Input:
        return index, np.tile(image[0, 0, :2].astype(np.float16), (PX, PX, 1))


def numbered(spec: StreamSpec) -> Feed:
    return NumberedFlow() if spec.modality == "flow" else RgbFeed(spec)


def run(
    mode: Mode, count: int, levels: dict[int, Level], *streams: str, smooth: int = 1
) -> list[tuple[int, Prediction]]:
    """(frame that completed it, prediction); `levels`: before which frame which level is set."""
    engines = {name: Chunks(mode, SMALL[name]) for name in streams}
    recognizer = Recognizer(engines, smooth=smooth, new_feed=numbered)
    found: list[tuple[int, Output]] = []
    for i, item in enumerate(pictures(count)):
        if i in levels:
            recognizer.level = levels[i]
        found += [(i, out) for out in recognizer.push(item)]
    found += [(count, out) for out in recognizer.flush()]
    assert all(all(engine.whole) for engine in engines.values())
    return [(i, out) for i, out in found if isinstance(out, Prediction)]


@pytest.mark.parametrize("way", WAYS[1:3], ids=lambda level: level.name)
def test_without_previews_the_settled_predictions_are_the_same(way: Level) -> None:
    full, less = (run("preview", 250, levels, "rgb", smooth=3) for levels in ({}, {100: way, 180: WAYS[0]}))
    settled = [exact(p for _, p in found if p.settled) for found in (full, less)]
    assert settled[0] == settled[1]
    previews = [[i for i, p in found if not p.settled] for found in (full, less)]
    assert set(previews[1]) < set(previews[0])
    between = [i for i in previews[1] if 100 <= i < 180]
    assert {b - a for a, b in pairwise(between)} == ({8 * way.preview_every} if way.preview_every else set())


def assert_right(found: list[tuple[int, Prediction]], mode: Mode) -> None:
    """Each stream that a prediction names gives the chunk that it covers, and so does the fused prediction."""
    for _, p in found:
        assert tuple(p.by_stream) == p.streams
        for top in p.by_stream.values():
            assert top[0][0] == str(p.start_tick // 8 % 64)
        assert p.label == str(p.start_tick // 8 % 64)
        assert p.probability > 0.99


@pytest.mark.parametrize("mode", ["continual", "preview", "window"])
def test_with_flow_paused_predictions_are_of_rgb_alone_and_flow_rejoins_afresh(mode: Mode) -> None:
    found = run(mode, 400, {101: replace(WAYS[0], flow=False), 203: WAYS[0]}, "rgb", "flow")
    assert_right(found, mode)
    settled = [(i, p) for i, p in found if p.settled]
    assert [p.start_tick for _, p in settled] == [
        p.start_tick for _, p in run(mode, 400, {}, "rgb") if p.settled
    ]
    both = [p.streams == ("rgb", "flow") for _, p in settled]
    paused, joined = both.index(False), both.index(False) + both[both.index(False) :].index(True)
    assert all(both[joined:])
    assert settled[paused][0] in range(101, 112)
    # It resumes at tick 208, where a chunk begins. A window must then be full of it; a position must begin in it.
    assert settled[joined][1].start_tick == 208
    assert all(p.start_tick < 208 for _, p in settled[:joined])


@given(st.data())
@settings(max_examples=20)
def test_paused_and_resumed_at_any_time_every_prediction_is_right(data: st.DataObject) -> None:
    mode: Mode = data.draw(st.sampled_from(["continual", "preview", "window"]))
    times = data.draw(st.lists(st.integers(0, 299), max_size=8, unique=True))
    levels = {time: replace(WAYS[0], flow=bool(i % 2)) for i, time in enumerate(sorted(times))}
    found = run(mode, 300, levels, "rgb", "flow")
    assert_right(found, mode)
    starts = [p.start_tick for _, p in found if p.settled]
    assert starts == [p.start_tick for _, p in run(mode, 300, {}, "rgb") if p.settled]


def test_an_average_claims_only_the_streams_that_are_in_all_of_it() -> None:
    found = run("continual", 400, {101: replace(WAYS[0], flow=False), 203: WAYS[0]}, "rgb", "flow", smooth=3)
    streams = {p.start_tick: p.streams for _, p in found}
    assert streams[200] == ("rgb",)
    assert streams[208] == ("rgb", "flow")


def test_longer_strides_leave_windows_as_they_are() -> None:
    way = Level("stride x 4", stride_factor=4)
    engine = Chunks("window")
    recognizer = Recognizer({"rgb": engine}, stride_ticks=8)
    found: list[Output] = []
    for i, item in enumerate(pictures(300)):
        recognizer.level = way if 100 <= i < 200 else WAYS[0]
        found += recognizer.push(item)
    starts = [p.start_tick for p in found if isinstance(p, Prediction)]
    assert starts[:6] == [0, 8, 16, 24, 32, 40]
    assert set(np.diff(starts)) == {8, 32}
    assert all(engine.whole)


def drop(items: list[Frame], *numbers: int) -> list[Frame]:
    """The frames without these; the one after each loss says how many were dropped."""
    left, dropped = [], 0
    for i, item in enumerate(items):
        if i in numbers:
            dropped += 1
        else:
            left.append(replace(item, dropped_before=dropped))
            dropped = 0
    return left


@pytest.mark.parametrize("fps", [25, 60])
def test_a_prediction_says_how_many_frames_were_dropped_in_what_it_saw(fps: int) -> None:
    items = drop(pictures(10 * fps, Fraction(fps)), 4 * fps, 4 * fps + 1, 7 * fps)
    engine = Chunks("window")
    recognizer = Recognizer({"rgb": engine}, stride_ticks=1)
    found = [out for item in items for out in recognizer.push(item)] + recognizer.flush()
    for p in (p for p in found if isinstance(p, Prediction)):
        seen = [first < p.start_s * fps <= after or p.start_s * fps <= first < p.end_s * fps
                for first, after in ((4 * fps - 1, 4 * fps + 1), (7 * fps - 1, 7 * fps))]  # fmt: skip
        holes = [count for count, inside in zip((2, 1), seen, strict=True) if inside]
        whole = p.dropped_frames == 0
        assert p.dropped_frames == sum(holes) or abs(p.end_s - 4) < 0.1 or abs(p.end_s - 7) < 0.1
        assert fps == 60 or whole == engine.whole[p.start_tick]


def test_a_position_counts_the_dropped_frames_in_all_that_it_sees() -> None:
    items = drop(pictures(300), 150)
    recognizer = Recognizer({"rgb": Chunks("preview")}, smooth=1)
    found = [out for item in items for out in recognizer.push(item)]
    for settled in (True, False):
        flagged = [
            p for p in found if isinstance(p, Prediction) and p.settled == settled and p.dropped_frames
        ]
        clean = [
            p for p in found if isinstance(p, Prediction) and p.settled == settled and not p.dropped_frames
        ]
        assert {p.dropped_frames for p in flagged} == {1}
        assert all(p.start_tick + 64 <= 150 or p.start_tick - 44 > 150 for p in clean if settled)
        assert any(p.start_tick > 150 for p in clean)
        assert any(p.start_tick < 150 for p in clean)


def test_many_dropped_frames_in_a_row_are_a_gap_with_its_cause() -> None:
    items = drop(pictures(300), *range(100, 140))
    recognizer = Recognizer({"rgb": Chunks("window")})
    found = [out for item in items for out in recognizer.push(item)] + recognizer.flush()
    (gap,) = [out for out in found if isinstance(out, Gap)]
    assert gap.cause == "frames dropped"
    predictions = [out for out in found if isinstance(out, Prediction)]
    assert {p.dropped_frames for p in predictions} == {0}
    assert all(p.stop_tick <= 100 or p.start_tick >= 140 for p in predictions)


def test_a_frame_that_waited_too_long_is_dropped_and_its_gap_is_passed_on() -> None:
    clock = ManualClock()
    mailbox = Mailbox(100, "drop oldest", clock.now_s)
    for i in range(50):
        mailbox.put(replace(frame(i, i / FPS, size_px=2, after_gap=i == 10), taken_s=clock.now_s()))
        clock.pass_s(0.04)
    taken = mailbox.take()
    assert isinstance(taken, Frame)
    assert clock.now_s() - (taken.taken_s or 0) <= LIVE_WAIT_S
    assert taken.dropped_before == int(taken.rgb[0, 0, 0]) == mailbox.dropped
    assert taken.after_gap
    following = mailbox.take()
    assert isinstance(following, Frame)
    assert (following.dropped_before, following.after_gap) == (0, False)
    assert len(mailbox) <= 25
    clock.pass_s(10)
    mailbox.close()
    assert isinstance(mailbox.take(), End)
    assert mailbox.received == mailbox.dropped + 2


class Slow(Chunks):
    """Each step takes a given time."""

    def __init__(self, clock: ManualClock, step_s: float, mode: Mode) -> None:
        super().__init__(mode)
        self._clock, self._step_s = clock, step_s

    def step(self, chunk: NDArray[Any], state: Any, *, preview: bool = True) -> tuple[Positions, Any]:
        self._clock.pass_s(self._step_s)
        return super().step(chunk, state, preview=preview)


class Watched(Recognizer):
    """Remembers the numbers of the frames that it saw, which are those of their ticks."""

    def push(self, frame: Frame) -> list[Output]:
        self.seen = getattr(self, "seen", set()) | {int(frame.rgb[0, 0] @ (1, 256, 65536))}
        return super().push(frame)


def live(
    clock: ManualClock, recognizer: Recognizer, seconds: int
) -> tuple[list[tuple[float, Output]], list[tuple[float, str]], Mailbox]:
    """A camera at 25 frames a second and a recogniser that takes the clock's time: (lag, output), (time, level), the
    mailbox."""
    mailbox, pace = Mailbox(64, "drop oldest", clock.now_s), Pace(recognizer, clock.now_s)
    found: list[tuple[float, Output]] = []
    steps: list[tuple[float, str]] = []
    start_s, sent = clock.now_s(), 0
    while sent < seconds * 25 or len(mailbox):
        while sent < seconds * 25 and start_s + sent / 25 <= clock.now_s():
            mailbox.put(replace(frame(sent, sent / FPS, size_px=PX), taken_s=start_s + sent / 25))
            sent += 1
        taken = mailbox.take()
        if isinstance(taken, Frame):
            if pace.before(taken):
                steps.append((clock.now_s() - start_s, pace.ladder.level.name))
            found += [(pace.lag_s, out) for out in recognizer.push(taken)]
        else:
            clock.pass_s(0.01)
    found += [(0.0, out) for out in recognizer.flush()]
    return found, steps, mailbox


def assert_counts(recognizer: Recognizer, mailbox: Mailbox) -> None:
    counts = recognizer.counts
    assert mailbox.received == counts.frames + mailbox.dropped
    assert counts.frames == counts.ticks - counts.repeated_ticks + recognizer.unseen_frames


def test_a_window_engine_at_twice_real_time_gets_a_longer_stride_and_then_keeps_up() -> None:
    clock = ManualClock()
    engine = Slow(clock, 2 * 8 / 25, "window")
    recognizer = Recognizer({"rgb": engine}, stride_ticks=8)
    found, steps, mailbox = live(clock, recognizer, 400)
    assert max(lag_s for lag_s, _ in found) <= LIVE_WAIT_S
    assert steps[0][1] == "stride x 2"
    assert steps[0][0] < 6
    assert_counts(recognizer, mailbox)
    windows = [out for _, out in found if isinstance(out, Prediction)]
    assert [p.dropped_frames == 0 for p in windows] == engine.whole
    # Only attempts to step up lose frames; between them everything is seen.
    assert mailbox.dropped < 0.03 * mailbox.received
    assert np.mean(engine.whole) > 0.9


@pytest.mark.parametrize("mode", ["continual", "preview"])
@pytest.mark.parametrize("slowness", [1.3, 2, 4])
def test_where_nothing_else_can_be_left_out_pieces_get_right_predictions_and_the_rest_is_dropped(
    mode: Mode, slowness: float
) -> None:
    clock = ManualClock()
    engine = Slow(clock, slowness * 8 / 25, mode)
    recognizer = Watched({"rgb": engine}, smooth=1)
    found, steps, mailbox = live(clock, recognizer, 120)
    assert "pieces" in [name for _, name in steps]
    assert max(lag_s for lag_s, _ in found) <= LIVE_WAIT_S
    assert_counts(recognizer, mailbox)
    settled = [out for _, out in found if isinstance(out, Prediction) and out.settled]
    pieces = [p for p in settled if p.stop_tick - p.start_tick == 64]
    assert len(pieces) >= 7 * 4 / slowness / 2
    assert np.mean([p.dropped_frames == 0 for p in pieces]) > 0.5
    for p in settled:
        if not p.dropped_frames:
            assert set(range(p.start_tick, p.stop_tick)) <= recognizer.seen
