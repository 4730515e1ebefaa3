"""The first run needs the base alone: it works without any of the packages that an extra brings."""

import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

from tests.conftest import ROOT
from tests.engines.conftest import kinetics  # noqa: F401

DEMO = "from realtime.cli import main; main()"
ABSENT = ("torch", "nncf", "sklearn", "matplotlib", "gradio", "PIL")


def base() -> set[str]:
    """The packages that come with the base, and those that they need in turn."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found: set[str] = set()
    ahead = list(project["dependencies"])
    while ahead:
        requirement = Requirement(ahead.pop())
        name = re.sub(r"[._-]+", "-", requirement.name).lower()
        if name in found or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        found.add(name)
        try:
            ahead += distribution(name).requires or []
        except PackageNotFoundError:
            raise AssertionError(f"the base needs {name}, which is not installed here") from None
    return found


def link_base(folder: Path) -> None:
    """What pip would install for the base, as links to what is installed here."""
    folder.mkdir()
    for name in base():
        found = distribution(name)
        for top in {path.parts[0] for path in found.files or []} - {"..", "__pycache__"}:
            if not (folder / top).exists():
                (folder / top).symlink_to(str(found.locate_file(top)))


def test_the_demo_needs_the_base_alone(kinetics: object, tmp_path: Path) -> None:  # noqa: F811
    site, own = tmp_path / "site", tmp_path / "cache" / "i3d-live"
    link_base(site)
    assert not [name for name in ABSENT if (site / name).exists()]
    own.mkdir(parents=True)
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "i3d-live"
    for name in ("models", "clips", "downloads"):  # but no engine: it is built here
        if (cache / name).exists():
            (own / name).symlink_to(cache / name)
    done = subprocess.run(
        [sys.executable, "-S", "-c", DEMO, "demo"],  # -S: without the packages of this environment
        cwd=tmp_path,
        env={**os.environ, "XDG_CACHE_HOME": str(own.parent), "PYTHONPATH": f"{site}:{ROOT}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "built now" in done.stdout + done.stderr
    left = {path.name for path in (tmp_path / "demo-out").iterdir()}
    assert left == {"predictions.jsonl", "annotated.mp4", "timeline.png"}
