"""Lists as people save them: in the encodings of their editors, with byte-order marks, with blank and short rows."""

from pathlib import Path

import pytest

from engines.errors import UsageError, WeightsError
from engines.text_files import read_text
from engines.training.datasets import VIDEO_SUFFIXES, not_videos, read_dataset
from engines.weights.store import load_labels

HEAD = "label,youtube_id,time_start,time_end,split"
ROWS = ["yoga,abc0,1,11,val", "café,abc1,1.0,11.0,val"]
FINE = {
    "plain": lambda text: text.encode(),
    "byte-order mark": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "UTF-16": lambda text: text.encode("utf-16"),
    "UTF-16, big-endian": lambda text: b"\xfe\xff" + text.encode("utf-16-be"),
    "Windows line endings": lambda text: text.replace("\n", "\r\n").encode(),
    "blank lines": lambda text: text.replace("\n", "\n\n").encode() + b"\n\n",
}


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    for name in ("abc0_000001_000011.mp4", "abc1_000001_000011.MTS"):
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize("save", FINE.values(), ids=FINE)
@pytest.mark.parametrize("whole_folder", [True, False])
def test_lists_are_read_however_they_are_saved(videos: Path, save: object, whole_folder: bool) -> None:
    (videos / "val.csv").write_bytes(save("\n".join([HEAD, *ROWS])))  # type: ignore[operator]
    found = read_dataset(videos if whole_folder else videos / "val.csv", "val")
    assert (found.kind, found.labels, len(found.clips)) == ("Kinetics CSV", ("café", "yoga"), 2)
    (videos / "labels.txt").write_bytes(save("yoga\ncafé\n"))  # type: ignore[operator]
    assert load_labels(videos / "labels.txt") == ("yoga", "café")
    assert read_text(videos / "labels.txt").split() == ["yoga", "café"]


BAD_ROWS = {
    "cp1252": ("café,abc9,1,11,val".encode("cp1252"), "is not UTF-8 text; save the file as UTF-8"),
    "blank time": (b"yoga,abc9,,,val", "time_start is blank; give seconds"),
    "clock time": (b"yoga,abc9,1,00:00:11,val", "time_end is 00:00:11; give seconds"),
    "not a number": (b"yoga,abc9,nan,11,val", "time_start is nan; give seconds"),
    "infinite": (b"yoga,abc9,1,inf,val", "time_end is inf; give seconds"),
    "too long": (b"yoga,abc9,1,11,val,more", "too few or too many columns"),
    "no label": (b",abc9,1,11,val", "too few or too many columns"),
}


@pytest.mark.parametrize(("row", "told"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_a_row_that_cannot_be_read_is_named_by_file_and_line(videos: Path, row: bytes, told: str) -> None:
    table = videos / "val.csv"
    table.write_bytes("\n".join([HEAD, *ROWS, ""]).encode() + row + b"\n")
    with pytest.raises(UsageError) as caught:
        read_dataset(table, "val")
    assert str(caught.value).startswith(f"{table}: line 4")
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_short_row_is_named_and_rows_of_other_splits_do_not_matter(videos: Path) -> None:
    table = videos / "all.csv"
    table.write_text("\n".join([HEAD, *ROWS, "yoga,abc9,,,train", "yoga,abc9"]))
    assert len(read_dataset(table, "val").clips) == 2
    table.write_text(
        "\n".join([HEAD.removesuffix(",split"), *(row.removesuffix(",val") for row in ROWS), "yoga,abc9"])
    )
    with pytest.raises(UsageError, match=r"all\.csv: line 4: time_start is blank"):
        read_dataset(table, "val")


@pytest.mark.parametrize("classes", ["1\n", "1 Archery\nArchery 2\n", "one Archery\n", "1 Archery 2\n"])
def test_a_bad_line_in_ucfs_classes_is_named(tmp_path: Path, classes: str) -> None:
    (tmp_path / "classInd.txt").write_text(classes)
    (tmp_path / "testlist01.txt").write_text("Archery/v_a.avi\n")
    with pytest.raises(
        UsageError, match=r"classInd\.txt: line \d: .* is not as in '1 ApplyEyeMakeup'; correct it"
    ):
        read_dataset(tmp_path)


def test_a_bad_line_in_a_list_of_ucf_or_hmdb_is_named(tmp_path: Path) -> None:
    (tmp_path / "classInd.txt").write_text("1 Archery\n")
    (tmp_path / "testlist01.txt").write_text("Archery/v_a.avi\n\nArchery/v b c.avi 2 3\n")
    with pytest.raises(UsageError, match=r"testlist01\.txt: line 3: .* is not as in 'Archery/"):
        read_dataset(tmp_path)
    (tmp_path / "classInd.txt").unlink()
    (tmp_path / "wave_test_split1.txt").write_text("one.avi 1\ntwo.avi\n")
    with pytest.raises(
        UsageError, match=r"wave_test_split1\.txt: line 2: 'two\.avi' is not as in 'name\.avi 1'"
    ):
        read_dataset(tmp_path)


def test_labels_that_are_not_utf_8_are_named_by_line(tmp_path: Path) -> None:
    (tmp_path / "l.txt").write_bytes("yoga\ncafé\n".encode("cp1252"))
    with pytest.raises(
        WeightsError, match=r"l\.txt cannot be read: line 2 is not UTF-8 text; save the file as UTF-8"
    ):
        load_labels(tmp_path / "l.txt")


@pytest.mark.parametrize("suffix", sorted(VIDEO_SUFFIXES))
def test_every_suffix_counts_in_capitals_too(tmp_path: Path, suffix: str) -> None:
    for number, ending in enumerate((suffix, suffix.upper())):
        (tmp_path / f"class {number}").mkdir()
        (tmp_path / f"class {number}" / f"clip{ending}").touch()
    assert len(read_dataset(tmp_path).clips) == 2


def test_what_is_left_out_is_counted_and_named(tmp_path: Path) -> None:
    for name in ("a.mp4", "notes.txt", ".hidden", "b.jpg", "c.csv", "d.docx"):
        (tmp_path / name).touch()
    told = not_videos(tmp_path.iterdir())
    assert told == "left out 4 files that do not end as videos do: b.jpg, c.csv, d.docx and 1 more"
    assert not_videos([tmp_path / "a.mp4"]) == ""
