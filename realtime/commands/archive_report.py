"""What people see of work on many videos: a bar, a line for each, and what failed in the end."""

import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from realtime.errors import one_line
from realtime.features.archive import Done

if TYPE_CHECKING:
    from rich.console import Console


def summary(done: Sequence[Done], out: str, wall_s: float) -> None:
    """What became of the videos, on stderr. Exits with 1 if there are some without features."""
    made = [one for one in done if one.error is None and not one.was_there]
    failed = sorted((one for one in done if one.error is not None), key=lambda one: one.target.source)
    media_s = sum(one.media_s for one in made)
    rate_text = f", {media_s / wall_s:.1f} times as fast as they play" if made and wall_s else ""
    print(
        f"{len(made)} of {len(done)} videos: {sum(one.rows for one in made)} rows from {media_s:.0f} s of video in "
        f"{wall_s:.0f} s{rate_text}; in {out}",
        file=sys.stderr,
    )
    if there := sum(one.was_there for one in done):
        print(f"{there} were there already, or made by another run", file=sys.stderr)
    if left := [one for one in made if one.left_over_ticks]:
        ticks = sum(one.left_over_ticks for one in left)
        print(f"{ticks} ticks of {len(left)} videos are in no row, as they fill no clip", file=sys.stderr)
    if failed:
        print(f"{len(failed)} failed:", file=sys.stderr)
        for one in failed:
            print(f"  {one_line(one.error or '')}", file=sys.stderr)
        raise typer.Exit(1)


class Progress:
    """On a terminal, a bar with the rate and the time left; else a line for each video that is done."""

    def __init__(self, count: int, console: "Console | None" = None) -> None:
        """`console`: by default on stderr."""
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        self._console = console or Console(stderr=True, highlight=False)
        self._bars = Bars(
            MofNCompleteColumn(),
            TextColumn("videos"),
            BarColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._bars.add_task("", total=count, rate="")
        self._lock = threading.Lock()
        self._count, self._done, self._media_s = count, 0, 0.0
        self._begun_s = time.monotonic()

    def __enter__(self) -> "Progress":
        self._bars.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bars.stop()

    @property
    def completed(self) -> float:
        """Videos, and parts of them."""
        return self._bars.tasks[0].completed

    def advance(self, seconds: float, share: float) -> None:
        with self._lock:
            self._media_s += seconds
            wall_s = time.monotonic() - self._begun_s
            self._bars.advance(self._task, share)
            self._bars.update(
                self._task, rate=f"{self._media_s / max(wall_s, 0.1):.1f} times as fast as it plays"
            )

    def done(self, done: Done) -> None:
        from rich.text import Text

        with self._lock:
            self._done += 1
            self._bars.advance(self._task, 1 - done.share)
            if done.was_there:
                return
            name = Path(done.target.source).name
            line = (
                f"{self._done}/{self._count} {name}: {done.rows} rows" if done.error is None else done.error
            )
            style = "" if done.error is None else "red"
            self._console.print(Text(one_line(line), style), soft_wrap=True)
