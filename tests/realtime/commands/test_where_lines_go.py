"""What goes to stdout, and which file names are accepted."""

from pathlib import Path

import pytest

from realtime.commands.sinks import TimelinePicture
from realtime.commands.terminal import Terminal
from realtime.errors import OutputError


def test_readable_lines_go_to_stdout_even_into_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    with Terminal(None) as terminal:
        terminal.write({"kind": "gap", "start_s": 1.0, "end_s": 3.0, "cause": "no frames"})
        terminal.progress(3.0)
    out, err = capsys.readouterr()
    assert "since 1.00 s: no frames" in out
    assert err == ""


def test_a_rest_is_a_line_that_says_since_when(capsys: pytest.CaptureFixture[str]) -> None:
    with Terminal(None) as terminal:
        terminal.write({"kind": "idle", "resting": True, "since_s": 7.0, "at_s": 37.0})
        terminal.write({"kind": "idle", "resting": False, "since_s": 97.48, "at_s": 100.0})
    rest, work = capsys.readouterr().out.splitlines()
    assert rest == "   37.00 s  idle nothing has moved since 7.00 s; resting"
    assert work == "  100.00 s  working again from 97.48 s on"


@pytest.mark.parametrize("name", ["t.jpg", "t.jpeg", "t.svg", "t.pdf", "t"])
def test_a_timeline_is_a_png(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match=r"a timeline is written as \.png; name it so"):
        TimelinePicture(tmp_path / name, ("a",), "", "")
    TimelinePicture(tmp_path / "T.PNG", ("a",), "", "")
