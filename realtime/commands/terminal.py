"""Readable output while a source runs: a line whenever the leading action changes, and progress.

Everything is a `Text` without rich's markup: labels, names and messages are user input, and `jump [left]` must stay
intact.
"""

import os
import sys

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from realtime.outputs.log import Line

BAR_WIDTH = 20
STANDING = "where the picture simply stands (screen recording, time-lapse), raise --max-gap"
"""What a gap without frames may be."""


class Terminal:
    """A context manager. Without a terminal on stderr it shows no progress; lines go to stdout if asked for."""

    def __init__(self, total_s: float | None, console: Console | None = None) -> None:
        """`total_s`: length of the source, where it has one. `console`: for all; by default lines go to stdout, and so
        does progress if that is a terminal, else to stderr."""
        self._console = console or Console(stderr=not sys.stdout.isatty(), highlight=False)
        # On a terminal both are one, so that a line is printed above the bar.
        self._lines = Console(highlight=False) if self._console.stderr else self._console
        self._progress = Progress(
            TextColumn("[dim]{task.fields[media]}"),
            BarColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._progress.add_task("", total=total_s, media="starting")
        self._labels: dict[tuple[str, str], str] = {}

    def __enter__(self) -> "Terminal":
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def progress(self, media_s: float) -> None:
        """`media_s` seconds of the source are done."""
        self._progress.update(self._task, completed=media_s, media=f"{media_s:.1f} s of video")

    def write(self, line: Line) -> None:
        """Print the lines of the log that are for people."""
        text = getattr(self, f"_{line['kind']}")(line)
        if text:
            for part in ("zone", "name"):
                text = Text.assemble((line[part], "bold"), " ", text) if part in line else text
            self._lines.print(text, soft_wrap=not self._lines.is_terminal)

    def _session(self, line: Line) -> Text:
        home = os.path.expanduser("~")  # "~" itself where there is none
        source = line["source"].replace(home, "~", 1)
        return Text.assemble((source, "bold"), "\n", (line["note"], "dim"))

    def _prediction(self, line: Line) -> Text | None:
        name = line.get("name", ""), line.get("zone", "")
        if line["label"] == self._labels.get(name):
            return None
        self._labels[name] = line["label"]
        filled = round(line["probability"] * BAR_WIDTH)
        bar = ("━" * filled, "green"), ("─" * (BAR_WIDTH - filled), "dim")
        label = line["label"], "bold" if line["settled"] else "italic"
        return Text.assemble(f"{line['end_s']:8.2f} s  ", *bar, f" {line['probability']:4.2f}  ", label)

    def _event(self, line: Line) -> Text:
        span = f"{line['start_s']:.2f} to {line['end_s']:.2f} s"
        which = f" {line['id']}" if "id" in line else ""
        return Text.assemble(
            " " * 12, ("event", "cyan"), f"{which} {line['label']}, {span}, {line['probability']:.2f}"
        )

    def _gap(self, line: Line) -> Text:
        hint = f"; {STANDING}" if line["cause"] == "no frames" else ""
        return _noted(line["end_s"], "gap", f"since {line['start_s']:.2f} s: {line['cause']}{hint}")

    def _idle(self, line: Line) -> Text:
        if line["resting"]:
            return _noted(line["at_s"], "idle", f"nothing has moved since {line['since_s']:.2f} s; resting")
        return _noted(line["at_s"], "working again", f"from {line['since_s']:.2f} s on", "green")

    def _level(self, line: Line) -> Text:
        change = f"late by {line['lag_s']:.1f} s" if line["steps_down"] else "in time again"
        return _noted(line["at_s"], "level", f"{line['level']} ({change})")

    def _connection(self, line: Line) -> Text:
        if line["up"]:
            return _noted(line["at_s"], "connected", colour="green")
        return _noted(line["at_s"], "not connected", line["reason"])

    def _summary(self, line: Line) -> Text:
        frames = line["frames"]
        speed = line["media_s"] / line["wall_s"] if line["wall_s"] else 0.0
        dropped = sum(count for cause, count in frames["dropped"].items() if cause == "late")
        return Text(
            f"{line['media_s']:.1f} s of video in {line['wall_s']:.1f} s ({speed:.1f} x real time), "
            f"{counted(frames['decoded'], 'frame')}, {dropped} dropped, "
            f"{counted(line['predictions'], 'prediction')}, {counted(line['events'], 'event')}",
            "dim",
        )


def counted(number: int, what: str) -> str:
    """ "1 event", "2 events"."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _noted(at_s: float, what: str, more: str = "", colour: str = "yellow") -> Text:
    return Text.assemble(f"{at_s:8.2f} s  ", (what, colour), f" {more}" if more else "")
