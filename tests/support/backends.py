"""Test backends in the registry, beside the real ones or in place of one.

    register(monkeypatch, Compiler(), "openvino")       # until the end of the test

The registry imports this module and asks it for the backend by name.
"""

from typing import Any

import pytest

from engines.backends.registry import REGISTRY

MADE: dict[str, Any] = {}


def __getattr__(name: str) -> Any:
    try:
        return MADE[name]
    except KeyError:
        raise AttributeError(name) from None


def register(monkeypatch: pytest.MonkeyPatch, backend: Any, name: str = "double") -> None:
    """Make `name` this backend until the end of the test."""
    monkeypatch.setitem(MADE, name, backend)
    monkeypatch.setitem(REGISTRY, name, (f"{__name__}:{name}", "tests", "it is here"))


class Runs:
    """A backend that is available on a device of that name, or says why it is not. It computes nothing."""

    COMPILES = True

    def __init__(self, against: str | None = None, device: str = "CPU of a test") -> None:
        self.against, self.name = against, device

    def unavailable(self) -> str | None:
        return self.against

    def device(self) -> str:
        return self.name
