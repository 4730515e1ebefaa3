"""Public sets: fetched once, from the first address that has the right file, whatever happened before."""

import pickle
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engines.errors import I3DLiveError, NotFetched, UsageError
from engines.weights import public_sets as public
from engines.weights.fetch import fetch, has_weights, load_labels, load_weights
from engines.weights.pip import Package
from tests.support.made_weights import MadeSet, made, same, tiny_flax

pytestmark = pytest.mark.usefixtures("own_cache", "tiny_network")


def test_both_streams_are_fetched_once(made_set: MadeSet, own_cache: Path) -> None:
    seen: list[str] = []
    info = fetch("made", progress=lambda what, done, total: seen.append(what))
    assert info.summary == "400 classes; rgb stored, flow stored"
    assert set(seen) == {"rgb0.pt", "flow0.pt"}
    for modality, tensors in made_set.tensors.items():
        facts, found = load_weights("made", modality)
        same(found, tensors)
        assert (facts.source, facts.licence) == (f"{made_set.server.address}/{modality}0.pt", "free")
        assert facts.labels == load_labels()
    assert list((own_cache / "downloads").iterdir()) == []
    assert fetch("made") == info
    assert len(made_set.server.requests) == 2


def test_one_stream_can_be_fetched_alone(made_set: MadeSet) -> None:
    assert fetch("made", "flow").summary == "400 classes; rgb not fetched, flow stored"
    assert made_set.server.requests == [""]


def test_the_second_address_is_tried_and_its_layout_is_read(made_set: MadeSet) -> None:
    del made_set.server.files["/flow0.pt"]
    fetch("made", "flow")
    facts, found = load_weights("made", "flow")
    same(found, made_set.tensors["flow"])
    assert facts.source == f"{made_set.server.address}/flow1.pt"


def test_a_wrong_file_is_never_parsed(made_set: MadeSet, own_cache: Path) -> None:
    """Parsing either of the two would report what is wrong inside it."""
    made_set.server.files |= {"/rgb0.pt": b"junk", "/rgb1.pt": made_set.server.files["/flow0.pt"][:-100]}
    with pytest.raises(NotFetched) as caught:
        fetch("made", "rgb")
    message = str(caught.value)
    assert "\n" not in message
    assert message.count("is not the file expected: git blob id") == 2
    assert message.endswith(
        "try again where the network reaches it, or bring the file and: i3d-live weights import rgb0.pt"
    )
    assert not has_weights("made", "rgb")
    assert list((own_cache / "downloads").iterdir()) == []


def hurt_file(folder: Path) -> None:
    (folder / "rgb.safetensors").write_bytes((folder / "rgb.safetensors").read_bytes()[:-1])


HURT: dict[str, Callable[[Path], Any]] = {
    "file cut": hurt_file,
    "file gone": lambda folder: (folder / "rgb.safetensors").unlink(),
    "manifest damaged": lambda folder: (folder / "model.json").write_text("{"),
    "manifest gone": lambda folder: (folder / "model.json").unlink(),
    "left by a killed run": lambda folder: (
        (folder / "model.json").unlink(),
        (folder / ".rgb.safetensors.tmp").touch(),
    ),
}


@pytest.mark.parametrize("hurt", HURT.values(), ids=HURT)
def test_what_is_damaged_is_fetched_again(
    made_set: MadeSet, own_cache: Path, hurt: Callable[[Path], Any]
) -> None:
    fetch("made", "rgb")
    hurt(own_cache / "models" / "made")
    fetch("made", "rgb")
    same(load_weights("made", "rgb")[1], made_set.tensors["rgb"])
    assert sorted(path.name for path in (own_cache / "models" / "made").iterdir()) == [
        "model.json",
        "rgb.safetensors",
    ]
    assert len(made_set.server.requests) == 2


def test_several_threads_together_fetch_a_set_once(made_set: MadeSet) -> None:
    failed: list[BaseException] = []

    def work() -> None:
        try:
            fetch("made")
        except I3DLiveError as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert len(made_set.server.requests) == 2
    assert fetch("made").summary == "400 classes; rgb stored, flow stored"


def test_a_package_is_read_as_flax(monkeypatch: pytest.MonkeyPatch) -> None:
    data = pickle.dumps(tiny_flax(made(400)))
    package = Package("p", "1", "p-1.tar.gz", 1, "0" * 64, "p-1/x.ckpt", "0" * 64, "free")
    monkeypatch.setitem(public.PUBLIC, "made", {"rgb": (package,)})
    fetch("made", from_package=lambda package, progress: data)
    facts, found = load_weights("made", "rgb")
    same(found, made(400))
    assert facts.source == "Python package p 1, x.ckpt"


def test_an_unknown_set_or_stream_is_an_error_that_lists_the_known() -> None:
    with pytest.raises(UsageError, match="no public set mine; there are kinetics, imagenet-kinetics"):
        fetch("mine")
    with pytest.raises(UsageError, match="kinetics has no flow weights; imagenet-kinetics has"):
        fetch("kinetics", "flow")


def test_no_torch_is_needed(made_set: MadeSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    fetch("made")
    same(load_weights("made", "flow")[1], made_set.tensors["flow"])
