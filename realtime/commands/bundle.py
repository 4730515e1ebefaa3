"""`i3d-live bundle`: an engine and what runs it, in one folder for another machine."""

import shutil
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

import typer

from engines.backends.registry import REGISTRY
from engines.bundle import seal, write_engines
from engines.load import Clips, Engines
from realtime.commands.options import ModelOptions
from realtime.commands.prepare import PREPARE, Prepare
from realtime.commands.progress import waiting
from realtime.errors import OutputError, UsageError

ROOT = Path(__file__).parent.parent.parent
CODE = (
    "engines/*.py",
    "engines/backends/__init__.py",
    "engines/backends/registry.py",
    "engines/runtime/*.py",
    "realtime/*.py",
    "realtime/flow/*.py",
    "realtime/outputs/*.py",
    "realtime/sources/*.py",
    "realtime/stages/*.py",
)
"""Code of this project in a bundle, in addition to the backend: no networks, weights, commands or live view."""
OF_THE_BACKEND = ("__init__", "backend", "cuda", "device", "run", "timing")
"""The files that run its engines, not those that build them."""
PACKAGES = ("av", "numpy", "opencv-python-headless")
FOR_FLOW = ("numba", "platformdirs", "filelock")
RUNTIMES = {
    "openvino": ("openvino",),
    "tensorrt": ("tensorrt-cu13",),
    "tensorrt-rtx": ("tensorrt-rtx-cu13",),
}
"""Packages that a backend needs to run its engines."""
RUN_PY = '''"""Run the bundle in this folder: python run.py --help"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "code"))

from realtime.run_bundle import main  # noqa: E402

sys.exit(main(HERE, sys.argv[1:]))
'''

NEXT = """
In {out}: {size_mb:.1f} MB. On the machine that is to run it, in a fresh environment:
  pip install -r {out}/requirements.txt
  python {out}/run.py --check
  python {out}/run.py SOURCE
"""


def bundle(
    out: Annotated[Path, typer.Option(help="Folder to make; it must not exist yet.")],
    model: ModelOptions = ModelOptions(),
    tune: Annotated[
        bool,
        typer.Option(
            "--tune", help="Pack every form of the network; the first start finds the fastest on its machine."
        ),
    ] = False,
    *,
    prepare: Prepare = PREPARE,
) -> None:
    """Put an engine and everything that runs it into a folder that needs neither torch nor this program."""
    if out.exists():
        raise UsageError(f"{out} is there already; name a folder that does not exist yet with --out")
    engines = prepare.engines(model)
    print(f"i3d-live: {engines.reason}", file=sys.stderr)
    scratch = out.with_name(f".{out.name}.tmp")
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        scratch.mkdir()
        clips = prepare.clips(engines) if tune else None
        with waiting("Packing every form" if tune else "Packing"):
            fill(engines, scratch, tune=tune, clips=clips)
        scratch.rename(out)
    except OSError as error:
        raise OutputError(
            f"cannot make the folder {out}: {error.strerror}; name another with --out"
        ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    size_mb = sum(path.stat().st_size for path in out.rglob("*") if path.is_file()) / 1e6
    print(NEXT.format(out=out, size_mb=size_mb).strip())


def fill(
    engines: Engines,
    out: Path,
    runtimes: Mapping[str, Sequence[str]] = RUNTIMES,
    *,
    tune: bool = False,
    clips: Clips | None = None,
) -> None:
    """Write a whole bundle into the empty folder `out`. `tune`, `clips`: see `write_engines`."""
    forms = write_engines(engines, out, tune=tune, clips=clips)
    backend = next(iter(engines.by_stream.values())).backend
    for path in sources(backend):
        target = out / "code" / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    (out / "run.py").write_text(RUN_PY)
    packages = [*runtimes.get(backend, (backend,)), *PACKAGES, *(FOR_FLOW if engines.flow else ())]
    (out / "requirements.txt").write_text("".join(map(requirement, packages)))
    seal(engines, out, forms)


def sources(backend: str) -> list[Path]:
    """The files of this project that run an engine of the backend."""
    patterns = [*CODE]
    if backend in REGISTRY:
        room = REGISTRY[backend][0].rpartition(".")[0].replace(".", "/")
        patterns += [f"{room}/{name}.py" for name in OF_THE_BACKEND]
    return [path for pattern in patterns for path in sorted(ROOT.glob(pattern))]


def requirement(package: str) -> str:
    """A line of requirements.txt: the version that is installed here, with which the engine was tested."""
    # The same release of OpenCV, without the extra modules that only the reference flow needs.
    installed = "opencv-contrib-python-headless" if package.startswith("opencv") else package
    try:
        return f"{package}=={version(installed)}\n"
    except PackageNotFoundError:
        return f"# {package}: the system's own, of the version that built the engine\n"
