"""Files, folders of images, cameras and standard input: every frame, upright, in RGB, at its exact time."""

import gc
import subprocess
import sys
import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from realtime.errors import SourceError, SourceLost, UsageError
from realtime.sources.address import CAMERA_INPUTS
from realtime.sources.open import frame_times, open_video
from realtime.types import Frame
from tests.support.made_clips import (
    LOWER,
    cut_off,
    damage,
    every,
    picture,
    read_number,
    write_clip,
    write_images,
    write_sound,
    write_stamped,
)

F = Fraction
EVEN = every(F(1, 25), 30)
CLIPS = ("ta_chi.mp4", "clean_and_jerk.mp4", "v_Punch_g03_c01.avi", "eat.mkv")


def numbers_and_places(path: Path, **options: bool) -> tuple[list[int], list[Fraction]]:
    with open_video(path, **options) as video:
        frames = list(video)
    assert list(frame_times(path)) == [(frame.pts, frame.duration) for frame in frames]
    return [read_number(frame.rgb) for frame in frames], [frame.pts for frame in frames]


@pytest.mark.parametrize("name", CLIPS)
def test_real_clips_are_what_pyav_decodes_bit_for_bit(clips: Path, name: str) -> None:
    """The figures in the clips' README were made like this."""
    with open_video(clips / name, square_pixels=False) as video, av.open(str(clips / name)) as file:
        for frame, raw in zip(video, file.decode(video=0), strict=True):
            assert np.array_equal(frame.rgb, raw.to_ndarray(format="rgb24"))
            assert frame.pts == raw.pts * raw.time_base


@pytest.mark.parametrize(
    ("rate", "count"),
    [(F(15), 9), (F(24000, 1001), 14), (F(25), 15), (F(30000, 1001), 18), (F(60000, 1001), 36)],
)
@pytest.mark.parametrize("b_frames", [0, 3])
def test_constant_rates_are_kept(tmp_path: Path, rate: Fraction, count: int, b_frames: int) -> None:
    stamps = [round(stamp * 90_000) * F(1, 90_000) for stamp in every(1 / rate, count)]
    path = write_clip(tmp_path / "clip.mp4", stamps, b_frames=b_frames)
    assert numbers_and_places(path) == (list(range(count)), stamps)


def test_a_variable_rate_and_a_gap_are_kept(tmp_path: Path) -> None:
    stamps = [F(0), F(1, 25), F(1, 9), F(1, 8), F(1, 2), F(7), F(71, 10)]
    assert numbers_and_places(write_clip(tmp_path / "clip.mp4", stamps)) == (list(range(7)), stamps)


def test_a_picture_that_starts_after_the_sound_starts_at_zero(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", every(F(1, 25), 10, F(1, 15)), sound_s=F(1))
    assert numbers_and_places(path) == (list(range(10)), EVEN[:10])


@pytest.mark.parametrize("suffix", [".avi", ".h264"])
def test_files_whose_stamps_are_shuffled_or_missing_go_by_their_rate(tmp_path: Path, suffix: str) -> None:
    path = write_clip(tmp_path / f"clip{suffix}", EVEN, b_frames=3)
    with av.open(str(path)) as file:
        stamps = [frame.pts for frame in file.decode(video=0)]
    assert stamps != sorted(stamps, key=lambda stamp: stamp or 0) or None in stamps
    assert numbers_and_places(path) == (list(range(30)), EVEN)


@pytest.mark.parametrize(
    ("stamps", "places"),
    [
        (every(F(1, 25), 20, F(-1, 5)), EVEN[:20]),
        ([*EVEN[:15], *every(F(1, 25), 5, F(100))], [*EVEN[:15], *every(F(1, 25), 5, F(100))]),
        ([*EVEN[:15], F(0), *EVEN[16:20]], EVEN[:20]),
        ([*every(F(1, 25), 15, F(9)), *EVEN[:5]], EVEN[:20]),
    ],
    ids=["negative", "jump", "backwards", "restart"],
)
def test_odd_stamps_give_increasing_times(
    tmp_path: Path, stamps: list[Fraction], places: list[Fraction]
) -> None:
    assert numbers_and_places(write_stamped(tmp_path / "clip.mkv", stamps)) == (list(range(20)), places)


@pytest.mark.parametrize("degrees", [0, 90, 180, -90])
def test_rotation_is_applied(tmp_path: Path, degrees: int) -> None:
    path = write_clip(tmp_path / "clip.mp4", EVEN[:2], rotation=degrees)
    with open_video(path) as video:
        rgb = next(video).rgb
    upright = np.rot90(picture(0), degrees // 90)
    assert video.size_px == (upright.shape[1], upright.shape[0]) == (rgb.shape[1], rgb.shape[0])
    assert np.abs(rgb.astype(int) - upright)[4:-4, 4:-4].mean() < 6  # chroma at half size blurs the edge
    assert rgb.flags.c_contiguous


@pytest.mark.parametrize(("aspect", "width"), [(F(4, 3), 85), (F(1), 64), (F(1, 2), 32), (F(100), 64)])
def test_pixels_become_square(tmp_path: Path, aspect: Fraction, width: int) -> None:
    path = write_clip(tmp_path / "clip.mp4", EVEN[:2], pixel_aspect=aspect)
    with open_video(path) as video:
        assert video.size_px == (width, 48)
        assert next(video).rgb.shape == (48, width, 3)
    with open_video(path, square_pixels=False) as video:
        assert video.size_px == (64, 48)
        assert next(video).rgb.shape == (48, 64, 3)


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "suffix"),
    [
        ("libx264", "yuv420p10le", ".mp4"),
        ("libx264", "yuv422p", ".mp4"),
        ("libx264", "yuv444p", ".mp4"),
        ("mjpeg", "yuvj422p", ".mkv"),
        ("ffv1", "bgra", ".mkv"),
        ("libvpx-vp9", "yuva420p", ".webm"),
        ("libx264", "gray", ".mp4"),
        ("ffv1", "gray16le", ".mkv"),
    ],
)
def test_every_pixel_format_arrives_as_rgb(tmp_path: Path, codec: str, pix_fmt: str, suffix: str) -> None:
    path = write_clip(tmp_path / f"clip{suffix}", EVEN[:3], codec=codec, pix_fmt=pix_fmt, encoder_options={})
    with open_video(path) as video:
        frames = list(video)
    assert [read_number(frame.rgb) for frame in frames] == [0, 1, 2]
    for column, side in ((8, "left"), (-8, "right")):
        colour = np.array(LOWER[side])
        expected = (colour * (0.299, 0.587, 0.114)).sum() if "gray" in pix_fmt else colour
        assert np.abs(frames[0].rgb[-8, column].astype(int) - expected).max() <= 6


@pytest.mark.parametrize("matrix", [1, 5, 9])
@pytest.mark.parametrize("value_range", [1, 2])
def test_colour_goes_by_the_stated_matrix_and_range(tmp_path: Path, matrix: int, value_range: int) -> None:
    """Reading BT.709 as BT.601, or full range as limited, would be off by 10 and more."""
    path = write_clip(
        tmp_path / "clip.mp4", EVEN[:1], colour=(matrix, value_range), encoder_options={"qp": "1"}
    )
    with open_video(path) as video:
        rgb = next(video).rgb.astype(int)
    assert np.abs(rgb[-8, 8] - LOWER["left"]).max() <= 3
    assert np.abs(rgb[-8, -8] - LOWER["right"]).max() <= 3


def test_a_matrix_that_cannot_be_converted_is_read_as_not_stated(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", EVEN[:1], colour=(8, 1))
    with av.open(str(path)) as file:
        assert next(file.decode(video=0)).colorspace == 8
    assert numbers_and_places(path) == ([0], EVEN[:1])


@pytest.mark.parametrize("size_px", [(8, 8), (4096, 2160), (67, 49)])
def test_small_large_and_odd_sizes_are_read(tmp_path: Path, size_px: tuple[int, int]) -> None:
    path = write_clip(tmp_path / "clip.mp4", EVEN[:2], size_px=size_px, pix_fmt="yuv444p")
    with open_video(path) as video:
        assert video.size_px == size_px
        assert [read_number(frame.rgb) for frame in video] == [0, 1]


def test_sizes_may_change_within_a_file(tmp_path: Path) -> None:
    sizes = [(64, 48), (33, 20), (80, 48)]
    path = write_stamped(tmp_path / "clip.mkv", EVEN[:9], sizes)
    with open_video(path) as video:
        frames = list(video)
    assert [read_number(frame.rgb) for frame in frames] == list(range(9))
    assert [frame.rgb.shape[1::-1] for frame in frames] == [size for size in sizes for _ in range(3)]


def test_one_frame_has_a_duration(tmp_path: Path) -> None:
    assert list(frame_times(write_clip(tmp_path / "clip.mp4", EVEN[:1]))) == [(F(0), F(1, 25))]


def test_a_video_states_its_rate_duration_and_counts(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", EVEN)
    with open_video(path) as video:
        assert (video.name, video.live, video.average_fps, video.duration_s) == (str(path), False, 25, 1.2)
        frames = list(video)
    assert all(frame.taken_s is not None and not frame.after_gap for frame in frames)
    assert video.corrupt_packets == 0
    assert list(video) == []


MPEG4 = {"codec": "mpeg4", "encoder_options": {}, "time_base_s": F(1, 1000)}


@pytest.mark.parametrize(
    ("how", "share"), [({}, 1), (MPEG4, 0.5)], ids=["not decodable", "half of it guessed"]
)
def test_damaged_packets_are_left_out_and_counted(tmp_path: Path, how: dict[str, Any], share: float) -> None:
    path = damage(write_clip(tmp_path / "clip.mp4", EVEN, size_px=(320, 240), **how), [5, 6], share)
    # With threads FFmpeg sometimes forgets to flag a guessed picture (1 time in 60 on busy cores): look again.
    for _ in range(3):
        with open_video(path) as video:
            frames = list(video)
        if video.corrupt_packets == 2:
            break
    assert video.corrupt_packets == 2
    assert [frame.pts for frame in frames] == [*EVEN[:5], *EVEN[7:]]
    after_key = slice(10, None)
    assert [read_number(frame.rgb) for frame in frames][after_key] == list(range(12, 30))


def test_a_file_that_is_cut_off_gives_what_is_there(tmp_path: Path) -> None:
    path = cut_off(write_clip(tmp_path / "clip.mp4", every(F(1, 25), 80), b_frames=2), 0.8)
    with open_video(path) as video:
        numbers = [read_number(frame.rgb) for frame in video]
    assert 30 < len(numbers) < 80
    assert numbers == list(range(len(numbers)))
    assert video.corrupt_packets == 1


def test_a_file_that_is_cut_off_before_its_index_is_an_error(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mov", EVEN)
    with pytest.raises(SourceError, match="cut off before its index"):
        open_video(cut_off(path, 0.5))


def text(path: Path) -> Path:
    path.write_text("a day at the beach\n" * 100)
    return path


def zeros(path: Path) -> Path:
    path.write_bytes(bytes(5000))
    return path


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: text(folder / "clip.mp4"), "not a video that can be read"),
        (lambda folder: text(folder / "clip.txt"), "nothing that decodes as video"),
        (lambda folder: zeros(folder / "clip.mp4"), "not a video that can be read"),
        (lambda folder: write_sound(folder / "clip.mp4", F(1)), "no video in it, only sound"),
        (
            lambda folder: write_sound(folder / "clip.mkv", F(1), cover=picture(0)),
            "no video in it, only sound",
        ),
        (lambda folder: damage(write_clip(folder / "clip.mp4", EVEN[:1]), [0]), "no readable picture in it"),
    ],
)
def test_a_file_that_is_not_a_video_is_an_error_of_one_line(
    tmp_path: Path, make: Callable[[Path], Path], message: str
) -> None:
    with pytest.raises(SourceError, match=message) as caught:
        open_video(make(tmp_path))
    assert str(caught.value).startswith(str(tmp_path / "clip"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_folder_of_images_is_read_at_the_stated_rate(tmp_path: Path, suffix: str) -> None:
    folder = write_images(tmp_path / "images [%03d] *", 12, suffix)
    (folder / f"frame7{suffix}").write_bytes(b"no picture")
    with open_video(folder, image_fps=F(30000, 1001)) as video:
        frames = list(video)
    assert (video.live, video.average_fps, video.size_px) == (False, F(30000, 1001), (64, 48))
    there = [number for number in range(12) if number != 7]
    assert [read_number(frame.rgb) for frame in frames] == there
    assert [frame.pts for frame in frames] == [number * F(1001, 30000) for number in there]
    assert video.corrupt_packets == 1
    assert list(frame_times(folder, image_fps=F(30000, 1001))) == [(f.pts, f.duration) for f in frames]


def test_names_of_images_are_not_patterns(tmp_path: Path) -> None:
    """FFmpeg would take %d for a counter and show img1 twice."""
    write_images(tmp_path / "images", 3)
    for number, name in enumerate(["img1.png", "img%d.png", "img*.png"]):
        (tmp_path / "images" / f"frame{number}.png").rename(tmp_path / "images" / name)
    with open_video(tmp_path / "images", image_fps=F(1)) as video:
        assert sorted(read_number(frame.rgb) for frame in video) == [0, 1, 2]


def test_options_that_do_not_fit_are_wrong_calls(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="state its rate"):
        open_video(tmp_path)
    with pytest.raises(UsageError, match="state its rate"):
        open_video(tmp_path, image_fps=F(0))
    with pytest.raises(UsageError, match="leave it out"):
        open_video(write_clip(tmp_path / "clip.mp4", EVEN[:1]), image_fps=F(5))
    with pytest.raises(UsageError, match="choose tcp or udp"):
        open_video(tmp_path, rtsp_transport="quic")  # type: ignore[arg-type]


def test_a_camera_is_live_and_its_end_is_a_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    """FFmpeg's picture generator in place of a camera, which most machines that run tests lack."""
    generator = ("testsrc=size=64x48:rate=25:duration=1", "lavfi")
    monkeypatch.setitem(CAMERA_INPUTS, sys.platform, lambda *_: generator)
    video = open_video("webcam:0")
    assert (video.name, video.live, video.duration_s, video.size_px) == ("webcam:0", True, None, (64, 48))
    frames: list[Frame] = []
    with pytest.raises(SourceLost, match="webcam:0: the stream has ended"):
        frames.extend(video)  # keeps what came before the error
    assert [frame.pts for frame in frames] == EVEN[:25]
    with pytest.raises(UsageError, match="no known end"):
        list(frame_times("webcam:0"))


def test_closing_ends_the_iteration_in_another_thread(tmp_path: Path) -> None:
    video = open_video(write_clip(tmp_path / "clip.mp4", every(F(1, 25), 200)))
    started, go_on, seen = threading.Event(), threading.Event(), []

    def read() -> None:
        for frame in video:
            seen.append(frame)
            started.set()
            go_on.wait()

    reader = threading.Thread(target=read)
    reader.start()
    started.wait()
    video.close()
    go_on.set()
    reader.join()
    assert len(seen) == 1
    video.close()


def run_on_stdin(program: str) -> "subprocess.Popen[bytes]":
    program = (
        "from realtime.sources.open import open_video; from tests.support.made_clips import read_number\n"
        + program
    )
    return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stdin=subprocess.PIPE)


def test_standard_input_is_read(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mkv", EVEN)
    program = "video = open_video('-'); print(video.name, video.live, [read_number(f.rgb) for f in video])"
    with run_on_stdin(program) as process:
        output, _ = process.communicate(clip.read_bytes())
    assert output.decode().strip() == f"standard input False {list(range(30))}"


def test_closing_ends_a_read_of_standard_input_that_waits(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mkv", every(F(1, 25), 100))
    program = """
import threading
video = open_video('-')
threading.Timer(0.5, video.close).start()
print(len(list(video)) < 100)
"""
    with run_on_stdin(program) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(clip.read_bytes()[:-1000])
        process.stdin.flush()
        assert process.stdout.read().strip() == b"True"
        process.stdin.close()


def test_a_file_is_closed_after_an_error(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "clip.mp4", F(1))
    with pytest.raises(SourceError):
        open_video(path)
    gc.collect()
    held = [p.resolve() for p in Path("/proc/self/fd").glob("*")] if Path("/proc/self/fd").is_dir() else []
    assert path not in held
