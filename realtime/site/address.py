"""Turns the table of a camera into its address, secrets included."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from realtime.errors import UsageError
from realtime.site.secrets import filled, secret_of, with_password
from realtime.sources.address import masked

_NO_PATH = re.compile(r"-|webcam:.*|[a-z][a-z0-9+.-]*://.*", re.IGNORECASE | re.DOTALL)


def address_of(camera: Mapping[str, Any], folder: Path, environment: Mapping[str, str]) -> str:
    """What to open. May hold a password: never show it. `folder`: the site file's, to which its paths are relative.

    Raises UsageError for an address that is missing or given twice, and for a secret that does not exist.
    """
    if ("address" in camera) == ("address_file" in camera):
        raise UsageError("one address to a camera; give either address or address_file")
    if "address" in camera:
        address = filled(camera["address"], environment)
    else:
        address = secret_of(folder / camera["address_file"])
    if "password_file" in camera:
        address = with_password(address, secret_of(folder / camera["password_file"]))
    return address if _NO_PATH.fullmatch(address) else str(folder / address)


def names_a_secret(address: str) -> bool:
    """Whether the address contains a secret, which must not be shown."""
    return masked(address) != address
