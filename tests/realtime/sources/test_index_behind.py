"""An MP4 with its index at the end, where it is not possible to seek: a pipe, and a server without ranges."""

import http.server
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from realtime.errors import SourceError
from realtime.sources.open import open_video
from tests.realtime.sources.test_files import run_on_stdin
from tests.support.made_clips import jpeg, write_clip
from tests.support.webserver import serving


@pytest.fixture(scope="module", params=[".mp4", ".mov"])
def clip(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip larger than what FFmpeg keeps of a pipe."""
    path = tmp_path_factory.mktemp("behind") / f"clip{request.param}"
    plain = write_clip(path.with_suffix(".mov"), [Fraction(i, 25) for i in range(50)], size_px=(640, 480))
    content = plain.read_bytes()
    index = content.rindex(b"moov") - 4
    mdat = content.index(b"mdat") - 4
    noise = bytes(jpeg(np.random.default_rng(0).integers(0, 255, (1600, 1600, 3), np.uint8)))
    filler = (len(noise) + 8).to_bytes(4, "big") + b"free" + noise
    assert mdat < index
    path.write_bytes(content[:index] + filler * 4 + content[index:])
    return path


def test_through_a_pipe_it_is_an_error_that_says_what_to_do(clip: Path) -> None:
    with run_on_stdin(
        "try: open_video('-')\nexcept Exception as error: print(type(error).__name__, error)"
    ) as process:
        output, _ = process.communicate(clip.read_bytes())
    assert output.decode().startswith("SourceError standard input: its index is at the end")
    assert "faststart" in output.decode()


@pytest.fixture
def server(clip: Path) -> Iterator[str]:
    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

        def translate_path(self, path: str) -> str:
            return os.fspath(clip.parent / Path(path).name)

    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with serving(running):
        yield f"http://127.0.0.1:{running.server_address[1]}/{clip.name}"


def test_from_a_server_without_ranges_it_is_an_error(server: str) -> None:
    with pytest.raises(SourceError, match="its index is at the end"):
        open_video(server)
