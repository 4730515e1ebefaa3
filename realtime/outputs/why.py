"""Why a file cannot be written."""

import errno
import os
from pathlib import Path

from realtime.errors import reason_of


def why(error: BaseException, path: Path | str) -> str:
    """The system's reason, and of a full disk which one it is."""
    reason = reason_of(error)
    if getattr(error, "errno", None) not in (errno.ENOSPC, errno.EDQUOT):
        return reason
    return f"{reason}: the disk at {_mounted_at(path)} is full"


def _mounted_at(path: Path | str) -> str:
    place = os.path.realpath(path)
    while not os.path.ismount(place) and place != os.path.dirname(place):
        place = os.path.dirname(place)
    return place
