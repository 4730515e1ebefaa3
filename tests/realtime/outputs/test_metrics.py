"""Figures for Prometheus, read by its own parser from the real server, and a health report that turns red."""

import json
import socket
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any
from urllib.error import HTTPError

import jsonschema
import pytest
from prometheus_client.parser import text_string_to_metric_families

from realtime import types
from realtime.clock import Stopwatch
from realtime.errors import OutputError, SourceLost, UsageError
from realtime.outputs.log import SCHEMA, Line
from realtime.outputs.metrics import Metrics, listen_at
from realtime.recognizer import Recognizer
from realtime.session import Session
from realtime.sources.reconnect import Reconnecting
from realtime.turns import run_sessions
from realtime.types import Frame
from realtime.zones import Zone
from tests.realtime.test_many import Made
from tests.support.clocks import ManualClock
from tests.support.colours import SeesColours, coloured
from tests.support.doubles import SawTicks, constant_rate
from tests.support.servers import free_port
from tests.support.stillness import filmed, moving

Figures = dict[tuple[str, ...], float]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def metrics(clock: ManualClock) -> Iterator[Metrics]:
    with Metrics("127.0.0.1", 0, clock.now_s) as served:
        yield served


def get(metrics: Metrics, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{metrics.port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


def figures(metrics: Metrics) -> Figures:
    """By name and the values of the labels, the source first."""
    status, text = get(metrics, "/metrics")
    assert status == 200
    return {
        (
            sample.name,
            *(sample.labels[name] for name in ("source", *sorted(sample.labels.keys() - {"source"}))),
        ): (sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def session(
    metrics: Metrics,
    clock: ManualClock,
    video: Any,
    name: str,
    lines: list[Line] | None = None,
    idle_s: float | None = None,
) -> Session:
    def write(line: Line) -> None:
        metrics.write(line)
        if lines is not None:
            lines.append(line)

    stopwatch = Stopwatch()
    recognizer = Recognizer({"rgb": SawTicks()}, stopwatch=stopwatch, idle_s=idle_s)
    made = Session(video, recognizer, name=name, write=write, stopwatch=stopwatch, now_s=clock.now_s)
    metrics.watch(name, made.figures, stall_s=5.0)
    return made


def test_figures_are_those_of_the_summary(metrics: Metrics, clock: ManualClock) -> None:
    lines: list[Line] = []
    items = {"a": constant_rate(150, Fraction(30)), "b": constant_rate(80, Fraction(10))}
    run_sessions([session(metrics, clock, Made(frames), name, lines) for name, frames in items.items()])
    found = figures(metrics)
    for summary in (line for line in lines if line["kind"] == "summary"):
        name = summary["name"]
        assert found["i3d_live_frames_total", name] == summary["frames"]["decoded"] == len(items[name])
        assert found["i3d_live_frames_used_total", name] == summary["frames"]["used"]
        for cause, count in summary["frames"]["dropped"].items():
            assert found["i3d_live_frames_dropped_total", name, cause] == count
        for what, figure in (
            ("ticks", "ticks"),
            ("windows", "steps"),
            ("predictions", "predictions"),
            ("gaps", "gaps"),
        ):
            assert found[f"i3d_live_{what}_total", name] == summary[figure]
        assert found["i3d_live_engine_seconds_total", name, "rgb"] > 0
        assert found["i3d_live_stage_seconds_total", name, "resize"] > 0
        assert found["i3d_live_queue_frames", name] == 0
        assert found["i3d_live_reconnects_total", name] == 0
    assert found["i3d_live_frames_dropped_total", "a", "faster than the model's rate"] == 25


def test_predictions_and_events_of_each_zone_are_counted(metrics: Metrics, clock: ManualClock) -> None:
    lines: list[Line] = []

    def write(line: Line) -> None:
        metrics.write(line)
        lines.append(line)

    shown = {"red": (16.0, 16.0, 96.0, 224.0), "blue": (144.0, 16.0, 96.0, 224.0)}
    zones = [Zone("left", 0, 0, 50, 100, percent=True), Zone("right", 50, 0, 50, 100, percent=True, own=True)]
    made = Session(
        Made([coloured(number, shown) for number in range(150)]),
        Recognizer({"rgb": SeesColours()}, smooth=1, zones=zones),
        name="a",
        write=write,
        now_s=clock.now_s,
    )
    metrics.watch("a", made.figures, stall_s=5.0)
    run_sessions([made])
    found = figures(metrics)
    for kind in ("prediction", "event"):
        for zone in ("left", "right"):
            told = sum(line["kind"] == kind and line.get("zone") == zone for line in lines)
            assert told > 0
            assert found[f"i3d_live_zone_{kind}s_total", "a", zone] == told


def test_a_rest_is_told_in_lines_and_figures(metrics: Metrics, clock: ManualClock) -> None:
    lines: list[Line] = []
    made = session(
        metrics, clock, Made(filmed(moving([(200, 202)], 210), Fraction(25))), "a", lines, idle_s=3
    )
    seen = {}

    def look() -> None:
        ticks = made.figures().ticks
        if ticks in (50, 190, 205):
            seen[ticks] = made.figures().resting_since_s, figures(metrics)["i3d_live_idle", "a"]

    run_sessions([made], after_turn=look)
    assert seen == {50: (None, 0), 190: (0.0, 1), 205: (None, 0)}
    found = figures(metrics)
    idle = [line for line in lines if line["kind"] == "idle"]
    assert idle == [
        {"kind": "idle", "name": "a", "resting": True, "since_s": 0.0, "at_s": 3.0},
        {"kind": "idle", "name": "a", "resting": False, "since_s": 5.48, "at_s": 8.0},
    ]
    summary = lines[-1]
    assert summary["idle_ticks"] == found["i3d_live_idle_ticks_total", "a"] == 137 - 75
    assert summary["frames"]["dropped"]["nothing moved"] == 137 - 75
    schema = json.loads(SCHEMA.read_text())
    for line in [*idle, summary]:
        jsonschema.validate(line, schema)


def test_latencies_fall_into_their_buckets(metrics: Metrics, clock: ManualClock) -> None:
    made = session(metrics, clock, Made([], live=True), "a")
    for item in constant_rate(90, Fraction(25)):
        taken_s = clock.now_s()
        clock.pass_s(0.25)  # the frame waits
        made.push(replace(item, taken_s=taken_s))
    found = figures(metrics)
    count = found["i3d_live_latency_seconds_count", "a"]
    assert count == 4
    assert found["i3d_live_latency_seconds_sum", "a"] == pytest.approx(4 * 0.25)
    assert found["i3d_live_latency_seconds_bucket", "a", "0.2"] == 0
    assert found["i3d_live_latency_seconds_bucket", "a", "0.3"] == count
    assert found["i3d_live_lag_seconds", "a"] == pytest.approx(0.25)


def test_health_turns_red_while_a_source_stalls(metrics: Metrics, clock: ManualClock) -> None:
    frames = iter(constant_rate(100, Fraction(25)))

    def push(made: Session) -> Frame:
        item = replace(next(frames), taken_s=clock.now_s())
        made.push(item)
        return item

    good, bad = (session(metrics, clock, Made([], live=True), name) for name in ("good", "bad"))
    push(bad)
    clock.pass_s(4.9)
    push(good)
    status, text = get(metrics, "/health")
    assert (status, json.loads(text)) == (200, {"healthy": True, "sources": {"good": "ok", "bad": "ok"}})
    clock.pass_s(0.2)
    status, text = get(metrics, "/health")
    assert (status, json.loads(text)) == (
        503,
        {"healthy": False, "sources": {"good": "ok", "bad": "no frame for 5 s"}},
    )
    assert figures(metrics)["i3d_live_healthy", "bad"] == 0
    push(bad)
    assert get(metrics, "/health")[0] == 200


def test_a_normal_end_is_healthy_and_an_error_is_not(metrics: Metrics, clock: ManualClock) -> None:
    made = [
        session(metrics, clock, Made(constant_rate(5, Fraction(25)), error=error), name)
        for name, error in (("whole", None), ("lost", SourceLost("cam: cable cut")))
    ]
    run_sessions(made)
    clock.pass_s(1000)
    status, text = get(metrics, "/health")
    assert (status, json.loads(text)["sources"]) == (503, {"whole": "ok", "lost": "cam: cable cut"})


def test_a_lost_camera_is_named_with_its_reason(metrics: Metrics, clock: ManualClock) -> None:
    away = Reconnecting("cam", lambda: Made([]), reason="cam: connection refused")  # type: ignore[arg-type, return-value]
    session(metrics, clock, away, "cam")
    clock.pass_s(6)
    assert json.loads(get(metrics, "/health")[1])["sources"] == {
        "cam": "no frame for 6 s; cam: connection refused"
    }
    assert figures(metrics)["i3d_live_connected", "cam"] == 0


def test_other_paths_are_not_found_and_a_silent_client_holds_up_nothing(metrics: Metrics) -> None:
    with socket.create_connection(("127.0.0.1", metrics.port)):
        status, text = get(metrics, "/etc/passwd")
    assert status == 404
    assert "/metrics" in text


def test_after_close_nothing_listens(clock: ManualClock) -> None:
    metrics = Metrics("127.0.0.1", 0, clock.now_s)
    metrics.close()
    metrics.close()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", metrics.port))
    port = free_port()
    with (
        Metrics("127.0.0.1", port, clock.now_s),
        pytest.raises(OutputError, match=f"127.0.0.1:{port}.*another port"),
    ):
        Metrics("127.0.0.1", port, clock.now_s)


@pytest.mark.parametrize(
    ("text", "where"),
    [("9100", ("127.0.0.1", 9100)), ("0.0.0.0:9100", ("0.0.0.0", 9100)), ("[::1]:0", ("::1", 0))],
)
def test_the_address_to_listen_at_is_parsed(text: str, where: tuple[str, int]) -> None:
    assert listen_at(text) == where


@pytest.mark.parametrize("text", ["", "x", "99999", "-1", ":9100", "9100:"])
def test_a_bad_address_to_listen_at_is_a_wrong_call(text: str) -> None:
    with pytest.raises(UsageError, match="PORT"):
        listen_at(text)


def test_what_outputs_left_out_is_counted_by_output(metrics: Metrics) -> None:
    metrics.watch("cam", lambda: types.Figures(left_out={"--annotate": 3, "--mqtt": 2}), stall_s=5)
    found = figures(metrics)
    assert found["i3d_live_left_out_total", "cam", "--annotate"] == 3
    assert found["i3d_live_left_out_total", "cam", "--mqtt"] == 2
