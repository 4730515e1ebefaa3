"""The house rules that can be checked: small files, one-way imports, light imports, one OpenCV."""

import ast
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path

import pytest

import engines
import realtime
from tests.conftest import LONG_FILES, ROOT

SOURCES = sorted(
    [*ROOT.glob("engines/**/*.py"), *ROOT.glob("realtime/**/*.py"), *ROOT.glob("benchmarks/*.py")]
)
TESTS = sorted(ROOT.glob("tests/**/*.py"))
MOST_PATCHES = 3
MOST_PRIVATE_READS = 4
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
"""The rooms in which a heavy library may be imported: one each, except for FFmpeg, which both reads and writes."""


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


PROSE_COLUMNS = 120
DIRECTIVES = ("# noqa", "# type:", "# fmt:", "# mypy:")


def prose_lines(path: Path) -> Iterator[int]:
    """Line numbers of comments, except directives to tools, and of docstrings, including those under a name."""
    with tokenize.open(path) as file:
        for token in tokenize.generate_tokens(file.readline):
            if token.type == tokenize.COMMENT and not token.string.startswith(DIRECTIVES):
                yield token.start[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield from range(node.lineno, (node.end_lineno or node.lineno) + 1)


def test_prose_in_python_ends_at_column_120() -> None:
    wide = []
    for top in ("engines", "realtime", "benchmarks", "scripts", "docs", "tests"):
        for path in sorted(ROOT.glob(f"{top}/**/*.py")):
            place, lines = str(path.relative_to(ROOT)), path.read_text().splitlines()
            wide += [f"{place}:{n}" for n in prose_lines(path) if len(lines[n - 1]) > PROSE_COLUMNS]
    assert wide == []


def test_what_counts_as_prose_in_python(tmp_path: Path) -> None:
    (tmp_path / "some.py").write_text('x = "code"\n"""Under a name."""\ny = 1  # noqa: E1\nz = 2  # why\n')
    assert sorted(prose_lines(tmp_path / "some.py")) == [2, 4]


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


def test_commands_take_few_parameters() -> None:
    """Options that belong together are dataclasses; `realtime.commands.flags` makes flags of them."""
    for path in ROOT.glob("realtime/commands/*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                taken = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                count = len([each for each in taken if each.arg not in ("self", "cls")])
                assert count <= 8, f"{path.name}: {node.name} takes {count} parameters"


def imports(path: Path) -> dict[str, str]:
    """Names that a file binds by importing, and the dotted path of each."""
    found = {}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.asname: alias.name for alias in node.names if alias.asname}
            found |= {top: top for alias in node.names if (top := alias.name.split(".")[0])}
        elif isinstance(node, ast.ImportFrom):
            found |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return found


def patches(path: Path) -> list[str]:
    """The dotted path of each object that a test replaces.

    It starts with `?` where the object is not imported, so that its module is unknown.
    """
    known, found = imports(path), []
    for call in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)):
        if isinstance(call.func, ast.Attribute) and call.func.attr == "setattr":
            target = call.args[0]
            text = target.value if isinstance(target, ast.Constant) else ast.unparse(target)
            name, dot, rest = str(text).partition(".")
            first = name if isinstance(target, ast.Constant) else known.get(name, f"?{name}")
            found.append(f"{first}{dot}{rest}")
    return found


def test_tests_replace_nothing_of_ours_by_setattr() -> None:
    """Doubles come in as arguments, in tables or by registration; `setattr` is for others' code, and rarely needed."""
    found = {path.relative_to(ROOT).as_posix(): patches(path) for path in TESTS}
    ours = ("?", "benchmarks", "engines", "realtime", "scripts", "tests")
    assert [name for name, targets in found.items() if any(each.startswith(ours) for each in targets)] == []
    assert sum(map(len, found.values())) <= MOST_PATCHES, {name: each for name, each in found.items() if each}


def test_what_counts_as_a_patch_of_ours(tmp_path: Path) -> None:
    (tmp_path / "some.py").write_text(
        "import time\nfrom torch import cuda as gpu\nfrom realtime.commands import doctor as d\n"
        "m.setattr(time, 'time_ns', 1)\nm.setattr(gpu.amp, 'x', 1)\nm.setattr(d, 'demo', 1)\n"
        "m.setattr('engines.check.check', 1)\nm.setattr(local, 'x', 1)\n"
    )
    assert patches(tmp_path / "some.py") == [
        "time",
        "torch.cuda.amp",
        "realtime.commands.doctor",
        "engines.check.check",
        "?local",
    ]


def private_reads(path: Path) -> list[str]:
    """Attributes with a leading underscore that are read from anything but `self`, `cls` and `os`."""
    nodes = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute))
    return [
        ast.unparse(node)
        for node in nodes
        if re.match("_[a-z]", node.attr) and ast.unparse(node.value) not in ("self", "cls", "os")
    ]


def test_tests_read_nothing_private() -> None:
    """Except what torch and Typer have no public name for."""
    found = {path.relative_to(ROOT).as_posix(): private_reads(path) for path in TESTS}
    assert sum(map(len, found.values())) <= MOST_PRIVATE_READS, {
        name: each for name, each in found.items() if each
    }


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


def test_the_files_that_are_started_first_are_there() -> None:
    assert [name for name in LONG_FILES if not (ROOT / "tests" / name).is_file()] == []
