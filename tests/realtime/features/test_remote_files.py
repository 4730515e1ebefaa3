"""Videos and features at addresses: fsspec's memory file system, and its local one."""

import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import fsspec
import pytest

from engines.errors import UsageError
from realtime.errors import SourceError
from realtime.features.archive import Archive, Done
from realtime.features.claims import Claims
from realtime.features.conventions import PRESETS
from realtime.features.place import Store
from realtime.features.remote_files import local_copy
from realtime.features.targets import targets
from tests.realtime.features.test_archive import Told, contents, here, run
from tests.support.made_clips import every, write_clip


@pytest.fixture
def store() -> Iterator[fsspec.AbstractFileSystem]:
    """An empty one."""
    system = fsspec.filesystem("memory")
    system.rm("/", recursive=True)
    yield system
    system.rm("/", recursive=True)


@pytest.fixture
def there(store: fsspec.AbstractFileSystem, tmp_path: Path) -> Path:
    """The same videos here."""
    folder = tmp_path / "videos"
    (folder / "day").mkdir(parents=True)
    write_clip(folder / "a.mp4", every(Fraction(1, 25), 40))
    write_clip(folder / "day/b.mp4", every(Fraction(1, 25), 50))
    (folder / "day/notes.md").write_text("not a video")
    store.put(str(folder), "/bucket/videos", recursive=True)
    return folder


def run_there(given: str, scratch: Path) -> dict[str, Done]:
    """Features to memory://bucket/out."""
    of_memory = Archive(here(PRESETS["dense"]), Told(), Store("memory://bucket/out", scratch))
    with Claims() as claims:
        done = of_memory.run(targets([given], scratch), 2, claims)
    return {one.target.source: one for one in done}


def test_a_folder_at_an_address_becomes_features_at_an_address(
    store: fsspec.AbstractFileSystem, there: Path, tmp_path: Path
) -> None:
    run(there, tmp_path / "alone")
    done = run_there("memory://bucket/videos", tmp_path / "scratch")
    assert {name: one.error for name, one in done.items()} == {
        "memory://bucket/videos/a.mp4": None,
        "memory://bucket/videos/day/b.mp4": None,
    }
    found = {Path(path).name: store.cat(path) for path in store.find("/bucket/out")}
    assert found == contents(tmp_path / "alone")
    assert sorted(store.find("/bucket/out"))[-1] == "/bucket/out/day/b.npy"
    assert not list((tmp_path / "scratch").rglob("*.npy"))  # the disk here does not fill up
    again = run_there("memory://bucket/videos", tmp_path / "another scratch")
    assert all(one.was_there for one in again.values())


def test_what_is_written_last_is_uploaded_last(
    store: fsspec.AbstractFileSystem, there: Path, tmp_path: Path
) -> None:
    run_there("memory://bucket/videos/a.mp4", tmp_path / "scratch")
    rows, about = (store.info(f"/bucket/out/a.{end}")["created"] for end in ("npy", "json"))
    assert rows < about


def test_patterns_and_files_at_an_address(
    store: fsspec.AbstractFileSystem, there: Path, tmp_path: Path
) -> None:
    def named(given: str) -> list[str]:
        return [str(target.stem.relative_to(tmp_path)) for target in targets([given], tmp_path)]

    assert named("memory://bucket/videos") == ["a", "day/b"]
    assert named("memory://bucket/videos/*.mp4") == ["a"]
    assert named("memory://bucket/videos/day/b.mp4") == ["b"]
    assert named(f"file://{there}") == ["a", "day/b"]


def test_what_is_not_there_is_one_line(store: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    gone = r"memory://bucket/c.mp4: no such file; check the address"
    with pytest.raises(SourceError, match=gone), local_copy("memory://bucket/c.mp4"):
        pass
    with pytest.raises(
        UsageError, match=r"s3://bucket: Install s3fs to access S3 with pip, on every machine"
    ):
        targets(["s3://bucket"], tmp_path)
    with pytest.raises(UsageError, match="no videos in memory://bucket/none"):
        targets(["memory://bucket/none*"], tmp_path)


def test_features_of_an_address_that_were_made_otherwise_are_not_replaced(
    store: fsspec.AbstractFileSystem, there: Path, tmp_path: Path
) -> None:
    run_there("memory://bucket/videos/a.mp4", tmp_path / "scratch")
    about = json.loads(store.cat("/bucket/out/a.json"))
    about["settings"]["stride"] = 4
    store.pipe("/bucket/out/a.json", json.dumps(about).encode())
    (one,) = run_there("memory://bucket/videos/a.mp4", tmp_path / "another").values()
    assert one.error is not None
    assert "was made with other settings (stride 4, not 8); name another --out, or delete it" in one.error
