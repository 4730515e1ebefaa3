"""constraints.txt and the scripts that keep it, with an index of three synthetic packages; run as a user runs them."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from scripts import index, lock
from tests.conftest import ROOT
from tests.support.webserver import serving

PROJECT = """
[project]
name = "made"
version = "1"
requires-python = ">=3.11"
dependencies = ["numpy>=2"]
[project.optional-dependencies]
torch = ["torch>=2.13"]
"""
PINS = "numpy==2.4.6\ntorch==2.13.0\ntriton==3.7.1\n"
TORCH = lock.Combination("torch", "3.11", "Linux x86_64")


def add_wheel(folder: Path, name: str, version: str, needs: str = "", tag: str = "py3-none-any") -> None:
    """An empty package, in the layout of an index."""
    (folder / name).mkdir(parents=True, exist_ok=True)
    requires = f"Requires-Dist: {needs}\n" if needs else ""
    about = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / name / f"{name}-{version}-{tag}.whl", "w") as wheel:
        wheel.writestr(
            f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}"
        )
        wheel.writestr(f"{about}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
        wheel.writestr(f"{about}/RECORD", "")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def made(tmp_path: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """A project with correct pins, and the variables that make its index the only one."""
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    (tmp_path / "constraints.txt").write_text(PINS)
    packages = tmp_path / "index"
    for version in ("2.4.6", "2.5.0"):
        add_wheel(packages, "numpy", version)
    add_wheel(packages, "torch", "2.13.0", "triton==3.7.1; sys_platform == 'linux'")
    for version in ("3.7.1", "3.9.0"):
        add_wheel(packages, "triton", version)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(packages)))
    own = {"PIP_INDEX_URL": f"http://127.0.0.1:{server.server_port}", "UV_CACHE_DIR": str(tmp_path / "cache")}
    with serving(server):
        yield tmp_path, {**os.environ, **own, "no_proxy": "127.0.0.1"}


def script(
    name: str, root: Path, variables: Mapping[str, str], *arguments: str
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / "scripts" / name), *arguments]
    return subprocess.run(command, env={**variables}, capture_output=True, text=True)


def pin(root: Path, old: str, new: str) -> None:
    path = root / "constraints.txt"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def test_pins_that_hold_pass_on_every_python_and_platform(made: tuple[Path, dict[str, str]]) -> None:
    root, variables = made
    done = script("check-lock", root, variables)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line for line in done.stdout.splitlines() if line.endswith("ok")]
    assert len(lines) == len(lock.PYTHONS) * (2 * len(lock.LINUX) + len(lock.ELSEWHERE))
    for extra, why in lock.EXCUSED.items():
        assert f"not checked: {why}" in done.stdout
        assert extra in done.stdout


def test_a_pin_that_breaks_an_extra_fails_in_the_resolvers_words(made: tuple[Path, dict[str, str]]) -> None:
    root, variables = made
    pin(root, "triton==3.7.1", "triton==3.9.0")
    done = script("check-lock", root, variables)
    assert done.returncode == 1
    assert re.search(r"torch *Python 3.11 *Linux x86_64 *FAILED", done.stdout)
    assert re.search(r"base *Python 3.11 *Linux x86_64 *ok", done.stdout)
    assert "depend on triton" in " ".join(done.stderr.split())
    assert "run scripts/pin" in done.stderr


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("triton==3.7.1", "triton==3.9.0", "triton"),
        ("triton==3.7.1\n", "", "does not pin triton; run scripts/pin"),
    ],
    ids=["wrong", "missing"],
)
def test_a_wrong_or_missing_pin_is_named(
    old: str, new: str, words: str, made: tuple[Path, dict[str, str]]
) -> None:
    root, variables = made
    assert lock.against(TORCH, root, index.environment(variables)) == ""
    pin(root, old, new)
    assert words in lock.against(TORCH, root, index.environment(variables))


def test_a_package_without_a_wheel_for_the_platform_cannot_be_installed(
    made: tuple[Path, dict[str, str]],
) -> None:
    root, variables = made
    (wheel,) = (root / "index" / "triton").glob("*3.7.1*")
    wheel.unlink()
    add_wheel(root / "index", "triton", "3.7.1", tag="py3-none-manylinux_2_28_aarch64")
    there = lock.Combination("torch", "3.12", "Linux aarch64")
    assert lock.against(there, root, index.environment(variables)) == ""
    said = " ".join(lock.against(TORCH, root, index.environment(variables)).split())  # uv breaks its lines
    assert "no wheels with a matching platform tag" in said


def test_pin_keeps_versions_and_replaces_those_that_cannot_be_installed(
    made: tuple[Path, dict[str, str]],
) -> None:
    root, variables = made
    pin(root, "triton==3.7.1", "triton==3.9.0")
    done = script("pin", root, variables)
    assert (done.returncode, done.stderr) == (0, "")
    text = (root / "constraints.txt").read_text()
    assert text.splitlines()[1:] == [
        "numpy==2.4.6",
        "torch==2.13.0",
        "triton==3.7.1 ; sys_platform == 'linux'",
    ]
    assert script("pin", root, variables).returncode == 0
    assert (root / "constraints.txt").read_text() == text
    assert script("pin", root, variables, "--upgrade").returncode == 0
    assert "numpy==2.5.0" in (root / "constraints.txt").read_text()


def test_local_wheels_and_settings_have_no_effect() -> None:
    reach = {
        "PIP_INDEX_URL": "https://mirror/simple",
        "PIP_CERT": "ca.pem",
        "SSL_CERT_FILE": "ca.pem",
        "PATH": "/bin",
    }
    steering = (
        "PIP_FIND_LINKS",
        "PIP_EXTRA_INDEX_URL",
        "PIP_CONSTRAINT",
        "PIP_NO_INDEX",
        "UV_FIND_LINKS",
        "UV_INDEX",
    )
    found = index.environment({**reach, **dict.fromkeys(steering, "x")})
    assert reach.items() <= found.items()
    assert not set(steering) & set(found)
    assert found["PIP_CONFIG_FILE"] == os.devnull
    assert found["UV_NO_CONFIG"] == "1"
    assert found["UV_DEFAULT_INDEX"] == reach["PIP_INDEX_URL"]


def test_the_lock_is_plain_pins() -> None:
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        assert re.fullmatch(r"#.*|[a-z0-9-]+==[\w.]+( ; .+)?", line), line
        assert "://" not in line


def test_the_torch_that_contributors_are_told_to_install_is_the_locked_one() -> None:
    told = re.findall(r"torch==[\d.]+", (ROOT / "CONTRIBUTING.md").read_text())
    assert told
    assert set(told) <= set((ROOT / "constraints.txt").read_text().split())


def test_what_is_excused_exists() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(lock.EXCUSED) <= set(declared)
    assert set(lock.extras(ROOT)) == set(declared) - set(lock.EXCUSED)
    assert set(lock.SOURCES) <= lock.names((ROOT / "constraints.txt").read_text())
