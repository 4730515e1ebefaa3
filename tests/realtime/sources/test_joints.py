"""Recordings that were joined: stamps start again, or jump, and the pictures go on. And files that are damaged in the
middle."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame

from realtime.sources.open import open_video
from realtime.sources.timestamps import FileTimes, LiveTimes, Stamped
from realtime.stages.resample import Resample
from realtime.types import Frame, Gap
from tests.support.made_clips import every, read_number, write_clip, write_stamped

F = Fraction
STEP = F(1, 25)
COUNT = 40


def part(folder: Path, start_s: Fraction, suffix: str = ".ts") -> Path:
    return write_clip(folder / f"from-{start_s}{suffix}".replace("/", "_"), every(STEP, COUNT, start_s))


def join(path: Path, parts: Sequence[Path]) -> Path:
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def playlist(path: Path, parts: Sequence[Path]) -> Path:
    seconds = float(COUNT * STEP)
    entries = [f"#EXTINF:{seconds},\n{part.name}" for part in parts]
    head = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n"
    path.write_text(head + "\n#EXT-X-DISCONTINUITY\n".join(entries) + "\n#EXT-X-ENDLIST\n")
    return path


def read(path: Path) -> tuple[list[Frame], list[Gap], int]:
    """Frames, gaps, corrupt packets."""
    stage = Resample(F(25))
    with open_video(path) as video:
        frames = list(video)
        gaps = [item for frame in frames for item in stage.push(frame) if isinstance(item, Gap)]
        return frames, gaps, video.corrupt_packets


@pytest.mark.parametrize("how", [join, playlist])
@pytest.mark.parametrize(
    "starts_s", [(3600, 0), (0, 3600), (0, 0), (7200, 0, 3600), (50, 20, 80)], ids=lambda starts: str(starts)
)
def test_time_goes_on_through_joined_recordings(tmp_path: Path, starts_s: Sequence[int], how: Any) -> None:
    """FFmpeg takes the last packet before a joint for a damaged one."""
    parts = [part(tmp_path, F(start)) for start in starts_s]
    suffix = ".ts" if how is join else ".m3u8"
    frames, gaps, _ = read(how(tmp_path / f"joined{suffix}", parts))
    joints = [i for i, frame in enumerate(frames) if frame.stamps_jump]
    assert len(joints) == len(starts_s) - 1
    for start, stop in pairwise([0, *joints, len(frames)]):
        assert [read_number(frame.rgb) for frame in frames[start:stop]] == list(range(stop - start))
        assert stop - start >= COUNT - 1
    steps = [b.pts - a.pts for a, b in pairwise(frames)]
    assert all(abs(steps[i - 1] - STEP) < F(1, 500) for i in joints)
    assert max(steps) < 3 * STEP
    assert [gap.cause for gap in gaps] == ["time stamps jump"] * len(joints)
    assert all(gap.end - gap.start < F(1, 500) for gap in gaps)


def test_a_second_part_has_its_own_rate(tmp_path: Path) -> None:
    slow = write_clip(tmp_path / "slow.ts", every(F(1, 10), 30, F(3600)))
    frames, _, _ = read(join(tmp_path / "joined.ts", [slow, part(tmp_path, F(0))]))
    (joint,) = [i for i, frame in enumerate(frames) if frame.stamps_jump]
    steps = [b.pts - a.pts for a, b in pairwise(frames)]
    assert all(abs(step - F(1, 10)) < F(1, 500) for step in steps[: joint - 3])
    assert all(abs(step - STEP) < F(1, 500) for step in steps[joint:])


@pytest.mark.parametrize("pause_s", [2, 5, 9])
def test_a_pause_between_the_pieces_of_a_recording_is_a_gap(tmp_path: Path, pause_s: int) -> None:
    parts = [part(tmp_path, F(0)), part(tmp_path, COUNT * STEP + pause_s)]
    _, gaps, _ = read(join(tmp_path / "joined.ts", parts))
    assert [(gap.cause, round(gap.end - gap.start, 1)) for gap in gaps] == [("no frames", pause_s)]


@pytest.mark.parametrize(("hours", "jumps"), [(-1, True), (25, False), (40, True), (400_000, True)])
def test_other_files_may_pause_for_a_day(tmp_path: Path, hours: int, jumps: bool) -> None:
    start = F(2 * 3600)
    stamps = [*every(STEP, 20, start), *every(STEP, 20, start + 20 * STEP + hours * 3600)]
    frames, _, _ = read(write_stamped(tmp_path / "clip.mkv", stamps))
    assert [i for i, frame in enumerate(frames) if frame.stamps_jump] == [20] * jumps
    assert frames[20].pts == (20 * STEP if jumps else 20 * STEP + hours * 3600)
    assert frames[39].pts - frames[20].pts == 19 * STEP


def test_stamps_may_start_again_within_the_first_frames() -> None:
    times: FileTimes[int] = FileTimes(F(25))
    stamps = [*every(STEP, 5, F(9)), *every(STEP, 20)]
    placed = [p for i, stamp in enumerate(stamps) for p in times.push(Stamped(stamp, None, None, i))]
    assert [p.pts for p in [*placed, *times.flush()]] == every(STEP, 25)


@pytest.mark.parametrize(("silent_s", "jumps"), [(0, True), (1, True), (7, False), (8, False)])
def test_a_live_pause_is_told_from_a_clock_that_jumps_by_the_time_that_passed(
    silent_s: int, jumps: bool
) -> None:
    times: LiveTimes[int] = LiveTimes(F(25))
    placed = []
    for i in range(20):
        stamp, arrived = i * STEP + 8 * (i >= 10), 100 + i * STEP + silent_s * (i >= 10)
        placed += times.push(Stamped(stamp, None, None, i, arrived))
    assert [p.item for p in placed if p.stamps_jump] == [10] * jumps
    assert placed[10].pts == 10 * STEP + (0 if jumps else 8)


def write_noise(path: Path, seconds: int) -> Path:
    """An MPEG transport stream that is large enough to have a hole; a key frame every half second."""
    noise = np.random.default_rng(0)
    with av.open(str(path), "w", format="mpegts") as file:
        stream: Any = file.add_stream("libx264", rate=25, options={"preset": "ultrafast", "g": "12"})
        stream.width, stream.height = 320, 240
        for number in range(25 * seconds):
            rgb = noise.integers(0, 255, (240, 320, 3), np.uint8)
            frame = VideoFrame.from_ndarray(rgb).reformat(format="yuv420p")
            frame.pts, frame.time_base = number, STEP
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_noise(tmp_path_factory.mktemp("noise") / "noise.ts", 12).read_bytes()


@pytest.mark.parametrize("hole_share", [0.15, 0.4])
@pytest.mark.parametrize("filler", [b"\0", b"\xff"])
def test_what_comes_after_a_hole_is_read(
    tmp_path: Path, noise: bytes, hole_share: float, filler: bytes
) -> None:
    path, start, size = tmp_path / "hole.ts", len(noise) // 4, int(len(noise) * hole_share)
    path.write_bytes(noise[:start] + filler * size + noise[start + size :])
    frames, gaps, corrupt_packets = read(path)
    assert abs(frames[-1].pts - 12) < F(1, 2)
    assert corrupt_packets > 0
    (gap,) = [gap for gap in gaps if gap.end - gap.start > 1]
    assert gap.cause == "frames lost"
    assert abs(float(gap.end - gap.start) - 12 * hole_share) < 1


@pytest.mark.parametrize("size", [200_000, 3_000_000])
def test_zeros_after_the_end_change_nothing(tmp_path: Path, noise: bytes, size: int) -> None:
    path = tmp_path / "tail.ts"
    path.write_bytes(noise)
    whole = [frame.pts for frame in read(path)[0]]
    path.write_bytes(noise + bytes(size))
    frames, gaps, corrupt_packets = read(path)
    assert [frame.pts for frame in frames] == whole
    assert gaps == []
    assert corrupt_packets == 1
