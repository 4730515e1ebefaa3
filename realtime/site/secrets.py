"""Secrets of a site file, from the environment or from separate files. No message here reveals one."""

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from engines.text_files import read_text
from realtime.errors import UsageError, reason_of

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_USER = re.compile(r"([a-z][a-z0-9+.-]*://)([^/:@?#]+)(@.*)", re.IGNORECASE | re.DOTALL)


def filled(text: str, environment: Mapping[str, str]) -> str:
    """`text` with the environment's value in place of each `${NAME}`. Raises UsageError if one is not set."""

    def value(match: re.Match[str]) -> str:
        if match[1] not in environment:
            raise UsageError(f"the environment variable {match[1]} is not set; set it before the start")
        return environment[match[1]]

    return _VARIABLE.sub(value, text)


def secret_of(path: Path) -> str:
    """The first line of a file. Raises UsageError for one that cannot be read or begins with an empty line."""
    try:
        lines = read_text(path).splitlines()
    except (OSError, ValueError) as error:
        reason = reason_of(error)
        raise UsageError(f"cannot read {path}: {reason}; name a text file") from error
    if not lines or not lines[0].strip():
        raise UsageError(f"{path} begins with an empty line; write the secret there, and nothing else")
    return lines[0].strip()


def with_password(address: str, password: str) -> str:
    """rtsp://user@host -> rtsp://user:password@host, with the password escaped. Raises UsageError without a user."""
    match = _USER.fullmatch(address)
    if match is None:
        raise UsageError(
            "a password goes with a user name alone before the host; give address as in rtsp://user@camera/stream"
        )
    return f"{match[1]}{match[2]}:{quote(password, safe='')}{match[3]}"
