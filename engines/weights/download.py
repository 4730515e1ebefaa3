"""Resumable download over HTTP(S) of a file whose git blob id is known. No torch."""

import hashlib
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from engines.cache_folder import Progress, sha256_of, silent, writing
from engines.errors import NotFetched
from engines.weights.connection import Network, Unreachable

CHUNK_BYTES = 1 << 18
MAX_CONNECTIONS = 20
"""Maximum per download; each continues where the one before broke off."""
MAX_STALLED = 3
"""Consecutive connections without data before it gives up."""


@dataclass(frozen=True)
class WebFile:
    """A file of a public git repository."""

    address: str
    blob_id: str
    """Git's id of it: SHA-1 over "blob <size>", a zero byte and the content."""
    licence: str
    sha256: str | None = None
    """If known: git's id is only as good as SHA-1."""

    @property
    def file(self) -> str:
        return self.address.rpartition("/")[2]

    @property
    def host(self) -> str:
        return urlsplit(self.address).hostname or ""

    def __str__(self) -> str:
        return self.address


class _Broken(Exception):
    """The server could not be reached, refused, or stopped midway."""

    def __init__(self, why: str, *, final: bool = False) -> None:
        super().__init__(why)
        self.final = final
        """Whether trying again is pointless."""


def git_blob_id(path: Path) -> str:
    """Git's id of this content."""
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def download(web: WebFile, folder: Path, progress: Progress = silent, network: Network | None = None) -> Path:
    """The file in `folder`, its id checked. An unfinished one stays there as *.part, and the next call continues it.

    The caller holds a lock that covers the folder. `network`: shared by calls that try several hosts in turn.

    Raises:
        NotFetched: no answer, a refusal, or not the expected file.
        EngineError: the folder cannot be written.
    """
    network = network or Network()
    path = folder / f"{web.blob_id[:12]}-{web.file}"
    part = path.with_name(f"{path.name}.part")
    with writing(path):
        folder.mkdir(parents=True, exist_ok=True)
        if path.is_file() and git_blob_id(path) == web.blob_id:
            return path
        resumed = _size(part) > 0
        found = _complete(web, part, progress, network)
        if found != web.blob_id and resumed:  # the partial file was of another version
            found = _complete(web, part, progress, network)
        another = f"{web.host} has another file"
        if found != web.blob_id:
            raise NotFetched(
                f"{web} is not the file expected: git blob id {found}, expected {web.blob_id}", another
            )
        if web.sha256 is not None and (sha256 := sha256_of(part)) != web.sha256:
            part.unlink()
            raise NotFetched(
                f"{web} is not the file expected: sha256 {sha256}, expected {web.sha256}", another
            )
        part.replace(path)
    return path


def _complete(web: WebFile, part: Path, progress: Progress, network: Network) -> str:
    """Fetch to the end, over several connections if necessary; returns the blob id. If it is wrong, no partial file is
    left."""
    stalled = 0
    for connection in range(1, MAX_CONNECTIONS + 1):
        had = _size(part)
        try:
            _transfer(web, part, progress, network)
            break
        except _Broken as error:
            stalled = 0 if _size(part) > had else stalled + 1
            if error.final or stalled == MAX_STALLED or connection == MAX_CONNECTIONS:
                raise NotFetched(f"{web} could not be fetched: {error}", str(error)) from error
        time.sleep(network.pause_s * 2**stalled)
    found = git_blob_id(part)
    if found != web.blob_id:
        part.unlink()
    return found


def _transfer(web: WebFile, part: Path, progress: Progress, network: Network) -> None:
    """One connection: append to `part` from where it ends."""
    done = _size(part)
    with _open(web, done, network) as response:
        if response.status == 416:  # there is nothing beyond what is here
            return
        if response.status == 206:
            start, total = _content_range(response)
            if start != done:
                raise _Broken(f"the server sent bytes from {start}, asked for {done}", final=True)
        else:
            done, total = 0, _number(response.headers.get("Content-Length"))
        with open(part, "ab" if done else "wb") as file:
            progress(web.file, done, total)
            for chunk in _chunks(response):
                file.write(chunk)
                done += len(chunk)
                progress(web.file, done, total)
    if total is not None and done < total:
        raise _Broken(f"the connection ended after {done} of {total} bytes")


def _open(web: WebFile, offset: int, network: Network) -> HTTPResponse:
    from urllib.error import HTTPError, URLError
    from urllib.request import Request

    request = Request(web.address, headers={"Range": f"bytes={offset}-"} if offset else {})
    try:
        return network.open(request)
    except HTTPError as error:
        if error.code == 416 and offset:
            return cast(HTTPResponse, error)
        error.close()
        raise _Broken(f"{web.host} answers {error.code} {error.reason}", final=error.code < 500) from error
    except (OSError, HTTPException) as error:
        reason = error.reason if isinstance(error, URLError) else error
        final = isinstance(reason, Unreachable) and reason.final
        why = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
        raise _Broken(why, final=final) from error


def _chunks(response: HTTPResponse) -> Iterator[bytes]:
    try:
        while chunk := response.read(CHUNK_BYTES):
            yield chunk
    except (OSError, HTTPException) as error:
        raise _Broken(f"the connection broke: {error or type(error).__name__}") from error


def _content_range(response: HTTPResponse) -> tuple[int, int | None]:
    """ "bytes 100-199/200" -> (100, 200)."""
    span, _, total = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
    start = _number(span.partition("-")[0])
    return -1 if start is None else start, _number(total)


def _number(text: str | None) -> int | None:
    with suppress(ValueError, TypeError):
        return int(text)  # type: ignore[arg-type]
    return None


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
