"""Rows of text as a table."""

from collections.abc import Mapping, Sequence


def print_table(rows: Sequence[Mapping[str, str]]) -> None:
    """Print rows with the same columns, title -> text, on stdout; not wrapped unless that is a terminal."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not rows:
        return
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=1000)
    table = Table(box=None, pad_edge=False)
    for title in rows[0]:
        table.add_column(Text(title))
    for row in rows:
        table.add_row(*map(Text, row.values()))
    console.print(table)
