"""A head outside the network gives what it gives inside, and engines with the same features are built once."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines.backends.registry import Forms, Plan
from engines.build import engine_folder
from engines.engine import Engine, Positions
from engines.head import BIAS, KERNEL, head_of, load_head, save_head
from engines.load import EngineOptions, Trunks, engines_of, load_engines, load_features
from engines.runtime.window import WindowEngine
from engines.spec import RGB, Mode, Weights
from engines.weights.heads import FIRST, as_flow, feature_tensors, feature_weights
from engines.weights.store import describe, find_model, load_weights, save_weights
from tests.support.backends import register
from tests.support.made_weights import LABELS, made
from tests.support.networks import CLASSES, noise, random_tensors, small_engine

WEIGHTS = Weights("mine", "rgb", LABELS, "0" * 64, "a test", "none")


def answers(engine: Engine, ticks: np.ndarray) -> list[Positions]:
    """The positions of each step, and of the flush."""
    state, found = engine.start(len(ticks)), []
    size = engine.chunk_ticks
    whole = ticks.shape[1] // size * size
    for start in range(0, whole, size):
        positions, state = engine.step(ticks[:, start : start + size], state)
        found.append(positions)
    if engine.mode != "window":
        found.append(engine.flush(ticks[:, whole:], state))
    return found


def test_a_head_outside_the_network_gives_what_it_gives_inside() -> None:
    mode: Mode = "preview"
    tensors = random_tensors()
    inside = small_engine(tensors, mode)
    features = small_engine(feature_tensors(tensors), mode)
    outside = replace(features, head=head_of(tensors), weights=inside.weights)
    ticks = noise(77)
    for found, wanted in zip(answers(outside, ticks), answers(inside, ticks), strict=True):
        assert found.logits.shape == wanted.logits.shape == (1, wanted.logits.shape[1], CLASSES)
        np.testing.assert_allclose(found.logits, wanted.logits, rtol=1e-4, atol=1e-4)
        np.testing.assert_array_equal(found.first, wanted.first)
        assert found.settled == wanted.settled
    same = ("spec", "weights", "mode", "backend", "precision", "device", "chunk_ticks")
    assert [getattr(outside, name) for name in same] == [getattr(inside, name) for name in same]


def test_features_are_identified_by_all_but_the_head() -> None:
    tensors = made()
    other_head = {**tensors, KERNEL: tensors[KERNEL][:2] + 1, BIAS: tensors[BIAS][:2]}
    other_trunk = {**tensors, FIRST: tensors[FIRST] + 1}
    named = feature_weights(WEIGHTS, tensors)
    assert feature_weights(replace(WEIGHTS, name="other", sha256="1" * 64), other_head).sha256 == named.sha256
    assert feature_weights(WEIGHTS, other_trunk).sha256 != named.sha256
    assert len(named.labels) == tensors[KERNEL].shape[1]


def test_flow_starts_from_the_mean_over_the_colours() -> None:
    tensors = made()
    weights, flow = as_flow(WEIGHTS, tensors)
    assert weights.modality == "flow"
    np.testing.assert_allclose(flow[FIRST], np.repeat(tensors[FIRST].mean(axis=1, keepdims=True), 2, axis=1))
    np.testing.assert_array_equal(flow[KERNEL], tensors[KERNEL])


class Compiler:
    """Double of a backend that compiles: it stores the mean of the first kernel."""

    COMPILES, COMPUTES_I3D = True, False

    def __init__(self) -> None:
        self.built: list[str] = []
        self.loaded: list[str] = []

    def unavailable(self) -> None:
        return None

    def precisions(self) -> tuple[str, ...]:
        return ("float32", "int8")

    def device(self) -> str:
        return "double"

    def versions(self) -> dict[str, str]:
        return {}

    def forms(self, plan: Plan, tensors: Any, clip: Any) -> Forms:
        return Forms(("",))

    def build(self, plan: Plan, tensors: Any, folder: Path, calibration: Any) -> None:
        assert tensors[KERNEL].shape[0] == len(plan.weights.labels)
        self.built.append(plan.weights.name)
        save_head(head_of(tensors), folder)
        (folder / "factor").write_text(str(float(tensors[FIRST].mean())))

    def load(self, plan: Plan, folder: Path, tensors: Any) -> WindowEngine:
        """Its features are a window's brightness, times the factor in its file."""
        self.loaded.append(plan.weights.name)
        factor = float((folder / "factor").read_text())

        def run(chunk: np.ndarray) -> np.ndarray:
            return np.full((len(chunk), 1, 7, 7, 4), chunk.mean() * factor, np.float32)

        facts = "double", plan.precision, "double"
        return WindowEngine(plan.spec, plan.weights, *facts, run, load_head(folder))


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch, own_cache: Path, tiny_network: None) -> Iterator[Compiler]:
    compiler = Compiler()
    register(monkeypatch, compiler)
    return compiler


def test_models_with_the_same_features_share_one_engine(compiler: Compiler) -> None:
    trunk, other = made(seed=1), made(seed=2)
    load_features(replace(WEIGHTS, name="base"), trunk, RGB, "double")
    heads = {"one": 1.0, "two": 2.0}
    for name, factor in heads.items():
        head = {KERNEL: trunk[KERNEL] * factor, BIAS: trunk[BIAS] * factor}
        save_weights(name, "rgb", trunk | head, LABELS, source="a test", licence="none", shared_trunk=True)
    save_weights("apart", "rgb", other, LABELS, source="a test", licence="none", shared_trunk=True)
    save_weights("whole", "rgb", trunk, LABELS, source="a test", licence="none")
    window = np.ones((1, 64, 224, 224, 3), np.uint8)
    for name, factor in heads.items():
        engine = load_engines(name, "double", mode="window").rgb
        assert engine is not None
        assert engine.weights == load_weights(name, "rgb")[0]
        features = np.full((1, 1, 4), trunk[FIRST].mean(), np.float32)
        wanted = (features @ trunk[KERNEL][:, :, 0, 0, 0].T + trunk[BIAS]) * factor
        np.testing.assert_allclose(engine.step(window, engine.start())[0].logits, wanted, rtol=1e-5)
    assert len(compiler.built) == 1
    load_engines("apart", "double", mode="window")
    assert len(set(compiler.built)) == len(compiler.built) == 2, "another network needs another engine"
    load_engines("whole", "double", mode="window")
    assert compiler.built[2] == "whole", "a model that shares nothing is built as usual"
    load_engines("one", "double", "int8", "window")
    assert compiler.built[3] == "one", "calibrated with its own head"
    assert engine_folder(Plan(RGB, describe("one", "rgb"), "window", "int8"), "double").is_dir()


def test_models_on_one_network_that_run_together_load_it_once(compiler: Compiler) -> None:
    trunk, other = made(seed=1), made(seed=2)
    for name, tensors in {"one": trunk, "two": trunk | {BIAS: trunk[BIAS] * 2}, "apart": other}.items():
        save_weights(name, "rgb", tensors, LABELS, source="a test", licence="none", shared_trunk=True)
        load_engines(name, "double", mode="window")  # so that it is built
    compiler.loaded.clear()
    trunks: Trunks = {}
    options = EngineOptions("double", mode="window")
    loaded = {name: engines_of(find_model(name), options, trunks=trunks) for name in ("one", "two", "apart")}
    assert len(compiler.loaded) == 2
    assert "shared with another model" in loaded["two"].reason
    window = np.ones((1, 64, 224, 224, 3), np.uint8)
    for name, engines in loaded.items():
        engine, alone = engines.rgb, load_engines(name, "double", mode="window").rgb
        assert engine is not None
        assert alone is not None
        assert engine.weights == alone.weights
        assert np.array_equal(
            engine.step(window, engine.start())[0].logits, alone.step(window, alone.start())[0].logits
        )
