"""Annotation formats, accuracies from scores, and the confusion picture."""

from pathlib import Path

import numpy as np
import pytest

from engines.errors import I3DLiveError, UsageError
from engines.training.accuracy import (
    Scores,
    class_rows,
    columns_of,
    confusion_picture,
    report,
    reports,
    score_clips,
    summary_rows,
    top_k,
)
from engines.training.datasets import (
    Clip,
    Dataset,
    parse_hmdb,
    parse_kinetics,
    parse_ucf,
    parse_ucf_classes,
    read_dataset,
)

KINETICS = """label,youtube_id,time_start,time_end,split,is_cc
abseiling,-3B32lodo2M,59,69,val,0
zumba,0bTjFSRrRBE,5.0,15.0,val,0
abseiling,xyz_12345-A,0,10,train,0
"""


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")


def answers(dataset: Dataset) -> list[tuple[str, str]]:
    return [(clip.path.name, dataset.labels[clip.label]) for clip in dataset.clips]


# Formats.


def test_kinetics_rows_name_files_by_id_and_seconds() -> None:
    assert parse_kinetics(KINETICS, "validate") == [
        ("-3B32lodo2M_000059_000069", "abseiling"),
        ("0bTjFSRrRBE_000005_000015", "zumba"),
    ]
    without_split = "label,youtube_id,time_start,time_end\nzumba,a,1,11\n"
    assert parse_kinetics(without_split, "test") == [("a_000001_000011", "zumba")]


def test_a_kinetics_csv_that_cannot_be_used_says_what_it_has() -> None:
    with pytest.raises(UsageError, match="no split 'test'; it has train, val"):
        parse_kinetics(KINETICS, "test")
    with pytest.raises(UsageError, match=r"label.*this one has youtube_id, time_start"):
        parse_kinetics("youtube_id,time_start\na,1\n", "test")


def test_kinetics_videos_are_found_at_any_depth_and_the_missing_ones_are_listed(tmp_path: Path) -> None:
    (tmp_path / "val.csv").write_text(KINETICS)
    put(tmp_path, "videos/abseiling/-3B32lodo2M_000059_000069.mp4", "videos/zumba/other_000000_000010.mp4")
    dataset = read_dataset(tmp_path, "val")
    assert dataset.kind == "Kinetics CSV"
    assert dataset.labels == ("abseiling", "zumba")
    assert answers(dataset) == [("-3B32lodo2M_000059_000069.mp4", "abseiling")]
    assert dataset.missing == ("0bTjFSRrRBE_000005_000015",)
    assert answers(read_dataset(tmp_path / "val.csv", "val", videos=tmp_path / "videos")) == answers(dataset)


def test_kinetics_takes_the_csv_that_is_named_after_the_split(tmp_path: Path) -> None:
    header = "label,youtube_id,time_start,time_end\n"
    (tmp_path / "kinetics_train.csv").write_text(header + "zumba,a,0,10\n")
    (tmp_path / "kinetics_validate.csv").write_text(header + "zumba,b,0,10\n")
    put(tmp_path, "a_000000_000010.mp4", "b_000000_000010.mp4")
    assert answers(read_dataset(tmp_path, "val")) == [("b_000000_000010.mp4", "zumba")]
    with pytest.raises(UsageError, match="named after the split 'test'"):
        read_dataset(tmp_path, "test")


def test_a_split_of_ucf_101_is_read(tmp_path: Path) -> None:
    assert parse_ucf_classes("2 ApplyLipstick\n1 ApplyEyeMakeup\n\n") == ["ApplyEyeMakeup", "ApplyLipstick"]
    assert parse_ucf("Archery/v_Archery_g01_c01.avi 3\n") == [("v_Archery_g01_c01", "Archery")]
    lists = tmp_path / "ucfTrainTestlist"
    lists.mkdir()
    (lists / "classInd.txt").write_text("1 ApplyEyeMakeup\r\n2 Archery\r\n")
    (lists / "testlist01.txt").write_text("Archery/v_Archery_g01_c01.avi\n")
    (lists / "testlist02.txt").write_text("ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi\n")
    (lists / "trainlist01.txt").write_text("ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi 1\n")
    put(
        tmp_path,
        "UCF-101/Archery/v_Archery_g01_c01.avi",
        "UCF-101/ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.mp4",
    )
    dataset = read_dataset(tmp_path, "test", fold=1)
    assert (dataset.kind, dataset.labels) == ("UCF-101 split", ("ApplyEyeMakeup", "Archery"))
    assert answers(dataset) == [("v_Archery_g01_c01.avi", "Archery")]
    assert answers(read_dataset(tmp_path, "train")) == [("v_ApplyEyeMakeup_g01_c01.mp4", "ApplyEyeMakeup")]
    assert answers(read_dataset(tmp_path, "test", fold=2)) == [
        ("v_ApplyEyeMakeup_g01_c01.mp4", "ApplyEyeMakeup")
    ]
    with pytest.raises(
        UsageError, match=r"testlist07\.txt is not beside classInd\.txt; there are testlist01\.txt"
    ):
        read_dataset(tmp_path, "test", fold=7)


def test_a_split_of_hmdb_51_is_read(tmp_path: Path) -> None:
    text = "one.avi 1\ntwo.avi 2 \nnone.avi 0\n"
    assert parse_hmdb(text, "wave", "train") == [("one", "wave")]
    assert parse_hmdb(text, "wave", "test") == [("two", "wave")]
    splits = tmp_path / "testTrainMulti_7030_splits"
    splits.mkdir()
    (splits / "wave_test_split1.txt").write_text(text)
    (splits / "brush_hair_test_split1.txt").write_text("two.avi 2\n")
    # The same file name in two classes: the folder of the class decides.
    put(tmp_path, "brush_hair/two.avi", "wave/one.avi", "wave/two.avi")
    dataset = read_dataset(tmp_path, "test")
    assert (dataset.kind, dataset.labels) == ("HMDB-51 split", ("brush_hair", "wave"))
    assert [clip.path.parent.name for clip in dataset.clips] == ["brush_hair", "wave"]


def test_a_folder_per_class_is_read(tmp_path: Path) -> None:
    put(
        tmp_path,
        "test/run/a.mp4",
        "test/walk/b.AVI",
        "test/walk/notes.txt",
        "train/run/c.mp4",
        "train/walk/d.mp4",
    )
    dataset = read_dataset(tmp_path, "test")
    assert (dataset.kind, dataset.labels) == ("folder per class", ("run", "walk"))
    assert answers(dataset) == [("a.mp4", "run"), ("b.AVI", "walk")]
    assert answers(read_dataset(tmp_path / "train", "test")) == [("c.mp4", "run"), ("d.mp4", "walk")]


def test_nothing_to_read_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        read_dataset(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="holds no annotations"):
        read_dataset(tmp_path)
    (tmp_path / "val.csv").write_text(KINETICS)
    with pytest.raises(UsageError, match="none of the 2 annotated videos"):
        read_dataset(tmp_path, "val")


# Figures.

LOGITS = np.array(
    [
        [9, 1, 0, 0, 0, 0, 0],  # right
        [5, 6, 4, 3, 2, 1, 0],  # second
        [6, 5, 4, 3, 2, 1, 0],  # fifth
        [6, 5, 4, 3, 2, 1, 0],  # sixth
    ],
    dtype=np.float32,
)
TARGETS = np.array([0, 0, 4, 5])


def test_top_k_agrees_with_a_count_by_hand() -> None:
    assert top_k(LOGITS, TARGETS, 1) == 0.25
    assert top_k(LOGITS, TARGETS, 5) == 0.75
    constant = np.zeros((4, 7), np.float32)
    assert top_k(constant, TARGETS, 1) == 0.0


def test_a_report_agrees_with_a_count_by_hand() -> None:
    found = report("rgb", LOGITS, TARGETS)
    assert (found.clips, found.top1, found.top5) == (4, 0.25, 0.75)
    np.testing.assert_array_equal(found.per_class, [0.5, np.nan, np.nan, np.nan, 0, 0, np.nan])
    expected = np.zeros((7, 7), int)
    expected[0, 0] = expected[0, 1] = expected[4, 0] = expected[5, 0] = 1
    np.testing.assert_array_equal(found.confusion, expected)
    (summary,) = summary_rows([found])
    assert summary == {
        "stream": "rgb",
        "clips": "4",
        "top-1": "25.0%",
        "top-5": "75.0%",
        "mean over classes": "16.7%",
    }
    rows = class_rows([found], list("abcdefg"))
    assert [row["class"] for row in rows] == ["e", "f", "a"]
    assert rows[2] == {"class": "a", "clips": "2", "rgb": "50%", "most taken for": "b (1)"}


def test_both_streams_add_their_logits() -> None:
    rgb = np.array([[3.0, 0.0], [2.0, 3.0]])
    flow = np.array([[0.0, 2.0], [2.0, 0.5]])
    found = {r.stream: r.top1 for r in reports(Scores({"rgb": rgb, "flow": flow}, np.array([0, 0]), ()))}
    assert found == {"rgb": 0.5, "flow": 0.5, "rgb + flow": 1.0}


def test_unreadable_clips_are_counted_apart_and_classes_are_picked_from_the_models() -> None:
    def score(path: Path) -> dict[str, np.ndarray]:
        if path.name == "broken":
            raise I3DLiveError("broken cannot be read")
        return {"rgb": np.array([0.0, 3.0, 5.0, 4.0])}

    clips = [Clip(Path("good"), 0), Clip(Path("broken"), 1)]
    columns = columns_of(["Jump_Rope", "walk"], ["fall", "walk", "run", "jump rope"])
    np.testing.assert_array_equal(columns, [3, 1])
    finished: list[int] = []
    scores = score_clips(clips, score, columns, lambda: finished.append(1))
    np.testing.assert_array_equal(scores.logits["rgb"], [[4.0, 3.0]])
    assert scores.unread == ((Path("broken"), "broken cannot be read"),)
    assert len(finished) == 2
    with pytest.raises(UsageError, match="no clip could be scored: broken"):
        score_clips(clips[1:], score)
    with pytest.raises(UsageError, match=r"1 of the dataset's 2 classes.*first: 'swim'"):
        columns_of(["walk", "swim"], ["walk", "run"])


@pytest.mark.parametrize("classes", [3, 51])
def test_the_confusion_picture_is_written(classes: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    targets = np.arange(classes).repeat(3)
    logits = rng.normal(size=(len(targets), classes)) + 3 * np.eye(classes)[targets]
    found = report("rgb + flow", logits, targets)
    picture = tmp_path / "confusion.png"
    confusion_picture(found, [f"class {n}" for n in range(classes)], picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UsageError, match="cannot be written"):
        confusion_picture(found, [str(n) for n in range(classes)], tmp_path / "nowhere" / "confusion.png")


def test_dollars_in_a_label_do_not_begin_a_formula(tmp_path: Path) -> None:
    labels = ["$\\frac$", "from $5 to $_6", "[b]"]  # matplotlib could not draw the first as a formula
    picture = tmp_path / "confusion.svg"
    confusion_picture(report("rgb", np.eye(3), np.arange(3)), labels, picture)
    drawn = picture.read_text()
    assert all(drawn.count(f"<!-- {label} -->") == 2 for label in labels)
