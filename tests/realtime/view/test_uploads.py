"""Files that pages send."""

import struct
from fractions import Fraction
from pathlib import Path

import pytest

from realtime.errors import UsageError
from realtime.view.uploads import MOST_FILES, UNUSED_S, Uploads
from tests.support.clocks import ManualClock
from tests.support.made_clips import every, write_clip

MP4 = b"\0\0\0\x20ftypisom" + bytes(100)


def sent(store: Uploads, content: bytes, name: str = "clip.mp4") -> str:
    path = store.new()
    path.write_bytes(content)
    return store.add(path, name)


def test_a_video_can_be_taken_once() -> None:
    store = Uploads()
    key = sent(store, MP4, "../../etc/clip.mp4")
    upload = store.take(key)
    assert upload.name == "clip.mp4"
    assert upload.path.read_bytes() == MP4
    with pytest.raises(UsageError, match="choose the file again"):
        store.take(key)
    upload.delete()
    upload.delete()
    store.close()


@pytest.mark.parametrize(
    "content",
    [b"", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", b"ffconcat version 1.0\nfile /etc/passwd", b"v=0\r\no=- 0 0", b"GIF89a",
     b"\x89PNG\r\n\x1a\n0000", b"MZ\x90\0\0\0\0\0\0\0\0\0", b"RIFF\0\0\0\0WAVE"],
)  # fmt: skip
def test_what_is_not_a_video_is_deleted_immediately(content: bytes) -> None:
    store = Uploads()
    with pytest.raises(UsageError, match="not a video"):
        sent(store, content)
    assert not list(store.folder.iterdir())
    store.close()


@pytest.mark.parametrize(
    "playlist", ["ffconcat version 1.0\nfile {}\n", "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\n{}\n"]
)
def test_a_playlist_of_videos_that_exist_is_not_followed(playlist: str) -> None:
    """FFmpeg would follow it: the list lies beside a video that it may read."""
    store = Uploads()
    video = write_clip(store.folder / "other.ts", every(Fraction(1, 25), 30))
    with pytest.raises(UsageError, match="not a video"):
        sent(store, playlist.format(video.name).encode())
    assert [path.name for path in store.folder.iterdir()] == ["other.ts"]
    store.close()


def test_real_clips_are_videos(clips: Path) -> None:
    store = Uploads()
    for clip in [*clips.glob("*.mp4"), *clips.glob("*.avi"), *clips.glob("*.mkv")]:
        store.take(sent(store, clip.read_bytes()[:4096], clip.name)).delete()
    store.close()


@pytest.mark.parametrize(
    ("name", "shown"),
    [("", "upload"), ("a/b/c.mp4", "c.mp4"), ("..\\..\\x.mp4", "x.mp4"), ("/", "upload"), ("a\0b\n\x1b[31m.mp4", "ab[31m.mp4"), ("x" * 500, "x" * 100)],
)  # fmt: skip
def test_a_name_is_shown_without_path_and_control_characters(name: str, shown: str) -> None:
    store = Uploads()
    assert store.take(sent(store, MP4, name)).name == shown
    store.close()


def test_an_upload_that_nobody_starts_is_deleted() -> None:
    clock = ManualClock()
    store = Uploads(clock)
    key = sent(store, MP4)
    store.sweep()
    assert len(list(store.folder.iterdir())) == 1
    clock.pass_s(UNUSED_S + 1)
    store.sweep()
    assert not list(store.folder.iterdir())
    with pytest.raises(UsageError):
        store.take(key)
    store.close()


def test_the_number_of_uploads_is_limited() -> None:
    store = Uploads()
    for _ in range(MOST_FILES):
        sent(store, MP4)
    with pytest.raises(UsageError, match="uploads are in use"):
        store.new()
    folder = store.folder
    store.close()
    assert not folder.exists()


HEADS = {name: struct.pack(">I4s", 8 + 24, name) + bytes(24) for name in (b"free", b"skip", b"uuid", b"udta")}


@pytest.mark.parametrize("head", HEADS)
def test_an_mp4_that_begins_with_another_box_is_taken(head: bytes, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "c.mp4", every(Fraction(1, 25), 10))
    store = Uploads()
    assert store.take(sent(store, HEADS[head] + clip.read_bytes()))
    store.close()


@pytest.mark.parametrize(
    ("name", "cut"), [("c.ts", 188 * 3), ("c.ts", 100), ("c.flv", 0), ("c.nut", 0), ("c.avi", 0)]
)
def test_what_ffmpeg_reads_is_taken(name: str, cut: int, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / name, every(Fraction(1, 25), 50))
    store = Uploads()
    assert store.take(sent(store, clip.read_bytes()[cut:], name))
    store.close()
