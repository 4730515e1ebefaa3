"""Downloads over HTTP: whole or not at all, from where they broke, the right file or none."""

import hashlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from engines import download as module
from engines.download import WebFile, download, git_blob_id
from engines.errors import EngineError, NotFetched
from tests.engines.webserver import FileServer, file_server

DATA = bytes(range(256)) * 4096 + b"the end"


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE_S", 0.0)


@pytest.fixture
def site() -> Iterator[FileServer]:
    with file_server() as server:
        server.files["/w.pt"] = DATA
        yield server


def blob_id(data: bytes) -> str:
    return hashlib.sha1(b"blob " + str(len(data)).encode() + b"\0" + data).hexdigest()


def web(site: FileServer, data: bytes = DATA, file: str = "w.pt") -> WebFile:
    return WebFile(f"{site.address}/{file}", blob_id(data), "none")


def left_behind(folder: Path) -> list[str]:
    return [path.name for path in folder.glob("*")]


def test_git_names_files_so(tmp_path: Path) -> None:
    """`printf 'hello\\n' | git hash-object --stdin` prints this id."""
    path = tmp_path / "hello"
    path.write_bytes(b"hello\n")
    assert git_blob_id(path) == "ce013625030ba8dba906f756967f9e9ca394464a"


def test_whole_file_with_progress_and_not_twice(site: FileServer, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int | None]] = []
    path = download(web(site), tmp_path, lambda *facts: seen.append(facts))
    assert path.read_bytes() == DATA
    assert seen[0] == ("w.pt", 0, len(DATA))
    assert seen[-1] == ("w.pt", len(DATA), len(DATA))
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)
    assert download(web(site), tmp_path) == path
    assert site.requests == [""]
    assert left_behind(tmp_path) == [path.name]


@pytest.mark.parametrize("announce", [True, False])
def test_a_cut_connection_goes_on_where_it_broke(site: FileServer, tmp_path: Path, announce: bool) -> None:
    """Without an announced length only Content-Range of a second connection could tell; the id finds it out."""
    site.cuts = [300_000, 1, 500_000]
    site.announce = announce
    if announce:
        assert download(web(site), tmp_path).read_bytes() == DATA
        assert site.requests == ["", "bytes=300000-", "bytes=300001-", "bytes=800001-"]
    else:
        with pytest.raises(NotFetched, match="is not the file expected"):
            download(web(site), tmp_path)


def test_the_next_run_goes_on(site: FileServer, tmp_path: Path) -> None:
    site.cuts = [300_000, 0, 0, 0]
    with pytest.raises(NotFetched, match=f"ended after 300000 of {len(DATA)} bytes"):
        download(web(site), tmp_path)
    assert [name for name in left_behind(tmp_path) if name.endswith(".part")]
    site.requests.clear()
    site.cuts = []
    seen: list[int] = []
    assert download(web(site), tmp_path, lambda what, done, total: seen.append(done)).read_bytes() == DATA
    assert site.requests == ["bytes=300000-"]
    assert seen[0] == 300_000


def test_interrupted_by_the_user(site: FileServer, tmp_path: Path) -> None:
    def stop(what: str, done: int, total: int | None) -> None:
        if done > 500_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(web(site), tmp_path, stop)
    site.requests.clear()
    assert download(web(site), tmp_path).read_bytes() == DATA
    assert site.requests[0].startswith("bytes=")


def test_a_server_without_ranges_starts_again(site: FileServer, tmp_path: Path) -> None:
    site.cuts = [300_000]
    site.ranges = False
    assert download(web(site), tmp_path).read_bytes() == DATA
    assert site.requests == ["", "bytes=300000-"]


@pytest.mark.parametrize(
    "kept", [DATA[:1000].swapcase(), DATA + b"more", DATA[:-1] + b"?"], ids=["head", "long", "end"]
)
def test_a_part_of_another_file_is_thrown_away(site: FileServer, tmp_path: Path, kept: bytes) -> None:
    target = web(site)
    (tmp_path / f"{target.blob_id[:12]}-w.pt.part").write_bytes(kept)
    assert download(target, tmp_path).read_bytes() == DATA
    assert site.requests == [f"bytes={len(kept)}-", ""]


def test_a_part_that_was_whole_already(site: FileServer, tmp_path: Path) -> None:
    target = web(site)
    (tmp_path / f"{target.blob_id[:12]}-w.pt.part").write_bytes(DATA)
    assert download(target, tmp_path).read_bytes() == DATA


def test_wrong_hash_leaves_nothing(site: FileServer, tmp_path: Path) -> None:
    wrong = web(site, DATA + b"?")
    with pytest.raises(NotFetched) as caught:
        download(wrong, tmp_path)
    assert all(text in str(caught.value) for text in (wrong.address, wrong.blob_id, blob_id(DATA)))
    assert left_behind(tmp_path) == []
    assert len(site.requests) == 1


def test_a_damaged_file_is_fetched_again(site: FileServer, tmp_path: Path) -> None:
    path = download(web(site), tmp_path)
    path.write_bytes(DATA[:-1])
    assert download(web(site), tmp_path).read_bytes() == DATA


def test_not_there(site: FileServer, tmp_path: Path) -> None:
    with pytest.raises(
        NotFetched, match=r"/other\.pt could not be fetched: the server answers 404 Not Found"
    ):
        download(web(site, file="other.pt"), tmp_path)
    assert len(site.requests) == 1


def test_a_server_in_trouble_is_asked_again(site: FileServer, tmp_path: Path) -> None:
    site.statuses = [503, 500]
    assert download(web(site), tmp_path).read_bytes() == DATA
    site.statuses = [503] * 9
    with pytest.raises(NotFetched, match="the server answers 503"):
        download(web(site, DATA + b"?"), tmp_path)
    assert len(site.statuses) == 9 - module.MAX_STALLED


def test_refused_and_unresolvable(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # not listening, so it refuses
        address = f"http://127.0.0.1:{taken.getsockname()[1]}/w.pt"
        with pytest.raises(NotFetched, match=f"{address} could not be fetched: Connection refused"):
            download(WebFile(address, "0" * 40, "none"), tmp_path)
    with pytest.raises(NotFetched, match=r"http://nowhere\.invalid/w\.pt could not be fetched: "):
        download(WebFile("http://nowhere.invalid/w.pt", "0" * 40, "none"), tmp_path)


def test_a_silent_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "TIMEOUT_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"http://127.0.0.1:{mute.getsockname()[1]}/w.pt"
        with pytest.raises(NotFetched, match="timed out"):
            download(WebFile(address, "0" * 40, "none"), tmp_path)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full, a file on a full disk")
def test_full_disk(site: FileServer, tmp_path: Path) -> None:
    target = web(site)
    (tmp_path / f"{target.blob_id[:12]}-w.pt.part").symlink_to("/dev/full")
    with pytest.raises(EngineError, match=r"^no space left to write "):
        download(target, tmp_path)


def test_folder_that_cannot_be(site: FileServer, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EngineError, match=r"^cannot write .*file/sub.*: Not a directory; "):
        download(web(site), tmp_path / "file" / "sub")
