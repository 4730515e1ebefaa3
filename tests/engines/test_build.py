"""From a name to engines: the cache, its manifest, and what `load_engines` says about its choice."""

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines import build, check
from engines.backends.openvino import run as openvino
from engines.backends.registry import Forms, Plan
from engines.build import build_engine, engine_folder, manifest, stale_field
from engines.errors import EngineError, UsageError, WeightsError
from engines.load import EngineOptions, engines_of, load_engines
from engines.spec import RGB, Weights
from engines.weights.store import find_model
from tests.support.backends import register
from tests.support.made_weights import save
from tests.support.networks import noise, random_tensors, small_spec

TENSORS = random_tensors()
WEIGHTS = Weights("random", "rgb", tuple("abcde"), "0" * 64, "a test", "none")
PLAN = Plan(small_spec(3), WEIGHTS, "window", "float32")


@pytest.fixture
def folder(own_cache: Path) -> Path:
    return engine_folder(PLAN, "openvino")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache folder with one engine in it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        path = engine_folder(PLAN, "openvino")
        (path.parent / f".{path.name}-killed").mkdir(parents=True)
        build_engine(PLAN, "openvino", TENSORS, path, None)
        yield path


def test_an_engine_is_stored_with_all_that_shaped_it(built: Path) -> None:
    facts = json.loads((built / "manifest.json").read_text())
    assert built.name == "random-rgb-window-openvino-float32"
    assert facts["weights_sha256"] == WEIGHTS.sha256
    assert facts["spec"]["crop_px"] == "32"
    assert facts["versions"] == openvino.versions()
    assert openvino.device() in facts["processor"]
    assert set(facts["files"]) == {"window.xml", "window.bin", "head.npy"}
    assert [path.name for path in built.parent.iterdir()] == [built.name]
    assert stale_field(built, manifest(PLAN, "openvino", None)) is None


def test_what_openvino_compiled_is_kept_unless_it_is_damaged(built: Path) -> None:
    folder = built / openvino.COMPILED
    (blob,) = folder.glob("*.blob")
    before = blob.stat().st_mtime_ns
    openvino.load(PLAN, built, None)
    assert blob.stat().st_mtime_ns == before
    damaged = blob.read_bytes()[:-1] + b"x"
    blob.write_bytes(damaged)
    openvino.load(PLAN, built, None)
    assert [path.read_bytes() != damaged for path in folder.glob("*.blob")] == [True]


@pytest.mark.parametrize(
    ("field", "plan"),
    [
        ("weights_sha256 differs", replace(PLAN, weights=replace(WEIGHTS, sha256="1" * 64))),
        ("mode was window, is continual", replace(PLAN, mode="continual")),
        ("precision was float32, is bfloat16", replace(PLAN, precision="bfloat16")),
        (r"spec was .*'crop_px': '32'.*, is .*'crop_px': '224'", replace(PLAN, spec=RGB)),
    ],
)
def test_the_first_field_that_differs_is_named(built: Path, field: str, plan: Plan) -> None:
    found = stale_field(built, manifest(plan, "openvino", None))
    assert found is not None
    assert re.search(field, found), found


@pytest.mark.parametrize("key", ["processor", "versions", "code_sha256", "backend"])
def test_another_machine_or_version_builds_again(built: Path, key: str) -> None:
    wanted = manifest(PLAN, "openvino", None) | {key: "another"}
    assert (stale_field(built, wanted) or "").startswith(f"{key} ")


def test_a_change_in_any_folder_that_shapes_engines_builds_again(tmp_path: Path) -> None:
    """The training folder shapes no engine."""
    here = Path(build.__file__).parent
    shutil.copytree(here, tmp_path / "engines", ignore=shutil.ignore_patterns("__pycache__"))
    before, unnoticed = build.code_sha256(here), set()
    assert build.code_sha256(tmp_path / "engines") == before, "the same code, elsewhere"
    for folder in [path for path in (tmp_path / "engines").rglob("*") if path.is_dir()] + [
        tmp_path / "engines"
    ]:
        if not (sources := sorted(folder.glob("*.py"))):
            continue
        kept = sources[-1].read_text()
        sources[-1].write_text(f"{kept}# changed\n")
        if build.code_sha256(tmp_path / "engines") == before:
            unnoticed.add(folder.name)
        sources[-1].write_text(kept)
    assert unnoticed == {"training"}


def test_files_that_are_not_those_stored_are_noticed(built: Path, tmp_path: Path) -> None:
    wanted = manifest(PLAN, "openvino", None)
    for path in built.iterdir():
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    assert stale_field(tmp_path, wanted) is None
    whole = (tmp_path / "window.bin").read_bytes()
    (tmp_path / "window.bin").write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert stale_field(tmp_path, wanted) == "its files are not those that were stored"
    (tmp_path / "window.bin").write_bytes(b"short")
    assert stale_field(tmp_path, wanted) == "its files are not those that were stored"
    (tmp_path / "manifest.json").write_text("{")
    assert stale_field(tmp_path, wanted) == "its manifest cannot be read"
    assert stale_field(tmp_path / "nowhere", wanted) == "not in the cache"


def test_an_engine_that_fails_its_check_is_not_stored(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(check.TOLERANCE, "float32", (1e-12, 1e-12))
    with pytest.raises(
        EngineError, match="openvino float32 built for window is not right: random: a logit is off"
    ):
        build_engine(PLAN, "openvino", TENSORS, folder, None)
    assert list(folder.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("package", "line"),
    [("torch", r"'i3d-live\[torch\]'"), ("nncf", r"'i3d-live\[int8\]'"), ("onnx", "i3d-live$")],
)
def test_without_what_building_needs_the_error_says_what_to_install(
    package: str, line: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Absent(Made):
        def build(self, plan: Plan, tensors: Any, folder: Path, calibration: Any) -> None:
            raise ModuleNotFoundError(f"No module named '{package}'", name=package)

    register(monkeypatch, Absent(), "openvino")
    with pytest.raises(EngineError, match=f"needs {package}, which is not installed; pip install {line}"):
        build_engine(PLAN, "openvino", TENSORS, folder, None)
    assert list(folder.parent.iterdir()) == []


class Made:
    """A backend that compiles instantly: it writes a file, and its engine is its plan."""

    COMPILES, COMPUTES_I3D = True, False
    builds = 0

    def unavailable(self) -> None: ...
    def precisions(self) -> tuple[str, ...]:
        return ("float32", "int8")

    def device(self) -> str:
        return "made"

    def versions(self) -> dict[str, str]:
        return {"made": "1"}

    def forms(self, plan: Plan, tensors: Any, clip: Any) -> Forms:
        return Forms(("",))

    def build(self, plan: Plan, tensors: Any, folder: Path, calibration: Any) -> None:
        self.builds += 1
        (folder / "file").write_text(plan.mode)

    def load(self, plan: Plan, folder: Path | None, tensors: Any) -> Any:
        return plan


@pytest.fixture
def made(own_cache: Path, tiny_network: None, monkeypatch: pytest.MonkeyPatch) -> Made:
    """This backend in place of OpenVINO, and a model `mine` with RGB weights."""
    module = Made()
    register(monkeypatch, module, "openvino")
    save("mine", "rgb", tuple("abcde"))
    return module


def test_the_reason_says_what_was_chosen_and_what_is_missing(made: Made) -> None:
    engines = load_engines("mine", "openvino")
    assert engines.reason == (
        "openvino float32 on made (asked for); weights mine; rgb built now (not in the cache); "
        "no flow weights in this set: without flow"
    )
    assert engines.labels == tuple("abcde")
    assert (list(engines.by_stream), engines.flow) == (["rgb"], None)
    assert "rgb from the cache" in load_engines("mine", "openvino").reason
    assert made.builds == 1
    assert "rgb built now (asked to)" in load_engines("mine", "openvino", rebuild=True).reason


def test_a_backend_without_forms_is_not_built_again_to_choose_one(made: Made) -> None:
    model, options = find_model("mine"), EngineOptions("openvino")
    reasons = [engines_of(model, options, tune=lambda *step: None).reason for _ in range(2)]
    assert ["; rgb built now (not in the cache); " in reasons[0], "; rgb from the cache; " in reasons[1]] == [
        True
    ] * 2
    assert made.builds == 1


def test_both_streams_are_taken_where_both_are_stored(made: Made) -> None:
    save("mine", "flow", tuple("abcde"))
    engines = load_engines("mine", "openvino", mode="preview")
    assert list(engines.by_stream) == ["rgb", "flow"]
    assert "without" not in engines.reason
    assert list(load_engines("mine", "openvino", streams="flow").by_stream) == ["flow"]


def test_engines_that_run_concurrently_get_half_of_the_processor_each(made: Made) -> None:
    """One alone gets all of it. What is built is the same."""
    save("mine", "flow", tuple("abcde"))
    for concurrent, share in ((False, 1), (True, 2)):
        both = load_engines("mine", "openvino", mode="preview", concurrent=concurrent)
        assert [engine.engines_at_a_time for engine in both.by_stream.values()] == [share, share]
    assert made.builds == 2
    alone = load_engines("mine", "openvino", mode="preview", streams="rgb", concurrent=True)
    assert [engine.engines_at_a_time for engine in alone.by_stream.values()] == [1]


def test_streams_that_are_asked_for_and_missing_are_an_error(made: Made) -> None:
    with pytest.raises(WeightsError, match="mine has no flow weights"):
        load_engines("mine", "openvino", streams="both")
    with pytest.raises(WeightsError, match="there is no model other"):
        load_engines("other", "openvino")


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"mode": "slow"}, "mode cannot be 'slow'; choose one of window, continual, preview"),
        ({"streams": "sound"}, "streams cannot be 'sound'; choose one of auto, rgb, flow, both"),
        (
            {"precision": "bfloat16"},
            "precision of openvino on made cannot be 'bfloat16'; choose one of float32, int8",
        ),
    ],
)
def test_an_unknown_value_lists_the_allowed_ones(made: Made, option: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_engines("mine", "openvino", **option)
    assert str(caught.value) == words


def test_int8_is_calibrated_again_only_for_another_clip(made: Made) -> None:
    clip = noise(64)[0]
    load_engines("mine", "openvino", precision="int8", clips={"rgb": clip})
    assert "from the cache" in load_engines("mine", "openvino", precision="int8").reason
    assert "from the cache" in load_engines("mine", "openvino", precision="int8", clips={"rgb": clip}).reason
    other = load_engines("mine", "openvino", precision="int8", clips={"rgb": np.zeros_like(clip)})
    assert "built now (calibration_sha256 differs)" in other.reason
