"""From the stamps of packets to the time of each frame: of files, which may look ahead, and live."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime.sources.timestamps import (
    LOOK_AHEAD_FRAMES,
    FileTimes,
    LiveTimes,
    Placed,
    Stamped,
    plausible_rate,
)

RATE = Fraction(25)
STEP = 1 / RATE
EVEN = [i * STEP for i in range(40)]
stamps_of_any_kind = st.lists(
    st.none() | st.fractions(min_value=-20, max_value=20, max_denominator=90_000), max_size=40
)


def place(times: FileTimes[int] | LiveTimes[int], stamps: Sequence[Fraction | None]) -> list[Placed[int]]:
    placed = [p for i, stamp in enumerate(stamps) for p in times.push(Stamped(stamp, None, None, i))]
    return placed + times.flush()


def file_places(stamps: Sequence[Fraction | None], rate: Fraction | None = RATE) -> list[Fraction]:
    return [p.pts for p in place(FileTimes(rate), stamps)]


def live_places(stamps: Sequence[Fraction | None], rate: Fraction | None = RATE) -> list[Fraction]:
    return [p.pts for p in place(LiveTimes(rate), stamps)]


@settings(max_examples=60)
@given(st.sets(st.fractions(min_value=-20, max_value=4, max_denominator=90_000), min_size=1, max_size=40))
def test_increasing_stamps_are_taken_as_they_are(stamps: set[Fraction]) -> None:
    rising = sorted(stamps)
    assert file_places(rising) == [stamp - rising[0] for stamp in rising]


@settings(max_examples=60)
@given(stamps_of_any_kind, st.sampled_from([RATE, Fraction(30000, 1001), None]))
def test_every_frame_of_a_file_gets_a_later_place_than_the_one_before(
    stamps: list[Fraction | None], rate: Fraction | None
) -> None:
    placed = place(FileTimes(rate), stamps)
    assert [p.item for p in placed] == list(range(len(stamps)))
    assert [p.pts for p in placed[:1]] == [0] * bool(stamps)
    assert all(a.pts < b.pts for a, b in pairwise(placed))
    assert all(p.duration > 0 for p in placed)


@settings(max_examples=60)
@given(stamps_of_any_kind, st.sampled_from([RATE, None]))
def test_every_live_frame_gets_its_place_immediately_and_none_goes_back(
    stamps: list[Fraction | None], rate: Fraction | None
) -> None:
    times: LiveTimes[int] = LiveTimes(rate)
    placed = []
    for i, stamp in enumerate(stamps):
        (only,) = times.push(Stamped(stamp, stamp, None, i))
        placed.append(only)
    assert [p.item for p in placed] == list(range(len(stamps)))
    assert [p.pts for p in placed[:1]] == [0] * bool(stamps)
    assert all(a.pts <= b.pts for a, b in pairwise(placed))
    assert all(p.duration > 0 for p in placed)


def test_b_frames_of_an_avi_keep_their_order_at_the_average_rate() -> None:
    """Stamps of an H.264 AVI as PyAV hands them out."""
    stamps = [i * STEP for i in (1, 3, 4, 2, 6, 7, 5, 9, 10, 8, 12, 11, 13, 15, 16, 14)]
    assert file_places(stamps) == EVEN[:16]


def test_stamps_that_run_backwards_late_are_distrusted_from_there_on() -> None:
    stamps = [*EVEN[:20], EVEN[3], *EVEN[21:30]]
    assert file_places(stamps) == EVEN[:30]
    restart = [*[s + 3 for s in EVEN[:20]], *EVEN[:10]]
    assert file_places(restart) == EVEN[:30]


def test_a_missing_stamp_is_placed_between_its_neighbours() -> None:
    stamps = [Fraction(0), Fraction(1, 10), None, None, Fraction(4, 10), Fraction(1)]
    assert file_places(stamps) == [Fraction(n, 10) for n in (0, 1, 2, 3, 4, 10)]


def test_a_repeated_stamp_counts_as_missing() -> None:
    tenths = [Fraction(n, 10) for n in (0, 1, 1, 3, 4)]
    assert file_places(tenths) == [Fraction(n, 10) for n in (0, 1, 2, 3, 4)]


def test_first_frames_without_a_stamp_come_before_the_first_that_has_one() -> None:
    assert file_places([None, None, Fraction(7), Fraction(8)]) == [0, STEP, 2 * STEP, 2 * STEP + 1]


def test_no_stamps_at_all_mean_the_average_rate_and_nothing_waits_for_long() -> None:
    times: FileTimes[int] = FileTimes(Fraction(30000, 1001))
    placed = [p for i in range(100) for p in times.push(Stamped(None, None, None, i))]
    assert [p.pts for p in placed] == [i * Fraction(1001, 30000) for i in range(100)]


def test_many_missing_stamps_in_the_middle_do_not_wait_for_ever() -> None:
    times: FileTimes[int] = FileTimes(RATE)
    stamps = [*EVEN[:20], *[None] * 50]
    placed = [p for i, stamp in enumerate(stamps) for p in times.push(Stamped(stamp, None, None, i))]
    assert len(placed) > len(stamps) - LOOK_AHEAD_FRAMES
    assert [p.pts for p in placed] == [i * STEP for i in range(len(placed))]


def test_without_a_rate_the_spacing_of_the_first_frames_is_taken() -> None:
    placed = place(FileTimes(None), [Fraction(i, 10) for i in range(6)])
    assert [p.duration for p in placed] == [Fraction(1, 10)] * 6


@pytest.mark.parametrize("jump_s", [Fraction(3600), Fraction(-3600), Fraction(-1, 2), Fraction(6)])
def test_a_live_clock_that_jumps_is_followed_without_a_leap(jump_s: Fraction) -> None:
    stamps = [*EVEN[:10], *[s + jump_s for s in EVEN[10:20]]]
    placed = place(LiveTimes(RATE), stamps)
    assert [p.pts for p in placed] == EVEN[:20]
    assert [p.item for p in placed if p.after_gap] == [10]


def test_a_live_pause_is_time_that_passes() -> None:
    stamps = [*EVEN[:10], *[s + 2 for s in EVEN[10:20]]]
    placed = place(LiveTimes(RATE), stamps)
    assert [p.pts for p in placed] == stamps
    assert not any(p.after_gap for p in placed)


def test_a_live_stamp_that_is_a_little_early_keeps_the_place_of_the_one_before() -> None:
    early = EVEN[4] - Fraction(1, 100)
    assert live_places([*EVEN[:5], early, *EVEN[6:9]]) == [*EVEN[:5], EVEN[4], *EVEN[6:9]]


def test_live_frames_without_stamps_follow_at_the_rate() -> None:
    assert live_places([None, None, Fraction(9), None, Fraction(9) + 2 * STEP]) == EVEN[:5]


def test_live_b_frames_that_are_stamped_in_the_order_of_sending_are_placed_correctly() -> None:
    """As from an RTSP server that does so. Each frame comes with the decoding time of the packet that brought it out;
    the last ones, which the end of the stream brings out, come with none."""
    sent = [None, 1, 2, 0, 4, 5, 3, 7, 8, 6, 10, 9, 13, 5]
    times: LiveTimes[int] = LiveTimes(RATE)
    places = []
    for i, number in enumerate(sent):
        stamp, decoded = None if number is None else number * STEP, (i - 1) * STEP if 0 < i < 12 else None
        places += [p.pts for p in times.push(Stamped(stamp, decoded, None, i))]
    assert places == EVEN[: len(sent)]


def test_durations_are_those_stated_or_else_one_step() -> None:
    for times in (FileTimes[int](RATE), LiveTimes[int](RATE)):
        placed = [
            *times.push(Stamped(EVEN[0], None, Fraction(1, 7), 0)),
            *times.push(Stamped(EVEN[1], None, Fraction(0), 1)),
        ]
        assert [p.duration for p in [*placed, *times.flush()]] == [Fraction(1, 7), STEP]


@pytest.mark.parametrize(
    ("stated", "taken"), [(None, None), (Fraction(0), None), (Fraction(90_000), None), (RATE, RATE)]
)
def test_an_implausible_rate_is_not_taken(stated: Fraction | None, taken: Fraction | None) -> None:
    assert plausible_rate(stated) == taken
