"""The options of the page's server, and the password that it asks for."""

import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from engines.text_files import read_text
from realtime.errors import UsageError, reason_of
from realtime.view.access import is_local

PASSWORD_VARIABLE = "I3D_LIVE_PASSWORD"
SHORTEST_PASSWORD = 8


@dataclass(frozen=True)
class ServerOptions:
    """Where the page is served, its password, and whether it records."""

    host: Annotated[
        str, typer.Option(help="Address to listen on. Any but this machine's own requires a password.")
    ] = "127.0.0.1"
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes any free one.")] = 7860
    password_file: Annotated[
        Path | None,
        typer.Option(
            help=f"Take the password from this file; else from {PASSWORD_VARIABLE}, else you are asked."
        ),
    ] = None
    record: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Let the page record clips of actions here, to teach them."),
    ] = None

    def password(self) -> str | None:
        """See `find_password`."""
        return find_password(self.password_file, needed_for=None if is_local(self.host) else self.host)


def find_password(file: Path | None, *, needed_for: str | None) -> str | None:
    """The password from the file, the environment or the terminal; None if none is needed and none is given.

    Never from an argument, which every user of the machine can see. Raises UsageError if one is missing or too short.
    """
    password = None
    if file is not None:
        try:
            password = read_text(file).strip()
        except (OSError, ValueError) as error:
            why = reason_of(error)
            raise UsageError(f"cannot read the password file {file}: {why}; name a text file") from error
    elif PASSWORD_VARIABLE in os.environ:
        password = os.environ[PASSWORD_VARIABLE]
    elif needed_for is not None and sys.stdin.isatty():
        print(
            f"{needed_for} can be reached from other machines, so the page needs a password.", file=sys.stderr
        )
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    elif needed_for is not None:
        raise UsageError(
            f"--host {needed_for} can be reached from other machines, so the page needs a password; give "
            f"--password-file FILE or set {PASSWORD_VARIABLE}, or start it on a terminal and be asked"
        )
    if password is not None and len(password) < SHORTEST_PASSWORD:
        raise UsageError(f"the password has {len(password)} characters; take at least {SHORTEST_PASSWORD}")
    return password


def shown_address(host: str, port: int) -> str:
    """The address to type into a browser."""
    if host in ("0.0.0.0", "::", ""):
        host = socket.gethostname()
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"
