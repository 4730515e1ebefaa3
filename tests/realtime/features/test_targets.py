"""Which videos are meant, and where their features go."""

import os
from pathlib import Path

import pytest

from realtime.errors import SourceError, UsageError
from realtime.features.targets import shard, targets


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Videos in folders: only their names matter here."""
    monkeypatch.chdir(tmp_path)
    for name in (
        "videos/a.mp4",
        "videos/run/b.AVI",
        "videos/run/c.d.mkv",
        "videos/.trash/x.mp4",
        "videos/notes.txt",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def found(*given: str) -> dict[str, str]:
    return {target.source: str(target.stem) for target in targets(given, Path("out"))}


def test_features_keep_the_name_of_the_video_and_its_place_in_the_folder(tree: Path) -> None:
    wanted = {
        "videos/a.mp4": "out/a",
        "videos/run/b.AVI": "out/run/b",
        "videos/run/c.d.mkv": "out/run/c.d",
    }
    assert found("videos") == wanted
    assert found("videos/run/c.d.mkv", "videos/a.mp4") == {
        "videos/run/c.d.mkv": "out/c.d",
        "videos/a.mp4": "out/a",
    }
    assert found("videos/**/*.mkv") == {"videos/run/c.d.mkv": "out/c.d"}
    (target,) = targets(["videos/run/c.d.mkv"], Path("out"))
    assert target.facts == Path("out/c.d.json")
    assert target.arrays(["rgb", "flow"], separate=False) == {("rgb", "flow"): Path("out/c.d.npy")}
    assert target.arrays(["rgb", "flow"], separate=True) == {
        ("rgb",): Path("out/c.d_rgb.npy"),
        ("flow",): Path("out/c.d_flow.npy"),
    }


def test_a_list_names_a_path_a_line(tree: Path) -> None:
    """As editors on any system save it; a name that is missing is found out when its turn comes."""
    (tree / "list.txt").write_bytes("\ufeffvideos/a.mp4\r\n\r\n  videos/run  \r\ngone.mp4\r\n".encode())
    assert set(found("list.txt")) == {"videos/a.mp4", "videos/run/b.AVI", "videos/run/c.d.mkv", "gone.mp4"}
    assert found("list.txt", "videos/a.mp4", "videos")["videos/run/b.AVI"] == "out/b"
    assert len(found("list.txt", "videos/a.mp4", str(tree / "videos"))) == 4


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            ["rtsp://me:secret@camera/s"],
            r"rtsp://.*camera/s: features are of files; for a camera there is i3d-live run",
        ),
        (["webcam:0"], "features are of files"),
        (["gopher://host/a.mp4"], "gopher:// is not known"),
        (["empty"], "no videos in empty; give files, folders, patterns or a list"),
        (
            ["videos/a.mp4", "other/a.mkv"],
            r"videos/a.mp4 and other/a.mkv would both become out/a.npy; give their common",
        ),
        (["gone.txt"], "gone.txt: the list cannot be read: No such file or directory"),
    ],
)
def test_what_is_refused_before_anything_is_loaded(tree: Path, given: list[str], message: str) -> None:
    (tree / "empty").mkdir()
    (tree / "other").mkdir()
    (tree / "other/a.mkv").touch()
    with pytest.raises((UsageError, SourceError), match=message) as error:
        found(*given)
    assert "secret" not in str(error.value)


def test_features_are_never_written_over_a_video(tree: Path) -> None:
    """Whatever its name: a link may lead to it."""
    (tree / "out").mkdir()
    os.link(tree / "videos/run/b.AVI", tree / "out/a_flow.npy")
    with pytest.raises(UsageError, match=r"features of videos/a.mp4 would be written over videos/run/b.AVI"):
        found("videos")


def test_shards_are_all_videos_and_each_once(tree: Path) -> None:
    every = targets(["videos"], Path("out"))
    parts = [shard(every, f"{i}/2") for i in (1, 2)]
    assert sorted(t.source for part in parts for t in part) == sorted(t.source for t in every)
    assert shard(every, None) == every
    assert [len(shard(every, f"{i}/5")) for i in range(1, 6)] == [1, 1, 1, 0, 0]


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/0", "-1/2", "1/2/3"])
def test_a_shard_that_is_none(text: str) -> None:
    with pytest.raises(UsageError, match=r"give i/n, the i-th of n parts counted from 1"):
        shard([], text)
