"""`teach`: from a folder of clips to a model that knows them; what cannot be learnt is one line; nothing is done
twice."""

import importlib
import json
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engines.backends.pytorch import Window
from engines.backends.registry import Plan
from engines.head import head_of
from engines.load import load_engines, load_features
from engines.nets.i3d import I3D
from engines.runtime.window import WindowEngine
from engines.spec import FLOW, RGB, Modality, Weights
from engines.weights import formats
from engines.weights.model_json import FILE, read_manifest
from engines.weights.store import load_spec, load_weights, model_dir, save_weights
from realtime.outputs.video_file import VideoWriter
from realtime.recognizer import Recognizer
from realtime.sources.open import open_video
from realtime.teaching import lesson as lesson_module
from realtime.teaching.clip_features import Example, features_of, features_of_ticks, mirrored
from realtime.types import Prediction
from tests.engines.conftest import own_cache  # noqa: F401
from tests.support.backends import register
from tests.support.command_line import Stored, invoke_with
from tests.support.made_actions import ACTIONS, Action, write_folder
from tests.support.networks import DIVIDE, SMALL_PX, Tensors, random_tensors, small

TINY_PX = (48, 36)
TWO = {"dark": 40, "light": 200}
"""Brightness of each class: even random weights tell one from the other."""
MOVES = 0.015
"""Mean absolute flow, at most 1, above which something moves."""
WEIGHTS = Weights("base", "rgb", tuple("abcde"), "0" * 64, "a test", "free")
Teach = Callable[..., tuple[int, str, str]]


def write_noise(path: Path, levels: Sequence[int], frames: int, seed: int) -> Path:
    """Frames of noise around each level in turn."""
    rng = np.random.default_rng(seed)
    writer = VideoWriter(path, TINY_PX)
    for number, level in enumerate(np.repeat(levels, frames)):
        noise = rng.integers(-30, 30, (TINY_PX[1], TINY_PX[0], 3))
        writer.write((level + noise).clip(0, 255).astype(np.uint8), Fraction(number, 25))
    writer.close()
    return path


class InProcess:
    """A backend that loads what it is given, on the CPU."""

    COMPILES = False

    def unavailable(self) -> None: ...
    def precisions(self) -> tuple[str, ...]:
        return ("float32",)

    def device(self) -> str:
        return "CPU"


class Narrow(InProcess):
    """For the features of the narrow network, on pictures of 32 x 32."""

    def load(self, plan: Plan, folder: None, tensors: Tensors) -> WindowEngine:
        own = {
            name: np.array(value) for name, value in tensors.items()
        }  # torch wants to be able to write to them
        net = small(I3D(len(plan.weights.labels), plan.spec.channels, divide=DIVIDE), own)

        def run(chunk: np.ndarray) -> np.ndarray:
            with torch.inference_mode():
                return Window(net)(torch.from_numpy(np.ascontiguousarray(chunk))).numpy()[:, :, None, None]

        return WindowEngine(plan.spec, plan.weights, "narrow", "float32", "CPU", run, head_of(tensors))


class SeesMotion(InProcess):
    """Its features of rgb are random; those of flow, if it helps, say whether anything moves."""

    def __init__(self, *, helps: bool) -> None:
        self.helps = helps

    def load(self, plan: Plan, folder: None, tensors: Tensors) -> WindowEngine:
        rng = np.random.default_rng(0)

        def run(chunk: np.ndarray) -> np.ndarray:
            features = rng.normal(size=(1, 7, 1, 1, 128)).astype(np.float32).repeat(len(chunk), axis=0)
            if plan.spec.modality == "flow" and self.helps:
                features[..., :9] = 9.0 * (np.abs(chunk).mean() > MOVES)
            return features

        name = f"sees-motion-{self.helps}"  # features in the cache are named by it
        return WindowEngine(plan.spec, plan.weights, name, "float32", "CPU", run, head_of(tensors))


def store_base(name: str) -> None:
    """A model of the narrow network with both streams, for pictures of 32 x 32."""
    for modality in ("rgb", "flow"):
        weights, tensors, _ = small_trunk(name, modality)
        save_weights(name, modality, tensors, weights.labels, source="a test", licence="free")
    path = model_dir(name) / FILE
    facts = json.loads(path.read_text())
    for stream in facts["streams"].values():
        stream["spec"] |= {"short_side_px": SMALL_PX + 4, "crop_px": SMALL_PX}
    path.write_text(json.dumps(facts))


def small_trunk(base: str, modality: Modality) -> tuple[Weights, Tensors, Any]:
    channels = 3 if modality == "rgb" else 2
    spec = replace(RGB if modality == "rgb" else FLOW, short_side_px=SMALL_PX + 4, crop_px=SMALL_PX)
    tensors = {n: t for n, t in random_tensors(channels).items() if not n.endswith("num_batches_tracked")}
    return replace(WEIGHTS, modality=modality), tensors, spec


def narrow_shapes(classes: int, channels: int) -> dict[str, tuple[int, ...]]:
    tensors = random_tensors(channels, classes)
    return {name: t.shape for name, t in tensors.items() if not name.endswith("num_batches_tracked")}


@pytest.fixture
def call(
    own_cache: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Iterator[Teach]:
    """`i3d-live teach` in this process, on the narrow network: exit code, stdout, stderr."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # more threads would only slow down such a small network
    monkeypatch.setitem(formats.SHAPES, "i3d", narrow_shapes)
    register(monkeypatch, Narrow(), "narrow")
    store_base("base")
    monkeypatch.chdir(tmp_path)

    invoke = invoke_with(capsys, Stored())

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        return invoke("teach", *arguments, "--base", "base", "--backend", "narrow")

    yield call
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def clips_of_two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two") / "clips"
    for label, level in TWO.items():
        (folder / label).mkdir(parents=True)
        for number in range(6):
            write_noise(folder / label / f"{number}.mp4", [level], 66, level + number)
    return folder


def test_actions_are_learnt_and_the_model_names_each_part_of_a_spliced_video(
    call: Teach, clips_of_two: Path, tmp_path: Path
) -> None:
    code, out, err = call(clips_of_two, "--name", "mine", "--streams", "rgb")
    assert (code, err) == (0, "")
    assert "12 of 12 clips right" in out
    weights, tensors = load_weights("mine", "rgb")
    assert weights.labels == ("dark", "light")
    found = read_manifest(model_dir("mine"))
    assert found is not None
    assert found.streams["rgb"].shared_trunk
    assert {p.name for p in model_dir("mine").iterdir()} == {
        "rgb.safetensors",
        "model.json",
        "report.json",
        "confusion.png",
    }
    report = json.loads((model_dir("mine") / "report.json").read_text())
    assert report["held_out"]["right"] == 12
    assert report["classes"]["light"] == {"clips": 6, "taken_for": {"dark": 0, "light": 6}}
    video = write_noise(tmp_path / "spliced.mp4", list(TWO.values()), 80, 77)
    features = load_features(*load_weights("base", "rgb"), load_spec("base", "rgb"), "narrow")
    recognizer = Recognizer(
        {"rgb": replace(features, head=head_of(tensors), weights=weights)}, stride_ticks=8
    )
    outputs = []
    with open_video(video) as frames:
        for frame in frames:
            outputs += recognizer.push(frame)
    answers = [item for item in outputs + recognizer.flush() if isinstance(item, Prediction)]
    for answer in answers:
        if answer.stop_tick <= 80 or answer.start_tick >= 80:
            assert answer.label == ("dark" if answer.stop_tick <= 80 else "light"), answer
    assert len(answers) == 13


@pytest.fixture(scope="module")
def compiled_flow() -> None:
    """Imported before a test has an empty cache folder, for which it would be compiled again."""
    importlib.import_module("realtime.flow.tvl1")


def test_flow_is_kept_only_where_it_helps(
    compiled_flow: None, call: Teach, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    actions = {"still": Action(0), "moving": Action(12)}
    clips = write_folder(tmp_path / "clips", actions, clips=6, count=66, size_px=TINY_PX)
    for helps in (True, False):
        register(monkeypatch, SeesMotion(helps=helps), "narrow")
        code, out, _ = call(clips, "--name", f"flow-{helps}".lower())
        assert code == 0
        assert "flow" in out, "it was tried"
        stored = read_manifest(model_dir(f"flow-{helps}".lower()))
        assert stored is not None
        assert set(stored.streams) == ({"rgb", "flow"} if helps else {"rgb"})
    assert "12 of 12" not in out


def test_a_name_that_is_taken_is_refused_before_any_work(call: Teach, clips_of_two: Path) -> None:
    few = ("--streams", "rgb")
    assert call(clips_of_two, "--name", "mine", *few)[0] == 0
    for name in ("mine", "Mine"):
        code, out, err = call(clips_of_two, "--name", name)
        assert (code, out) == (2, "")
        assert err == ("i3d-live: there is a model mine already; choose another --name, or --replace it\n")
    code, _, err = call(clips_of_two, "--name", "Kinetics")
    assert (code, err) == (
        2,
        "i3d-live: kinetics is the name of a public set; choose another one with --name\n",
    )
    code, out, _ = call(clips_of_two, "--name", "mine", "--replace", *few)
    assert code == 0
    assert "12 clips were known from before" in out


def test_what_cannot_be_learnt_from_is_one_line(call: Teach, clips_of_two: Path, tmp_path: Path) -> None:
    def refused(folder: Path) -> str:
        code, out, err = call(folder, "--name", "mine")
        assert (code, out, err.count("\n")) == (2, "", 1), err
        assert not model_dir("mine").exists()
        return err.removeprefix("i3d-live: ").strip()

    folder = tmp_path / "clips"
    assert refused(folder) == f"{folder} is not a folder; give one with a subfolder of clips for each class"
    folder.mkdir()
    assert "at least two, and has none;" in refused(folder)
    (folder / "wave").mkdir()
    assert "at least two, and has only 'wave'; to tell one action from everything else" in refused(folder)
    (folder / "jump").mkdir()
    assert refused(folder).startswith("the class 'jump' has no videos (.3g2, ")
    (folder / "Jump").mkdir()
    assert refused(folder) == "the classes 'Jump' and 'jump' have the same name; rename or merge them"
    (folder / "Jump").rmdir()
    clip = (clips_of_two / "light" / "0.mp4").read_bytes()
    for name in ("wave", "jump"):
        (folder / name / "clip.mp4").write_bytes(clip)
    assert "are the same video in two classes; leave it in the right one" in refused(folder)
    (folder / "jump" / "clip.mp4").write_bytes((clips_of_two / "dark" / "0.mp4").read_bytes())
    assert refused(folder).startswith("the class 'jump' has 1 clips to learn from; it needs two at the least")
    (folder / "jump" / "clip.mp4").write_text("not a video")
    assert "has 0 clips to learn from" in (last := refused(folder))
    assert "could not be read: " in last


def test_two_clips_per_class_are_learnt_from_with_a_warning(
    call: Teach, clips_of_two: Path, tmp_path: Path
) -> None:
    for name in TWO:
        (tmp_path / "few" / name).mkdir(parents=True)
        for number in range(2):
            clip = (clips_of_two / name / f"{number}.mp4").read_bytes()
            (tmp_path / "few" / name / f"{number}.mp4").write_bytes(clip)
    (tmp_path / "few" / "light" / "broken.mp4").write_text("not a video")
    code, out, err = call(tmp_path / "few", "--name", "mine", "--streams", "rgb")
    assert code == 0
    assert "of 4 clips right" in out
    lines = err.splitlines()
    assert lines[0].startswith("i3d-live: left out light/broken.mp4: ")
    assert (
        lines[1] == "i3d-live: 'dark' has 2 clips: too few to tell how well it is known; ten or more would do"
    )
    assert lines[2].startswith("i3d-live: 'light' has 2 clips")


def test_a_mirror_reverses_flow_across_the_picture() -> None:
    flow = np.zeros((1, 2, 2, 2), np.float16)
    flow[0, :, 0] = (0.5, 0.25)
    np.testing.assert_array_equal(mirrored(flow, "flow")[0, 0, 1], np.array([-0.5, 0.25], np.float16))
    rgb = np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3)
    np.testing.assert_array_equal(mirrored(rgb, "rgb")[0, :, 0], rgb[0, :, 1])


def test_windows_follow_each_other_and_the_last_one_reaches_back() -> None:
    seen: list[tuple[int, int]] = []

    class Saw:
        spec, weights = RGB, WEIGHTS

        def start(self, batch: int = 1) -> int:
            return batch

        def step(self, chunk: np.ndarray, state: int) -> Any:
            assert chunk.shape[:2] == (2, 64)
            seen.append((int(chunk[0, 0, 0, 0, 0]), int(chunk[0, -1, 0, 0, 0])))
            return type("P", (), {"logits": np.zeros((2, 7, 4), np.float32)}), state

    for length, wanted in {
        75: [(0, 63)],
        96: [(0, 63), (32, 95)],
        128: [(0, 63), (64, 127)],
        30: [(0, 3)],  # 30 twice, and the first four again
    }.items():
        seen.clear()
        ticks = (np.full((2, 2, 3), number, np.uint8) for number in range(length))
        features = features_of_ticks(ticks, Saw())  # type: ignore[arg-type]
        assert seen == wanted
        assert features.shape == (2, 3 * len(wanted), 4)


def test_damaged_features_in_the_cache_are_computed_again(
    tmp_path: Path,
    own_cache: Path,  # noqa: F811
) -> None:
    class Mean:
        spec, backend, precision, weights = RGB, "double", "none", WEIGHTS

        def start(self, batch: int = 1) -> int:
            return batch

        def step(self, chunk: np.ndarray, state: int) -> Any:
            return type("P", (), {"logits": np.full((2, 7, 4), chunk.mean(), np.float32)}), state

    write_noise(tmp_path / "a.mp4", [90], 64, 0)
    example = Example(tmp_path / "a.mp4", 0, "1" * 64)

    def given() -> tuple[np.ndarray, list[bool]]:
        computed: list[bool] = []
        features, _ = features_of([example], Mean(), computed.append)  # type: ignore[arg-type]
        return features[example.sha256], computed

    first, computed = given()
    assert computed == [True]
    assert given()[1] == [False]
    (stored,) = (own_cache / "features").rglob("*.npy")
    whole = stored.read_bytes()
    for damaged in (
        whole[:200] + bytes([whole[200] ^ 1]) + whole[201:],
        whole[:-1],
        whole + b"x",
        whole[:20],
        b"",
    ):
        stored.write_bytes(damaged)
        again, computed = given()
        assert computed == [True], len(damaged)
        assert np.array_equal(again, first)
        assert stored.read_bytes() == whole


SLOW = """
    import sys, time
    from pathlib import Path
    import numpy as np
    from engines.spec import RGB, Weights
    from realtime.teaching import clip_features as examples

    class Slow:
        spec, backend, precision = RGB, "double", "none"
        weights = Weights("slow", "rgb", ("a",), "0" * 64, "a test", "none")
        def start(self, batch=1):
            return batch
        def step(self, chunk, state):
            time.sleep(0.2)
            return type("P", (), {"logits": np.full((2, 7, 4), chunk.mean(), np.float32)}), state

    labels, found = examples.find_examples(Path(sys.argv[1]))
    known = []
    features, unread = examples.features_of(found, Slow(), lambda computed: print(computed, flush=True))
    assert not unread and len(features) == len(found)
"""


def test_killed_in_the_middle_it_goes_on_without_doing_clips_again(
    own_cache: Path,  # noqa: F811
    clips_of_two: Path,
    tmp_path: Path,
) -> None:
    script = tmp_path / "slow.py"
    script.write_text(textwrap.dedent(SLOW))
    command = [sys.executable, str(script), str(clips_of_two)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        for _ in range(4):
            assert first.stdout.readline() == "True\n"
        first.send_signal(signal.SIGKILL)
        done = 4 + len(first.stdout.readlines())
    assert first.returncode == -signal.SIGKILL
    assert done < 12
    kept = {path: path.stat().st_mtime_ns for path in own_cache.rglob("*.npy")}
    assert len(kept) - done in (0, 1), "one may have been finished and not yet reported"
    second = subprocess.run(command, capture_output=True, text=True, check=True)
    assert second.stdout.split() == ["False"] * len(kept) + ["True"] * (12 - len(kept))
    assert kept.items() <= {path: path.stat().st_mtime_ns for path in own_cache.rglob("*.npy")}.items()


@pytest.mark.slow
@pytest.mark.weights
def test_the_real_network_learns_synthetic_actions(kinetics: object, tmp_path: Path) -> None:
    """Five clips per class; `benchmarks.teach` does it with ten, and through `run`."""
    folder = write_folder(tmp_path / "clips", clips=5)
    name = f"test-{time.time_ns()}"
    lesson = lesson_module.teach(
        folder, name, base="kinetics", streams="rgb", backend="auto", replace=False, tell=lambda *_: None
    )
    try:
        assert lesson.right >= 19
        assert load_engines(name, mode="window").labels == tuple(sorted(ACTIONS))
    finally:
        for path in model_dir(name).iterdir():
            path.unlink()
        model_dir(name).rmdir()
