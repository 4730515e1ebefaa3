"""Sources without stamps: FFmpeg assumes 25 pictures a second for all of them, whatever their rate."""

import http.server
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame

from realtime.errors import SourceError, SourceLost, UsageError
from realtime.sources.open import frame_times, open_video
from realtime.stages.resample import Resample
from realtime.types import Frame, Gap
from tests.support.made_clips import SIZE_PX, every, jpeg, picture, read_number, write_clip
from tests.support.webserver import serving

F = Fraction
STATED = {"h264": "libx264", "hevc": "libx265", "m4v": "mpeg4", "mpeg2video": "mpeg2video"}
UNSTATED = {"mjpeg": "mjpeg", "obu": "libsvtav1"}
RATES = [F(12), F(24), F(30000, 1001), F(50)]
MPEG_2_RATES = RATES[1:]


def write_raw(path: Path, file_format: str, rate: Fraction, count: int = 24) -> Path:
    """A stream without a container."""
    options = {"x265-params": "log-level=none", "svtav1-params": "lp=1"} if file_format != "m4v" else {}
    with av.open(str(path), "w", format=file_format) as file:
        stream: Any = file.add_stream((STATED | UNSTATED)[file_format], rate=rate, options=options)
        stream.width, stream.height = SIZE_PX
        stream.pix_fmt = pix_fmt = "yuvj420p" if file_format == "mjpeg" else "yuv420p"
        for number in range(count):
            frame = VideoFrame.from_ndarray(picture(number)).reformat(format=pix_fmt)
            frame.pts, frame.time_base = number, 1 / rate
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path


def places(path: Path, fps: Fraction | None = None) -> list[Fraction]:
    return [pts for pts, _ in frame_times(path, image_fps=fps)]


@pytest.mark.parametrize(
    ("file_format", "rate"),
    [(name, rate) for name in STATED for rate in (MPEG_2_RATES if name == "mpeg2video" else RATES)],
)
def test_a_raw_stream_goes_by_the_rate_that_its_codec_states(
    tmp_path: Path, file_format: str, rate: Fraction
) -> None:
    path = write_raw(tmp_path / "raw", file_format, rate)
    seen = places(path)
    assert len(seen) == 24
    assert all(
        abs(pts - i / rate) < F(1, 1000) for i, pts in enumerate(seen)
    )  # FFmpeg's durations are rounded
    with open_video(path) as video:
        assert video.average_fps is not None
        assert abs(video.average_fps - rate) < F(1, 100)


@pytest.mark.parametrize("file_format", STATED)
def test_joined_raw_streams_each_go_by_their_own_rate(tmp_path: Path, file_format: str) -> None:
    slow, fast = F(24), F(50)
    parts = [write_raw(tmp_path / f"{rate}", file_format, rate).read_bytes() for rate in (slow, fast)]
    (tmp_path / "joined").write_bytes(b"".join(parts))
    steps = [b - a for a, b in pairwise(places(tmp_path / "joined"))]
    assert len(steps) == 47
    assert all(abs(step - 1 / slow) < F(1, 1000) for step in steps[:22])
    assert all(abs(step - 1 / fast) < F(1, 1000) for step in steps[26:])


@pytest.mark.parametrize("file_format", [*STATED, *UNSTATED])
def test_a_given_rate_holds_for_what_states_no_times(tmp_path: Path, file_format: str) -> None:
    path = write_raw(tmp_path / "raw", file_format, F(25))
    assert places(path, F(7)) == every(F(1, 7), 24)


@pytest.mark.parametrize("file_format", UNSTATED)
def test_without_any_rate_one_must_be_given(tmp_path: Path, file_format: str) -> None:
    with pytest.raises(SourceError, match=r"neither times nor a rate; give --fps"):
        open_video(write_raw(tmp_path / "raw", file_format, F(25)))


def test_pictures_in_a_row_need_a_rate_and_one_picture_does_not(tmp_path: Path) -> None:
    one = tmp_path / "one.jpg"
    one.write_bytes(bytes(jpeg(picture(3))))
    assert len(places(one)) == 1
    many = tmp_path / "many"
    many.write_bytes(one.read_bytes() * 5)
    assert places(many, F(2)) == every(F(1, 2), 5)
    with pytest.raises(SourceError, match="give --fps"):
        open_video(many)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".avi"])
def test_what_states_its_times_takes_no_rate(tmp_path: Path, suffix: str) -> None:
    path = write_clip(tmp_path / f"clip{suffix}", every(F(1, 25), 30))
    with pytest.raises(UsageError, match="states when each picture is shown: leave it out"):
        open_video(path, image_fps=F(25))


class _Camera(http.server.BaseHTTPRequestHandler):
    pieces: ClassVar[Sequence[bytes]] = ()
    pauses_s: ClassVar[Sequence[float]] = ()
    content_type: ClassVar[str] = ""

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", self.content_type)
        self.end_headers()
        for piece, pause_s in zip(self.pieces, self.pauses_s, strict=True):
            self.wfile.write(piece)
            time.sleep(pause_s)


@contextmanager
def camera(pieces: Sequence[bytes], pauses_s: Sequence[float], content_type: str) -> Iterator[str]:
    """The address of a server that sends `pieces`, with a pause after each."""
    made = {"pieces": pieces, "pauses_s": pauses_s, "content_type": content_type}
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Camera", (_Camera,), made))
    with serving(server):
        yield f"http://127.0.0.1:{server.server_address[1]}/"


HEAD = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"


def read_live(address: str) -> list[Frame]:
    frames: list[Frame] = []
    with open_video(address) as video:
        assert video.live
        with pytest.raises(SourceLost):
            frames.extend(video)
    return frames


PARTS = "multipart/x-mixed-replace; boundary=frame"
KIND = b"Content-Type: image/jpeg\r\n"
IN_THEIR_OWN_WAY: dict[str, tuple[str, bytes, bytes]] = {
    "no boundary at first": (PARTS, HEAD.partition(b"\r\n")[2], HEAD),
    "neither boundary nor length": (PARTS, KIND + b"\r\n", b"--frame\r\n" + KIND + b"\r\n"),
    "a picture at first": (PARTS, b"", HEAD),
    "a text at first": (PARTS, b"hello\r\n\r\n" + HEAD, HEAD),
    "a line feed alone": (PARTS, HEAD.replace(b"\r", b""), HEAD.replace(b"\r", b"")),
    "another kind": (PARTS, HEAD.replace(b"jpeg", b"jpg"), HEAD.replace(b"jpeg", b"jpg")),
    "boundary with its dashes": (PARTS.replace("frame", "--frame"), HEAD, HEAD),
    "boundary in quotes": (PARTS.replace("frame", '"frame"'), HEAD, HEAD),
    "parts as octets": ("application/octet-stream", HEAD, HEAD),
    "no parts": (PARTS, b"", b""),
    "no parts, as a picture": ("image/jpeg", b"", b""),
    "no parts, as a video": ("video/x-motion-jpeg", b"", b""),
}
"""What the server says it sends, and what comes before the first picture and before each other one."""


@pytest.mark.parametrize("way", IN_THEIR_OWN_WAY)
def test_what_a_camera_server_sends_in_its_own_way_is_read(way: str) -> None:
    """The first pictures may go by while FFmpeg finds out what they are: it looks at up to a megabyte."""
    content_type, first, later = IN_THEIR_OWN_WAY[way]
    grain = np.random.default_rng(0).integers(0, 30, (240, 320, 3), np.uint8)
    pieces = []
    for number in range(120):
        head, part = later if number else first, bytes(jpeg(picture(number, (320, 240)) + grain))
        pieces.append((head % len(part) if b"%d" in head else head) + part + b"\r\n")
    with camera(pieces, [0.005] * 120, content_type) as address:
        numbers = [read_number(frame.rgb) for frame in read_live(address)]
    assert len(numbers) >= 40
    assert numbers == [*range(numbers[0], numbers[0] + len(numbers))], "in order, none left out"


def test_live_pictures_without_stamps_are_timed_as_they_come_and_a_pause_is_a_gap() -> None:
    count, step_s, pause_s = 40, 0.08, 2.5
    parts = [bytes(jpeg(picture(number))) for number in range(count)]
    pieces = [HEAD % len(part) + part + b"\r\n" for part in parts]
    pauses_s = [pause_s if number == count - 10 else step_s for number in range(count)]
    with camera(pieces, pauses_s, "multipart/x-mixed-replace; boundary=frame") as address:
        frames = read_live(address)
        with pytest.raises(UsageError, match="counts pictures as they come: leave it out"):
            open_video(address, image_fps=F(10))
    assert [read_number(frame.rgb) for frame in frames] == list(range(count))
    stage = Resample(F(25))
    gaps = [item for frame in frames for item in stage.push(frame) if isinstance(item, Gap)]
    (gap,) = [gap for gap in gaps if gap.end - gap.start > 2]
    assert gap.cause == "no frames"
    assert abs(float(gap.end - gap.start) - pause_s) < 1
    assert frames[-1].pts > gap.end + F(1, 2)  # nine pictures later, 0.08 s each
