"""OpenVINO's engines against the whole-video network in torch, on narrow networks and small pictures unless a test
says otherwise."""

import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines.backends.graphs import Graph, Port, graphs, window
from engines.backends.openvino import build as openvino_build
from engines.backends.openvino import device, forms, step_length
from engines.backends.openvino import run as openvino
from engines.backends.pytorch import WholeVideo
from engines.check import SHORT_WINDOW, Comparison, Report, check
from engines.engine import SEEN_TICKS, STEP_TICKS, Engine
from engines.errors import EngineError
from engines.head import head_of, mean_of_cells
from engines.nets.folded import Faster
from engines.nets.winograd import POINTS, POINTS_IN_FEW_BITS
from engines.runtime.continual import StreamingEngine
from engines.runtime.whole_clip import clip_logits
from engines.spec import MODES, RGB, Mode
from tests.support.networks import noise, plan, random_tensors
from tests.support.watching import resident_mb

TOLERANCE = 1e-4
"""Float32 summed in another order, and mixed along time: 1e-5 was seen for logits of about 1."""
GOLDEN_TOLERANCE = {"f32": 5e-3, "bf16": 0.4}
"""By the type that OpenVINO computes in."""
TENSORS = {channels: random_tensors(channels) for channels in (3, 2)}
PLAN_FOR_FILES = replace(plan("continual"), long_steps=True, form=forms.NONE)
"""Of a form that is built and compiled in a tenth of the time; that of the trained network is compared with torch in
tests/realtime/features."""
Make = Callable[..., Engine]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Mode, int], Path]:
    """The built files of a mode and stream, built once."""
    built: dict[tuple[Mode, int], Path] = {}

    def get(mode: Mode, channels: int = 3) -> Path:
        if (mode, channels) not in built:
            path = tmp_path_factory.mktemp(f"{mode}-{channels}")
            openvino.build(plan(mode, channels), TENSORS[channels], path, None)
            built[mode, channels] = path
        return built[mode, channels]

    return get


@pytest.fixture(scope="module")
def engine(folder: Callable[[Mode, int], Path]) -> Make:
    """The engine of a mode and stream."""
    engines: dict[tuple[Mode, int], Engine] = {}

    def get(mode: Mode, channels: int = 3) -> Engine:
        if (mode, channels) not in engines:
            engines[mode, channels] = openvino.load(plan(mode, channels), folder(mode, channels), None)
        return engines[mode, channels]

    return get


def test_a_window_is_the_network(engine: Make) -> None:
    chunk = noise(64, batch=2)
    one = engine("window")
    positions, state = one.step(chunk, one.start(2))
    wanted = WholeVideo(TENSORS[3])(chunk)
    np.testing.assert_allclose(positions.logits, wanted, rtol=0, atol=TOLERANCE)
    assert (positions.settled, positions.first.tolist(), state) == (7, [0, 0], 2)


@pytest.mark.parametrize(("channels", "mode"), [(3, "continual"), (3, "preview"), (2, "continual")])
@pytest.mark.parametrize("length", [64, 93, 110, 131])
def test_a_clip_is_the_whole_video_network(engine: Make, channels: int, mode: Mode, length: int) -> None:
    ticks = noise(length, channels)
    found = clip_logits(engine(mode, channels), iter(ticks[0]), length)
    wanted = WholeVideo(TENSORS[channels])(ticks)[0]
    np.testing.assert_allclose(found, wanted, rtol=0, atol=TOLERANCE)


def test_a_preview_is_what_the_video_would_give_if_it_ended_now(engine: Make) -> None:
    ticks = noise(104)
    preview, reference = engine("preview"), WholeVideo(TENSORS[3], anchored=True)
    state = preview.start()
    for step in range(1, 14):
        positions, state = preview.step(ticks[:, 8 * step - 8 : 8 * step], state)
        if step in (2, 7, 8, 9, 13):
            wanted = reference(ticks[:, : 8 * step])[0, -7:]
            np.testing.assert_allclose(positions.logits[0, -len(wanted) :], wanted, rtol=0, atol=TOLERANCE)
            assert positions.first[0] == step - 8


def test_without_a_preview_the_settled_logits_are_those_of_continual(engine: Make) -> None:
    ticks = noise(104)
    both = [engine("continual"), engine("preview")]
    states = [one.start() for one in both]
    for step in range(13):
        chunk = ticks[:, 8 * step : 8 * step + 8]
        settled, states[0] = both[0].step(chunk, states[0])
        plain, states[1] = both[1].step(chunk, states[1], preview=step % 3 == 0)
        assert plain.logits.shape[1] == (7 if step % 3 == 0 else 1)
        np.testing.assert_allclose(plain.logits[:, :1], settled.logits, rtol=0, atol=TOLERANCE)


def test_without_previews_no_step_computes_more_than_one_position(
    folder: Callable[[Mode, int], Path],
) -> None:
    ran: list[str] = []

    class Watched(openvino.OpenVINOGraphs):
        def step(self, name: str, *rest: Any) -> np.ndarray:
            cells = super().step(name, *rest)
            ran.append(name)
            assert cells.shape[1] == 1
            return cells

    made = plan("continual")
    graphs = Watched(folder("continual", 3), made)
    engine = StreamingEngine(
        made.spec, made.weights, made.mode, "openvino", "float32", "CPU", graphs, head_of(TENSORS[3])
    )
    state, ticks = engine.start(), noise(80)
    for start in range(0, 80, 8):
        _, state = engine.step(ticks[:, start : start + 8], state)
    assert ran == ["boundary"] * 8 + ["interior"] * 2
    assert engine.flush(ticks[:, :3], state).logits.shape[1] == 7
    assert ran[10:] == ["boundary"] * 7


@pytest.mark.parametrize("mode", MODES)
def test_no_stream_depends_on_its_neighbours_in_the_batch(engine: Make, mode: Mode) -> None:
    one = engine(mode)
    ticks = noise(128, batch=8)
    other = ticks.copy()
    other[np.arange(8) != 5] = 255 - other[np.arange(8) != 5]
    answers = []
    for batch in (ticks, other, ticks[5:6]):
        state, found = one.start(len(batch)), []
        for start in range(0, 128, one.chunk_ticks):
            positions, state = one.step(batch[:, start : start + one.chunk_ticks], state)
            found.append(positions.logits[min(5, len(batch) - 1)])
        answers.append(np.concatenate(found))
    np.testing.assert_array_equal(answers[0], answers[1])
    np.testing.assert_array_equal(answers[0], answers[2])


@pytest.mark.parametrize("steps", [30, pytest.param(100_000, marks=pytest.mark.slow)])
def test_what_a_stream_remembers_stays_in_two_sets_of_buffers(engine: Make, steps: int) -> None:
    one = engine("continual")
    state = one.start()
    chunk = noise(8)
    buffers = {id(tensor) for side in (state.memory[0].now, state.memory[0].next) for tensor in side}
    samples_mb = []
    for step in range(steps):
        _, state = one.step(chunk, state)
        (remembered,) = state.memory
        if step % (steps // 10) == 0:
            samples_mb.append(resident_mb())
        assert {id(tensor) for side in (remembered.now, remembered.next) for tensor in side} == buffers
    assert samples_mb[-1] < 1.01 * samples_mb[1]


def test_running_a_built_engine_imports_neither_torch_nor_nncf(folder: Callable[..., Path]) -> None:
    code = f"""
import sys
import numpy as np
from dataclasses import replace
from engines.backends.registry import Plan, backend_module
from engines.spec import RGB, Weights
weights = Weights("random", "rgb", tuple("abcde"), "0", "a test", "none")
plan = Plan(replace(RGB, crop_px=32), weights, "continual", "float32")
engine = backend_module("openvino").load(plan, __import__("pathlib").Path({str(folder("continual", 3))!r}), None)
positions, _ = engine.step(np.zeros((1, 8, 32, 32, 3), np.uint8), engine.start())
assert positions.logits.shape == (1, 1, 5)
heavy = {{"torch", "nncf", "onnx", "cv2", "av"}} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-W", "error::ResourceWarning", "-c", code], check=True)


def threads_of(engine: StreamingEngine) -> int:
    with engine.graphs.requests["interior"].one() as request:
        return int(request.get_compiled_model().get_property("INFERENCE_NUM_THREADS"))


@pytest.mark.parametrize("mode", ["window", "continual"])
def test_engines_that_run_concurrently_share_the_cores(
    engine: Make, folder: Callable[..., Path], mode: Mode
) -> None:
    """Each gets half of the threads that one alone would get, and gives the same logits."""
    alone = engine(mode)
    shared = openvino.load(replace(plan(mode), engines_at_a_time=2), folder(mode), None)
    assert (alone.engines_at_a_time, shared.engines_at_a_time) == (1, 2)
    if isinstance(alone, StreamingEngine) and isinstance(shared, StreamingEngine):
        counts = [threads_of(one) for one in (alone, shared)]
        assert counts == [device.threads(), max(1, device.threads() // 2)]
    ticks = noise(64)[0]
    np.testing.assert_allclose(
        clip_logits(shared, ticks, 64), clip_logits(alone, ticks, 64), rtol=0, atol=TOLERANCE
    )


def test_looking_for_a_processor_loads_nothing_for_gpus() -> None:
    code = """
from engines.backends.openvino import device, step_length
assert device.unavailable() is None
loaded = open("/proc/self/maps").read()
assert "intel_cpu_plugin" in loaded
assert "intel_gpu_plugin" not in loaded
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_a_processor_that_it_knows_openvino_is_not_available() -> None:
    def none() -> str:
        raise RuntimeError("Device with CPU name is not registered in the OpenVINO Runtime")

    assert device.unavailable(none) == "OpenVINO finds no CPU that it can use"


def test_a_damaged_file_is_an_error_that_names_it(folder: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "window.xml").write_text((folder("window", 3) / "window.xml").read_text()[:5000])
    with pytest.raises(
        EngineError, match=r"OpenVINO cannot load .*window\.xml: .*build again with --rebuild"
    ):
        openvino.load(plan("window"), tmp_path, None)


def test_bfloat16_is_offered_where_the_processor_computes_in_it() -> None:
    capable = "BF16" in device.core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    assert ("bfloat16" in device.precisions()) == capable
    assert device.precisions()[0] == ("bfloat16" if capable else "float32")


def golden_input(length: int) -> np.ndarray:
    values = np.random.default_rng(0).random((1, 3, length, 224, 224), dtype=np.float32)
    return np.ascontiguousarray((values * 2 - 1).transpose(0, 2, 3, 4, 1))


def hold_golden(found: np.ndarray, wanted: np.ndarray, hint: str) -> None:
    np.testing.assert_allclose(found, wanted, rtol=0, atol=GOLDEN_TOLERANCE[hint])


@pytest.fixture(params=sorted(GOLDEN_TOLERANCE))
def hint(request: pytest.FixtureRequest) -> str:
    if request.param == "bf16" and "bfloat16" not in device.precisions():
        pytest.skip("this processor does not compute in bfloat16")
    return str(request.param)


def float_ticks(graph: Graph) -> Graph:
    """The same graph with a float input, not pixels: the golden input is scaled already."""
    shape = graph.inputs["chunk"].shape
    return replace(graph, inputs={**graph.inputs, "chunk": Port(shape, "float32")})


@pytest.mark.weights
def test_golden_logits_of_a_window(
    kinetics: dict[str, np.ndarray], golden: dict[str, np.ndarray], hint: str
) -> None:
    points = POINTS_IN_FEW_BITS if hint == "bf16" else len(POINTS)
    (graph,) = graphs(RGB, "window", kinetics, faster=Faster(points))
    hints = {"INFERENCE_PRECISION_HINT": hint}
    model = openvino_build.read(float_ticks(graph))
    cells = device.core().compile_model(model, "CPU", hints)([golden_input(64)])[0]
    found = head_of(kinetics)(mean_of_cells(cells))
    hold_golden(found[0].mean(0), golden["logits_64"], hint)
    features = mean_of_cells(cells)[0].mean(0)  # as `realtime.features` has them; 0.2 on average
    np.testing.assert_allclose(features, golden["features_64"], rtol=0, atol=1e-4 if hint == "f32" else 0.02)
    assert found[0].mean(0).argmax() == golden["logits_64"].argmax()


@pytest.mark.weights
@pytest.mark.parametrize("length", [pytest.param(64, marks=pytest.mark.slow), 120])
def test_golden_logits_of_the_reference_without_torch(
    kinetics: dict[str, np.ndarray], golden: dict[str, np.ndarray], length: int
) -> None:
    """The plain graph over the whole video, against which engines are checked when they are built. One length tells of
    the other: a window of 64 ticks is held to the same figures above."""
    model = openvino_build.read(float_ticks(window(RGB, kinetics, length)))
    hints = {"INFERENCE_PRECISION_HINT": "f32"}
    cells = device.core().compile_model(model, "CPU", hints)([golden_input(length)])[0][0]
    found = head_of(kinetics)(mean_of_cells(cells))
    np.testing.assert_allclose(found.mean(0), golden[f"logits_{length}"], rtol=0, atol=1e-3)
    np.testing.assert_allclose(found, golden[f"logits_per_position_{length}"], rtol=0, atol=1e-3)


@pytest.mark.weights
def test_black_and_white_are_as_far_apart_as_frechet_video_distance_says(
    kinetics: dict[str, np.ndarray],
) -> None:
    """An independent figure: the network on which video metrics are defined gives 151.392 for the squared distance of
    the logits of 8 clips of 30 frames, all black against all white. All 8 are alike, so one of each is enough."""
    reference = openvino_build.WholeVideo(RGB, kinetics)
    shape = (1, 30, *RGB.tick_shape)
    black, white = (reference(np.full(shape, value, np.uint8))[0].mean(0) for value in (0, 255))
    assert float(((black.astype(float) - white) ** 2).sum()) == pytest.approx(151.392, abs=0.005)


# That bfloat16 is near is tested on a window of the trained network above, and step by step on a narrow one.
@pytest.mark.weights
@pytest.mark.parametrize("hint", ["f32", pytest.param("bf16", marks=pytest.mark.slow)], indirect=True)
def test_golden_logits_per_position(
    kinetics: dict[str, np.ndarray], golden: dict[str, np.ndarray], hint: str
) -> None:
    """120 ticks, step by step through the masked graph: all their positions."""
    boundary = graphs(RGB, "preview", kinetics)[0]
    model = openvino_build.read(float_ticks(boundary))
    request = device.core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": hint})
    memories = [np.zeros(port.shape, np.float32) for port in model.inputs[2:]]
    ticks = golden_input(120)
    ticks = np.concatenate((np.zeros_like(ticks[:, :SEEN_TICKS]), ticks), axis=1)
    settled = []
    for step in range(15):
        bounds = np.array([[-8 * step, 120 - 8 * step]], np.int32)
        outputs = request([ticks[:, 8 * step : 8 * step + STEP_TICKS], bounds, *memories])
        memories = [outputs[i].copy() for i in range(1, len(memories) + 1)]
        settled.append(head_of(kinetics)(mean_of_cells(outputs[0][0])))
    found = np.concatenate([np.stack([one[0] for one in settled[7:14]]), settled[14]])
    hold_golden(found, golden["logits_per_position_120"], hint)


@pytest.fixture(scope="module")
def for_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built files of an engine with long steps."""
    path = tmp_path_factory.mktemp("for-files")
    openvino.build(PLAN_FOR_FILES, TENSORS[3], path, None)
    return path


def test_an_engine_for_files_has_steps_of_the_length_that_was_fastest(for_files: Path) -> None:
    """It says what each length took, and gives what steps of 8 ticks give."""
    engine = openvino.load(PLAN_FOR_FILES, for_files, None)
    stated = json.loads((for_files / openvino_build.STEP_LENGTH).read_text())
    assert list(stated["ms_for_8_ticks"]) == ["8", "16", "32", "64"]
    assert engine.chunk_ticks == stated["step_ticks"]
    ticks = noise(170)
    found = clip_logits(engine, iter(ticks[0]), 170)
    np.testing.assert_allclose(found, WholeVideo(TENSORS[3])(ticks)[0], rtol=0, atol=TOLERANCE)


def test_at_the_end_of_a_file_one_step_gives_all_positions_that_are_left(for_files: Path) -> None:
    made = PLAN_FOR_FILES
    ran: list[str] = []

    class Watched(openvino.OpenVINOGraphs):
        def step(self, name: str, *rest: Any) -> np.ndarray:
            ran.append(name)
            return super().step(name, *rest)

    graphs = Watched(for_files, made)
    ticks = graphs.step_ticks
    facts = ("openvino", "float32", "CPU", graphs, head_of(TENSORS[3]), ticks)
    engine = StreamingEngine(made.spec, made.weights, made.mode, *facts)
    state, video = engine.start(), noise(10 * ticks)
    for start in range(0, 10 * ticks, ticks):
        _, state = engine.step(video[:, start : start + ticks], state)
    begun = len(ran)
    assert engine.flush(video[:, :3], state).logits.shape[1] == 7
    assert ran[begun:] == ["end"]


@pytest.mark.parametrize(
    ("times_ms", "chosen"),
    [
        ({8: 40.0, 16: 38.0, 32: 30.0, 64: 31.0}, 32),
        ({8: 40.0, 16: 39.5, 32: 39.3, 64: 39.1}, 64),
        ({8: 40.0, 16: 39.5, 32: 39.4, 64: 39.3}, 8),
        ({8: 40.0, 16: 41.0, 32: 42.0, 64: 43.0}, 8),
        ({8: 40.0, 16: 41.0, 32: 30.0, 64: 29.9}, 32),
    ],
)
def test_a_longer_step_is_chosen_only_if_it_is_clearly_faster(
    times_ms: dict[int, float], chosen: int
) -> None:
    assert step_length.best(times_ms) == chosen


@pytest.mark.parametrize("mode", ["continual", "window"])
def test_several_threads_step_one_engine(folder: Callable[..., Path], mode: Mode) -> None:
    """Each with its own state; all get what they would get alone."""
    engine = openvino.load(replace(plan(mode), parallel_steps=2), folder(mode), None)
    clips = [noise(128, seed=seed)[0] for seed in range(6)]
    if mode == "window":
        clips = [clip[:64] for clip in clips]
    wanted = [clip_logits(engine, clip, len(clip)) for clip in clips]
    with ThreadPoolExecutor(4) as threads:  # more than there are requests
        found = list(threads.map(lambda clip: clip_logits(engine, clip, len(clip)), clips))
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one, other)


def test_only_short_windows_may_be_further_off(engine: Make) -> None:
    assert check(engine("window"), TENSORS[3]).factor == 1
    between = (Comparison("a clip", 1, 0.6, 0.06, 1, 1),)
    assert len(Report("bfloat16", between, "torch").failures) == 2
    assert Report("bfloat16", between, "torch", SHORT_WINDOW).failures == []


def test_windows_of_any_length_are_the_network_over_them(tmp_path: Path) -> None:
    """Those of 21 ticks, too, whose padding is another than TensorFlow's for even lengths."""
    for length in (16, 21, 24):
        made = plan("window")
        made = replace(made, spec=replace(made.spec, window_ticks=length))
        folder = tmp_path / str(length)
        folder.mkdir()
        openvino.build(made, TENSORS[3], folder, None)
        engine = openvino.load(made, folder, None)
        chunk = noise(length, batch=2)
        positions, _ = engine.step(chunk, engine.start(2))
        wanted = WholeVideo(TENSORS[3])(chunk)
        np.testing.assert_allclose(positions.logits, wanted, rtol=0, atol=TOLERANCE)
        report = check(engine, TENSORS[3])
        assert (report.failures, report.factor) == ([], SHORT_WINDOW)
