"""A full disk: whichever output it stops, the others get their lines, and the summary names the disk."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from realtime.commands.outputs import together
from realtime.errors import OutputError
from realtime.outputs.log import Line, Log
from realtime.outputs.why import why
from realtime.recognizer import Recognizer
from realtime.session import Session
from realtime.turns import run_sessions
from tests.realtime.outputs.test_event_clips import numbered
from tests.realtime.test_many import Made
from tests.support.doubles import SawTicks


class Full:
    """A sink on a full disk."""

    def __init__(self, when: str) -> None:
        self.when, self.closed = when, False

    def push(self, item: Any) -> None:
        self._write("push")

    def close(self) -> None:
        self.closed = True
        self._write("close")

    def _write(self, now: str) -> None:
        if now == self.when:
            raise OutputError(f"cannot write out.mp4: {why(OSError(28, 'No space left on device'), '/')}")


def run(sinks: list[Full], write: Any) -> None:
    recognizer = Recognizer({"rgb": SawTicks()}, stride_ticks=8)
    run_sessions([Session(Made(numbered(80)), recognizer, write=write, sinks=sinks)])  # type: ignore[arg-type]


@pytest.mark.parametrize("when", ["push", "close"])
def test_a_full_disk_under_a_sink_is_named_in_the_summary(when: str) -> None:
    lines: list[Line] = []
    sinks = [Full(when), Full("never")]
    with pytest.raises(OutputError, match="out"):
        run(sinks, lines.append)
    assert all(sink.closed for sink in sinks)
    assert lines[-1]["kind"] == "summary"
    assert lines[-1]["ended"] == "cannot write out.mp4: No space left on device: the disk at / is full"


@pytest.mark.parametrize("place", [0, 1])
def test_a_full_disk_under_the_log_is_named_in_the_summary(place: int) -> None:
    lines: list[Line] = []
    writers = [lines.append]
    log = Log("/dev/full")
    writers.insert(place, log.write)
    with pytest.raises(OutputError, match="/dev/full"):
        run([Full("never")], together(writers))
    with suppress(OutputError):
        log.close()
    assert lines[-1]["kind"] == "summary"
    assert "No space left on device: the disk at /dev is full" in lines[-1]["ended"]


def test_other_reasons_name_no_disk(tmp_path: Path) -> None:
    assert why(PermissionError(13, "Permission denied"), tmp_path) == "Permission denied"
    assert why(ValueError("embedded null byte"), "a") == "embedded null byte"
