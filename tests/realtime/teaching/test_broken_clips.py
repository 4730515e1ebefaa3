"""Clips that cannot be read, among those of a lesson."""

from pathlib import Path

import pytest

from realtime.teaching.clip_features import find_examples


@pytest.mark.parametrize("content", [b"", b"no video", bytes(5000)])
def test_files_that_cannot_be_read_are_not_the_same_video(tmp_path: Path, content: bytes) -> None:
    for name in ("left", "right"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "broken.mp4").write_bytes(content)
        (tmp_path / name / "again.mp4").write_bytes(content)
    _, examples = find_examples(tmp_path)
    assert {example.label for example in examples} == {0, 1}
