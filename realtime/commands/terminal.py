"""What a person sees while a source runs: a line whenever the leading action changes, and how far it has come."""

import sys
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from realtime.outputs.log import Line

BAR_WIDTH = 20


class Terminal:
    """A context manager. Without a terminal on stderr it shows no progress; lines go to stdout where they are asked for."""

    def __init__(self, total_s: float | None) -> None:
        """`total_s`: length of the source, where it has one."""
        self._console = Console(stderr=not sys.stdout.isatty(), highlight=False)
        self._progress = Progress(
            TextColumn("[dim]{task.fields[media]}"),
            BarColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._progress.add_task("", total=total_s, media="starting")
        self._labels: dict[str, str] = {}

    def __enter__(self) -> "Terminal":
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def progress(self, media_s: float) -> None:
        """So many seconds of the source are done."""
        self._progress.update(self._task, completed=media_s, media=f"{media_s:.1f} s of video")

    def write(self, line: Line) -> None:
        """Print the lines of the log that a person wants to read."""
        text = getattr(self, f"_{line['kind']}")(line)
        if text:
            text = f"[bold]{escape(line['name'])}[/] {text}" if "name" in line else text
            self._progress.console.print(text, soft_wrap=not self._console.is_terminal)

    def _session(self, line: Line) -> str:
        source = line["source"].replace(str(Path.home()), "~", 1)
        return f"[bold]{escape(source)}[/]\n[dim]{escape(line['note'])}[/]"

    def _prediction(self, line: Line) -> str:
        name = line.get("name", "")
        if line["label"] == self._labels.get(name):
            return ""
        self._labels[name] = line["label"]
        filled = round(line["probability"] * BAR_WIDTH)
        bar = f"[green]{'━' * filled}[/][dim]{'─' * (BAR_WIDTH - filled)}[/]"
        style = "bold" if line["settled"] else "italic"
        return f"{line['end_s']:8.2f} s  {bar} {line['probability']:4.2f}  [{style}]{line['label']}[/]"

    def _event(self, line: Line) -> str:
        span = f"{line['start_s']:.2f} to {line['end_s']:.2f} s"
        return f"            [cyan]event[/] {line['label']}, {span}, {line['probability']:.2f}"

    def _gap(self, line: Line) -> str:
        return f"{line['end_s']:8.2f} s  [yellow]gap[/] since {line['start_s']:.2f} s: {line['cause']}"

    def _level(self, line: Line) -> str:
        change = f"late by {line['lag_s']:.1f} s" if line["steps_down"] else "in time again"
        return f"{line['at_s']:8.2f} s  [yellow]level[/] {line['level']} ({change})"

    def _connection(self, line: Line) -> str:
        if line["up"]:
            return f"{line['at_s']:8.2f} s  [green]connected[/]"
        return f"{line['at_s']:8.2f} s  [yellow]not connected[/] {escape(line['reason'])}"

    def _summary(self, line: Line) -> str:
        frames = line["frames"]
        speed = line["media_s"] / line["wall_s"] if line["wall_s"] else 0.0
        dropped = sum(count for cause, count in frames["dropped"].items() if cause == "late")
        return (
            f"[dim]{line['media_s']:.1f} s of video in {line['wall_s']:.1f} s ({speed:.1f} x real time), "
            f"{frames['decoded']} frames, {dropped} dropped, {line['predictions']} answers, {line['events']} events[/]"
        )
