"""Stages in a row, and the two between ticks and engines."""

from collections import deque
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from engines.spec import FLOW, RGB, Mode, StreamSpec
from realtime.clock import StageName, Stopwatch
from realtime.overload import Level
from realtime.stages.dropped_frames import Dropped
from realtime.stages.inputs import Feed, Input, Inputs, RgbFeed, TickInputs
from realtime.stages.row import Row
from realtime.stages.spans import EndOfClip, Span, Spans
from realtime.types import ResizedTick, Tick
from tests.support.doubles import FPS, PositionTicks, SawTicks, frame

PX = 4
SMALL = {
    "rgb": replace(RGB, short_side_px=PX, crop_px=PX),
    "flow": replace(FLOW, short_side_px=PX, crop_px=PX),
}
NO_FLOW = Level("rgb alone", flow=False)
NOT_FOR_IT = Dropped(3, 4, 1)


class Pairs:
    """Double of a stage: joins every two values, or `size`, and owes fewer. It notes what it is given."""

    def __init__(self, name: str, seen: list[str], size: int = 2) -> None:
        self._name, self._seen, self._size = name, seen, size
        self.reset()

    def push(self, item: str) -> list[str]:
        self._seen.append(f"{self._name} {item}")
        self._owed.append(item)
        return self.flush() if len(self._owed) == self._size else []

    def flush(self) -> list[str]:
        owed, self._owed = self._owed, []
        return ["".join(owed)] if owed else []

    def reset(self) -> None:
        self._owed: list[str] = []


class Twice:
    """Double of a stage: gives each value twice."""

    def push(self, item: str) -> list[str]:
        return [item, item]

    def flush(self) -> list[str]:
        return []

    def reset(self) -> None:
        pass


def test_each_value_is_through_the_row_before_the_next_one_starts() -> None:
    seen: list[str] = []
    row = Row(Twice(), Pairs("first", seen, size=1), Pairs("second", seen))
    assert [row.push(item) for item in "ab"] == [["aa"], ["bb"]]
    assert seen == [f"{stage} {item}" for item in "aabb" for stage in ("first", "second")]


def test_what_a_stage_owes_at_a_flush_goes_through_the_stages_after_it() -> None:
    row = Row(Pairs("first", []), Pairs("second", []))
    assert [out for item in "abc" for out in row.push(item)] == []
    assert row.flush() == ["abc"]
    assert row.flush() == []


def test_a_reset_reaches_all_stages() -> None:
    row = Row(Pairs("first", []), Pairs("second", []))
    for item in "abc":
        row.push(item)
    row.reset()
    assert row.flush() == []


class LateFeed:
    """Double of the flow feed: a tick's number, known two ticks later."""

    def __init__(self) -> None:
        self._owed: deque[Input] = deque()

    def push(self, resized: ResizedTick) -> list[Input]:
        index = resized.tick.index
        self._owed.append((index, np.full((PX, PX, 2), index, np.float16)))
        return [self._owed.popleft()] if len(self._owed) > 2 else []

    def flush(self) -> list[Input]:
        owed, self._owed = self._owed, deque()
        return list(owed)

    def reset(self) -> None:
        self._owed.clear()


def inputs_stage(stopwatch: Stopwatch | None = None) -> Inputs:
    def new_feed(spec: StreamSpec) -> Feed:
        return LateFeed() if spec.modality == "flow" else RgbFeed(spec)

    return Inputs(SMALL, None, new_feed, stopwatch or Stopwatch())


def tick(index: int) -> Tick:
    return Tick(index, frame(index, index / FPS, size_px=PX), repeated=False)


def what(items: list[Any]) -> list[tuple[int, tuple[str, ...]]]:
    """(tick, streams)"""
    return [(item.index, tuple(item.by_stream)) for item in items if isinstance(item, TickInputs)]


BOTH, ALONE = ("rgb", "flow"), ("rgb",)


def test_inputs_of_a_tick_come_when_all_streams_have_theirs() -> None:
    stage = inputs_stage()
    assert [what(stage.push(tick(i))) for i in range(4)] == [[], [], [(0, BOTH)], [(1, BOTH)]]
    out = stage.flush()
    assert what(out) == [(2, BOTH), (3, BOTH)]
    for item in out:
        assert item.by_stream["rgb"][0][0, 0, 0] == item.by_stream["flow"][0][0, 0, 0] == item.index
    assert stage.flush() == []


def test_without_flow_waiting_ticks_go_on_and_flow_rejoins_where_a_chunk_begins() -> None:
    stage = inputs_stage()
    for i in range(4):
        stage.push(tick(i))
    assert stage.push(NO_FLOW) == [NO_FLOW]
    assert what(stage.push(tick(4))) == [(2, ALONE), (3, ALONE), (4, ALONE)]
    stage.push(Level("all"))
    assert [what(stage.push(tick(i))) for i in range(5, 10)] == [[(i, ALONE)] for i in (5, 6, 7)] + [[], []]
    assert what(stage.flush()) == [(8, BOTH), (9, BOTH)]


def test_the_time_for_inputs_is_counted_by_stage() -> None:
    stopwatch = Stopwatch()
    inputs_stage(stopwatch).push(tick(0))
    assert set(stopwatch.seconds) == {StageName.RESIZE, StageName.RGB_INPUT, StageName.FLOW_INPUT}
    assert set(stopwatch.seconds) == {"resize", "rgb input", "flow input"}, "as the log has them"


def spans_stage(mode: Mode, stride_ticks: int = 8) -> Spans:
    engines = {
        stream: SawTicks(spec) if mode == "window" else PositionTicks(mode, spec)
        for stream, spec in SMALL.items()
    }
    return Spans(engines, stride_ticks, view_count=1)


def given(index: int, *streams: str) -> TickInputs:
    return TickInputs(
        index, {name: [np.full(SMALL[name].tick_shape, index, SMALL[name].dtype)] for name in streams}
    )


def ticks_of(span: Span, stream: str) -> list[int]:
    return span.inputs[stream][0][:, 0, 0, 0].tolist()


@pytest.mark.parametrize(("mode", "length"), [("window", 64), ("continual", 8)])
def test_a_span_has_the_inputs_of_its_ticks(mode: Mode, length: int) -> None:
    stage, starts = spans_stage(mode), []
    for i in range(10, 110):
        for span in stage.push(given(i, "rgb", "flow")):
            starts.append(span.start)
            assert (span.stop, span.kind, span.section_start) == (i + 1, "step", 10)
            assert ticks_of(span, "rgb") == ticks_of(span, "flow") == list(range(span.start, span.stop))
    assert starts == list(range(10, 111 - length, 8))


def test_a_stream_that_lacks_a_tick_of_a_span_is_not_in_it() -> None:
    stage, found = spans_stage("continual"), []
    for i in range(40):
        found += stage.push(given(i, *(ALONE if 12 <= i < 16 else BOTH)))
    assert [tuple(span.inputs) for span in found] == [BOTH, ALONE, BOTH, BOTH, BOTH]


def test_a_section_ends_with_the_ticks_that_fill_no_chunk() -> None:
    stage = spans_stage("continual")
    for i in range(70):
        stage.push(given(i, "rgb", "flow"))
    (rest,) = stage.flush()
    assert (rest.start, rest.stop, rest.kind) == (64, 70, "rest")
    assert ticks_of(rest, "rgb") == list(range(64, 70))
    assert stage.flush() == [], "it starts afresh"


@pytest.mark.parametrize("mode", ["window", "continual"])
def test_only_a_whole_clip_shorter_than_a_window_stands_alone(mode: Mode) -> None:
    stage = spans_stage(mode)
    for whole in (False, True):
        for i in range(20):
            stage.push(given(i, "rgb", "flow"))
        if whole:
            stage.push(EndOfClip())
        found = [(span.start, span.stop, span.kind) for span in stage.flush()]
        assert found == ([(0, 20, "alone")] if whole else [])


def test_pieces_follow_one_another_and_see_nothing_before_them() -> None:
    stage, found = spans_stage("continual"), []
    stage.push(Level("pieces", pieces=True))
    for i in range(150):
        found += stage.push(given(i, "rgb", "flow"))
    assert [(s.start, s.stop, s.kind, s.behind_ticks) for s in found] == [
        (0, 64, "alone", 0),
        (64, 128, "alone", 0),
    ]
    assert stage.flush() == []


def test_what_is_not_for_a_stage_passes_through_it() -> None:
    stages = [inputs_stage(), spans_stage("continual")]
    assert [stage.push(NOT_FOR_IT) for stage in stages] == [[NOT_FOR_IT]] * 2
