"""Forms of a network: all the same up to rounding, the fastest that is right is kept."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines.backends.graphs import graphs
from engines.backends.openvino import forms, timing
from engines.backends.openvino import run as openvino
from engines.backends.openvino.build import read
from engines.backends.openvino.device import core, threads
from engines.backends.registry import Plan
from engines.build import build_engine, manifest, stale_field, told_form
from engines.spec import Mode
from tests.support.backends import register
from tests.support.networks import noise, plan, random_tensors, small_spec

TENSORS = random_tensors()
TOLERANCE = 1e-4


def told(what: str, done: int, total: int | None) -> None:
    pass


@pytest.mark.parametrize(
    ("mode", "precision"), [("continual", "float32"), ("continual", "int8"), ("window", "bfloat16")]
)
def test_every_form_gives_the_same(mode: Mode, precision: str) -> None:
    """In float32, whatever they are for. Of windows, which take longest to compile, every third."""
    found = {}
    choice = forms.forms(replace(plan(mode), precision=precision)).items()
    for name, faster in list(choice)[:: 3 if mode == "window" else 1]:
        graph = next(
            g for g in graphs(small_spec(3), mode, TENSORS, faster=faster) if g.name in ("window", "interior")
        )
        model = read(graph)
        rng = np.random.default_rng(0)
        memories = [rng.random(list(port.shape), np.float32) for port in model.inputs[1:]]
        compiled = core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        found[name] = [
            x.copy() for x in compiled([noise(graph.inputs["chunk"].shape[0]), *memories]).values()
        ]
    first, *others = found.values()
    for other in others:
        for a, b in zip(other, first, strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(
    ("flags", "kind", "best"),
    [
        ("sse avx2 avx512_vnni avx512_bf16 amx_bf16 amx_int8", "amx", forms.ONE),
        ("sse avx2 avx512_vnni avx512_bf16", "avx512-bf16", forms.ALL),
        ("sse avx2", "avx2", forms.ALL),
        ("neon", "other", forms.ALL),
    ],
)
def test_what_is_known_of_a_kind_of_processor(flags: str, kind: str, best: str, tmp_path: Path) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text(f"processor : 0\nflags\t\t: fpu {flags}\n")
    assert forms.processor_kind(path) == kind
    assert forms.known_best(replace(plan("continual"), precision="bfloat16"), kind) == best
    assert forms.known_best(replace(plan("window"), precision="int8"), kind) == forms.NONE


def test_elsewhere_than_on_linux_a_processor_is_of_no_known_kind(tmp_path: Path) -> None:
    assert forms.processor_kind(tmp_path / "nothing") == "other"


@pytest.mark.parametrize(("other_ms", "first"), [(97.0, "other"), (99.0, "usual"), (101.0, "usual")])
def test_another_form_must_be_clearly_faster_than_the_usual_one(other_ms: float, first: str) -> None:
    rank = timing.ranked({"usual": 100.0, "other": other_ms, "slow": 200.0}, "usual")
    assert (rank[0], rank[-1]) == (first, "slow")


class Steps:
    """Double of a request: a step takes so long, and all of the processor for that share of it."""

    threads = threads()

    def __init__(self, clocks: list[float], takes_s: float, share: float) -> None:
        self._clocks, self._takes_s, self._share = clocks, takes_s, share
        self.count = 0

    def infer(self) -> None:
        self.count += 1
        self._clocks[0] += self._takes_s
        self._clocks[1] += self._takes_s * self._share * self.threads


@pytest.mark.parametrize(("share", "busy"), [(0.9, False), (0.3, True)])
def test_forms_are_not_compared_while_other_programs_are_in_the_way(share: float, busy: bool) -> None:
    clocks = [0.0, 0.0]
    requests = {"usual": Steps(clocks, 0.05, share), "other": Steps(clocks, 0.04, share)}
    found = timing.timed(requests, told, lambda: clocks[0], lambda: clocks[1])
    assert found.busy == busy
    assert found.names == (("usual", "other") if busy else ("other", "usual"))
    assert found.ms == ({} if busy else {"usual": 50.0, "other": 40.0})


def test_a_form_that_is_far_behind_is_not_timed_again() -> None:
    clocks = [0.0, 0.0]
    takes_ms = {"usual": 60, "other": 50, "near": 62, "far": 63}
    requests = {name: Steps(clocks, ms / 1000, 1.0) for name, ms in takes_ms.items()}
    found = timing.timed(requests, told, lambda: clocks[0], lambda: clocks[1])
    assert found.names == ("other", "usual", "near", "far")
    assert found.ms == takes_ms
    a_turn = 1 + timing.STEPS
    all_turns = timing.ROUNDS * a_turn
    assert [each.count for each in requests.values()] == [all_turns, all_turns, all_turns, a_turn]


def test_timing_ends_with_the_turn_in_which_the_time_is_over() -> None:
    clocks = [0.0, 0.0]
    requests = {name: Steps(clocks, 2.0, 1.0) for name in ("usual", "other")}
    assert timing.timed(requests, told, lambda: clocks[0], lambda: clocks[1]).names == ("usual", "other")
    assert [each.count for each in requests.values()] == [2 * (1 + timing.STEPS)] * 2


def test_all_forms_are_timed_and_the_build_says_which_it_took(tmp_path: Path) -> None:
    steps: list[tuple[str, int, int | None]] = []
    asked = replace(plan("continual"), tell=lambda *step: steps.append(step))
    folder = tmp_path / "engine"
    build_engine(asked, "openvino", TENSORS, folder, None)
    found = json.loads((folder / "manifest.json").read_text())
    if found["busy"]:  # other tests run at the same time
        assert (found["forms_ms"], found["form"]) == ({}, forms.ALL)
        assert "not timed" in told_form(folder)
    else:
        assert found["forms_ms"].keys() == forms.forms(asked).keys()
        assert found["form"] == timing.ranked(found["forms_ms"], forms.ALL)[0]
        ms = found["forms_ms"][found["form"]]
        assert f"{found['form']}: {ms:.1f} ms a step, of 8 forms" in told_form(folder)
    assert {total for _, _, total in steps} == {8, timing.ROUNDS}
    assert stale_field(folder, manifest(asked, "openvino", None)) is None


def test_what_was_not_tuned_is_built_again_only_for_one_who_asks(tmp_path: Path) -> None:
    folder = tmp_path / "engine"
    build_engine(plan("continual"), "openvino", TENSORS, folder, None)
    assert told_form(folder) == forms.ALL
    assert stale_field(folder, manifest(plan("continual"), "openvino", None)) is None
    wanted = manifest(replace(plan("continual"), tell=told), "openvino", None)
    assert stale_field(folder, wanted) == "tuned was False, is True"


class FirstIsWrong:
    """OpenVINO, except that its first build computes something else."""

    def __init__(self) -> None:
        self.built: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(openvino, name)

    def build(self, given: Plan, tensors: Any, folder: Path, calibration: Any) -> None:
        self.built.append(given.form)
        if len(self.built) == 1:
            tensors = {name: 2 * x for name, x in tensors.items()}
        openvino.build(given, tensors, folder, calibration)


def test_the_next_form_is_taken_where_the_fastest_is_not_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = FirstIsWrong()
    register(monkeypatch, backend, "openvino")
    folder = tmp_path / "engine"
    build_engine(replace(plan("continual"), tell=told), "openvino", TENSORS, folder, None)
    facts = json.loads((folder / "manifest.json").read_text())
    rank = (
        timing.ranked(facts["forms_ms"], forms.ALL)
        if facts["forms_ms"]
        else tuple(forms.forms(plan("continual")))
    )
    assert (backend.built, facts["form"]) == (list(rank[:2]), rank[1])
