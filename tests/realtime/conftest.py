"""The real engine, loaded once, and the command line run as a user runs it."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from engines.load import Engines
from engines.spec import Mode

I3D_LIVE = [sys.executable, "-c", "from realtime.cli import main; main()"]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def engines() -> Callable[..., Engines]:
    """Engines of the trained RGB network by mode and backend, built if they are not in the cache."""
    from functools import cache

    from engines.load import load_engines
    from engines.weights.fetch import fetch, has_weights

    if not has_weights("kinetics", "rgb"):
        fetch("kinetics")

    @cache
    def load(mode: Mode = "window", backend: str = "openvino", precision: str = "float32") -> Engines:
        return load_engines("kinetics", backend=backend, precision=precision, mode=mode)

    return load


@pytest.fixture
def i3d_live(tmp_path: Path) -> Run:
    """Run the command line in an empty folder, stdout and stderr into pipes."""

    def run(*arguments: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
        command = [*I3D_LIVE, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120, **options)  # type: ignore[call-overload, no-any-return]

    return run
