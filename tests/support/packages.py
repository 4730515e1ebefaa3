"""Packages of the system that tests need."""

import pytest

from tests.conftest import in_ci


def need(there: object, packages: str) -> None:
    """Skip the test that needs what is not there, and say what to install; in CI that is a failure."""
    if there:
        return
    message = f"needs the system package(s) {packages}; scripts/system-packages {packages} installs them"
    if in_ci():
        pytest.fail(message)
    pytest.skip(message)
