"""`i3d-live run` on real RTSP servers: a camera goes away and comes back, and the real engine recognises an action."""

import json
import signal
import time
import urllib.request
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from urllib.error import HTTPError, URLError

import pytest

from engines.load import Engines
from realtime.outputs.video_file import VideoWriter
from realtime.recognizer import Recognizer
from realtime.sources.open import open_video
from realtime.sources.reconnect import keep_open
from tests.realtime.test_many import by_name, run_double
from tests.support.made_clips import every, write_clip
from tests.support.servers import free_port, rtsp_server
from tests.support.watching import Watching, assert_whole

STEP = Fraction(1, 25)


def health(port: int) -> tuple[int, str]:
    """Status and body; (0, "") while nothing listens."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except (URLError, OSError):
        return 0, ""


def wait_for(enough: Callable[[], bool], limit_s: float = 60.0) -> None:
    until = time.monotonic() + limit_s
    while not enough():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_camera_goes_away_and_comes_back_while_another_one_goes_on(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4", every(STEP, 250))
    port = free_port()
    with rtsp_server(tmp_path) as one, rtsp_server(tmp_path) as two:
        addresses = (server.url("clip.mp4?play_count=0", user="me:geheim") for server in (one, two))
        sources = (f"{name}={address}" for name, address in zip(("door", "yard"), addresses, strict=True))
        process = run_double(
            "run", *sources, "--metrics", str(port), "--log", "log.jsonl", "--log-mb", "1", cwd=tmp_path
        )  # fmt: skip
        try:
            log = tmp_path / "log.jsonl"
            wait_for(lambda: log.exists() and log.read_text().count('"prediction"') > 5)
            wait_for(lambda: health(port)[0] == 200)
            one.stop()
            wait_for(lambda: health(port)[0] == 503)
            sources_now = json.loads(health(port)[1])["sources"]
            assert sources_now["yard"] == "ok"
            assert sources_now["door"].startswith("no frame for")
            one.start()
            wait_for(lambda: health(port)[0] == 200)
            wait_for(lambda: '"gap"' in log.read_text())
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
            process.wait()
    assert process.returncode == 0
    found = by_name(out)
    assert [line["up"] for line in found["door"] if line["kind"] == "connection"][-1] is True
    assert not [line for line in found["yard"] if line["kind"] in ("connection", "gap")]
    assert found["door"][-1]["reconnects"] == 1
    assert log.read_text() == out
    assert "geheim" not in out + err


@pytest.fixture
def served(clips: Path, tmp_path: Path) -> Path:
    """The tai chi clip, in a form that an RTSP server can send."""
    with (
        open_video(clips / "ta_chi.mp4") as video,
        VideoWriter(tmp_path / "clip.mp4", video.size_px) as writer,
    ):
        for item in video:
            writer.write(item.rgb, item.pts)
    return tmp_path


def test_what_a_camera_shows_is_recognised_by_the_real_engine(
    served: Path, engines: Callable[..., Engines]
) -> None:
    loaded = engines("continual")
    with rtsp_server(served) as server:
        video = keep_open(server.url("clip.mp4?play_count=0"))
        with Watching(video, Recognizer(loaded.by_stream)) as watching:
            watching.wait_for(
                lambda: any(line["label"] == "tai chi" for line in watching.kinds("prediction")), limit_s=120
            )
    assert_whole(watching, numbered=False)
