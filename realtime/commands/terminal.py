"""What a person sees while a source runs: a line whenever the leading action changes, and how far it has come."""

import sys

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from realtime.sinks.log import Line
from realtime.source import Video

BAR_WIDTH = 20


class Terminal:
    """A context manager. Without a terminal on stderr it shows no progress; lines go to stdout where they are asked for."""

    def __init__(self, video: Video) -> None:
        self._console = Console(stderr=not sys.stdout.isatty(), highlight=False)
        self._progress = Progress(
            TextColumn("[dim]{task.fields[media]}"),
            BarColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._progress.add_task("", total=video.duration_s, media="starting")
        self._label: str | None = None

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
            self._progress.console.print(text, soft_wrap=not self._console.is_terminal)

    def _session(self, line: Line) -> str:
        return f"[bold]{line['source']}[/]\n[dim]{line['note']}[/]"

    def _prediction(self, line: Line) -> str:
        if line["label"] == self._label:
            return ""
        self._label = line["label"]
        filled = round(line["probability"] * BAR_WIDTH)
        bar = f"[green]{'━' * filled}[/][dim]{'─' * (BAR_WIDTH - filled)}[/]"
        style = "bold" if line["settled"] else "italic"
        return f"{line['end_s']:8.2f} s  {bar} {line['probability']:4.2f}  [{style}]{line['label']}[/]"

    def _event(self, line: Line) -> str:
        span = f"{line['start_s']:.2f} to {line['end_s']:.2f} s"
        return f"            [cyan]event[/] {line['label']}, {span}, {line['probability']:.2f}"

    def _gap(self, line: Line) -> str:
        return f"{line['end_s']:8.2f} s  [yellow]gap[/] since {line['start_s']:.2f} s: {line['cause']}"

    def _summary(self, line: Line) -> str:
        frames = line["frames"]
        speed = line["media_s"] / line["wall_s"] if line["wall_s"] else 0.0
        dropped = sum(count for cause, count in frames["dropped"].items() if cause == "late")
        return (
            f"[dim]{line['media_s']:.1f} s of video in {line['wall_s']:.1f} s ({speed:.1f} x real time), "
            f"{frames['decoded']} frames, {dropped} dropped, {line['predictions']} answers, {line['events']} events[/]"
        )
