"""The command line in this process: run with doubles, or only parsed."""

import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.exceptions import Exit

from engines.load import Bulk, Engines, Trunks
from engines.weights.store import Model, find_model
from realtime import cli
from realtime.commands.options import ModelOptions
from realtime.commands.prepare import Prepare

Invoke = Callable[..., tuple[int, str, str]]
"""Arguments -> exit code, stdout, stderr."""


class Stored(Prepare):
    """Takes only what is stored: nothing is fetched."""

    def model(self, name: str | None, streams: str) -> Model:
        return find_model(name or "kinetics")

    def named(self, name: str, streams: str) -> Model:
        return find_model(name)


class Doubles(Stored):
    """Gives the same engines, whichever are asked for."""

    def __init__(self, engines: Engines) -> None:
        self.made = engines
        self.asked: list[str | None] = []
        """The models that engines were asked for."""

    def engines(
        self,
        options: ModelOptions,
        model: Model | None = None,
        *,
        concurrent: bool = False,
        trunks: Trunks | None = None,
        bulk: Bulk | None = None,
        threads: int = 1,
    ) -> Engines:
        self.asked.append(options.model)
        return self.made


def invoke_with(capsys: pytest.CaptureFixture[str], prepare: Prepare | None = None) -> Invoke:
    """The real command line, except for what it prepares; pytest keeps its own handler of Ctrl-C."""

    def invoke(*arguments: str | Path) -> tuple[int, str, str]:
        before = signal.getsignal(signal.SIGINT)
        try:
            with pytest.raises(SystemExit) as exit_:
                cli.main([*map(str, arguments)], prepare)
        finally:
            signal.signal(signal.SIGINT, before)
        captured = capsys.readouterr()
        return int(exit_.value.code or 0), captured.out, captured.err

    return invoke


def understood(arguments: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Name of the verb and its options, as `i3d-live` parses them; raises TyperException for what it would refuse.

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
