"""The extras of pyproject.toml: what each of them brings, and how a missing one is reported."""

from collections.abc import Mapping
from importlib.util import find_spec
from types import MappingProxyType

from engines.errors import EngineError

BRINGS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "view": ("gradio", "websockets"),
        "int8": ("nncf",),
        "teach": ("matplotlib", "sklearn"),
        "torch": ("torch",),
        "train": ("pytorch_lightning", "tensorboard", "torch"),
        "nvidia": ("tensorrt", "torch", "torch_tensorrt"),
        "rtx": ("tensorrt_rtx",),
    }
)
"""Extra -> packages as they are imported. What these need in turn, and the packages of the base, have no place here."""


def install(extra: str) -> str:
    """The line that installs an extra."""
    if extra not in BRINGS:
        raise ValueError(f"there is no extra {extra!r}; there are {', '.join(BRINGS)}")
    return f"pip install 'i3d-live[{extra}]'"


def missing(extra: str) -> list[str]:
    """What of an extra is not installed."""
    return [package for package in BRINGS[extra] if find_spec(package) is None]


def require(what: str, package: str, extra: str) -> None:
    """Raises EngineError where the package of an extra is not installed; for before any work."""
    if find_spec(package) is None:
        raise absent(what, ImportError(name=package), extra)


def absent(what: str, error: ImportError, extra: str = "") -> EngineError:
    """The error for an import that failed.

    Args:
        what: what cannot be done without it.
        error: the failed import. A package of no extra is one of the base, or is needed by one of the extra's.
        extra: what is to be installed; unless given, the first extra that brings the package.
    """
    package = (error.name or str(error)).partition(".")[0]
    extra = extra or next((name for name, packages in BRINGS.items() if package in packages), "")
    command = install(extra) if extra else "pip install i3d-live"
    return EngineError(f"{what} needs {package}, which is not installed; {command}")
