"""constraints.txt: written and checked with uv, always from the public index alone.

Only wheels count: a package without a wheel for a platform cannot be installed there without compilers.
"""

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
LINUX = {"Linux x86_64": "x86_64-unknown-linux-gnu", "Linux aarch64": "aarch64-manylinux_2_35"}
"""Name -> uv's name. OpenVINO's wheels for aarch64 need glibc 2.35, as in Ubuntu 22.04; Debian 12 has a newer one."""
ELSEWHERE = {"Windows": "x86_64-pc-windows-msvc", "macOS 14 arm64": "aarch64-apple-darwin"}
"""Platforms where only the base is supported."""
MACOS = {"MACOSX_DEPLOYMENT_TARGET": "14.0"}
"""The oldest macOS with wheels for everything; PyAV's need it."""

EXCUSED = {
    "nvidia": "TensorRT's libraries come from NVIDIA's own index, and torch-tensorrt needs a torch other than the locked one",
}
"""Extras that are neither pinned nor checked, and why."""
SOURCES = {
    "tensorrt-rtx-cu13": "published as source only: a few lines of Python around two wheels, with nothing to compile",
}
"""Packages that need no wheel, and why."""


@dataclass(frozen=True)
class Combination:
    """Something that a user may install."""

    extra: str
    """"" for the base."""
    python: str
    platform: str

    def __str__(self) -> str:
        return f"{self.extra or 'base':<6} Python {self.python}  {self.platform}"


def extras(root: Path) -> list[str]:
    """The extras that the lock covers."""
    declared = tomllib.loads((root / "pyproject.toml").read_text())["project"].get(
        "optional-dependencies", {}
    )
    return [name for name in declared if name not in EXCUSED]


def combinations(root: Path) -> Iterator[Combination]:
    """Everything that is checked."""
    for platform in LINUX | ELSEWHERE:
        for python in PYTHONS:
            yield Combination("", python, platform)
            if platform in LINUX:
                yield from (Combination(extra, python, platform) for extra in extras(root))


def against(combination: Combination, root: Path, environment: Mapping[str, str]) -> str:
    """The resolver's message if it cannot be installed at the versions of constraints.txt; "" if it can."""
    arguments = ["--python-version", combination.python, "--constraint", "constraints.txt"]
    arguments += ["--python-platform", (LINUX | ELSEWHERE)[combination.platform], "--only-binary", ":all:"]
    for package in SOURCES:
        arguments += ["--no-binary", package]
    if combination.extra:
        arguments += ["--extra", combination.extra]
    done = compiled(arguments, root, environment)
    if done.returncode:
        return done.stderr.strip()
    floating = names(done.stdout) - names((root / "constraints.txt").read_text())
    return f"constraints.txt does not pin {', '.join(sorted(floating))}; run scripts/pin" if floating else ""


def names(requirements: str) -> set[str]:
    """The packages in a list of requirements, with their names normalised."""
    found = re.findall(r"^([A-Za-z0-9._-]+)==", requirements, re.MULTILINE)
    return {re.sub(r"[._-]+", "-", name).lower() for name in found}


def compiled(
    arguments: list[str], root: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """The result of `uv pip compile` on pyproject.toml."""
    command = [uv(), "pip", "compile", "--quiet", "--no-annotate", "--no-header", "--python", sys.executable]
    return subprocess.run(
        [*command, *arguments, "pyproject.toml"],
        cwd=root,
        env={**environment, **MACOS},
        capture_output=True,
        text=True,
    )


def uv() -> str:
    """The resolver: from the environment that make builds, from this Python's, or from the system."""
    places = [ROOT / ".venv" / "bin", Path(sys.executable).parent]
    found = next((found for place in places if (found := shutil.which("uv", path=place))), None)
    if found := found or shutil.which("uv"):
        return found
    raise SystemExit("uv is not installed; run scripts/setup dev, or: pip install uv")
