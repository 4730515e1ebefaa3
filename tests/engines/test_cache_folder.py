"""Compiled files in the cache: a file that is not as it was written is made again, and never run."""

from collections.abc import Callable
from pathlib import Path

import pytest

from engines.cache_folder import HASHES, intact

BLOBS = ("1.blob", "below/2.nbc")


def damage(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


DAMAGE: dict[str, Callable[[Path], object]] = {
    "one bit": lambda path: path.write_bytes(damage(path.read_bytes())),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "emptied": lambda path: path.write_bytes(b""),
    "content of another file": lambda path: path.write_bytes(b"another".ljust(100)),
    "never recorded": lambda path: path.with_name("3.blob").write_bytes(b"x"),
    "record lost": lambda path: (path.parent / HASHES).unlink(missing_ok=True),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "compiled"
    with intact(folder):
        for number, name in enumerate(BLOBS):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(bytes([number]) * 100)
    return folder


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_intact_files_are_kept(folder: Path) -> None:
    with intact(folder):
        assert names(folder) == {*BLOBS, HASHES}


@pytest.mark.parametrize("what", DAMAGE)
@pytest.mark.parametrize("blob", BLOBS)
def test_a_damaged_file_is_removed_and_made_again(what: str, blob: str, folder: Path) -> None:
    path = folder / blob
    whole = path.read_bytes()
    DAMAGE[what](path)
    with intact(folder):
        left = names(folder) - {HASHES}
        assert left <= set(BLOBS)
        assert all((folder / name).read_bytes() == bytes([BLOBS.index(name)]) * 100 for name in left)
        path.write_bytes(whole)
    with intact(folder):
        assert blob in names(folder)


def test_a_file_is_not_trusted_if_making_it_failed(folder: Path) -> None:
    def fail() -> None:
        with intact(folder):
            (folder / "3.blob").write_bytes(b"half")
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        fail()
    with intact(folder):
        assert names(folder) == {*BLOBS, HASHES}


@pytest.mark.parametrize("record", [b"", b"[]", b"{", b"\xff", b'{"1.blob": 3}'])
def test_with_an_unreadable_record_no_file_is_trusted(record: bytes, folder: Path) -> None:
    (folder / HASHES).write_bytes(record)
    with intact(folder):
        assert names(folder) == {HASHES}
