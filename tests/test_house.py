"""The rules of the house that can be checked: small files, one-way imports, light imports, one OpenCV."""

import ast
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import pytest

import engines
import realtime
from tests.conftest import ROOT

SOURCES = sorted(
    [*ROOT.glob("engines/**/*.py"), *ROOT.glob("realtime/**/*.py"), *ROOT.glob("benchmarks/*.py")]
)
ROOMS = {
    "av": ("realtime/sources/", "realtime/outputs/"),
    "gradio": ("realtime/view/",),
    "nncf": ("engines/backends/openvino/",),
    "numba": ("realtime/flow/",),
    "onnx": ("engines/backends/",),
    "openvino": ("engines/backends/openvino/",),
    "paho": ("realtime/outputs/",),
    "prometheus_client": ("realtime/outputs/",),
    "pytorch_lightning": ("engines/training/",),
    "sklearn": ("engines/training/",),
    "tensorrt": ("engines/backends/tensorrt/",),
    "tensorrt_rtx": ("engines/backends/tensorrt/",),
    "torch_tensorrt": ("engines/backends/",),
    "triton": ("realtime/flow/",),
}
"""The rooms in which a heavy library may be imported: one each, but for FFmpeg, which reads and writes."""


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_are_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) < 300


def test_the_model_knows_nothing_of_the_stream() -> None:
    for path in ROOT.glob("engines/**/*.py"):
        assert not [name for name in imported(path) if name.split(".")[0] == "realtime"], path


def test_heavy_libraries_are_imported_in_one_room_each() -> None:
    for path in SOURCES:
        if path.parts[len(ROOT.parts)] == "benchmarks":
            continue
        place = str(path.relative_to(ROOT))
        for name in imported(path):
            assert place.startswith(ROOMS.get(name.split(".")[0], "")), f"{place} imports {name}"


def test_importing_the_package_imports_nothing_heavy() -> None:
    heavy = ["torch", "gradio", "openvino", "av", "cv2", "numba", "nncf", "matplotlib"]
    code = f"import sys, realtime, engines; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize("package", [realtime, engines])
def test_public_names_are_sorted_and_there(package: object) -> None:
    names = package.__all__  # type: ignore[attr-defined]
    assert names == sorted(names)
    assert all(hasattr(package, name) for name in names)


def test_one_opencv_is_installed() -> None:
    """Several wheels bring the same module and overwrite each other."""
    found = {d.metadata["Name"] for d in distributions() if d.metadata["Name"].startswith("opencv")}
    assert found == {"opencv-contrib-python-headless"}
