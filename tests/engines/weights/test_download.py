"""Downloads over HTTP: whole or not at all, resumed where they broke off, the right file or none."""

import hashlib
import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path

import pytest

from engines.cache_folder import Progress, silent
from engines.errors import EngineError, NotFetched
from engines.weights import download as module
from engines.weights.connection import Network, Unreachable
from engines.weights.download import WebFile, git_blob_id
from tests.support.webserver import FileServer, file_server, refusing

DATA = bytes(range(256)) * 4096 + b"the end"


def download(
    file: WebFile, folder: Path, progress: Progress = silent, network: Network | None = None
) -> Path:
    """Without a pause between connections."""
    network = network or Network()
    network.pause_s = 0.0
    return module.download(file, folder, progress, network)


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


def test_a_blob_id_is_the_one_that_git_gives(tmp_path: Path) -> None:
    """`printf 'hello\\n' | git hash-object --stdin` prints this id."""
    path = tmp_path / "hello"
    path.write_bytes(b"hello\n")
    assert git_blob_id(path) == "ce013625030ba8dba906f756967f9e9ca394464a"


def test_a_file_is_fetched_whole_with_progress_and_only_once(site: FileServer, tmp_path: Path) -> None:
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
def test_a_download_resumes_where_the_connection_broke(
    site: FileServer, tmp_path: Path, announce: bool
) -> None:
    """Without an announced length the cut goes unnoticed at first; the blob id reveals it."""
    site.cuts = [300_000, 1, 500_000]
    site.announce = announce
    if announce:
        assert download(web(site), tmp_path).read_bytes() == DATA
        assert site.requests == ["", "bytes=300000-", "bytes=300001-", "bytes=800001-"]
    else:
        with pytest.raises(NotFetched, match="is not the file expected"):
            download(web(site), tmp_path)


def test_the_next_run_resumes_the_download(site: FileServer, tmp_path: Path) -> None:
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


def test_a_download_that_the_user_interrupted_is_resumed(site: FileServer, tmp_path: Path) -> None:
    def stop(what: str, done: int, total: int | None) -> None:
        if done > 500_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(web(site), tmp_path, stop)
    site.requests.clear()
    assert download(web(site), tmp_path).read_bytes() == DATA
    assert site.requests[0].startswith("bytes=")


def test_from_a_server_without_ranges_the_download_starts_again(site: FileServer, tmp_path: Path) -> None:
    site.cuts = [300_000]
    site.ranges = False
    assert download(web(site), tmp_path).read_bytes() == DATA
    assert site.requests == ["", "bytes=300000-"]


@pytest.mark.parametrize(
    "kept", [DATA[:1000].swapcase(), DATA + b"more", DATA[:-1] + b"?"], ids=["head", "long", "end"]
)
def test_a_part_of_another_file_is_discarded(site: FileServer, tmp_path: Path, kept: bytes) -> None:
    target = web(site)
    (tmp_path / f"{target.blob_id[:12]}-w.pt.part").write_bytes(kept)
    assert download(target, tmp_path).read_bytes() == DATA
    assert site.requests == [f"bytes={len(kept)}-", ""]


def test_a_part_that_is_already_whole_is_taken(site: FileServer, tmp_path: Path) -> None:
    target = web(site)
    (tmp_path / f"{target.blob_id[:12]}-w.pt.part").write_bytes(DATA)
    assert download(target, tmp_path).read_bytes() == DATA


def test_a_file_with_a_wrong_hash_leaves_nothing(site: FileServer, tmp_path: Path) -> None:
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


def test_a_missing_file_is_asked_for_once(site: FileServer, tmp_path: Path) -> None:
    with pytest.raises(
        NotFetched, match=r"/other\.pt could not be fetched: 127\.0\.0\.1 answers 404 Not Found"
    ):
        download(web(site, file="other.pt"), tmp_path)
    assert len(site.requests) == 1


def test_a_server_error_is_retried_a_few_times(site: FileServer, tmp_path: Path) -> None:
    site.statuses = [503, 500]
    assert download(web(site), tmp_path).read_bytes() == DATA
    site.statuses = [503] * 9
    with pytest.raises(NotFetched, match=r"127\.0\.0\.1 answers 503"):
        download(web(site, DATA + b"?"), tmp_path)
    assert len(site.statuses) == 9 - module.MAX_STALLED


def test_a_refused_connection_and_an_unknown_host_are_named(tmp_path: Path) -> None:
    address = f"{refusing()}/w.pt"
    with pytest.raises(
        NotFetched, match=f"{address} could not be fetched: 127.0.0.1 cannot be reached: Connection refused"
    ) as caught:
        download(WebFile(address, "0" * 40, "none"), tmp_path)
    assert caught.value.reason == "127.0.0.1 cannot be reached: Connection refused"
    with pytest.raises(
        NotFetched,
        match=r"http://nowhere\.invalid/w\.pt could not be fetched: nowhere\.invalid cannot be reached: ",
    ):
        # A resolver may take its time to say that there is no such host.
        download(
            WebFile("http://nowhere.invalid/w.pt", "0" * 40, "none"), tmp_path, network=Network(connect_s=60)
        )


@contextmanager
def mute_server() -> Iterator[tuple[str, socket.socket]]:
    """A server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}", server


def test_a_silent_server_is_asked_once(tmp_path: Path) -> None:
    network = Network(read_s=0.1)
    with mute_server() as (address, server):
        for name in ("one.pt", "two.pt"):
            with pytest.raises(NotFetched, match=r"127\.0\.0\.1 did not answer within 0\.1 s"):
                download(WebFile(f"{address}/{name}", "0" * 40, "none"), tmp_path, network=network)
        server.settimeout(0)
        server.accept()[0].close()
        with pytest.raises(BlockingIOError):
            server.accept()


def test_an_unreachable_host_is_waited_for_once(
    site: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Name resolution hangs, as when no name server can be reached; a thread may be left waiting in it."""
    asked, over = [], threading.Event()

    def hangs(host: str, *rest: object, **named: object) -> object:
        asked.append(host)
        if host != "slow.invalid":
            return resolve(host, *rest, **named)  # type: ignore[arg-type]
        over.wait()
        raise OSError

    resolve = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", hangs)
    network = Network(connect_s=0.05)
    try:
        for name in ("one.pt", "two.pt"):
            with pytest.raises(NotFetched, match=r"slow\.invalid did not answer within 0\.05 s"):
                download(WebFile(f"http://slow.invalid/{name}", "0" * 40, "none"), tmp_path, network=network)
        assert asked == ["slow.invalid"]
        network.connect_s = 3.0
        assert download(web(site), tmp_path, network=network).read_bytes() == DATA
    finally:
        over.set()


def test_a_connection_that_comes_too_late_is_closed(
    site: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, closed = threading.Event(), threading.Event()

    class Late(HTTPConnection):
        def connect(self) -> None:
            begin.wait()

        def close(self) -> None:
            closed.set()

    network = Network(connect_s=0.01)
    late = Late("127.0.0.1", 1)
    with pytest.raises(Unreachable):
        network.connect(late, late.connect)
    assert not closed.is_set()
    begin.set()
    assert closed.wait(10)


def test_a_connected_host_may_take_longer_to_answer(site: FileServer) -> None:
    network = Network(connect_s=3.0, read_s=17.0)
    connection = HTTPConnection(site.address.removeprefix("http://"), timeout=network.connect_s)
    network.connect(connection, connection.connect)
    assert connection.sock.gettimeout() == 17.0
    connection.close()


def test_a_host_that_has_answered_is_asked_again(site: FileServer, tmp_path: Path) -> None:
    """The connection breaks midway and is then refused once: that is not final."""
    site.cuts = [300_000]
    network = Network()
    allowed = iter([True, False, True])
    connect = network.connect

    def sometimes(connection: HTTPConnection, really: Callable[[], None]) -> None:
        def refuse() -> None:
            raise ConnectionRefusedError(111, "Connection refused")

        connect(connection, really if next(allowed) else refuse)

    network.connect = sometimes  # type: ignore[method-assign]
    assert download(web(site), tmp_path, network=network).read_bytes() == DATA
    assert site.requests == ["", "bytes=300000-"]


def test_the_environments_proxy_is_used(
    site: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server is asked for the whole address, as a proxy is."""
    monkeypatch.setenv("http_proxy", site.address)
    monkeypatch.setenv("no_proxy", "")
    target = WebFile("http://elsewhere.invalid/w.pt", blob_id(DATA), "none")
    site.files[target.address] = DATA
    assert download(target, tmp_path).read_bytes() == DATA
    monkeypatch.setenv("https_proxy", refusing())
    with pytest.raises(NotFetched, match=r"127\.0\.0\.1 cannot be reached: Connection refused"):
        download(WebFile("https://elsewhere.invalid/w.pt", "0" * 40, "none"), tmp_path)


def test_certificates_are_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not shutil.which("openssl"):
        pytest.skip("needs openssl to make a certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate]
    made += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(made, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with file_server(context) as site:
        site.files["/w.pt"] = DATA
        with pytest.raises(NotFetched, match=r"127\.0\.0\.1 cannot be reached: .*CERTIFICATE_VERIFY_FAILED"):
            download(web(site), tmp_path)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert download(web(site), tmp_path).read_bytes() == DATA


def test_a_server_that_never_speaks_tls_counts_as_unreachable(tmp_path: Path) -> None:
    with mute_server() as (address, _):
        target = WebFile(f"{address.replace('http', 'https')}/w.pt", "0" * 40, "none")
        with pytest.raises(NotFetched, match=r"127\.0\.0\.1 did not answer within 0\.1 s"):
            download(target, tmp_path, network=Network(connect_s=0.1))


def test_a_redirect_is_followed(site: FileServer, tmp_path: Path) -> None:
    site.moved["/old.pt"] = f"{site.address}/w.pt"
    assert download(WebFile(f"{site.address}/old.pt", blob_id(DATA), "none"), tmp_path).read_bytes() == DATA


def test_the_blob_id_alone_is_not_enough_where_the_sha256_is_known(site: FileServer, tmp_path: Path) -> None:
    right = hashlib.sha256(DATA).hexdigest()
    assert download(replace(web(site), sha256=right), tmp_path / "a").read_bytes() == DATA
    with pytest.raises(
        NotFetched, match=f"is not the file expected: sha256 {right}, expected 0000"
    ) as caught:
        download(replace(web(site), sha256="0" * 64), tmp_path / "b")
    assert caught.value.reason == "127.0.0.1 has another file"
    assert left_behind(tmp_path / "b") == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full, a file on a full disk")
def test_a_full_disk_is_an_error_that_says_so(site: FileServer, tmp_path: Path) -> None:
    target = web(site)
    (tmp_path / f"{target.blob_id[:12]}-w.pt.part").symlink_to("/dev/full")
    with pytest.raises(EngineError, match=r"^no space left to write "):
        download(target, tmp_path)


def test_a_folder_that_cannot_be_made_is_an_error(site: FileServer, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EngineError, match=r"^cannot write .*file/sub.*: Not a directory; "):
        download(web(site), tmp_path / "file" / "sub")
