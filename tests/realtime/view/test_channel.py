"""A source, from its first frame to the state that the page gets."""

import io
import json
from collections.abc import Callable
from dataclasses import replace
from threading import Event as Flag
from typing import Any

import pytest
from PIL import Image

from engines.load import Engines
from realtime.clock import Clock
from realtime.errors import SourceError, SourceLost
from realtime.overload import LATE_S, SETTLE_S
from realtime.reader_threads import LIVE_WAIT_S, Source
from realtime.view.channel import Channel
from realtime.view.settings import Settings
from tests.support.clocks import Hurried, ManualClock
from tests.support.view_doubles import BLUE, GREEN, RED, Pushed, load, until

RGB = Settings(streams="rgb")


def file() -> Pushed:
    """A file: nothing of it is dropped, however quickly it comes."""
    return Pushed(live=False)


def started(
    source: Pushed,
    settings: Settings = RGB,
    released: list[str] | None = None,
    clock: Clock | None = None,
    load: Callable[[Settings], Engines] = load,
    idle_s: float | None = None,
) -> Channel:
    ended = [] if released is None else released
    return Channel(
        "made",
        lambda: source,
        settings,
        load,
        released=lambda: ended.append("released"),
        idle_s=idle_s,
        clock=clock or Hurried(),
    )


def state(channel: Channel) -> dict[str, Any]:
    """The newest message, as the page gets it."""
    value = channel.state.newest
    assert value is not None
    told: dict[str, Any] = json.loads(json.dumps(value, allow_nan=False))
    return told


def leader(channel: Channel) -> str | None:
    answer = state(channel)["answer"]
    return answer and answer["top"][0][0]


def test_while_nothing_moves_the_state_says_since_when_and_shows_no_prediction() -> None:
    source = file()
    channel = started(source, idle_s=3)
    source.put(RED, 70)
    until(lambda: leader(channel) == "painting red")
    assert state(channel)["resting_since_s"] is None
    source.put(RED, 30)
    until(lambda: state(channel)["resting_since_s"] == 0)
    assert leader(channel) is None
    assert state(channel)["settled"] is None
    source.end()
    until(lambda: not channel.running)
    assert state(channel)["resting_since_s"] is None


def test_the_state_follows_a_source_from_first_frame_to_last() -> None:
    source, released = file(), list[str]()
    channel = started(source, released=released)
    source.put(RED, 130)
    until(lambda: leader(channel) == "painting red")
    assert not state(channel)["answer"]["settled"]
    until(lambda: state(channel)["settled"])
    assert (state(channel)["phase"], state(channel)["size_px"]) == ("running", [80, 64])
    source.put(BLUE, 130)
    until(lambda: leader(channel) == "painting blue")
    source.end()
    assert channel.join(20)
    last = state(channel)
    assert (last["phase"], last["note"]) == ("ended", "")
    assert [event[0] for event in last["events"]] == ["painting red", "painting blue"]
    assert [run[0] for run in last["trail"]] == ["painting red", "painting blue"]
    assert last["by_stream"]["rgb"][0] == last["answer"]["top"][0]
    assert last["cost"]["frames"] == 260 == last["cost"]["used"]
    assert released == ["released"]


def test_no_engine_is_prepared_before_the_first_frame() -> None:
    """So a page that waits knows whether it waits for the source or for an engine, which may take long to build."""
    source, preparing, ready = file(), Flag(), Flag()

    def load_slowly(settings: Settings) -> Engines:
        preparing.set()
        assert ready.wait(20)
        return load(settings)

    channel = started(source, load=load_slowly)
    until(lambda: state(channel)["phase"] == "waiting")
    assert not preparing.wait(0.5)
    source.put(RED, 9)
    assert preparing.wait(20)
    assert state(channel)["phase"] == "engine"
    ready.set()
    until(lambda: state(channel)["phase"] == "running")
    channel.stop()
    assert channel.join(20)


def test_each_stream_has_its_own_prediction_and_flow_can_be_seen() -> None:
    source = file()
    channel = started(source, Settings(streams="both"))
    with channel.flow.watch():
        source.put(RED, 20)
        until(lambda: set(state(channel)["by_stream"]) == {"rgb", "flow", "both"})
        until(lambda: channel.flow.newest)
    assert Image.open(io.BytesIO(channel.flow.newest or b"")).size == (256, 256)
    until(lambda: state(channel)["cost"].get("flow"))
    channel.stop()
    assert channel.join(20)


def test_settings_change_while_it_runs_and_all_frames_still_count() -> None:
    source = file()
    channel = started(source)
    source.put(RED, 100)
    until(lambda: state(channel)["media_s"] == 99 / 25)
    channel.apply(replace(RGB, mode="window", stride=16, watch=("painting red", "resting")))
    source.put(GREEN, 100)
    until(lambda: state(channel)["media_s"] == 199 / 25)
    until(lambda: leader(channel) == "resting" or leader(channel) == "painting red")
    told = state(channel)
    assert {label for label, _ in told["answer"]["top"]} == {"painting red", "resting"}
    assert told["settings"]["mode"] == "window"
    source.end()
    assert channel.join(20)
    cost = state(channel)["cost"]
    assert cost["frames"] == 200 == cost["used"]


def test_bad_settings_change_nothing_and_are_explained() -> None:
    source = file()
    channel = started(source)
    source.put(RED, 100)
    until(lambda: leader(channel))
    for settings, why in (
        (replace(RGB, precision="int8"), "double cannot be built in int8 here; choose float32"),
        (replace(RGB, watch=("tai chee", "waving")), "'tai chee' cannot be watched"),
    ):
        channel.apply(settings)
        source.put(RED, 10)
        until(lambda: state(channel)["note"])
        assert why in state(channel)["note"]
        assert state(channel)["phase"] == "running"
        channel.apply(RGB)
        source.put(BLUE, 10)
        until(lambda: not state(channel)["note"])
    source.put(BLUE, 100)
    until(lambda: leader(channel) == "painting blue")
    channel.stop()
    assert channel.join(20)


def test_a_source_that_cannot_be_opened_is_reported() -> None:
    def refuse() -> Source:
        raise SourceError("rtsp://camera: connection refused; check that the server is on")

    channel = Channel("camera", refuse, RGB, load)
    assert channel.join(20)
    assert (state(channel)["phase"], channel.running) == ("failed", False)
    assert "connection refused" in state(channel)["note"]


def test_a_source_that_is_lost_is_reported() -> None:
    source = file()
    channel = started(source)
    source.put(RED, 70)
    source.end(SourceLost("camera: no frame for 5 s"))
    assert channel.join(20)
    assert (state(channel)["phase"], state(channel)["note"]) == ("failed", "camera: no frame for 5 s")
    assert leader(channel) == "painting red"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_fault_of_the_program_is_reported_without_its_details() -> None:
    source, released = file(), list[str]()
    channel = started(source, released=released)
    source.put(RED, 10)
    source.end(ZeroDivisionError("/home/somebody/secret"))
    assert channel.join(20)
    assert state(channel)["note"] == "made: stopped by a fault of this program (ZeroDivisionError)"
    assert released == ["released"]


def test_stopping_closes_the_source() -> None:
    source, released = file(), list[str]()
    channel = started(source, released=released)
    source.put(RED, 10)
    until(lambda: state(channel)["phase"] == "running")
    channel.stop()
    assert channel.join(20)
    assert source.closed
    assert released == ["released"]


def test_latency_is_measured_by_what_a_page_has_shown() -> None:
    source = file()
    channel = started(source)
    source.put(RED, 20)
    until(lambda: leader(channel))
    channel.shown(channel.state.number)
    source.put(RED, 1)
    until(lambda: state(channel)["cost"]["latency_s"])
    report = state(channel)["cost"]["latency_s"]
    assert 0 < report["p50"] < 20
    channel.stop()
    assert channel.join(20)


def test_a_page_may_ask_where_a_label_is_that_is_not_among_the_likeliest() -> None:
    source = file()
    channel = started(source)
    source.put(RED, 20)
    until(lambda: leader(channel))
    likeliest = [label for label, _ in state(channel)["answer"]["top"]]
    assert list(state(channel)["where"]["labels"]) == likeliest
    page, another = object(), object()
    assert "painting blue" not in likeliest
    channel.ask(page, "painting blue")
    channel.ask(another, "no label")
    source.put(RED, 8)
    until(lambda: list(state(channel)["where"]["labels"]) == [*likeliest, "painting blue"])
    channel.ask(page, "")
    source.put(RED, 8)
    until(lambda: list(state(channel)["where"]["labels"]) == likeliest)
    channel.stop()
    assert channel.join(20)


def test_pictures_are_made_only_while_somebody_watches() -> None:
    source = file()
    channel = started(source)
    source.put(RED, 5)
    until(lambda: state(channel)["media_s"] > 0.1)
    assert channel.picture.newest is None
    with channel.picture.watch():
        source.put(BLUE, 1)
        until(lambda: channel.picture.newest)
    assert Image.open(io.BytesIO(channel.picture.newest or b"")).getpixel((5, 5))[2] > 150  # type: ignore[index]
    channel.stop()
    assert channel.join(20)


def test_each_step_down_is_reported_to_the_page_and_counted() -> None:
    clock = ManualClock()
    source = Pushed(clock=clock)
    channel = started(source, clock=clock)
    for frames in range(1, 4):
        clock.pass_s(SETTLE_S)
        source.put(RED, 1, waited_s=(LATE_S + LIVE_WAIT_S) / 2)
        until(lambda frames=frames: state(channel)["level_steps"] == frames)
    until(lambda: state(channel)["level"] == "pieces")
    assert state(channel)["level_steps"] == 3
    channel.stop()
    assert channel.join(20)
