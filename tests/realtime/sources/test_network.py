"""Sources at network addresses, from real servers. Time limits are cut to a second: what is tested is that they
hold."""

import threading
import traceback
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from realtime.errors import SourceError, SourceLost
from realtime.sources import address
from realtime.sources.open import Video, open_video
from realtime.types import Frame
from tests.support.made_clips import every, read_number, write_clip
from tests.support.servers import Server, free_port, http_server, rtsp_server, silent_server

F = Fraction
COUNT = 30
EVEN = every(F(1, 25), COUNT)
USER = "admin:hunter2"


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("media")
    playlist = write_hls(write_clip(folder / "clip.mp4", EVEN)).read_text()
    assert "#EXT-X-ENDLIST" in playlist
    (folder / "open.m3u8").write_text(playlist.replace("#EXT-X-ENDLIST", ""))
    write_clip(folder / "b-frames.mp4", EVEN, b_frames=2)
    write_clip(folder / "clip.ts", EVEN)
    return folder


@pytest.fixture(scope="module")
def rtsp(media: Path) -> Iterator[Server]:
    with rtsp_server(media) as server:
        yield server


@pytest.fixture(scope="module")
def http(media: Path) -> Iterator[Server]:
    with http_server(media) as server:
        yield server


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in address.SOCKET_LIMIT_US:
        monkeypatch.setitem(address.SOCKET_LIMIT_US, kind, 1_000_000)
    for kind in address.STALL_LIMIT_S:
        monkeypatch.setitem(address.STALL_LIMIT_S, kind, 1.0)


def write_hls(clip: Path) -> Path:
    """A playlist of `clip` beside it."""
    path = clip.with_suffix(".m3u8")
    options = {"hls_time": "0.4", "hls_list_size": "0"}
    with av.open(str(clip)) as file, av.open(str(path), "w", format="hls", options=options) as playlist:
        stream = playlist.add_stream_from_template(file.streams.video[0])
        for packet in file.demux(video=0):
            if packet.size:
                packet.stream = stream
                playlist.mux(packet)
    return path


def read_to_the_loss(video: Video) -> tuple[list[int], list[Fraction], str]:
    """Numbers and times of the frames up to the loss, and what the user reads then."""
    frames: list[Frame] = []
    with pytest.raises(SourceLost) as caught:
        frames.extend(video)  # keeps what came before the error
    assert list(video) == []
    return [read_number(frame.rgb) for frame in frames], [frame.pts for frame in frames], str(caught.value)


def failure(url: str) -> str:
    """What the user reads when `url` cannot be opened; no password anywhere, not even in a traceback."""
    with pytest.raises(SourceError) as caught:
        open_video(url)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["clip.mp4", "b-frames.mp4"])
def test_rtsp_is_read_from_start_to_loss(rtsp: Server, name: str) -> None:
    """The server stamps B-frames in the order of sending."""
    video = open_video(rtsp.url(name, USER))
    assert video.name == f"rtsp://***@127.0.0.1:{rtsp.port}/{name}"
    assert (video.live, video.average_fps, video.duration_s, video.size_px) == (True, 25, None, (64, 48))
    numbers, places, message = read_to_the_loss(video)
    assert numbers == list(range(COUNT))
    assert places == EVEN
    assert message.startswith(video.name)
    assert video.corrupt_packets == 0


def test_a_killed_server_is_a_loss(rtsp: Server) -> None:
    video = open_video(rtsp.url("clip.mp4?play_count=0"))
    next(video)
    rtsp.stop()
    try:
        _, _, message = read_to_the_loss(video)
        assert "connect again" in message
        assert "connection refused" in failure(rtsp.url("clip.mp4", USER))
    finally:
        rtsp.start()


@pytest.mark.usefixtures("impatient")
def test_a_frozen_server_is_a_loss(rtsp: Server) -> None:
    video = open_video(rtsp.url("clip.mp4?play_count=0"))
    rtsp.freeze()
    try:
        _, _, message = read_to_the_loss(video)
        assert "no video for 1 s" in message
        assert "the server is silent" in failure(rtsp.url("clip.mp4", USER))
    finally:
        rtsp.resume()


@pytest.mark.usefixtures("impatient")
def test_closing_ends_a_read_from_a_frozen_server(rtsp: Server) -> None:
    video = open_video(rtsp.url("clip.mp4?play_count=0"))
    reader = threading.Thread(target=list, args=(video,), daemon=True)
    rtsp.freeze()
    try:
        reader.start()
        video.close()
        reader.join(20)
        assert not reader.is_alive()
    finally:
        rtsp.resume()


def test_time_goes_on_when_the_server_starts_over(rtsp: Server) -> None:
    with open_video(rtsp.url("clip.mp4?play_count=2")) as video:
        numbers, places, _ = read_to_the_loss(video)
    assert numbers == [*range(COUNT), *range(COUNT)]
    assert places == every(F(1, 25), 2 * COUNT)


@pytest.mark.parametrize(
    ("name", "live", "duration_s"),
    [
        ("clip.mp4", False, 1.2),
        ("clip.ts", False, None),
        ("clip.m3u8", False, 1.2),
        ("live/clip.mp4", False, 1.2),
    ],
)
def test_http_with_a_known_end_is_not_live(
    http: Server, name: str, live: bool, duration_s: float | None
) -> None:
    with open_video(http.url(name, USER)) as video:
        assert (video.live, video.duration_s) == (live, duration_s)
        assert video.name == f"http://***@127.0.0.1:{http.port}/{name}"
        frames = list(video)
    assert [read_number(frame.rgb) for frame in frames] == list(range(COUNT))
    assert [frame.pts for frame in frames] == EVEN


def test_http_without_a_known_end_is_live(http: Server) -> None:
    video = open_video(http.url("live/clip.ts"))
    assert (video.live, video.duration_s) == (True, None)
    numbers, places, _ = read_to_the_loss(video)
    assert (numbers, places) == (list(range(COUNT)), EVEN)


@pytest.mark.usefixtures("impatient")
def test_an_hls_list_without_an_end_is_live(http: Server) -> None:
    """Reading starts some segments before the end, and the source is lost when nothing is added; the last frames may
    wait for what follows."""
    video = open_video(http.url("open.m3u8"))
    assert (video.live, video.duration_s) == (True, None)
    numbers, _, _ = read_to_the_loss(video)
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    assert numbers[-1] >= COUNT - 3


def test_of_several_sizes_in_hls_the_smallest_that_is_large_enough_is_taken(
    http: Server, media: Path
) -> None:
    lines = ["#EXTM3U"]
    for width, height in ((320, 240), (960, 720), (640, 480)):
        clip = write_clip(media / f"{height}.mp4", EVEN[:5], size_px=(width, height))
        lines += [f"#EXT-X-STREAM-INF:BANDWIDTH={height}000", write_hls(clip).name]
    (media / "sizes.m3u8").write_text("\n".join(lines))
    with open_video(http.url("sizes.m3u8")) as video:
        assert video.size_px == (640, 480)
        assert [read_number(frame.rgb) for frame in video] == list(range(5))


MPEG4: dict[str, Any] = {"codec": "mpeg4", "encoder_options": {}, "time_base_s": F(1, 1000)}
"""Its decoder makes pictures of anything; the one for H.264 waits by itself."""


@pytest.mark.parametrize("how", [{}, MPEG4], ids=["H.264", "MPEG-4"])
def test_joining_between_two_key_frames_waits_for_the_next(
    http: Server, media: Path, how: dict[str, Any]
) -> None:
    whole = write_clip(media / "whole.ts", EVEN, key_every=20, size_px=(320, 240), **how).read_bytes()
    (media / "joined.ts").write_bytes(whole[188 * (len(whole) // 188 // 6) :])
    numbers, places, _ = read_to_the_loss(open_video(http.url("live/joined.ts")))
    assert numbers == list(range(20, COUNT))
    assert places == EVEN[: COUNT - 20]


@pytest.mark.usefixtures("impatient")
def test_a_server_that_sends_no_more_video_is_a_loss(http: Server, media: Path) -> None:
    write_clip(media / "sound.ts", EVEN[:5], sound_s=F(60))
    numbers, _, message = read_to_the_loss(open_video(http.url("slow/sound.ts")))
    assert numbers
    assert "no data in time" in message or "no video for 1 s" in message


def test_an_address_that_cannot_be_opened_is_an_error_with_its_reason(http: Server, rtsp: Server) -> None:
    for server in (http, rtsp):
        assert "knows no such stream or file (404)" in failure(server.url("missing.mp4", USER))
    closed = free_port()
    for scheme in ("http", "rtsp"):
        assert "connection refused" in failure(f"{scheme}://{USER}@127.0.0.1:{closed}/clip.mp4")
        assert "cannot be resolved" in failure(f"{scheme}://{USER}@no-such-host.invalid/clip.mp4")


def test_another_transport_is_offered_where_one_is_refused(rtsp: Server) -> None:
    with pytest.raises(SourceError, match="choose the other one of tcp and udp"):
        open_video(rtsp.url("clip.mp4"), rtsp_transport="udp")


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("scheme", ["http", "rtsp"])
def test_a_silent_server_is_given_up(scheme: str) -> None:
    with silent_server() as port:
        message = failure(f"{scheme}://{USER}@127.0.0.1:{port}/clip.mp4")
    assert "silent" in message or "no answer in time" in message
