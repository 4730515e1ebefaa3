"""Weights of any origin, imported from a file."""

import hashlib
import pickle
import shutil
import tarfile
from pathlib import Path

import pytest
import safetensors.numpy

from engines.cache_folder import locked
from engines.errors import EngineError, UsageError, WeightsError
from engines.spec import Modality
from engines.weights import public_sets as public
from engines.weights.fetch import fetch, import_file, list_models, load_labels, load_weights
from engines.weights.pip import Package
from tests.support import layouts
from tests.support.made_weights import LABELS, MadeSet, made, same, tiny_flax

pytestmark = pytest.mark.usefixtures("own_cache", "tiny_network")


def file_of(tmp_path: Path, classes: int = 3, channels: int = 3, name: str = "mine.safetensors") -> Path:
    path = tmp_path / name
    path.write_bytes(safetensors.numpy.save(made(classes, channels)))
    return path


def labels_of(tmp_path: Path, labels: tuple[str, ...] = LABELS) -> Path:
    path = tmp_path / "labels.txt"
    path.write_text("\n".join(labels))
    return path


@pytest.mark.parametrize(("channels", "modality"), [(3, "rgb"), (2, "flow")])
def test_weights_with_their_own_labels_are_imported(
    tmp_path: Path, channels: int, modality: Modality
) -> None:
    stored = import_file(file_of(tmp_path, 3, channels), name="mine", labels=labels_of(tmp_path))
    facts, found = load_weights("mine", modality)
    assert facts == stored
    same(found, made(3, channels))
    assert (facts.labels, facts.source, facts.licence) == (LABELS, "file mine.safetensors", "not stated")


def test_weights_of_400_classes_need_no_labels(tmp_path: Path) -> None:
    path = layouts.saved({"state_dict": layouts.as_torch(made(400))}, tmp_path / "x.pth")
    import_file(path, name="mine", modality="rgb")
    assert load_weights("mine", "rgb")[0].labels == load_labels()


def test_an_import_that_cannot_work_says_why(tmp_path: Path) -> None:
    path, labels = file_of(tmp_path), labels_of(tmp_path)
    with pytest.raises(UsageError, match="none of the public files: give the model a name, --name NAME"):
        import_file(path, labels=labels)
    with pytest.raises(
        WeightsError, match="has 3 classes; name them in a text file, one a line: --labels FILE"
    ):
        import_file(path, name="mine")
    with pytest.raises(WeightsError, match=r"labels\.txt names 2 classes, .*mine\.safetensors has 3"):
        import_file(path, name="mine", labels=labels_of(tmp_path, ("a", "b")))
    with pytest.raises(
        WeightsError, match=r"does not fit I3D \(flow\): Conv3d_1a_7x7.*needs \(4, 2, 1, 1, 1\)"
    ):
        import_file(path, name="mine", modality="flow", labels=labels)
    with pytest.raises(WeightsError, match="is no file of the public set kinetics"):
        import_file(path, name="kinetics", labels=labels)
    with pytest.raises(UsageError, match="no model's name"):
        import_file(path, name="../x", labels=labels)
    for missing in (tmp_path / "nothing.pt", tmp_path):
        with pytest.raises(WeightsError, match=r"cannot be read: (No such file|Is a directory)"):
            import_file(missing, name="mine")
    assert [m.name for m in list_models()] == ["kinetics", "imagenet-kinetics"]


def test_a_public_file_imported_by_hand_is_recognised(made_set: MadeSet, tmp_path: Path) -> None:
    path = tmp_path / "some name"
    path.write_bytes(made_set.server.files["/flow1.pt"])
    stored = import_file(path)
    assert (stored.name, stored.modality) == ("made", "flow")
    facts, found = load_weights("made", "flow")
    same(found, made_set.tensors["flow"])
    assert facts.source == f"file some name, the same as {made_set.server.address}/flow1.pt"
    fetch("made", "flow")
    assert made_set.server.requests == []
    import_file(path, name="other")
    assert load_weights("other", "flow")[0].licence == "free"


def test_a_cache_that_cannot_be_written_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, labels = file_of(tmp_path), labels_of(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(path))
    with pytest.raises(EngineError, match=r"^cannot write .*mine\.safetensors/i3d-live/.*: Not a directory"):
        import_file(path, name="mine", labels=labels)
    assert [m.name for m in list_models()] == ["kinetics", "imagenet-kinetics"]


def test_what_is_stored_is_read_from_a_cache_that_cannot_be_written(
    made_set: MadeSet, own_cache: Path
) -> None:
    fetch("made")
    shutil.rmtree(own_cache / "locks")
    (own_cache / "locks").touch()  # so that no lock can be taken
    with pytest.raises(EngineError, match="cannot write"), locked("model-made"):
        pass
    fetch("made")
    load_weights("made", "rgb")


@pytest.mark.parametrize("whole", [True, False], ids=["package", "member"])
def test_a_public_package_imported_by_hand_is_recognised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    member, archive = tmp_path / "x.ckpt", tmp_path / "p-1.tar.gz"
    member.write_bytes(pickle.dumps(tiny_flax(made(400))))
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(member, "p-1/x.ckpt")
    hashes = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in (member, archive)}
    package = Package("p", "1", archive.name, 1, hashes[archive], "p-1/x.ckpt", hashes[member], "free")
    monkeypatch.setitem(public.PUBLIC, "made", {"rgb": (package,)})
    import_file(archive if whole else member)
    facts, found = load_weights("made", "rgb")
    same(found, made(400))
    assert facts.licence == "free"
