"""The errors of `engines`. `realtime.errors` shows the whole tree."""


def one_line(text: str) -> str:
    """With escapes for what cannot be printed: line feeds, and the bytes of names in no known encoding."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def reason_of(error: BaseException) -> str:
    """What the system or a reader says of a failure, without the path and the number that `str` of it has."""
    return getattr(error, "strerror", None) or str(error)


class I3DLiveError(Exception):
    """Base of all errors raised on purpose: one line that says what was given, what is allowed, what to do."""

    exit_code = 1

    def __init__(self, message: str = "") -> None:
        super().__init__(one_line(message))


class UsageError(I3DLiveError):
    """The request is invalid."""

    exit_code = 2


class EngineError(I3DLiveError):
    """An engine cannot be built or run here."""


class NoClip(EngineError):
    """An engine cannot be built without a real clip to calibrate it on."""


class WeightsError(EngineError):
    """Weights are missing, damaged or of the wrong shape."""


class NotFetched(EngineError):
    """An asset could not be downloaded."""

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason or message
        """The reason in a few words, for callers that have an alternative."""
