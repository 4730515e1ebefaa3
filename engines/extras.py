"""The extras of pyproject.toml: the packages of each, and how a missing one is reported."""

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
        "cluster": ("fsspec", "ray"),
        "nvidia": ("tensorrt", "torch", "torch_tensorrt"),
        "rtx": ("tensorrt_rtx",),
    }
)
"""Extra -> packages as they are imported, without their own dependencies and the packages of the base."""


def install(extra: str) -> str:
    """The command that installs an extra."""
    if extra not in BRINGS:
        raise ValueError(f"there is no extra {extra!r}; there are {', '.join(BRINGS)}")
    return f"pip install 'i3d-live[{extra}]'"


def missing(extra: str) -> list[str]:
    """Packages of an extra that are not installed."""
    return [package for package in BRINGS[extra] if find_spec(package) is None]


def require(what: str, package: str, extra: str) -> None:
    """Raises EngineError if the package of an extra is not installed; to be called before any work."""
    if find_spec(package) is None:
        raise absent(what, ImportError(name=package), extra)


def absent(what: str, error: ImportError, extra: str = "") -> EngineError:
    """The error for an import that failed.

    Args:
        what: what cannot be done without it.
        error: the failed import. A package that is in no extra belongs to the base, or is a dependency.
        extra: the extra to install; by default the first one with the package.
    """
    package = (error.name or str(error)).partition(".")[0]
    extra = extra or next((name for name, packages in BRINGS.items() if package in packages), "")
    command = install(extra) if extra else "pip install i3d-live"
    return EngineError(f"{what} needs {package}, which is not installed; {command}")
