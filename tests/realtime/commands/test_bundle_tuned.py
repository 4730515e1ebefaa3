"""A bundle with every form of its network: the first start on a machine takes the fastest that is right there."""

import json
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from engines.backends.openvino.forms import forms
from engines.backends.openvino.run import device, form_folder, versions
from engines.backends.registry import Plan
from engines.bundle import check_bundle, load_bundle, probe
from engines.bundle_forms import TUNED, pack_every_form, read_tuned
from engines.cache_folder import sha256_of
from engines.errors import EngineError, UsageError
from engines.load import Engines, load_engines
from realtime import run_bundle
from realtime.commands import bundle as command
from tests.support.narrow import save_narrow

Steps = list[tuple[str, int, int | None]]


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Engines, Path]:
    """The engines of a narrow network, and a bundle of them that is not to be changed."""
    folder = tmp_path_factory.mktemp("tuned")
    with pytest.MonkeyPatch.context() as patch:
        engines = load_engines(save_narrow(folder / "cache", patch), "openvino", "float32", "continual")
        (folder / "bundle").mkdir()
        command.fill(engines, folder / "bundle", tune=True)
    return engines, folder / "bundle"


@pytest.fixture
def bundle(packed: tuple[Engines, Path], tmp_path: Path) -> Path:
    """Of two forms, which are timed sooner than eight."""
    folder = Path(shutil.copytree(packed[1], tmp_path / "bundle"))
    facts = json.loads((folder / "bundle.json").read_text())
    facts["streams"]["rgb"]["forms"] = facts["streams"]["rgb"]["forms"][:2]
    (folder / "bundle.json").write_text(json.dumps(facts))
    return folder


def two_forms(bundle: Path) -> list[Path]:
    """Their folders."""
    names = json.loads((bundle / "bundle.json").read_text())["streams"]["rgb"]["forms"]
    return [form_folder(bundle / "rgb", name) for name in names]


def names(engines: Engines) -> list[str]:
    assert engines.rgb is not None
    return list(forms(Plan(engines.rgb.spec, engines.rgb.weights, "continual", "float32")))


def fixed(bundle: Path, form: str) -> dict[str, Any]:
    """As if this form had been the fastest here; what a start would have stored."""
    facts: dict[str, Any] = {
        "processor": device(),
        "versions": versions(),
        "form": form,
        "forms_ms": {form: 1.0},
    }
    (bundle / "rgb" / TUNED).write_text(json.dumps(facts))
    return facts


def test_every_form_is_in_it_and_what_they_share_once(packed: tuple[Engines, Path]) -> None:
    engines, folder = packed
    facts = json.loads((folder / "bundle.json").read_text())
    assert facts["streams"]["rgb"]["forms"] == names(engines)
    assert len(list((folder / "rgb" / "forms").iterdir())) == len(names(engines))
    assert not list(folder.rglob("*.bin"))[1:], "one file of weights"


def test_the_first_start_times_the_forms_and_the_next_does_not(
    packed: tuple[Engines, Path], bundle: Path
) -> None:
    steps: list[Steps] = []
    found = []
    for _ in range(2):
        told: Steps = []
        found.append(load_bundle(bundle, lambda *step, told=told: told.append(step)))
        steps.append(told)
        if not (bundle / "rgb" / TUNED).exists():  # other tests keep the machine busy
            assert "not timed" in found[-1].reason
            fixed(bundle, names(packed[0])[0])
    assert len(steps[0]) > 2
    assert steps[1] == []
    assert "ms a step, of" in found[1].reason
    assert found[1].rgb is not None
    np.testing.assert_allclose(probe(found[1].rgb), np.load(bundle / "rgb" / "probe.npy"), atol=0.05)
    assert check_bundle(bundle, found[1])["rgb"] < 0.05


def test_each_form_is_loaded_when_it_is_the_fastest(packed: tuple[Engines, Path], tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(packed[1], tmp_path / "bundle"))
    wanted = np.load(bundle / "rgb" / "probe.npy")
    seen = []
    for form in names(packed[0])[::3]:
        fixed(bundle, form)
        engines = load_bundle(bundle)
        assert f"rgb {form}: 1.0 ms a step" in engines.reason
        assert engines.rgb is not None
        seen.append(probe(engines.rgb).tobytes())
        np.testing.assert_allclose(
            np.frombuffer(seen[-1], np.float32).reshape(wanted.shape), wanted, atol=0.05
        )
    assert len(set(seen)) > 1, "forms differ in rounding"


def test_another_processor_is_measured_again(packed: tuple[Engines, Path], bundle: Path) -> None:
    facts = fixed(bundle, names(packed[0])[1])
    (bundle / "rgb" / TUNED).write_text(json.dumps(facts | {"processor": "another"}))
    told: Steps = []
    load_bundle(bundle, lambda *step: told.append(step))
    assert told


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"form": "none", "forms_ms": {"all layers": 1.0}}'])
def test_what_was_measured_but_cannot_be_read_counts_as_not_measured(text: str, tmp_path: Path) -> None:
    (tmp_path / "tuned.json").write_text(text)
    assert read_tuned(tmp_path / "tuned.json") == {}


def test_a_form_that_predicts_otherwise_is_left_out(bundle: Path) -> None:
    """Of two, first one, then both."""
    first, second = two_forms(bundle)
    spoil(second)
    seal_again(bundle)
    assert "rgb all layers" in load_bundle(bundle).reason
    spoil(first)
    seal_again(bundle)
    (bundle / "rgb" / TUNED).unlink(missing_ok=True)
    with pytest.raises(EngineError, match="no form of the rgb engine predicts here"):
        load_bundle(bundle)


def test_forms_may_differ_also_where_nothing_can_be_remembered(bundle: Path) -> None:
    """Such as in a folder that can only be read: another form than that of the probe may run there."""
    engines = load_bundle(bundle)
    (bundle / "rgb" / TUNED).unlink(missing_ok=True)
    np.save(bundle / "rgb" / "probe.npy", np.load(bundle / "rgb" / "probe.npy") + np.float32(0.01))
    assert check_bundle(bundle, engines)["rgb"] == pytest.approx(0.01, rel=0.01)


def spoil(form: Path) -> None:
    """Give it a file of weights of its own, in which those of the last layers are far too large."""
    weights = bytearray((form.parent.parent / "weights.bin").read_bytes())
    for path in form.glob("*.xml"):
        constants = [each.attrib for each in ElementTree.parse(path).findall(".//layer[@type='Const']/data")]
        for last in [each for each in constants if int(each["size"]) > 200][-4:]:
            start, size = int(last["offset"]), int(last["size"])
            weights[start : start + size] = b"\x4c" * size  # 17.2 in half precision
    (form / "weights.bin").write_bytes(weights)


def seal_again(bundle: Path) -> None:
    """As if its files were those that were bundled."""
    facts = json.loads((bundle / "bundle.json").read_text())
    files = [path for path in bundle.rglob("*") if path.is_file() and path.name not in ("bundle.json", TUNED)]
    facts["files"] = {str(path.relative_to(bundle)): sha256_of(path) for path in files}
    (bundle / "bundle.json").write_text(json.dumps(facts))


def test_the_program_says_what_it_does_once(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_bundle.main(bundle, ["--check"]) == 0
    assert capsys.readouterr().err.splitlines()[:2] == [
        "run.py: preparing the forms of the network, once",
        "run.py: timing them on this machine, once",
    ]


def test_a_backend_with_one_form_is_refused(packed: tuple[Engines, Path], tmp_path: Path) -> None:
    engine = packed[0].rgb
    assert engine is not None
    plan = Plan(engine.spec, engine.weights, "continual", "float32")
    with pytest.raises(UsageError, match="tensorrt has one; leave it out, or choose openvino with --backend"):
        pack_every_form(plan, "tensorrt", {}, None, tmp_path)
