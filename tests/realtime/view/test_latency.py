"""Where the time goes between a frame and its label on the page."""

import pytest

from realtime.view.latency import LONGEST_UNSHOWN, PARTS, Latencies


def test_nothing_is_reported_before_a_page_has_shown_something() -> None:
    latencies = Latencies()
    latencies.take(0.0, 100.0)
    latencies.answer(1, end_s=1.0, newest_s=1.0, flow_s=0.0, engine_s=0.1, at_s=101.0)
    assert latencies.report() is None


def test_parts_add_up_to_the_whole() -> None:
    latencies = Latencies()
    latencies.take(0.00, 100.0)
    latencies.answer(1, end_s=0.04, newest_s=0.24, flow_s=0.05, engine_s=0.10, at_s=100.9)
    latencies.shown(1, 101.0)
    report = latencies.report()
    assert report is not None
    assert report["p50"] == pytest.approx(1.0)
    expected = {"look-ahead": 0.2, "flow": 0.05, "engine": 0.1, "page": 0.1, "waiting": 0.55}
    assert {part: report[part] for part in PARTS} == pytest.approx(expected)


def test_a_frame_counts_once_with_the_first_prediction_that_covers_it() -> None:
    latencies = Latencies()
    for i in range(4):
        latencies.take(i * 0.04, 100 + i * 0.04)
    latencies.answer(1, 0.08, 0.08, 0, 0, 100.2)
    latencies.answer(2, 0.16, 0.16, 0, 0, 100.4)
    latencies.answer(3, 0.16, 0.16, 0, 0, 100.6)
    latencies.shown(1, 100.2)
    latencies.shown(3, 101.0)
    report = latencies.report()
    assert report is not None
    totals = sorted([0.2, 0.16, 101 - 100.08, 101 - 100.12])
    assert report["p50"] == pytest.approx(totals[2])
    assert report["p95"] == pytest.approx(totals[2])


def test_a_page_that_reports_twice_or_ahead_of_time_changes_nothing() -> None:
    latencies = Latencies()
    latencies.take(0, 100)
    latencies.answer(5, 1, 1, 0, 0, 101)
    for number in (4, 5, 5, 10**15):
        latencies.shown(number, 102)
    report = latencies.report()
    assert report is not None
    assert report["p50"] == 2


def test_without_a_page_nothing_grows() -> None:
    latencies = Latencies()
    for number in range(1000):
        latencies.take(number, number)
        latencies.answer(number, number + 1, number, 0, 0, number)
    assert latencies.unshown == LONGEST_UNSHOWN
