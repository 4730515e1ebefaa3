"""Progress of slow work, on stderr and on a terminal only. Without markup, as its description may contain user
input."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from engines.cache_folder import Progress

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import ProgressColumn


@contextmanager
def waiting(what: str, console: "Console | None" = None) -> Iterator[None]:
    """A spinner."""
    from rich.console import Console
    from rich.text import Text

    console = console or Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(Text(what)):
        yield


@contextmanager
def telling(console: "Console | None" = None) -> Iterator[Progress]:
    """One bar for consecutive steps; yields the callback for the work."""
    from rich.progress import MofNCompleteColumn, TimeRemainingColumn

    with _bars(console, MofNCompleteColumn(), TimeRemainingColumn()) as bars:
        task = bars.add_task("", total=None)

        def tell(what: str, done: int, total: int | None) -> None:
            bars.update(task, description=what, completed=done, total=total)

        yield tell


@contextmanager
def fetching(console: "Console | None" = None) -> Iterator[Progress]:
    """A bar for each file; yields the callback for the fetching functions."""
    from rich.progress import DownloadColumn, TransferSpeedColumn

    with _bars(console, DownloadColumn(), TransferSpeedColumn()) as bars:
        tasks = {}

        def progress(what: str, done: int, total: int | None) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)

        yield progress


def _bars(console: "Console | None", *columns: "ProgressColumn") -> "Bars":
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bars

    console = console or Console(stderr=True)
    shown = (TextColumn("{task.description}", markup=False), BarColumn(), *columns)
    return Bars(*shown, console=console, transient=True, disable=not console.is_terminal)
