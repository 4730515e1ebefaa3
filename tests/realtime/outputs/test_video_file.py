"""Video files as they are written: exact times, and a file that plays whatever happens."""

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from realtime.errors import OutputError
from realtime.outputs.video_file import VideoWriter
from realtime.sources.open import open_video
from tests.support.made_clips import LOWER, SIZE_PX, every, picture, read_number

F = Fraction


def write(path: Path, stamps: list[Fraction], size_px: tuple[int, int] = SIZE_PX) -> None:
    with VideoWriter(path, size_px) as writer:
        for number, stamp in enumerate(stamps):
            writer.write(picture(number, size_px), stamp)


def read(path: Path) -> tuple[list[int], list[Fraction]]:
    with open_video(path) as video:
        frames = list(video)
    assert video.corrupt_packets == 0
    return [read_number(frame.rgb) for frame in frames], [frame.pts for frame in frames]


@pytest.mark.parametrize(
    "stamps",
    [
        every(F(1, 25), 30),
        every(F(1001, 30000), 30),
        every(F(1001, 24000), 30),
        every(F(1, 15), 30),
        [F(n, 1_000_000) for n in (0, 33_367, 66_601, 100_012)],
        [F(n, 90_000) for n in (0, 3003, 6007, 9008)],
        [F(0), F(1), F(1000), F(1001), F(5000)],
    ],
    ids=["25", "29.97", "23.976", "15", "microseconds", "90 kHz", "long pauses"],
)
@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_stamps_are_kept_exactly(tmp_path: Path, stamps: list[Fraction], suffix: str) -> None:
    write(tmp_path / f"out{suffix}", stamps)
    numbers, places = read(tmp_path / f"out{suffix}")
    if stamps[-1] > 100:  # long stills are written again and again
        first = dict(reversed(list(zip(numbers, places, strict=True))))
        assert first == dict(enumerate(stamps))
    else:
        assert (numbers, places) == (list(range(len(stamps))), stamps)


@pytest.mark.parametrize(
    ("size_px", "even_px"), [((64, 48), (64, 48)), ((67, 49), (68, 50)), ((8, 8), (8, 8))]
)
def test_sizes_become_even(tmp_path: Path, size_px: tuple[int, int], even_px: tuple[int, int]) -> None:
    write(tmp_path / "out.mp4", every(F(1, 25), 3), size_px)
    with open_video(tmp_path / "out.mp4") as video:
        assert video.size_px == even_px
        assert [read_number(frame.rgb) for frame in video] == [0, 1, 2]


def test_colours_survive(tmp_path: Path) -> None:
    write(tmp_path / "out.mp4", [F(0)])
    with open_video(tmp_path / "out.mp4") as video:
        rgb = next(video).rgb.astype(int)
    assert np.abs(rgb[-8, 8] - LOWER["left"]).max() <= 4
    assert np.abs(rgb[-8, -8] - LOWER["right"]).max() <= 4


def test_pictures_of_another_size_are_scaled_and_those_not_later_left_out(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "out.mp4", SIZE_PX) as writer:
        for number, stamp in enumerate([F(0), F(1, 25), F(1, 25), F(1, 50), F(2, 25)]):
            writer.write(picture(number, (100 - number, 80)), stamp)
    assert read(tmp_path / "out.mp4") == ([0, 1, 4], every(F(1, 25), 3))


def test_a_view_of_a_picture_can_be_written(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "out.mp4", SIZE_PX) as writer:
        writer.write(np.fliplr(np.fliplr(picture(5))[:, ::-1]), F(0))
    assert len(read(tmp_path / "out.mp4")[0]) == 1


def test_an_exception_leaves_a_file_that_plays(tmp_path: Path) -> None:
    writer = VideoWriter(tmp_path / "out.mp4", SIZE_PX)

    def fail_in_the_middle() -> None:
        with writer:
            for number in range(20):
                writer.write(picture(number), F(number, 25))
            raise KeyError

    with pytest.raises(KeyError):
        fail_in_the_middle()
    assert read(tmp_path / "out.mp4") == (list(range(20)), every(F(1, 25), 20))
    writer.close()


def test_a_killed_process_leaves_a_file_that_plays(tmp_path: Path) -> None:
    program = f"""
import os
from fractions import Fraction
from realtime.outputs.video_file import VideoWriter
from tests.support.made_clips import picture
writer = VideoWriter({str(tmp_path / "out.mp4")!r}, (64, 48))
for number in range(600):
    writer.write(picture(number % 256), Fraction(number, 25))
os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", program]).returncode == -9
    numbers, places = read(tmp_path / "out.mp4")
    assert len(places) >= 200
    assert places == every(F(1, 25), len(places))
    assert numbers == [number % 256 for number in range(len(places))]


def test_a_full_disk_is_an_error_and_what_was_written_plays(tmp_path: Path) -> None:
    """A limit on file sizes stands in for a full disk. The error raised in the block is the one that leaves it."""
    program = f"""
import resource
from fractions import Fraction
import numpy as np
from realtime.errors import OutputError
from realtime.outputs.video_file import VideoWriter
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
noise = np.random.default_rng(0)
try:
    with VideoWriter({str(tmp_path / "out.mp4")!r}, (64, 48)) as writer:
        try:
            for number in range(2000):
                writer.write(noise.integers(0, 256, (48, 64, 3), np.uint8), Fraction(number, 25))
        except OutputError as error:
            print(error)
            raise KeyError
except KeyError:
    print("KeyError")
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout == f"cannot write {tmp_path / 'out.mp4'}: File too large\nKeyError\n"
    assert ended.stderr == ""
    with open_video(tmp_path / "out.mp4") as video:
        assert len(list(video)) > 10


def test_a_disk_that_is_full_from_the_start_is_an_error(tmp_path: Path) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("needs /dev/full to stand for a full disk")
    (tmp_path / "out.mp4").symlink_to("/dev/full")
    with pytest.raises(OutputError, match=r"cannot write .*out\.mp4: No space left on device"):
        write(tmp_path / "out.mp4", every(F(1, 25), 200))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing/out.mp4", "No such file or directory"),
        ("folder.mp4", "Is a directory"),
        ("out.webm", "as .mp4 or .mov"),
        ("out", "as .mp4 or .mov"),
    ],
)
def test_a_path_that_cannot_be_written_is_an_error(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(OutputError, match=message):
        VideoWriter(tmp_path / name, SIZE_PX)


def test_an_ffmpeg_without_the_encoder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="this FFmpeg has no libx9000"):
        VideoWriter(tmp_path / "out.mp4", SIZE_PX, "libx9000")  # type: ignore[arg-type]
