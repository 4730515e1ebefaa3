"""Event clips cut from the packets of real files and real servers, read back: nothing is encoded, each begins with a
key frame, the times are those of the source, and the sound is there."""

import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from engines.spec import Mode
from realtime.commands.outputs import OutputOptions
from realtime.commands.sinks import SourceOutputs
from realtime.errors import SourceLost
from realtime.outputs.clip_files import Writer
from realtime.outputs.clip_folder import CLIP, ClipFolder
from realtime.outputs.event_clips import EventClips, WithOpenEvents
from realtime.outputs.log import Line
from realtime.outputs.video_file import VideoWriter
from realtime.recognizer import Recognizer
from realtime.session import Session
from realtime.sources.address import Rotation
from realtime.sources.open import open_video
from realtime.sources.packets import Kept, Layout, Packet, Packets
from realtime.stages.events import OpenEvent
from realtime.turns import run_sessions
from realtime.types import Event, Frame
from tests.conftest import ROOT
from tests.realtime.outputs.test_event_clips import Brightness
from tests.support.made_clips import every, jpeg, picture, read_number, write_clip
from tests.support.servers import http_server, rtsp_server

STEP = Fraction(1, 25)
COUNT, KEY_EVERY = 500, 12
DELAY_S = Fraction(3)
START = datetime(2026, 11, 24, 10, 15, 0)
MADE: dict[str, dict[str, Any]] = {
    "h264.mp4": {"sound_s": Fraction(20)},
    "h264-b.mp4": {"b_frames": 2},
    "h264.ts": {"sound_s": Fraction(20)},
    "h264.mkv": {"sound_s": Fraction(20)},
    "h264.h264": {"encoded": True},
    "hevc.mp4": {"codec": "libx265", "encoder_options": {"preset": "ultrafast", "x265-params": "log-level=none"}},
    "mpeg4.mp4": {"codec": "mpeg4", "time_base_s": Fraction(1, 1000), "encoder_options": {}},
    "mpeg4-b.avi": {"codec": "mpeg4", "b_frames": 2, "encoder_options": {}},
    "mjpeg.avi": {"codec": "mjpeg", "pix_fmt": "yuvj420p", "encoder_options": {}},
    "mjpeg.mkv": {"codec": "mjpeg", "pix_fmt": "yuvj420p", "encoder_options": {}, "time_base_s": Fraction(1, 1000)},
}  # fmt: skip


def never(path: Path, size_px: tuple[int, int]) -> Writer:
    raise AssertionError("nothing is to be encoded")


def saving(folder: Path, largest_bytes: float = 1e9, delay_s: Fraction = DELAY_S) -> EventClips:
    return EventClips(ClipFolder(folder, CLIP, largest_bytes, None, START), never, delay_s)


def follow(frames: Any, clips: EventClips, events: Sequence[Event]) -> None:
    """Frames, and for each event what the recogniser says of it: from a second after its start, a second after its
    end."""
    going: list[Event] = []
    sink = WithOpenEvents(clips, lambda: (OpenEvent(going[0].label, going[0].start_s),) if going else ())
    told: set[Event] = set()
    for frame in frames:
        sink.push(frame)
        for event in events:
            if event.end_s + 1 <= frame.pts and event not in told:
                told.add(event)
                going.clear()
                sink.push(event)
            elif event.start_s + 1 <= frame.pts < event.end_s + 1 and not going:
                going.append(event)
    for event in set(events) - told:
        sink.push(event)
    sink.close()


def shown(path: Path) -> list[tuple[Fraction, int]]:
    """Time and number of each picture, the first at 0."""
    with open_video(path) as video:
        return [(frame.pts, read_number(frame.rgb)) for frame in video]


def first_is_key(path: Path) -> bool:
    with av.open(str(path)) as file:
        packet = next(each for each in file.demux(video=0) if each.size)
        return bool(packet.is_keyframe)


def keys_of(path: Path) -> list[int]:
    """Numbers of the key frames of a clip at 25 pictures a second."""
    with av.open(str(path)) as file:
        packets = [packet for packet in file.demux(video=0) if packet.size]
    shown = sorted(packet.pts for packet in packets)
    return [shown.index(packet.pts) for packet in packets if packet.is_keyframe]


def expected(event: Event, keys: Sequence[int]) -> list[int]:
    """Numbers from the last key frame at two seconds before the start, or earlier, to two seconds after the end."""
    first = max(key for key in keys if key / 25 <= max(0.0, event.start_s - 2))
    return [i % 256 for i in range(first, COUNT) if i / 25 <= event.end_s + 2]


@pytest.mark.parametrize("name", MADE)
def test_a_clip_is_cut_from_the_packets(name: str, tmp_path: Path) -> None:
    options = dict(MADE[name])
    encoded, sound = options.pop("encoded", False), "sound_s" in options
    source = write_clip(tmp_path / name, every(STEP, COUNT), key_every=KEY_EVERY, **options)
    events = [Event("a b", 6.3, 9.1, 0.9), Event("c", 9.1, 10.0, 0.9), Event("d", 18.0, 19.9, 0.9)]
    with open_video(source, keep_packets=True) as video:
        clips = saving(tmp_path / "clips")
        if encoded:
            assert next(video).packet is None
            return
        follow(video, clips, events)
    found = sorted((tmp_path / "clips").iterdir())
    assert [path.name for path in found] == [
        f"20261124-101500-{event.start_s:08.1f}s-{event.label.replace(' ', '_')}.mp4" for event in events
    ]
    keys = keys_of(source)
    assert len(keys) > 1
    for path, event in zip(found, events, strict=True):
        pictures = shown(path)
        numbers = [number for _, number in pictures]
        wanted = expected(event, keys)
        # Pictures that are shown earlier than they are decoded may be missing at the end.
        assert numbers == wanted[: len(numbers)]
        assert len(wanted) - len(numbers) <= (2 if "-b" in name else 0)
        assert [pts for pts, _ in pictures] == [i * STEP for i in range(len(pictures))]
        assert first_is_key(path)
        with av.open(str(path)) as file:
            assert len(file.streams.audio) == sound
            heard = [frame.time for frame in file.decode(audio=0)] if sound else []
        if sound:
            assert 0 <= heard[0] < 0.1
            assert heard[-1] == pytest.approx(len(pictures) / 25, abs=0.15)
            assert max(b - a for a, b in pairwise(heard)) < 0.05


def test_a_camera_of_rtsp_is_cut_while_it_runs(tmp_path: Path) -> None:
    """The server sends in real time, its parameters in the stream, and sends B-frames with times out of order."""
    (tmp_path / "served").mkdir()
    write_clip(tmp_path / "served" / "clip.mp4", every(STEP, 250), b_frames=2)
    event = Event("a", 4.0, 5.0, 0.9)
    with (
        rtsp_server(tmp_path / "served") as server,
        open_video(server.url("clip.mp4"), keep_packets=True) as video,
    ):
        follow(islice(video, 230), saving(tmp_path / "clips", delay_s=Fraction(1)), [event])
    (path,) = (tmp_path / "clips").iterdir()
    pictures = shown(path)
    numbers = [number for _, number in pictures]
    assert first_is_key(path)
    assert numbers[0] in range(50 - KEY_EVERY, 51)
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert numbers[-1] in range(175 - 3, 176)
    steps = [b - a for (a, _), (b, _) in pairwise(pictures)]
    assert all(abs(step - STEP) < Fraction(1, 1000) for step in steps)


def test_mjpeg_over_http_which_has_no_times_is_cut_by_arrival(tmp_path: Path) -> None:
    (tmp_path / "served").mkdir()
    with av.open(str(tmp_path / "served" / "clip.mjpg"), "w", format="mpjpeg") as file:
        stream: Any = file.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for number in range(120):
            packet = jpeg(picture(number))
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, number, number, STEP
            file.mux(packet)
    frames: list[Frame] = []
    with (
        http_server(tmp_path / "served") as server,
        open_video(server.url("live/clip.mjpg"), keep_packets=True) as video,
        suppress(SourceLost),
    ):
        frames.extend(video)
    assert (video.live, len(frames)) == (True, 120)
    end_s = float(frames[-1].pts)
    follow(frames, saving(tmp_path / "clips", delay_s=Fraction(1, 10)), [Event("a", end_s / 2, end_s, 0.9)])
    (path,) = (tmp_path / "clips").iterdir()
    pictures = shown(path)
    assert [number for _, number in pictures] == list(range(120))
    assert [float(pts) for pts, _ in pictures] == pytest.approx(
        [float(frame.pts) for frame in frames], abs=2e-3
    )


@pytest.mark.parametrize(("rotation", "rotate"), [(0, 90), (90, 0), (90, 90), (180, 270)])
def test_a_player_turns_the_clip_as_the_program_does(rotation: int, rotate: Rotation, tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mp4", every(STEP, 120), rotation=rotation, key_every=KEY_EVERY)
    with open_video(source, rotate=rotate, keep_packets=True) as video:
        frames = list(video)
        follow(frames, saving(tmp_path / "clips"), [Event("a", 1.0, 3.0, 0.9)])
    (path,) = (tmp_path / "clips").iterdir()
    with open_video(path) as video:
        upright = next(video).rgb
    assert upright.shape == frames[0].rgb.shape
    assert np.abs(upright.astype(int) - frames[0].rgb).mean() < 3


def test_after_a_reconnection_a_clip_begins_anew(tmp_path: Path) -> None:
    """Two openings of one camera, as `Reconnecting` joins them: what goes on before the loss ends with it."""
    source = write_clip(tmp_path / "a.mp4", every(STEP, 200), key_every=KEY_EVERY)
    frames: list[Frame] = []
    for shift in (0, 10):
        with open_video(source, keep_packets=True) as video:
            frames += [replace(frame, pts=frame.pts + shift) for frame in video]
    events = [Event("a", 4.0, 8.0, 0.9), Event("b", 10.5, 12.0, 0.9), Event("c", 15.0, 16.0, 0.9)]
    follow(frames, saving(tmp_path / "clips"), events)
    first, second, third = sorted((tmp_path / "clips").iterdir())
    assert [number for _, number in shown(first)] == list(range(48, 200))
    assert [number for _, number in shown(second)] == list(range(101))
    assert [number for _, number in shown(third)] == list(range(72, 200))
    assert all(map(first_is_key, (first, second, third)))


def test_pictures_of_another_size_begin_a_new_ring(tmp_path: Path) -> None:
    parts = [
        write_clip(tmp_path / f"{i}.ts", every(STEP, 100), size_px=size, key_every=KEY_EVERY)
        for i, size in enumerate([(64, 48), (96, 64)])
    ]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    with open_video(joined, keep_packets=True) as video:
        frames = list(video)
    change = next(frame for frame in frames if frame.rgb.shape == (64, 96, 3))
    at_s = float(change.pts)
    events = [Event("a", 1.0, at_s, 0.9), Event("b", at_s, at_s + 1.5, 0.9)]
    follow(frames, saving(tmp_path / "clips"), events)
    first, second = sorted((tmp_path / "clips").iterdir())
    sizes, numbers = [], []
    for path in (first, second):
        with open_video(path) as video:
            sizes.append(video.size_px)
            numbers.append([read_number(frame.rgb) for frame in video])
        with av.open(str(path)) as file:  # as a player reads it from the head of the file
            assert (file.streams.video[0].width, file.streams.video[0].height) == sizes[-1]
    assert sizes == [(64, 48), (96, 64)]
    assert numbers[0][:98] == list(range(98))
    assert set(numbers[0][98:]) <= {98, 99}  # FFmpeg takes a packet before a joint for a damaged one
    assert numbers[1] == [i for i in range(100) if at_s + i / 25 <= at_s + 3.5]


def test_what_is_kept_is_bounded_by_what_may_be_wanted(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mp4", every(STEP, 1500), key_every=KEY_EVERY, sound_s=Fraction(60))
    held: list[int] = []

    def noted(frames: Iterable[Frame]) -> Iterator[Frame]:
        for frame in frames:
            assert isinstance(frame.packet, Kept)
            held.append(len(frame.packet.packets))
            yield frame

    with open_video(source, keep_packets=True) as video:
        follow(noted(video), saving(tmp_path / "clips"), [Event("a", 4.0, 55.0, 0.9)])
    wanted_s = DELAY_S + 2 + 1 + 2 * KEY_EVERY * STEP + 1  # row, sound, groups of pictures, look-ahead
    assert max(held) <= wanted_s * (25 + 48)
    assert len(shown(next((tmp_path / "clips").iterdir()))) == 57 * 25 - 48 + 1


def test_a_few_frames_whose_packets_are_not_known_change_nothing(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mp4", every(STEP, COUNT), key_every=KEY_EVERY)
    with open_video(source, keep_packets=True) as video:
        frames = [replace(frame, packet=None) if i % 40 < 15 else frame for i, frame in enumerate(video)]
        follow(frames[15:], saving(tmp_path / "clips"), [Event("a", 6.0, 10.0, 0.9)])
    (path,) = (tmp_path / "clips").iterdir()
    numbers = [number for _, number in shown(path)]
    assert numbers == [i % 256 for i in range(96, 96 + len(numbers))]
    assert 96 + len(numbers) - 1 in range(300 - 15, 301)


def test_a_packet_without_times_that_gives_no_picture_stays_in_its_place(tmp_path: Path) -> None:
    """As the second half of an interlaced picture."""
    source = write_clip(tmp_path / "a.mp4", every(STEP, 200), key_every=KEY_EVERY)
    with open_video(source, keep_packets=True) as video:
        frames = list(video)
    kept = frames[0].packet
    assert isinstance(kept, Kept)
    halves = Packets(kept.packets.layout)
    for number, each, place in kept.packets.take(0, Kept(kept.packets, 199), Fraction(100)):
        odd = number % 2 == 1
        halves.add(replace(each, stamp=None if odd else each.stamp))
        if place is not None and not odd:
            halves.place(number, place)
    found = [replace(frame, packet=Kept(halves, i)) for i, frame in enumerate(frames) if i % 2 == 0]
    follow(found, saving(tmp_path / "clips"), [Event("a", 4.0, 5.0, 0.9)])
    (path,) = (tmp_path / "clips").iterdir()
    with av.open(str(path)) as file:
        assert len([each for each in file.demux(video=0) if each.size]) == 175 - 48
    assert [number for _, number in shown(path)] == list(range(48, 175))


def packet(number: int, *, key: bool = False, size: int = 1000) -> Packet:
    return Packet(bytes(size), key, False, number * STEP, STEP)


def ring(most_bytes: float) -> Packets:
    class NoLayout(Layout):
        def __init__(self) -> None:
            pass

    return Packets(NoLayout(), most_bytes=most_bytes)


def test_a_ring_that_nobody_empties_lets_the_oldest_go_from_key_to_key() -> None:
    kept = ring(50_000)
    for number in range(1000):
        kept.add(packet(number, key=number % 10 == 3))
        assert kept.bytes <= 50_000
        if number >= 3:
            kept.place(number, number * STEP)
    assert kept.next == 1000
    assert kept.last_key(Fraction(0)) == 973  # the oldest there is
    assert kept.last_key(Fraction(39)) == 973
    assert kept.last_key(984 * STEP) == 983
    assert len(kept) == 27


def test_a_ring_too_small_for_a_group_of_pictures_waits_for_the_next() -> None:
    kept = ring(5_000)
    for number in range(20):
        kept.add(packet(number, key=number in (0, 15)))
        assert kept.bytes <= 5_000
    assert (len(kept), kept.next) == (0, 20)
    kept.add(packet(20, key=True))
    assert (len(kept), kept.last_key(Fraction(0))) == (1, 20)


def test_a_clip_whose_ring_lost_packets_goes_on_with_a_key_frame(tmp_path: Path) -> None:
    """As where the disk hangs for minutes."""
    source = write_clip(tmp_path / "a.mp4", every(STEP, COUNT), key_every=KEY_EVERY)
    with open_video(source, keep_packets=True) as video:
        frames = list(video)
        kept = frames[0].packet
        assert isinstance(kept, Kept)

        def losing() -> Iterator[Frame]:
            for number, frame in enumerate(frames):
                if number == 300:  # frame 173 is the newest that was written
                    kept.packets.forget(Fraction(9) + 1)
                yield frame

        follow(losing(), saving(tmp_path / "clips"), [Event("a", 4.0, 14.0, 0.9)])
    (path,) = (tmp_path / "clips").iterdir()
    pictures = shown(path)
    numbers = [number for _, number in pictures]
    assert numbers == [*range(48, 174), *(i % 256 for i in range(216, 401))]
    assert [pts for pts, _ in pictures][-1] == (400 - 48) * STEP


def test_a_clip_that_reaches_the_limit_is_cut_off_and_plays(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mp4", every(STEP, COUNT), key_every=KEY_EVERY)
    with open_video(source, keep_packets=True) as video:
        follow(video, saving(tmp_path / "clips", largest_bytes=15_000), [Event("a", 4.0, 16.0, 0.9)])
    (path,) = (tmp_path / "clips").iterdir()
    assert 7_000 < path.stat().st_size <= 15_000
    assert len(shown(path)) > 20


KILLED = """
import os, signal, sys
from fractions import Fraction
from pathlib import Path
from realtime.sources.open import open_video
from realtime.types import Event
from tests.realtime.outputs.test_packet_clips import follow, saving

def until_killed(video):
    for number, frame in enumerate(video):
        if number == 400:
            os.kill(os.getpid(), signal.SIGKILL)
        yield frame

with open_video(sys.argv[1], keep_packets=True) as video:
    follow(until_killed(video), saving(Path(sys.argv[2])), [Event("a", 4.0, 19.0, 0.9)])
"""


@pytest.mark.parametrize("name", ["h264.mp4", "hevc.mp4", "mpeg4.mp4", "mjpeg.avi"])
def test_what_was_written_before_a_kill_plays(name: str, tmp_path: Path) -> None:
    source = write_clip(tmp_path / name, every(STEP, COUNT), key_every=KEY_EVERY, **MADE[name])
    command = [sys.executable, "-c", KILLED, source, tmp_path / "clips"]
    done = subprocess.run(command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, check=False)
    assert done.returncode == -signal.SIGKILL
    (path,) = (tmp_path / "clips").iterdir()
    assert path.name == ".20261124-101500-000004.0s-a.unfinished.mp4"
    assert first_is_key(path)
    numbers = [number for _, number in shown(path)]
    assert numbers[0] in range(50 - KEY_EVERY, 51)
    assert numbers == [i % 256 for i in range(numbers[0], numbers[0] + len(numbers))]
    assert len(numbers) > 400 - 5 * 25 - 48 - 2 * 25  # what waits in the row, and a fragment


def test_a_clip_of_a_real_video_is_as_it_was(clips: Path, tmp_path: Path) -> None:
    with open_video(clips / "clean_and_jerk.mp4", keep_packets=True) as video:
        frames = list(video)
        follow(frames, saving(tmp_path / "clips"), [Event("a", 4.0, 6.0, 0.9)])
    (path,) = (tmp_path / "clips").iterdir()
    with open_video(path) as video:
        cut = list(video)
    first = next(place for place, frame in enumerate(frames) if np.array_equal(frame.rgb, cut[0].rgb))
    assert frames[first].pts <= 2
    assert abs(float(frames[first + len(cut) - 1].pts) - 8) < 0.2
    for before, after in zip(frames[first:], cut, strict=False):
        assert np.array_equal(before.rgb, after.rgb)
        assert abs((before.pts - frames[first].pts) - after.pts) <= Fraction(1, 10_000)


@pytest.mark.parametrize("mode", ["window", "continual"])
def test_every_event_of_a_run_is_cut_beside_the_recogniser(mode: Mode, tmp_path: Path) -> None:
    """Through the queue of a command: the same clips, whichever thread is ahead."""
    changes_s = (5, 9, 11, 16)
    source = tmp_path / "light.mp4"
    with VideoWriter(source, (64, 48)) as writer:
        for i in range(22 * 25):
            bright = sum(i / 25 >= change for change in changes_s) % 2
            writer.write(np.full((48, 64, 3), 255 * bright, np.uint8), i * STEP)
    recognizer = Recognizer({"rgb": Brightness(mode)})
    lines: list[Line] = []
    with open_video(source, keep_packets=True) as video:
        made = SourceOutputs(OutputOptions(save_clips=tmp_path / "clips"), video, recognizer, "cam")
        run_sessions(
            [Session(video, recognizer, write=lines.append, sinks=made.sinks, left_out=made.left_out)]
        )
    events = [line for line in lines if line["kind"] == "event"]
    assert [event["label"] for event in events] == ["dark", "bright", "dark", "bright", "dark"]
    assert "left_out" not in lines[-1]
    for event, path in zip(events, sorted((tmp_path / "clips").iterdir()), strict=True):
        assert path.name.endswith(f"-cam-{event['start_s']:08.1f}s-{event['label']}.mp4")
        assert first_is_key(path)
        with open_video(path) as video:
            brightness = [frame.rgb.mean() > 127 for frame in video]
        wanted = [
            bool(sum(i / 25 >= change for change in changes_s) % 2)
            for i in range(22 * 25)
            if event["start_s"] - 2 <= i / 25 < event["end_s"] + 1.99
        ]
        assert wanted in (brightness[-len(wanted) :], brightness[-len(wanted) - 1 : -1])
