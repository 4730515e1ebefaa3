"""The table of extras says what pyproject.toml says, and what is imported comes with the base or with an extra."""

import ast
import re
import sys
import tomllib
from functools import cache
from importlib import metadata

import pytest
from packaging.requirements import Requirement

from engines.errors import EngineError
from engines.extras import BRINGS, absent, install, missing, require
from tests.conftest import ROOT

TESTS_ALONE = {"dev"}
NOT_EVERYWHERE = {
    "tensorrt": "tensorrt-cu13",
    "tensorrt_rtx": "tensorrt-rtx-cu13",
    "torch_tensorrt": "torch-tensorrt",
}
"""NVIDIA's packages: the name that is imported -> the name that is installed."""
COME_ALONG = {
    "PIL": "gradio",
    "fastapi": "gradio",
    "starlette": "gradio",
    "uvicorn": "gradio",
    "threadpoolctl": "sklearn",
    "triton": "torch",
}
"""Imported here, and installed because another imported package requires them."""


def spelled(name: str) -> str:
    return re.sub(r"[._-]+", "-", name).lower()


packages_distributions = cache(
    metadata.packages_distributions
)  # it reads the metadata of all that is installed


def distributions(package: str) -> set[str]:
    """The distributions that install a package, in the index's spelling."""
    if package in NOT_EVERYWHERE:
        return {NOT_EVERYWHERE[package]}
    return {spelled(name) for name in packages_distributions().get(package, [])}


def declared() -> dict[str, set[str]]:
    """Extra -> what it requires; "" is the base."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = {"": project["dependencies"], **project["optional-dependencies"]}
    return {extra: {spelled(Requirement(text).name) for text in texts} for extra, texts in asked.items()}


def test_the_table_is_that_of_the_project() -> None:
    extras = {extra: asked for extra, asked in declared().items() if extra and extra not in TESTS_ALONE}
    assert {
        extra: set().union(*(distributions(package) for package in packages))
        for extra, packages in BRINGS.items()
    } == extras


def imported() -> dict[str, str]:
    """Every package that the program imports -> a file that imports it."""
    found = {}
    for path in (path for folder in ("engines", "realtime") for path in ROOT.glob(f"{folder}/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            found.update({name.partition(".")[0]: str(path.relative_to(ROOT)) for name in names})
    return found


def test_every_import_comes_with_the_base_or_an_extra() -> None:
    base = declared()[""]
    extras = {package for packages in BRINGS.values() for package in packages}
    for package, path in imported().items():
        if package in sys.stdlib_module_names or package in ("engines", "realtime"):
            continue
        package = COME_ALONG.get(package, package)
        assert package in extras or distributions(package) & base, f"{path} imports {package}"


def test_nothing_is_in_the_base_that_is_not_imported() -> None:
    used = set().union(*(distributions(package) for package in imported()))
    assert declared()[""] <= used


def test_the_line_to_type_names_the_extra() -> None:
    assert install("view") == "pip install 'i3d-live[view]'"
    with pytest.raises(ValueError, match="no extra 'build'; there are view, "):
        install("build")


@pytest.mark.parametrize(
    ("package", "extra", "line"),
    [
        ("gradio.themes", "", "pip install 'i3d-live[view]'"),
        ("torch", "", "pip install 'i3d-live[torch]'"),
        ("torch", "train", "pip install 'i3d-live[train]'"),
        ("pandas", "view", "pip install 'i3d-live[view]'"),
        ("onnx", "", "pip install i3d-live"),
    ],
)
def test_a_failed_import_says_what_to_install(package: str, extra: str, line: str) -> None:
    error = absent("this", ImportError("words", name=package), extra)
    assert str(error) == f"this needs {package.partition('.')[0]}, which is not installed; {line}"


def test_a_required_package_that_is_missing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    require("this", "numpy", "view")
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert "gradio" in missing("view")
    with pytest.raises(EngineError, match=r"this needs gradio.*i3d-live\[view\]"):
        require("this", "gradio", "view")
