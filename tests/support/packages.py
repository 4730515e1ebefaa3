"""System packages that tests need."""

import pytest

from tests.conftest import in_ci


def need(there: object, packages: str) -> None:
    """Skip the test if `there` is false, and say what to install; in CI, fail instead."""
    if there:
        return
    message = f"needs the system package(s) {packages}; scripts/system-packages {packages} installs them"
    if in_ci():
        pytest.fail(message)
    pytest.skip(message)
