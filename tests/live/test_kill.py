"""An RTSP server that is killed and restarted again and again: each time the camera is watched again."""

import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path

import pytest

from realtime.recognizer import Recognizer
from realtime.sources.address import STALL_LIMIT_S
from realtime.sources.open import open_video
from realtime.sources.reconnect import keep_open
from tests.conftest import ROOT
from tests.support.doubles import SawTicks
from tests.support.made_clips import every, write_clip
from tests.support.packages import need
from tests.support.servers import Server, rtsp_server
from tests.support.watching import Watching, assert_whole, killed_and_started, open_files, resident_mb

SYSTEM_PYTHON = "/usr/bin/python3"
GST_PACKAGES = (
    "python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good "
    "gstreamer1.0-plugins-bad"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose clip shows the numbers 0 to 255."""
    path = tmp_path_factory.mktemp("served")
    write_clip(path / "clip.mp4", every(Fraction(1, 25), 256))
    return path


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    with rtsp_server(folder) as started:
        yield started


def assert_nothing_left_behind(server: Server, times: int, chance: random.Random) -> list[float]:
    """Kill and restart it `times` times; the seconds until the next prediction, each time."""
    threads, files = threading.active_count(), open_files()
    watching, took_s = killed_and_started(server, times, chance)
    assert_whole(watching)
    ups = [line for line in watching.kinds("connection") if line["up"]]
    assert [line["reconnects"] for line in ups] == list(range(1, times + 1))
    assert [gap["cause"] for gap in watching.kinds("gap")] == ["frames lost"] * times
    assert (threading.active_count(), open_files()) == (threads, files)
    return took_s


def test_killed_and_started_again_it_goes_on_and_leaves_nothing_behind(server: Server) -> None:
    chance = random.Random(7)
    killed_and_started(server, 1, chance)  # so that whatever is made only once exists
    assert_nothing_left_behind(server, 3, chance)


@pytest.mark.slow
def test_twenty_times_each_time_it_is_back_within_five_seconds(server: Server) -> None:
    chance = random.Random(7)
    took_s = assert_nothing_left_behind(server, 10, chance)
    before_mb = resident_mb()
    took_s += assert_nothing_left_behind(server, 10, chance)
    assert max(took_s) <= 5.0
    # The C library grows by steps of about 20 MB as threads come and go; ten decoders left behind would be more.
    assert resident_mb() - before_mb < 30


def test_a_server_that_freezes_counts_as_lost_after_its_limit(server: Server) -> None:
    video = keep_open(server.url("clip.mp4?play_count=0"))
    with Watching(video, Recognizer({"rgb": SawTicks()})) as watching:
        watching.wait_for(lambda: len(watching.frames) > 20)
        server.freeze()
        watching.wait_for(lambda: any(not line["up"] for line in watching.kinds("connection")))
        lost_s = watching.lines[-1][0] - watching.session.last_frame_s
        server.stop()
        server.start()
        watching.wait_for(lambda: any(line["up"] for line in watching.kinds("connection")))
        watching.wait_for(lambda: watching.frames[-1][0] > 10)
    assert lost_s >= STALL_LIMIT_S["rtsp"] - 1  # and not immediately
    assert_whole(watching)


class GStreamer(Server):
    """The same file from the server software that many cameras have."""

    def __init__(self, folder: Path) -> None:
        super().__init__([], "rtsp")
        script = ROOT / "tests" / "support" / "gst_server.py"
        self._command = [SYSTEM_PYTHON, str(script), str(folder), str(self.port)]


def has_gstreamer() -> bool:
    code = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
    try:
        return subprocess.run([SYSTEM_PYTHON, "-c", code], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@pytest.fixture
def gstreamer(folder: Path) -> Iterator[Server]:
    """As Debian installs it."""
    need(has_gstreamer(), GST_PACKAGES)
    server = GStreamer(folder)
    server.start()
    yield server
    server.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="needs Debian's packages")
def test_gstreamers_server_is_watched_and_found_again_too(gstreamer: Server) -> None:
    with Watching(keep_open(gstreamer.url("clip.mp4")), Recognizer({"rgb": SawTicks()})) as watching:
        watching.wait_for(lambda: bool(watching.kinds("prediction")))
        gstreamer.stop()
        gstreamer.start()
        watching.wait_for(lambda: bool(watching.kinds("gap")))
        watching.wait_for(lambda: len(watching.kinds("prediction")) > 3)
    assert_whole(watching)


@pytest.mark.skipif(sys.platform != "linux", reason="needs Debian's packages")
def test_a_camera_that_sends_by_udp_is_watched_too(gstreamer: Server) -> None:
    """The server of the other tests supports TCP alone."""
    with open_video(gstreamer.url("clip.mp4"), rtsp_transport="udp") as video:
        frames = list(islice(video, 60))
    times = [frame.pts for frame in frames]
    assert times == sorted(set(times))
    assert float(times[-1] - times[0]) == pytest.approx(59 / 25, abs=0.2)
    assert not any(frame.after_gap for frame in frames)
