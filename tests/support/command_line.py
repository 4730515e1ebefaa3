"""The command line in this process, and what a documented command would do, found out without doing it."""

import signal
import sys
from collections.abc import Sequence
from typing import Any

import typer.main
from typer.exceptions import Exit

from realtime import cli


def understood(arguments: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Name of the verb and its options, as `i3d-live` reads them; raises TyperException for what it would refuse.

    Nothing is run; with --help or --version the options are empty.
    """
    command: Any = typer.main.get_command(cli.app)
    rest, context, name = list(arguments), None, "i3d-live"
    try:
        while True:
            context = command.make_context(name, rest, parent=context)
            if not hasattr(command, "resolve_command"):
                return name, dict(context.params)
            name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
    except Exit:
        return name, {}


def typed(*arguments: str) -> int:
    """Run `i3d-live` with these arguments to its end, in this process; the exit code. Ctrl-C means afterwards what it did."""
    before, interrupt = sys.argv, signal.getsignal(signal.SIGINT)
    sys.argv = ["i3d-live", *arguments]
    try:
        cli.main()
    except SystemExit as exit_:
        return int(exit_.code or 0)
    finally:
        sys.argv = before
        signal.signal(signal.SIGINT, interrupt)
    raise AssertionError("it always exits")
