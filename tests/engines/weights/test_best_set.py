"""Which set is taken where none is named: what is stored decides; otherwise the best that can be fetched, waiting
only once for each host."""

import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engines.errors import NotFetched
from engines.weights.best_set import BEST_FIRST, NAMES, TOP1, choose_set
from engines.weights.download import WebFile
from engines.weights.fetch import fetch, has_weights
from engines.weights.public_sets import PUBLIC, PublicSets
from tests.support import layouts
from tests.support.made_weights import MadeSet, made
from tests.support.webserver import CountingNetwork, refusing

pytestmark = pytest.mark.usefixtures("own_cache", "tiny_network")
BEST, SECOND = BEST_FIRST
BOTH = "weights imagenet-kinetics: both streams, 74.2 % top-1"


@pytest.fixture
def sets(made_set: MadeSet, tmp_path: Path) -> PublicSets:
    """The two public sets, with synthetic files on a local server."""
    plain = layouts.saved(layouts.as_torch(made(400)), tmp_path / "x.pt", legacy=True)
    return {SECOND: {"rgb": (made_set.add("kinetics.pt", plain),)}, BEST: made_set.table}


def nowhere(sets: PublicSets, address: str, *names: str) -> PublicSets:
    """The same with the files of some sets at another address."""

    def moved(source: Any) -> WebFile:
        return replace(source, address=f"{address}/{source.file}")

    streams = {n: {m: tuple(map(moved, sources)) for m, sources in sets[n].items()} for n in names}
    return {**sets, **streams}


@pytest.fixture
def counted() -> CountingNetwork:
    return CountingNetwork(read_s=2.0)


def test_the_best_set_available_is_fetched_once_and_then_needs_no_network(
    sets: PublicSets, made_set: MadeSet
) -> None:
    assert str(choose_set(public=sets)) == BOTH
    assert made_set.server.requests == ["", ""]
    for again in (False, True):
        assert str(choose_set(public=sets, again=again)) == BOTH
    assert len(made_set.server.requests) == 2


def test_the_second_address_is_tried(sets: PublicSets, made_set: MadeSet) -> None:
    """At the first address one file is missing and another is damaged."""
    del made_set.server.files["/rgb0.pt"]
    made_set.server.files["/flow0.pt"] += b"?"
    assert str(choose_set(public=sets)) == BOTH


def test_a_damaged_file_everywhere_leads_to_the_next_set(sets: PublicSets, made_set: MadeSet) -> None:
    for name in ("/rgb0.pt", "/rgb1.pt"):
        made_set.server.files[name] += b"?"
    assert str(choose_set(public=sets)) == (
        "weights kinetics: 127.0.0.1 has another file; RGB alone, 68.4 % instead of 74.2 % top-1"
    )


def test_a_port_that_refuses_is_asked_once(sets: PublicSets, counted: CountingNetwork) -> None:
    choice = choose_set(public=nowhere(sets, refusing(), BEST), network=counted)
    assert str(choice) == (
        "weights kinetics: 127.0.0.1 cannot be reached: Connection refused; RGB alone, 68.4 % instead of 74.2 % top-1"
    )
    assert len(counted.begun) == 2  # the other one is to the server that has kinetics


def test_a_host_that_cannot_be_resolved_is_asked_once(sets: PublicSets, counted: CountingNetwork) -> None:
    choice = choose_set(public=nowhere(sets, "http://github.invalid", BEST), network=counted)
    assert choice.name == SECOND
    assert choice.why.startswith("github.invalid cannot be reached: ")
    assert counted.begun == ["github.invalid", "127.0.0.1"]


def test_a_server_that_accepts_and_never_answers_is_asked_once(
    sets: PublicSets, counted: CountingNetwork
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"http://127.0.0.1:{mute.getsockname()[1]}"
        choice = choose_set(public=nowhere(sets, address, BEST), network=counted)
    assert choice.why.startswith("127.0.0.1 did not answer within 2 s; RGB alone")
    assert len(counted.begun) == 2


def test_no_network_and_nothing_stored_is_one_line(sets: PublicSets) -> None:
    with pytest.raises(NotFetched) as caught:
        choose_set(public=nowhere(sets, "http://github.invalid", BEST, SECOND))
    text = str(caught.value)
    assert text.startswith("no weights are here: imagenet-kinetics: github.invalid cannot be reached: ")
    assert "; kinetics: github.invalid cannot be reached: " in text
    assert text.endswith("or bring a file: i3d-live weights import FILE")
    assert "\n" not in text


def test_what_is_stored_decides_unless_it_is_asked_again(sets: PublicSets, made_set: MadeSet) -> None:
    fetch(SECOND, public=sets)
    made_set.server.requests.clear()
    assert str(choose_set(public=sets)) == (
        "weights kinetics: RGB alone, 68.4 % top-1; imagenet-kinetics has both streams, 74.2 % top-1: "
        "i3d-live weights fetch imagenet-kinetics"
    )
    assert made_set.server.requests == []
    gone = nowhere(sets, refusing(), BEST, SECOND)
    assert choose_set(public=gone, again=True).name == SECOND
    assert str(choose_set(public=sets, again=True)) == BOTH
    assert str(choose_set(public=gone)) == BOTH


def test_rgb_alone_of_the_better_set_is_preferred_to_the_other_set(
    sets: PublicSets, made_set: MadeSet
) -> None:
    for name in ("/flow0.pt", "/flow1.pt"):
        del made_set.server.files[name]
    assert str(choose_set(public=sets)) == (
        "weights imagenet-kinetics: 127.0.0.1 answers 404 Not Found; RGB alone, 71.1 % instead of 74.2 % top-1"
    )
    assert not has_weights(SECOND, "rgb")
    assert choose_set(public=sets).why.startswith("RGB alone, 71.1 % top-1; imagenet-kinetics has both")


@pytest.mark.parametrize(
    "hurt",
    [
        lambda folder: (folder / "rgb.safetensors").write_bytes(b"?"),
        lambda folder: (folder / "model.json").write_text("{"),
    ],
    ids=["weights", "manifest"],
)
def test_what_is_damaged_does_not_count(
    sets: PublicSets, own_cache: Path, hurt: Callable[[Path], Any]
) -> None:
    fetch(BEST, public=sets)
    fetch(SECOND, public=sets)
    hurt(own_cache / "models" / BEST)
    assert choose_set(public=nowhere(sets, refusing(), BEST)).name == SECOND
    hurt(own_cache / "models" / SECOND)
    assert str(choose_set(public=sets)) == BOTH


def test_only_the_streams_that_are_to_run_are_fetched(sets: PublicSets) -> None:
    assert str(choose_set("rgb", public=sets)) == "weights imagenet-kinetics: RGB alone, 71.1 % top-1"
    assert not has_weights(BEST, "flow")
    assert str(choose_set("both", public=sets)) == BOTH


@pytest.mark.parametrize("streams", ["flow", "both"])
def test_a_set_without_flow_is_not_chosen_where_flow_is_to_run(sets: PublicSets, streams: Any) -> None:
    gone = nowhere(sets, refusing(), BEST)
    with pytest.raises(
        NotFetched, match=r"^no flow weights are here: imagenet-kinetics: 127\.0\.0\.1 cannot"
    ):
        choose_set(streams, public=gone)
    assert not has_weights(SECOND, "rgb")
    fetch(SECOND, public=sets)
    with pytest.raises(NotFetched, match=r"^no flow weights are here: "):
        choose_set(streams, public=gone)


def test_every_public_set_has_its_figures() -> None:
    assert set(BEST_FIRST) == set(PUBLIC)
    for name, streams in PUBLIC.items():
        keys = {*streams, "+".join(streams)}
        assert {(name, key) for key in keys} <= TOP1.keys()
        assert keys <= NAMES.keys()
    assert sorted(TOP1, key=TOP1.__getitem__)[-1] == (BEST, "rgb+flow")
