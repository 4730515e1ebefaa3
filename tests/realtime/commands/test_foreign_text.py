"""Labels, names and messages from elsewhere are printed unchanged, wherever a terminal shows them."""

import io

import pytest
from rich.console import Console
from rich.text import Text

from realtime.commands.classify import Answer, TableReport
from realtime.commands.progress import fetching, telling, waiting
from realtime.commands.tables import print_table
from realtime.commands.terminal import Terminal

FOREIGN = ("jump [left]", "[/x]", "[bold]", "a\\[b", "ends in \\", ":smile:", "[link=x]y[/]")
LINES = [
    {"kind": "session", "source": "{}.mp4", "note": "note {}"},
    {"kind": "prediction", "label": "{}", "end_s": 1.0, "probability": 0.5, "settled": True},
    {"kind": "prediction", "label": "{}", "end_s": 1.0, "probability": 0.0, "settled": False, "name": "{}!"},
    {"kind": "event", "label": "{}", "start_s": 1.0, "end_s": 2.0, "probability": 0.5},
    {"kind": "gap", "start_s": 1.0, "end_s": 2.0, "cause": "{}"},
    {"kind": "level", "at_s": 1.0, "level": "{}", "lag_s": 1.0, "steps_down": 1},
    {"kind": "connection", "at_s": 1.0, "up": False, "reason": "{}"},
]

each = pytest.mark.parametrize("foreign", FOREIGN)


def console() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=200, highlight=False)


def shown(on: Console) -> str:
    """What a person reads, without colours."""
    assert isinstance(on.file, io.StringIO)
    return Text.from_ansi(on.file.getvalue()).plain


@each
@pytest.mark.parametrize("line", LINES, ids=lambda line: line["kind"])
def test_a_readable_line_shows_foreign_text_unchanged(line: dict[str, object], foreign: str) -> None:
    given = {
        key: text.format(foreign) if isinstance(text, str) and "{}" in text else text
        for key, text in line.items()
    }
    on = console()
    Terminal(None, on).write(given)
    texts = [given[key] for key, text in line.items() if isinstance(text, str) and "{}" in text]
    assert texts
    assert all(str(text) in shown(on) for text in texts)


@each
def test_progress_shows_foreign_text_unchanged(foreign: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")  # without one, rich draws no progress
    for show in (telling, fetching):
        on = console()
        with show(on) as tell:
            tell(foreign, 1, 2)
        assert foreign in shown(on)
    on = console()
    with waiting(foreign, on):
        pass
    assert foreign in shown(on)


@each
def test_a_table_of_classified_files_shows_foreign_text_unchanged(foreign: str) -> None:
    on = console()
    others = ((f"{foreign} 2", 0.0, 0.2), (f"{foreign} 3", 0.0, 0.1))
    with TableReport(2, on) as report:
        report.add(Answer(f"folder/{foreign}.mp4", 1.0, "weights", ((f"{foreign} 1", 1.0, 0.7), *others)))
        report.failed(f"cannot read {foreign}")
    name = f"{foreign}.mp4".rsplit("/")[-1]
    for text in (name, f"{foreign} 1", f"{foreign} 2 0.20, {foreign} 3 0.10", f"cannot read {foreign}"):
        assert text in shown(on)


@each
def test_a_table_of_rows_shows_foreign_text_unchanged(
    foreign: str, capsys: pytest.CaptureFixture[str]
) -> None:
    print_table([{foreign: f"{foreign} 1"}])
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == [foreign, f"{foreign} 1"]
