"""Bundles: a machine that has almost nothing installed gets what was packed; what was changed on the way is
refused."""

import json
import re
import tomllib
from collections.abc import Callable
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from numpy.typing import NDArray

from engines.backends.registry import REGISTRY, Plan
from engines.build import engine_folder
from engines.bundle import FILE, check_bundle, load_bundle, probe, seal, write_engines
from engines.errors import EngineError, UsageError
from engines.load import Engines
from engines.runtime.window import WindowEngine
from engines.spec import RGB, Weights
from realtime import run_bundle as bundled
from realtime.commands import bundle as command
from realtime.outputs.log import SCHEMA
from tests.engines.conftest import own_cache, tiny_network  # noqa: F401
from tests.support.backends import register
from tests.support.command_line import Doubles
from tests.support.doubles import no_head
from tests.support.made_clips import every, write_clip
from tests.support.made_weights import save

WEIGHTS = Weights("made", "rgb", ("dark", "bright"), "0" * 64, "made for a test", "none")


class Backend:
    """Double of a backend: its engine file holds one number, by which the mean of the ticks is multiplied."""

    COMPILES = True

    def __init__(self) -> None:
        self.error = 0.0
        """Added to the number when an engine is packed."""

    def unavailable(self) -> None: ...
    def precisions(self) -> tuple[str, ...]:
        return ("float32",)

    def device(self) -> str:
        return "a processor"

    def versions(self) -> dict[str, str]:
        return {"double": "1"}

    def pack(self, plan: Plan, tensors: None, folder: Path, out: Path) -> None:
        (out / "engine.txt").write_text(str(float((folder / "engine.txt").read_text()) + self.error))

    def load(self, plan: Plan, folder: Path, tensors: None) -> WindowEngine:
        factor = float((folder / "engine.txt").read_text())

        def run(chunk: NDArray[Any]) -> NDArray[np.float32]:
            mean = chunk.mean(axis=(1, 2, 3, 4), dtype=np.float64).astype(np.float32)
            return np.stack([-mean, mean * factor], axis=1)[:, None, None, None] / np.float32(255)

        facts = "double", plan.precision, "a processor"
        return WindowEngine(plan.spec, plan.weights, *facts, run, no_head(2))


@pytest.fixture
def backend(own_cache: Path, tiny_network: None, monkeypatch: pytest.MonkeyPatch) -> Backend:  # noqa: F811
    double = Backend()
    register(monkeypatch, double, "double")
    save(WEIGHTS.name, labels=WEIGHTS.labels)  # they are read, but the double does not need them
    return double


@pytest.fixture
def made(backend: Backend) -> Engines:
    """Engines as `load_engines` would give them, with their files in the cache."""
    plan = Plan(RGB, WEIGHTS, "window", "float32")
    folder = engine_folder(plan, "double")
    folder.mkdir(parents=True)
    (folder / "engine.txt").write_text("2.5")
    return Engines(backend.load(plan, folder, None), None, "made")


@pytest.fixture
def bundle(made: Engines, tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    folder.mkdir()
    write_engines(made, folder)
    seal(made, folder)
    return folder


def test_a_loaded_bundle_gives_what_was_packed(made: Engines, bundle: Path) -> None:
    found = load_bundle(bundle)
    assert found.rgb is not None
    assert made.rgb is not None
    assert found.flow is None
    assert found.labels == ("dark", "bright")
    assert (found.rgb.spec, found.rgb.weights, found.rgb.mode) == (RGB, WEIGHTS, "window")
    np.testing.assert_array_equal(probe(found.rgb), probe(made.rgb))
    assert check_bundle(bundle, found) == {"rgb": 0.0}


def test_a_bundle_names_every_file_and_nothing_of_this_machine(bundle: Path) -> None:
    facts = json.loads((bundle / FILE).read_text())
    assert set(facts["files"]) == {"rgb/engine.txt", "rgb/probe.npy"}
    assert str(bundle.parent) not in (bundle / FILE).read_text()


@pytest.mark.parametrize("name", ["rgb/engine.txt", "rgb/probe.npy"])
def test_a_file_that_was_changed_or_lost_is_refused_by_name(bundle: Path, name: str) -> None:
    (bundle / name).write_bytes(b"2.6")
    with pytest.raises(EngineError, match=f"{name} is not the file that was bundled"):
        load_bundle(bundle)
    (bundle / name).unlink()
    with pytest.raises(EngineError, match=f"{name} is missing"):
        load_bundle(bundle)


def test_what_is_not_a_bundle_is_refused(tmp_path: Path, bundle: Path) -> None:
    with pytest.raises(EngineError, match="is no bundle"):
        load_bundle(tmp_path)
    facts = json.loads((bundle / FILE).read_text())
    (bundle / FILE).write_text(json.dumps(facts | {"format": 3}))
    with pytest.raises(EngineError, match="format 3"):
        load_bundle(bundle)


def test_a_precision_that_this_machine_lacks_is_refused(bundle: Path) -> None:
    facts = json.loads((bundle / FILE).read_text())
    (bundle / FILE).write_text(json.dumps(facts | {"precision": "bfloat16"}))
    with pytest.raises(EngineError, match="this bundle is bfloat16, and a processor runs float32 alone"):
        load_bundle(bundle)


@pytest.mark.parametrize(("error", "passes"), [(1e-3, True), (1.0, False), (float("nan"), False)])
def test_an_engine_that_packing_changes_is_not_bundled(
    made: Engines, backend: Backend, tmp_path: Path, error: float, passes: bool
) -> None:
    backend.error = error
    (tmp_path / "out").mkdir()
    if passes:
        write_engines(made, tmp_path / "out")
    else:
        with pytest.raises(EngineError, match="the bundled rgb engine is off by"):
            write_engines(made, tmp_path / "out")


def test_a_machine_that_predicts_otherwise_is_found_out(bundle: Path, made: Engines) -> None:
    found = load_bundle(bundle)
    np.save(bundle / "rgb" / "probe.npy", np.load(bundle / "rgb" / "probe.npy") + np.float32(0.01))
    with pytest.raises(EngineError, match=r"rgb predicts otherwise here: a logit is off by 0\.01"):
        check_bundle(bundle, found)


def test_a_backend_without_files_cannot_be_bundled(made: Engines, backend: Backend, tmp_path: Path) -> None:
    backend.COMPILES = False
    with pytest.raises(UsageError, match="leaves no files to bundle"):
        write_engines(made, tmp_path)


# The program in it


@pytest.fixture
def run_py(bundle: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def call(*arguments: str | Path) -> tuple[int, str, str]:
        code = bundled.main(bundle, [str(argument) for argument in arguments])
        return (code, *capfd.readouterr())

    return call


def test_it_writes_the_log_of_run(run_py: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    write_clip(clip, every(Fraction(1, 25), 80))
    code, out, err = run_py(clip)
    lines = [json.loads(line) for line in out.splitlines()]
    schema = json.loads(SCHEMA.read_text())
    for line in lines:
        jsonschema.validate(line, schema)
    assert (code, err) == (0, "")
    kinds = [line["kind"] for line in lines]
    assert (kinds[0], kinds.count("prediction"), kinds[-1]) == ("session", 3, "summary")
    assert run_py(clip, "--log", tmp_path / "log.jsonl")[:2] == (0, "")
    logged = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["kind"] for line in logged] == kinds


def test_its_exit_codes_are_those_of_the_program(
    run_py: Callable[..., tuple[int, str, str]], bundle: Path, tmp_path: Path
) -> None:
    code, out, err = run_py("--check")
    assert (code, json.loads(out)) == (0, {"largest_difference": {"rgb": 0.0}})
    code, out, err = run_py("nothing.mp4")
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    assert err.startswith("run.py: nothing.mp4: ")
    (bundle / "rgb" / "engine.txt").write_text("3")
    code, out, err = run_py("--check")
    assert (code, out) == (1, "")
    assert "engine.txt is not the file that was bundled" in err
    for wrong in ([], ["--check", "clip.mp4"], ["--nothing"]):
        with pytest.raises(SystemExit) as stopped:
            run_py(*wrong)
        assert stopped.value.code == UsageError.exit_code


def test_an_address_can_come_from_a_file(run_py: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    (tmp_path / "source").write_text("nothing.mp4\n")
    assert "nothing.mp4" in run_py(f"@{tmp_path / 'source'}")[2]


# The command


def test_the_folder_is_made_whole_or_not_at_all(
    made: Engines,
    backend: Backend,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    prepare = Doubles(made)
    backend.error = 1.0
    with pytest.raises(EngineError):
        command.bundle(tmp_path / "edge", prepare=prepare)
    assert not [path for path in tmp_path.iterdir() if "edge" in path.name]
    backend.error = 0.0
    command.bundle(tmp_path / "edge", prepare=prepare)
    assert load_bundle(tmp_path / "edge").labels == ("dark", "bright")
    assert f"{tmp_path / 'edge'}/run.py" in capsys.readouterr().out
    with pytest.raises(UsageError, match="is there already"):
        command.bundle(tmp_path / "edge", prepare=prepare)


@pytest.mark.parametrize("backend", ["openvino", "tensorrt", "tensorrt-rtx"])
def test_a_bundle_has_the_code_and_asks_for_the_package_of_its_backend(backend: str) -> None:
    """As the project itself does: no other package brings what the code imports."""
    room, package, _ = REGISTRY[backend]
    code = {path.relative_to(command.ROOT).as_posix() for path in command.sources(backend)}
    assert f"{room.partition(':')[0].replace('.', '/')}.py" in code
    (asked,) = command.RUNTIMES[backend]
    project = tomllib.loads((command.ROOT / "pyproject.toml").read_text())["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    assert asked in {re.split(r"[^\w-]", line)[0] for line in [*project["dependencies"], *extras]}
    assert asked.removesuffix("-cu13") == package.replace("_", "-")


def test_it_asks_for_few_packages_at_the_versions_installed_here(made: Engines, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    command.fill(made, tmp_path / "out", {"double": ("openvino", "no-such-runtime")})
    lines = (tmp_path / "out" / "requirements.txt").read_text().splitlines()
    asked = dict(line.split("==") for line in lines if "==" in line)
    assert set(asked) == {"av", "numpy", "opencv-python-headless", "openvino"}
    assert (asked["numpy"], asked["openvino"]) == (version("numpy"), version("openvino"))
    assert [line for line in lines if line.startswith("# no-such-runtime")]
