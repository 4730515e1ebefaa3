"""What can go wrong, as the user meets it.

    I3DLiveError            anything this project raises on purpose; the command line prints its one line
    ├── UsageError          what was asked for cannot be (exit code 2)
    ├── SourceError         a video, camera or address cannot be opened or read
    │   └── SourceLost      a live source stopped giving frames; connecting again may help
    ├── OutputError         a log, picture or video cannot be written
    └── EngineError         from `engines`: an engine cannot be built or run here
        ├── WeightsError    weights are missing, damaged or of the wrong shape
        └── NotFetched      an asset could not be downloaded

Every message says what was given, what is allowed, and what to do.
"""

from engines.errors import (
    EngineError,
    I3DLiveError,
    NotFetched,
    UsageError,
    WeightsError,
    one_line,
    reason_of,
)

__all__ = [
    "EngineError",
    "I3DLiveError",
    "NotFetched",
    "OutputError",
    "SourceError",
    "SourceLost",
    "UsageError",
    "WeightsError",
    "one_line",
    "reason_of",
]


class SourceError(I3DLiveError):
    """A video, camera or address cannot be opened or read."""


class SourceLost(SourceError):
    """A live source stopped giving frames; connecting again may help."""


class OutputError(I3DLiveError):
    """A log, picture or video cannot be written."""
