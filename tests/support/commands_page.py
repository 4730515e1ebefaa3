"""docs/commands.md: the help of every verb, as the program prints it.

python -m tests.support.commands_page      writes the page
"""

from collections.abc import Iterator
from typing import Any

import typer.main

from realtime import cli
from tests.conftest import ROOT

PAGE = ROOT / "docs" / "commands.md"
WIDTH = 100
HEAD = """# Commands

`i3d-live --help` and `i3d-live VERB --help` print this. `i3d-live --install-completion` makes the shell complete verbs,
options and their values. This page is written by `python -m tests.support.commands_page`.

Exit codes: 0 done, 1 the data or the machine did not allow it, 2 the call was wrong, 130 Ctrl-C. An error is one line
on stderr; only data goes to stdout.
"""


def helps(command: Any, path: str) -> Iterator[tuple[str, str]]:
    """Path and help of a command and of every command below it."""
    context = command.make_context(
        path, [], terminal_width=WIDTH, max_content_width=WIDTH, resilient_parsing=True
    )
    yield path, command.get_help(context)
    for name, below in getattr(command, "commands", {}).items():
        yield from helps(below, f"{path} {name}")


def page() -> str:
    parts = [HEAD]
    for path, text in helps(typer.main.get_command(cli.app), "i3d-live"):
        body = "\n".join(line.rstrip() for line in text.splitlines())
        parts.append(f"\n## {path}\n\n```text\n{body}\n```\n")
    return "".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
