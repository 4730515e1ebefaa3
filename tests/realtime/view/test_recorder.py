"""Clips of one's own actions: counted down, three seconds long, in a folder of their name, and nowhere else."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from realtime.errors import OutputError, UsageError
from realtime.outputs.video_file import VideoWriter
from realtime.sources.open import open_video
from realtime.types import Frame
from realtime.view import actions
from realtime.view.hub import Hub
from realtime.view.recorder import Recorder
from realtime.view.settings import Settings
from tests.support.view_doubles import RED, Pushed, load, no_demo, until


def frame(number: int, *, after_gap: bool = False) -> Frame:
    rgb = np.full((48, 64, 3), number % 200, np.uint8)
    return Frame(rgb, Fraction(number, 25), Fraction(1, 25), after_gap=after_gap)


def test_each_clip_is_counted_down_and_three_seconds_long(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, " waving ", 2, VideoWriter)
    phases = []
    for number in range(400):
        recorder.frame(frame(number))
        phases.append(recorder.state()["phase"])
    assert [phases.index(name) for name in ("countdown", "recording", "done")] == [0, 75, 300]
    assert recorder.state() | {"left_s": 0.0} == {
        "label": "waving", "phase": "done", "left_s": 0.0, "clips": 2, "of": 2, "folder": "waving", "problem": "",
    }  # fmt: skip
    clips = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.mp4"))
    assert clips == ["waving/001.mp4", "waving/002.mp4"]
    for clip, first in zip(clips, (75, 225), strict=True):
        with open_video(tmp_path / clip) as video:
            frames = list(video)
        assert len(frames) == 75
        assert frames[0].rgb.mean() == pytest.approx(first % 200, abs=3)


def test_clips_that_are_there_already_stay(tmp_path: Path) -> None:
    (tmp_path / "waving").mkdir()
    (tmp_path / "waving" / "001.mp4").write_text("mine")
    recorder = Recorder(tmp_path, "waving", 1, VideoWriter)
    for number in range(160):
        recorder.frame(frame(number))
    assert sorted(path.name for path in (tmp_path / "waving").iterdir()) == ["001.mp4", "002.mp4"]
    assert (tmp_path / "waving" / "001.mp4").read_text() == "mine"


def test_where_frames_are_missing_the_clip_begins_again(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, "waving", 1, VideoWriter)
    for number in range(100):
        recorder.frame(frame(number))
    assert recorder.state()["phase"] == "recording"
    recorder.frame(frame(200, after_gap=True))
    assert (recorder.state()["phase"], recorder.state()["left_s"]) == ("countdown", 3.0)
    assert list((tmp_path / "waving").iterdir()) == []
    for number in range(201, 351):
        recorder.frame(frame(number))
    with open_video(tmp_path / "waving" / "001.mp4") as video:
        assert next(iter(video)).rgb.mean() == pytest.approx(275 % 200, abs=3)


def test_where_frames_are_far_apart_the_clip_begins_again(tmp_path: Path) -> None:
    """As from a tab that was in the background for two seconds: a clip must not have a gap."""
    recorder = Recorder(tmp_path, "waving", 1, VideoWriter)
    for number in (*range(90), *range(140, 300)):
        recorder.frame(frame(number))
    assert (recorder.state()["phase"], recorder.state()["clips"]) == ("done", 1)
    with open_video(tmp_path / "waving" / "001.mp4") as video:
        frames = list(video)
    assert len(frames) == 75
    assert frames[0].rgb.mean() == pytest.approx(215 % 200, abs=3)


def test_stopped_early_it_leaves_only_whole_clips(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, "waving", 5, VideoWriter)
    for number in range(250):
        recorder.frame(frame(number))
    recorder.stop()
    assert [path.name for path in (tmp_path / "waving").iterdir()] == ["001.mp4"]
    recorder.frame(frame(251))
    assert recorder.state()["phase"] == "done"


@pytest.mark.parametrize("label", ["", "..", "../up", "a/b", "a\\b", ".hidden", "x" * 61, "a\nb", "nul\0"])
def test_a_name_that_is_not_plain_is_refused(label: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be an action's name; give up to 60 letters"):
        Recorder(tmp_path, label, 1, VideoWriter)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_reported_and_the_video_goes_on(tmp_path: Path) -> None:
    def full(path: Path, size_px: tuple[int, int]) -> Any:
        raise OutputError("cannot write: No space left on device")

    recorder = Recorder(tmp_path, "waving", 1, full)
    for number in range(100):
        recorder.frame(frame(number))
    assert (recorder.state()["phase"], recorder.state()["problem"]) == (
        "failed",
        "cannot write: No space left on device",
    )


def test_a_page_records_only_where_the_server_was_told_to(tmp_path: Path) -> None:
    source = Pushed()
    hub = Hub(["cam"], load, lambda _: source, no_demo)
    assert not hub.records
    with pytest.raises(UsageError, match="start it with i3d-live view --record FOLDER"):
        actions.record(hub, "token", "waving", 1)
    hub.close()


def test_what_a_channel_shows_is_recorded(tmp_path: Path) -> None:
    source = Pushed()
    hub = Hub(["cam"], load, lambda _: source, no_demo, record_to=tmp_path, new_writer=VideoWriter)
    with pytest.raises(UsageError, match="start a source first"):
        actions.record(hub, "nothing", "waving", 1)
    token = hub.start_server_source("cam", Settings(streams="rgb"))
    for clips in ("many", True, 0, 51, 1.5):
        with pytest.raises(UsageError):
            actions.record(hub, token, "waving", clips)
    actions.record(hub, token, "waving", 1.0)
    source.put(RED, 160)
    until(lambda: (tmp_path / "waving" / "001.mp4").exists())
    channel = hub.find(token)
    assert channel is not None
    until(lambda: channel.state.newest and channel.state.newest["recording"]["phase"] == "done")
    hub.close()
    with open_video(tmp_path / "waving" / "001.mp4") as video:
        assert len(list(video)) == 75
