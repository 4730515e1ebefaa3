"""Features of a source as it is watched: what is on disk at any moment can be read, and is what `features` writes."""

import json
import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from realtime.errors import OutputError
from realtime.features.conventions import PRESETS
from realtime.features.extract import FeatureRows, extract
from realtime.outputs import feature_files as module
from realtime.outputs.feature_files import FeatureFiles, WithFeatures, feature_files, header
from realtime.recognizer import Recognizer
from realtime.stages.feature_tap import FeatureRow
from tests.realtime.features.test_rows import TENSORS, pictures
from tests.support.networks import small_engine


def row(number: int, streams: tuple[str, ...] = ("rgb", "flow")) -> FeatureRow:
    start_s = 0.32 * number
    return FeatureRow(start_s, start_s + 0.64, {name: np.full(4, number, np.float32) for name in streams})


def files_in(folder: Path, longest_s: float = 3600) -> FeatureFiles:
    about = {"source": "door", "settings": {"mode": "m"}}
    return FeatureFiles(folder, "20261130-door-", ("rgb", "flow"), 4, about, longest_s)


def test_rows_are_appended_and_the_file_can_always_be_read(tmp_path: Path) -> None:
    """Also between two writes: the number of rows is raised last."""
    files = files_in(tmp_path / "new")
    for number in range(100):
        files.push(row(number))
        for path in (tmp_path / "new").glob("*.npy"):
            found = np.load(path)
            assert len(found) == (number + 1) // 32 * 32
            assert found[:, 0].tolist() == list(range(len(found)))
    files.close()
    assert sorted(os.listdir(tmp_path / "new")) == [
        "20261130-door-000000.0s.json",
        "20261130-door-000000.0s.npy",
    ]
    found = np.load(tmp_path / "new/20261130-door-000000.0s.npy")
    assert (found.shape, found.dtype) == ((100, 8), np.float32)
    about = json.loads((tmp_path / "new/20261130-door-000000.0s.json").read_text())
    assert about["files"] == [
        {"file": "20261130-door-000000.0s.npy", "streams": ["rgb", "flow"], "shape": [100, 8]}
    ]
    assert (about["start_s"][1], about["end_s"][1], about["source"]) == (0.32, 0.96, "door")


@pytest.mark.parametrize("rows", [0, 7, 123456789])
def test_the_head_of_a_file_is_numpys_and_of_one_length(rows: int, tmp_path: Path) -> None:
    assert len(header(rows, 2048)) == module.HEADER_BYTES
    path = tmp_path / "a.npy"
    path.write_bytes(header(rows, 2048))
    with open(path, "rb") as file:
        assert np.lib.format.read_magic(file) == (1, 0)
        assert np.lib.format.read_array_header_1_0(file) == ((rows, 2048), False, np.dtype("<f4"))
        assert file.tell() == module.HEADER_BYTES


def test_a_write_that_is_cut_off_leaves_the_rows_before_it(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    for number in range(32):
        files.push(row(number))
    (path,) = tmp_path.glob("*.npy")
    with open(path, "ab") as file:
        file.write(b"half a row")
    assert np.load(path).shape == (32, 8)
    for number in range(32, 40):
        files.push(row(number))
    files.close()
    assert np.load(path)[:, 0].tolist() == list(range(40))


def test_a_stream_that_rests_has_no_numbers(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    files.push(row(0))
    files.push(row(1, ("rgb",)))
    files.close()
    (path,) = tmp_path.glob("*.npy")
    found = np.load(path)
    assert np.isnan(found).tolist() == [[False] * 8, [False] * 4 + [True] * 4]


def test_each_hour_has_a_file(tmp_path: Path) -> None:
    """Here each ten seconds."""
    files = files_in(tmp_path, 10.0)
    for number in range(80):
        files.push(row(number))
    files.close()
    lengths = {path.name: len(np.load(path)) for path in sorted(tmp_path.glob("*.npy"))}
    assert lengths == {
        "20261130-door-000000.0s.npy": 30, "20261130-door-000009.6s.npy": 30, "20261130-door-000019.2s.npy": 20,
    }  # fmt: skip


def test_what_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    with pytest.raises(OutputError, match=r"cannot write .*taken: .* name another --features"):
        files_in(tmp_path / "taken")
    files = files_in(tmp_path)
    (tmp_path / "20261130-door-000000.0s.npy").write_text("of somebody else")
    files.push(row(0))
    with pytest.raises(OutputError, match="File exists"):
        files.close()
    assert (tmp_path / "20261130-door-000000.0s.npy").read_text() == "of somebody else"


def test_a_source_that_is_watched_has_the_features_of_the_file(tmp_path: Path) -> None:
    """Position by position what `i3d-live features` gives, through the recogniser and the files."""
    engines = {"rgb": small_engine(TENSORS, "continual")}
    recognizer = Recognizer(engines, smooth=3)
    recognizer.features.wanted = True
    files = feature_files(tmp_path, "a-", "a.mp4", recognizer.features.engines)
    sink = WithFeatures(files, recognizer.features.take)
    video = pictures(150)
    for frame in video:
        recognizer.push(frame)
        sink.push(frame)
    recognizer.flush()
    sink.close()
    wanted = extract(video, FeatureRows(engines, PRESETS["dense"]))
    np.testing.assert_allclose(
        np.load(tmp_path / "a-000000.0s.npy"), wanted.by_stream["rgb"][:, 0], rtol=0, atol=1e-6
    )
    about = json.loads((tmp_path / "a-000000.0s.json").read_text())
    assert about["start_s"] == [float(start) for start, _ in wanted.spans]
    assert about["end_s"] == [float(Fraction(end)) for _, end in wanted.spans]
    assert about["settings"]["weights_sha256"] == {"rgb": "0" * 64}


def test_provisional_predictions_have_no_rows() -> None:
    """In `preview` mode the rows are those of `continual` mode."""
    rows = []
    for mode in ("preview", "continual"):
        recognizer = Recognizer({"rgb": small_engine(TENSORS, mode)})
        recognizer.features.wanted = True
        for frame in pictures(120):
            recognizer.push(frame)
        recognizer.flush()
        rows.append(recognizer.features.take())
    assert [row.start_s for row in rows[0]] == [row.start_s for row in rows[1]]
    for one, other in zip(*rows, strict=True):
        np.testing.assert_allclose(one.by_stream["rgb"], other.by_stream["rgb"], rtol=0, atol=1e-5)


def test_nothing_is_kept_unless_somebody_asked() -> None:
    recognizer = Recognizer({"rgb": small_engine(TENSORS, "continual")})
    for frame in pictures(100):
        recognizer.push(frame)
    recognizer.flush()
    assert recognizer.features.take() == []
