"""The clip of a first run: a known one if it can be fetched, checked against both of its hashes; otherwise the one
in a Python package."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from engines.cache_folder import sha256_of
from engines.errors import NotFetched
from engines.weights.demo_clips import KNOWN_CLIPS, ChosenClip, KnownClip, choose_clip
from engines.weights.download import WebFile, git_blob_id
from engines.weights.fixed_clip import DEMO_CLIP, FixedClip
from engines.weights.pip import Package
from engines.weights.store import load_labels
from tests.support.webserver import CountingNetwork, FileServer, file_server, refusing

pytestmark = pytest.mark.usefixtures("own_cache")
IN_SHARED = {"05_default_juggle.mp4": "default_juggle.mp4"}


@pytest.fixture
def site() -> Iterator[FileServer]:
    with file_server() as server:
        yield server


def served(site: FileServer, name: str, tmp_path: Path) -> KnownClip:
    path = tmp_path / f"{name.replace(' ', '_')}.mp4"
    path.write_bytes(name.encode() * 1000)
    site.files[f"/{path.name}"] = path.read_bytes()
    source = WebFile(f"{site.address}/{path.name}", git_blob_id(path), "free", sha256_of(path))
    return KnownClip(source, name)


@pytest.fixture
def known(site: FileServer, tmp_path: Path) -> tuple[KnownClip, ...]:
    return tuple(served(site, name, tmp_path) for name in ("juggling balls", "tai chi"))


Choose = Callable[..., ChosenClip]
DATA = b"two people"
SMALL = replace(DEMO_CLIP, member_sha256=hashlib.sha256(DATA).hexdigest())


@pytest.fixture
def package() -> list[str]:
    """The packages that were asked for the clip."""
    return []


@pytest.fixture
def choose(package: list[str]) -> Choose:
    """`choose_clip` with a small clip in the package."""

    def member(asked: Package, progress: object) -> bytes:
        package.append(asked.name)
        return DATA

    return partial(choose_clip, fallback=FixedClip(SMALL, member))


def test_the_first_known_clip_is_fetched_once(
    choose: Choose, known: tuple[KnownClip, ...], site: FileServer, own_cache: Path, package: list[str]
) -> None:
    clip = choose(clips=known)
    assert (clip.label, clip.why) == ("juggling balls", "clip juggling balls: from 127.0.0.1")
    assert clip.path == own_cache / "clips" / "juggling-balls.mp4"
    assert clip.path.read_bytes() == site.files["/juggling_balls.mp4"]
    assert choose(clips=known, again=True) == clip
    assert len(site.requests) == 1
    assert not package


def test_the_next_clip_is_taken_where_the_first_is_another_file(
    choose: Choose, known: tuple[KnownClip, ...], site: FileServer
) -> None:
    site.files[f"/{known[0].source.file}"] += b"?"
    assert choose(clips=known).label == "tai chi"


def test_a_damaged_clip_is_fetched_again(
    choose: Choose, known: tuple[KnownClip, ...], site: FileServer
) -> None:
    path = choose(clips=known).path
    path.write_bytes(b"?")
    assert choose(clips=known).path.read_bytes() == site.files[f"/{known[0].source.file}"]


def test_without_a_known_clip_the_packages_is_taken_until_asked_again(
    choose: Choose, known: tuple[KnownClip, ...], site: FileServer, package: list[str]
) -> None:
    files, site.files = site.files, {}
    clip = choose(clips=known)
    assert (clip.label, clip.path.read_bytes()) == (None, b"two people")
    assert clip.why == "clip of sports2d, without a known action: 127.0.0.1 answers 404 Not Found"
    site.files = files
    assert choose(clips=known).label is None
    assert len(site.requests) == 2
    assert choose(clips=known, again=True).label == "juggling balls"
    assert package == ["sports2d"]


def test_a_host_that_does_not_answer_is_asked_once(choose: Choose, known: tuple[KnownClip, ...]) -> None:
    network, address = CountingNetwork(), refusing()
    moved = [replace(c, source=replace(c.source, address=f"{address}/{c.source.file}")) for c in known]
    for _ in range(2):
        clip = choose(network=network, clips=moved, again=True)
        assert clip.why.endswith(": 127.0.0.1 cannot be reached: Connection refused")
    assert network.begun == ["127.0.0.1"]


def test_without_any_clip_the_error_says_what_else_will_do(
    known: tuple[KnownClip, ...], site: FileServer
) -> None:
    def fails(*_: object) -> bytes:
        raise NotFetched("no index")

    site.files = {}
    with pytest.raises(NotFetched, match=r"^no index; any video of yours does as well"):
        choose_clip(clips=known, fallback=FixedClip(SMALL, fails))


def test_the_table_has_the_hashes_of_the_real_clips(clips: Path) -> None:
    labels = load_labels()
    for clip in KNOWN_CLIPS:
        path = clips / IN_SHARED.get(clip.source.file, clip.source.file)
        assert (git_blob_id(path), sha256_of(path)) == (clip.source.blob_id, clip.source.sha256)
        assert clip.label in labels
        commit = clip.source.address.split("/raw/")[1].partition("/")[0]
        assert len(commit) == 40
