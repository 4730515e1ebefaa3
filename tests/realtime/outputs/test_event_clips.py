"""Event clips, read back: the frames of each event, two seconds around it, and a folder that never grows beyond its
limit."""

import os
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from engines.engine import Positions
from engines.spec import RGB, Mode, Weights
from realtime.clock import Stopwatch
from realtime.errors import OutputError
from realtime.outputs.clip_folder import CLIP, ClipFolder
from realtime.outputs.event_clips import EventClips, WithOpenEvents
from realtime.outputs.log import Line
from realtime.outputs.video_file import VideoWriter
from realtime.recognizer import Recognizer
from realtime.session import Session
from realtime.sources.open import open_video
from realtime.stages.events import OpenEvent
from realtime.turns import run_sessions
from realtime.types import Event, Frame
from tests.realtime.test_many import Made
from tests.support.doubles import everywhere, no_head
from tests.support.made_clips import picture, read_number

FPS = Fraction(25)
START = datetime(2026, 11, 24, 10, 15, 0)
DELAY_S = Fraction(4)


def numbered(count: int) -> list[Frame]:
    """Frames that show their number, modulo 256."""
    return [Frame(picture(i % 256), i / FPS, 1 / FPS) for i in range(count)]


def play(
    clips: WithOpenEvents,
    seconds: float,
    going: dict[str, Any],
    told: Sequence[tuple[float, Callable[[], None]]] = (),
) -> None:
    """Push frames for some seconds; at each time of `told`, call what goes with it."""
    waiting = sorted(told, key=lambda each: each[0])
    for item in numbered(round(seconds * 25)):
        while waiting and waiting[0][0] <= item.pts:
            waiting.pop(0)[1]()
        clips.push(item)
    clips.close()


def make(
    folder: Path, going: dict[str, Any], largest_bytes: float = 1e9, name: str | None = None
) -> WithOpenEvents:
    """`going["on"]`: the event that is open."""
    return WithOpenEvents(saving(folder, largest_bytes, name), lambda: opened(going))


def saving(folder: Path, largest_bytes: float = 1e9, name: str | None = None) -> EventClips:
    return EventClips(ClipFolder(folder, CLIP, largest_bytes, name, START), VideoWriter, DELAY_S)


def opened(going: dict[str, Any]) -> tuple[OpenEvent, ...]:
    return (going["on"],) if "on" in going else ()


def begin(going: dict[str, Any], label: str, start_s: float) -> Callable[[], None]:
    return lambda: going.update(on=OpenEvent(label, start_s))


def end(clips: WithOpenEvents, going: dict[str, Any], event: Event) -> Callable[[], None]:
    def ended() -> None:
        going.pop("on")
        clips.push(event)

    return ended


def numbers_in(path: Path) -> list[int]:
    with open_video(path) as video:
        frames = list(video)
    assert [frame.pts for frame in frames] == [i / FPS for i in range(len(frames))]
    return [read_number(frame.rgb) for frame in frames]


def between(start_s: float, end_s: float) -> list[int]:
    """Numbers of the frames from two seconds before to two seconds after."""
    return [i % 256 for i in range(2000) if start_s - 2 <= i / 25 <= end_s + 2]


def test_a_clip_holds_the_event_and_two_seconds_around_it(tmp_path: Path) -> None:
    going: dict[str, Any] = {}
    clips = make(tmp_path / "new" / "clips", going, name="cam 1/ä")
    event = Event("tai chi (slow)", 10.2, 14.8, 0.9)
    play(clips, 30, going, [(13.1, begin(going, event.label, 10.2)), (17.5, end(clips, going, event))])
    (path,) = (tmp_path / "new" / "clips").iterdir()
    assert path.name == "20261124-101500-cam_1_ä-000010.2s-tai_chi_slow.mp4"
    assert numbers_in(path) == between(10.2, 14.8)


def test_a_long_event_is_written_while_it_goes_on(tmp_path: Path) -> None:
    going: dict[str, Any] = {}
    saves = saving(tmp_path)
    clips = WithOpenEvents(saves, lambda: opened(going))
    held: list[int] = []
    event = Event("a", 5.0, 55.0, 0.9)
    look = [(float(at_s), lambda: held.append(len(saves.row))) for at_s in range(10, 60)]
    play(clips, 70, going, [(7.0, begin(going, "a", 5.0)), (57.0, end(clips, going, event)), *look])
    (path,) = tmp_path.iterdir()
    assert numbers_in(path) == between(5, 55)
    assert max(held) <= float(DELAY_S + 2) * 25 + 2


def test_events_of_zones_have_clips_of_their_own_with_the_zones_name(tmp_path: Path) -> None:
    """Known of late, beginning at the same time, and ending in another order than they were told."""
    going: list[OpenEvent] = []
    clips = WithOpenEvents(saving(tmp_path), lambda: tuple(going))
    whole = Event("a", 4.0, 20.0, 0.9)
    left, right = Event("a", 4.0, 9.0, 0.9, zone="left side"), Event("b", 6.0, 17.0, 0.9, zone="right")
    short = OpenEvent("b", 5.0, "door")

    def begun(event: Event) -> Callable[[], None]:
        return lambda: going.append(OpenEvent(event.label, event.start_s, event.zone))

    def ended(event: Event) -> Callable[[], None]:
        def end_it() -> None:
            going.remove(OpenEvent(event.label, event.start_s, event.zone))
            clips.push(event)

        return end_it

    told = [
        (6.0, begun(whole)), (6.0, begun(left)), (7.0, lambda: going.append(short)), (7.5, lambda: going.remove(short)),
        (8.0, begun(right)), (12.0, ended(left)), (22.9, ended(whole)), (23.0, ended(right)),
    ]  # fmt: skip
    for item in numbered(30 * 25):
        while told and told[0][0] <= item.pts:
            told.pop(0)[1]()
        clips.push(item)
    clips.close()
    found = {path.name.split("s-")[1]: numbers_in(path) for path in tmp_path.iterdir()}
    assert found.keys() == {"a.mp4", "left_side-a.mp4", "right-b.mp4"}
    assert found["a.mp4"] == between(4, 20)
    assert found["left_side-a.mp4"] == between(4, 9)
    assert found["right-b.mp4"] == between(6, 17)


def test_events_that_follow_one_another_share_frames(tmp_path: Path) -> None:
    going: dict[str, Any] = {}
    clips = make(tmp_path, going)
    first, second = Event("a", 4.0, 8.0, 0.9), Event("b", 8.0, 9.0, 0.9)

    def change() -> None:
        clips.push(first)
        going["on"] = OpenEvent("b", 8.0)

    told = [(5.0, begin(going, "a", 4.0)), (9.5, change), (11.0, end(clips, going, second))]
    play(clips, 25, going, told)
    found = {path.name.split("s-")[1]: numbers_in(path) for path in tmp_path.iterdir()}
    assert found == {"a.mp4": between(4, 8), "b.mp4": between(8, 9)}


def test_what_was_too_short_for_an_event_leaves_nothing(tmp_path: Path) -> None:
    going: dict[str, Any] = {}
    clips = make(tmp_path, going)
    play(clips, 30, going, [(5.0, begin(going, "a", 4.0)), (16.0, lambda: going.pop("on"))])
    assert list(tmp_path.iterdir()) == []


def test_at_the_end_of_the_video_a_clip_ends_with_it(tmp_path: Path) -> None:
    going: dict[str, Any] = {}
    clips = make(tmp_path, going)
    event = Event("a", 8.0, 10.0, 0.9)
    play(clips, 10, going, [(9.0, begin(going, "a", 8.0)), (9.9, end(clips, going, event))])
    (path,) = tmp_path.iterdir()
    assert numbers_in(path) == list(range(150, 250))


def test_the_oldest_clips_go_and_nothing_else_does(tmp_path: Path) -> None:
    (tmp_path / "holiday.mp4").write_bytes(b"x" * 200_000)
    for number in range(5):
        path = tmp_path / f"2026110{number}-101500-cam-000001.0s-a.mp4"
        path.write_bytes(b"x" * 20_000)
        os.utime(path, (1e9 - number, 1e9 - number))  # the last name is the oldest
    going: dict[str, Any] = {}
    clips = make(tmp_path, going, largest_bytes=70_000)
    event = Event("a", 4.0, 5.0, 0.9)
    play(clips, 20, going, [(5.0, begin(going, "a", 4.0)), (7.0, end(clips, going, event))])
    left = {path.name for path in tmp_path.iterdir()}
    new = "20261124-101500-000004.0s-a.mp4"
    assert {"holiday.mp4", new} <= left
    assert sum((tmp_path / name).stat().st_size for name in left - {"holiday.mp4"}) <= 70_000
    kept = left - {"holiday.mp4", new}
    assert kept == {f"2026110{number}-101500-cam-000001.0s-a.mp4" for number in range(len(kept))}
    assert 1 <= len(kept) <= 3


def test_a_clip_that_grows_beyond_the_limit_is_cut_off(tmp_path: Path) -> None:
    going: dict[str, Any] = {}
    clips = make(tmp_path, going, largest_bytes=15_000)
    sizes: list[int] = []
    look = [
        (float(at_s), lambda: sizes.append(sum(path.stat().st_size for path in tmp_path.iterdir())))
        for at_s in range(10, 60)
    ]
    play(
        clips,
        60,
        going,
        [(5.0, begin(going, "a", 4.0)), (55.0, end(clips, going, Event("a", 4.0, 54.0, 0.9))), *look],
    )
    assert max(sizes) < 40_000
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 15_000


def test_what_a_killed_program_left_behind_is_kept_under_its_name(tmp_path: Path) -> None:
    old, young = (tmp_path / f".20261124-101500-00000{i}.0s-a.unfinished.mp4" for i in (1, 2))
    for path in (old, young):
        path.write_bytes(b"x")
    os.utime(old, (time.time() - 3600,) * 2)
    make(tmp_path, {})
    assert {path.name for path in tmp_path.iterdir()} == {"20261124-101500-000001.0s-a.mp4", young.name}


def test_large_pictures_are_made_smaller(tmp_path: Path) -> None:
    going: dict[str, Any] = {"on": OpenEvent("a", 0.0)}
    clips = make(tmp_path, going)
    for i in range(200):
        clips.push(Frame(np.zeros((1080, 1920, 3), np.uint8), i / Fraction(10), Fraction(1, 10)))
    clips.push(Event("a", 0.0, 19.0, 0.9))
    clips.close()
    (path,) = tmp_path.iterdir()
    with open_video(path) as video:
        assert video.size_px == (1280, 720)


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file/clips"):
        make(tmp_path / "file" / "clips", {})


class Brightness:
    """Double of an engine: dark or bright, by the mean of a position's own ticks."""

    backend, precision, device = "double", "none", "none"
    engines_at_a_time = 1

    def __init__(self, mode: Mode) -> None:
        self.mode, self.spec = mode, RGB
        self.chunk_ticks = 64 if mode == "window" else 8
        self.weights = Weights("made", "rgb", ("dark", "bright"), "0" * 64, "made for a test", "none")
        self.head = no_head(2)

    def start(self, batch: int = 1, lead_ticks: int = 0) -> Any:
        return ()

    def step(self, chunk: NDArray[Any], state: Any, *, preview: bool = True) -> tuple[Positions, Any]:
        seen = (*state, self._row(chunk))
        if self.mode == "window":
            return everywhere(seen[-1][None, None], np.zeros(1, np.int64), settled=1), ()
        row = seen[len(seen) - 8] if len(seen) >= 8 else np.zeros(2, np.float32)
        return everywhere(row[None, None], np.array([len(seen) - 8], np.int64), settled=1), seen

    def flush(self, tail: NDArray[Any], state: Any) -> Positions:
        rows = np.array(state[-7:-1], np.float32).reshape(1, -1, 2)
        return everywhere(rows, np.array([len(state) - 7], np.int64), settled=rows.shape[1])

    def _row(self, chunk: NDArray[Any]) -> NDArray[np.float32]:
        bright = float(chunk[0, :, ::16, ::16].mean() / 255 - 0.5)
        return np.array([-8 * bright, 8 * bright], np.float32)


@pytest.mark.parametrize(("mode", "smooth"), [("window", 1), ("window", 4), ("continual", 3)])
def test_every_event_of_a_run_becomes_a_clip(mode: Mode, smooth: int, tmp_path: Path) -> None:
    changes_s = (7, 12, 20, 23)
    items = []
    for i in range(30 * 25):
        bright = sum(i / 25 >= change for change in changes_s) % 2
        items.append(Frame(np.full((48, 64, 3), 255 * bright, np.uint8), i / FPS, 1 / FPS))
    recognizer = Recognizer({"rgb": Brightness(mode)}, smooth=smooth)
    saves = EventClips(ClipFolder(tmp_path, CLIP, 1e9, None, START), VideoWriter, recognizer.delay_s)
    clips = WithOpenEvents(saves, lambda: recognizer.open_events)
    lines: list[Line] = []
    run_sessions([Session(Made(items), recognizer, write=lines.append, sinks=[clips], stopwatch=Stopwatch())])  # type: ignore[arg-type]
    events = [line for line in lines if line["kind"] == "event"]
    assert [event["label"] for event in events] == ["dark", "bright", "dark", "bright", "dark"]
    for event, path in zip(events, sorted(tmp_path.iterdir()), strict=True):
        assert path.name == f"20261124-101500-{event['start_s']:08.1f}s-{event['label']}.mp4"
        with open_video(path) as video:
            bright = [frame.rgb.mean() > 127 for frame in video]
        seconds = min(event["end_s"] + 2, 30) - max(event["start_s"] - 2, 0)
        assert len(bright) == pytest.approx(seconds * 25, abs=1.5)
        middle = bright[len(bright) // 2 - 10 : len(bright) // 2 + 10]
        assert np.mean(middle) == (event["label"] == "bright")


def a_run(folder: Path, label: str, largest_bytes: float) -> str:
    """Save one event; the name of its clip."""
    before = {path.name for path in folder.glob("*")}
    going: dict[str, Any] = {}
    clips = make(folder, going, largest_bytes)
    play(
        clips,
        12,
        going,
        [(5.0, begin(going, label, 4.0)), (7.0, end(clips, going, Event(label, 4.0, 5.0, 1)))],
    )
    (new,) = {path.name for path in folder.iterdir()} - before
    return new


@pytest.mark.parametrize("jump_s", [-1e6, -1, 0, 1, 1e6])
def test_whatever_the_clock_did_the_newest_clips_stay(
    jump_s: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_ns = time.time_ns()
    sizes, names = [], []
    for number in range(6):
        monkeypatch.setattr(time, "time_ns", lambda now_ns=now_ns: now_ns)
        names.append(a_run(tmp_path, f"a{number}", 1e9 if not sizes else 3.5 * sizes[0]))
        sizes.append((tmp_path / names[-1]).stat().st_size)
        now_ns += round(jump_s * 1e9 if number == 2 else 1e9)
    left = {path.name for path in tmp_path.iterdir()}
    assert len(set(names)) == 6
    assert left == set(names[-len(left) :])
    assert 2 <= len(left) <= 3


def test_after_the_clock_was_set_back_the_clips_from_before_go_first(tmp_path: Path) -> None:
    names = [a_run(tmp_path, "a0", 1e9), a_run(tmp_path, "a1", 1e9)]
    size = (tmp_path / names[0]).stat().st_size
    for number, name in enumerate(names):
        os.utime(tmp_path / name, (time.time() + 9e6 + number,) * 2)
    names += [a_run(tmp_path, f"a{number}", 3.5 * size) for number in (2, 3, 4)]
    left = {path.name for path in tmp_path.iterdir()}
    assert left == set(names[-len(left) :])
    assert 2 <= len(left) <= 3


def test_a_clip_larger_than_the_limit_is_cut_off_and_stays_until_the_next(tmp_path: Path) -> None:
    for label in "abc":
        name = a_run(tmp_path, label, 8_000)
        assert [path.name for path in tmp_path.iterdir()] == [name]
        assert 3_000 < (tmp_path / name).stat().st_size <= 8_000
        assert len(numbers_in(tmp_path / name)) > 2


def test_an_unfinished_clip_from_the_future_is_kept(tmp_path: Path) -> None:
    left = tmp_path / ".20261124-101500-000001.0s-a.unfinished.mp4"
    left.write_bytes(b"x")
    os.utime(left, (time.time() + 9e6,) * 2)
    make(tmp_path, {})
    assert [path.name for path in tmp_path.iterdir()] == ["20261124-101500-000001.0s-a.mp4"]


def test_a_name_that_comes_again_overwrites_nothing(tmp_path: Path) -> None:
    """As after each start of a machine that does not know the time."""
    names = [a_run(tmp_path, "a", 1e9) for _ in range(3)]
    assert names == [f"20261124-101500-000004.0s-a{number}.mp4" for number in ("", ".2", ".3")]
    assert {path.name for path in tmp_path.iterdir()} == set(names)
