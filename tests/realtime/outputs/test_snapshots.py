"""Snapshots, read back: the frame of the surest prediction of each event, under its name, in a folder with a limit."""

import os
from dataclasses import replace
from datetime import datetime
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.spec import Mode
from realtime.commands.outputs import OutputOptions
from realtime.commands.sinks import SourceOutputs
from realtime.errors import OutputError
from realtime.outputs.clip_folder import SNAPSHOT, ClipFolder
from realtime.outputs.event_clips import WithOpenEvents
from realtime.outputs.log import Line
from realtime.outputs.snapshots import Snapshots, sparse
from realtime.recognizer import Recognizer
from realtime.session import Session
from realtime.sources.open import open_video
from realtime.stages.events import OpenEvent
from realtime.turns import run_sessions
from realtime.types import Event, Frame, Prediction
from tests.realtime.outputs.test_event_clips import Brightness
from tests.support.made_clips import every, picture, read_number, write_clip

STEP = Fraction(1, 25)
START = datetime(2026, 11, 24, 10, 15, 0)
LATE_S = 3.0
"""How long after the middle of its span a prediction comes."""


def prediction(middle_s: float, label: str, probability: float, *, settled: bool = True) -> Prediction:
    span = (middle_s - 1.28, middle_s + 1.28)
    top = ((label, probability),)
    return Prediction(0, 64, *span, np.ones(1, np.float32), top, ("rgb",), "window", settled)


def play(snapshots: Snapshots, seconds: float, said: list[Prediction], events: list[Event]) -> None:
    """Numbered frames; each prediction `LATE_S` after the middle of its span, each event as late after its end."""
    going: list[OpenEvent] = []
    sink = WithOpenEvents(snapshots, lambda: (going[0],) if going else (), sparse())
    said, events = list(said), list(events)
    for i in range(round(seconds * 25)):
        now_s = i / 25
        if events and events[0].start_s + LATE_S <= now_s and not going:
            going.append(OpenEvent(events[0].label, events[0].start_s, events[0].zone))
        sink.push(Frame(picture(i % 256), i * STEP, STEP))
        while said and (said[0].start_s + said[0].end_s) / 2 + LATE_S <= now_s:
            sink.push(said.pop(0))
        if events and events[0].end_s + LATE_S <= now_s:
            going.clear()
            sink.push(events.pop(0))
    sink.close()


def make(folder: Path, largest_bytes: float = 1e9, name: str | None = None) -> Snapshots:
    return Snapshots(ClipFolder(folder, SNAPSHOT, largest_bytes, name, START), Fraction(4))


def number_in(path: Path) -> int:
    return read_number(cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB))


def test_a_snapshot_shows_the_surest_moment_of_its_event(tmp_path: Path) -> None:
    said = [
        prediction(2.0, "tai chi", 0.99),  # before the event
        prediction(4.0, "tai chi", 0.6),
        prediction(5.12, "tai chi", 0.9),
        prediction(6.0, "yoga", 0.95),
        prediction(6.5, "tai chi", 0.97, settled=False),
        prediction(7.0, "tai chi", 0.8),
    ]
    play(make(tmp_path / "new", name="cam 1"), 20, said, [Event("tai chi", 3.9, 7.1, 0.8)])
    (path,) = (tmp_path / "new").iterdir()
    assert path.name == "20261124-101500-cam_1-000003.9s-tai_chi.jpg"
    assert abs(number_in(path) - 5.12 * 25) <= 4


def test_a_snapshot_of_a_zones_event_is_of_the_zones_surest_moment(tmp_path: Path) -> None:
    said = [
        prediction(4.0, "tai chi", 0.99),
        replace(prediction(5.0, "tai chi", 0.9), zone="door"),
        replace(prediction(6.0, "tai chi", 0.99), zone="gate"),
    ]
    play(make(tmp_path), 20, said, [Event("tai chi", 3.9, 7.1, 0.8, zone="door")])
    (path,) = tmp_path.iterdir()
    assert path.name == "20261124-101500-000003.9s-door-tai_chi.jpg"
    assert abs(number_in(path) - 5.0 * 25) <= 4


def test_a_long_event_keeps_its_surest_moment_and_the_row_stays_short(tmp_path: Path) -> None:
    said = [
        prediction(at_s, "a", 0.95 if at_s == 6.0 else 0.7) for at_s in np.arange(4.0, 60.0, 0.5).tolist()
    ]
    snapshots = make(tmp_path)
    play(snapshots, 70, said, [Event("a", 3.9, 60.0, 0.7)])
    (path,) = tmp_path.iterdir()
    assert abs(number_in(path) - 6.0 * 25) <= 4
    assert len(snapshots.row) <= 5 * 25 / 8 + 2


def test_an_event_that_nobody_saw_going_on_has_one_too(tmp_path: Path) -> None:
    """One that begins and ends when the video does."""
    snapshots = make(tmp_path)
    for i in range(100):
        snapshots.push(Frame(picture(i), i * STEP, STEP))
    for at_s, probability in ((1.0, 0.6), (2.0, 0.9), (3.0, 0.7)):
        snapshots.push(prediction(at_s, "a", probability))
    snapshots.push(Event("a", 0.5, 3.5, 0.7))
    snapshots.close()
    (path,) = tmp_path.iterdir()
    assert number_in(path) == 50


def test_events_that_follow_one_another_have_their_own(tmp_path: Path) -> None:
    said = [
        prediction(4.0, "a", 0.9), prediction(5.0, "a", 0.7), prediction(6.0, "b", 0.7), prediction(7.0, "b", 0.9),
    ]  # fmt: skip
    play(make(tmp_path), 20, said, [Event("a", 3.5, 5.5, 0.8), Event("b", 5.5, 7.5, 0.8)])
    first, second = sorted(tmp_path.iterdir())
    assert abs(number_in(first) - 100) <= 4
    assert abs(number_in(second) - 175) <= 4


def test_the_oldest_go_and_clips_stay(tmp_path: Path) -> None:
    clip = tmp_path / "20261124-101500-000004.0s-a.mp4"
    clip.write_bytes(bytes(100_000))
    for number in range(6):
        play(
            make(tmp_path, largest_bytes=3_000),
            14,
            [prediction(5.0, "a", 0.9)],
            [Event(f"a{number}", 4.0, 6.0, 1)],
        )
    left = sorted(path.name for path in tmp_path.glob("*.jpg"))
    size = (tmp_path / left[-1]).stat().st_size
    assert left == [f"20261124-101500-000004.0s-a{number}.jpg" for number in range(6 - len(left), 6)]
    assert len(left) == 3_000 // size < 6
    assert clip.exists()


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file/snapshots"):
        make(tmp_path / "file" / "snapshots")


@pytest.mark.parametrize("mode", ["window", "continual"])
def test_each_event_of_a_run_has_a_clip_and_a_snapshot_of_one_name(mode: Mode, tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mp4", every(STEP, 250), size_px=(64, 48), key_every=12)
    recognizer = Recognizer({"rgb": Brightness(mode)})
    lines: list[Line] = []
    wanted = OutputOptions(save_clips=tmp_path / "clips", save_snapshots=tmp_path / "snapshots")
    with open_video(source, keep_packets=wanted.keep_packets) as video:
        made = SourceOutputs(wanted, video, recognizer, None)
        run_sessions(
            [Session(video, recognizer, write=lines.append, sinks=made.sinks, left_out=made.left_out)]
        )
    events = [line for line in lines if line["kind"] == "event"]
    assert events
    stems = [{Path(name).stem for name in os.listdir(tmp_path / kind)} for kind in ("clips", "snapshots")]
    assert len(stems[0]) == len(events)
    assert stems[0] == stems[1]
    for event in events:
        (path,) = (tmp_path / "snapshots").glob(f"*{event['start_s']:08.1f}s-{event['label']}.jpg")
        assert event["start_s"] * 25 - 5 <= number_in(path) <= event["end_s"] * 25 + 5
