"""Features of many videos: their files, runs that are killed and go on, runs that share the work, what fails."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from engines.backends import pytorch as torch_backend
from engines.engine import Engine
from engines.runtime.shared import SharedEngine
from realtime.errors import OutputError, UsageError
from realtime.features.archive import Archive, Done, Stopped
from realtime.features.claims import Claim, Claims
from realtime.features.compute import Here
from realtime.features.conventions import PRESETS, Convention
from realtime.features.extract import FeatureRows, extract
from realtime.features.files import Settings, is_done, save, stored
from realtime.features.targets import Target, targets
from realtime.outputs.feature_files import facts_of
from realtime.sources.open import open_video
from tests.support.made_clips import cut_off, every, write_clip
from tests.support.networks import plan, random_tensors, small_engine, small_spec

TENSORS = {3: random_tensors(3), 2: random_tensors(2)}
SIZE = 128
"""Numbers in a row of the small network."""


def engines_for(convention: Convention, streams: tuple[str, ...] = ("rgb",)) -> dict[str, Engine]:
    found: dict[str, Engine] = {}
    for name in streams:
        channels = 3 if name == "rgb" else 2
        if convention.clip is None:
            found[name] = SharedEngine(small_engine(TENSORS[channels], "continual", channels))
        else:
            spec = replace(small_spec(channels), window_ticks=convention.clip)
            made = torch_backend.load(replace(plan("window", channels), spec=spec), None, TENSORS[channels])
            found[name] = SharedEngine(made)
    return found


class Told:
    """A report that keeps what it is told."""

    def __init__(self) -> None:
        self.seconds = self.share = 0.0
        self.all: list[Done] = []

    def advance(self, seconds: float, share: float) -> None:
        self.seconds += seconds
        self.share += share

    def done(self, done: Done) -> None:
        self.all.append(done)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five clips, one of them cut off so that nothing can be read."""
    folder = tmp_path_factory.mktemp("videos")
    for i in range(4):
        write_clip(folder / f"{i}.mp4", every(Fraction(1, 25), 40 + 10 * i))
    cut_off(write_clip(folder / "bad.mp4", every(Fraction(1, 25), 50)), 0.3)
    return folder


def here(convention: Convention, streams: tuple[str, ...] = ("rgb",)) -> Here:
    return Here(engines_for(convention, streams), Settings(convention, None, "dis"))


def archive(convention: Convention, told: Told, streams: tuple[str, ...] = ("rgb",)) -> Archive:
    return Archive(here(convention, streams), told, look_again_s=0.02)


def run(
    videos: Path,
    out: Path,
    convention: Convention = PRESETS["dense"],
    streams: tuple[str, ...] = ("rgb",),
    claims: Claims | None = None,
    threads: int = 2,
) -> tuple[dict[str, Done], Told]:
    told = Told()
    made = archive(convention, told, streams)
    with claims or Claims() as mine:
        done = made.run(targets([str(videos)], out), threads, mine)
    return {Path(one.target.source).name: one for one in done}, told


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_each_video_has_its_features_and_what_they_are(videos: Path, tmp_path: Path) -> None:
    done, told = run(videos, tmp_path / "out")
    assert sorted(os.listdir(tmp_path / "out")) == [f"{i}.{end}" for i in range(4) for end in ("json", "npy")]
    assert done["bad.mp4"].error is not None
    assert "bad.mp4" in done["bad.mp4"].error
    assert sorted(one.target.source for one in told.all) == sorted(one.target.source for one in done.values())
    assert told.seconds == pytest.approx(sum((40 + 10 * i) / 25 for i in range(4)), abs=0.2)
    assert told.share == pytest.approx(4, abs=0.05)
    assert [one.share for one in done.values() if one.rows] == pytest.approx([1] * 4, abs=0.05)
    about = json.loads((tmp_path / "out/3.json").read_text())
    rows = np.load(tmp_path / "out/3.npy")
    assert rows.shape == (8, SIZE)
    assert rows.dtype == np.float32
    assert about["files"] == [{"file": "3.npy", "streams": ["rgb"], "shape": [8, SIZE]}]
    assert (about["format"], about["source"], about["rows"]) == (1, "3.mp4", 8)
    assert (about["start_s"][1], about["end_s"][1], about["end_s"][-1]) == (0.32, 0.96, 2.8)
    assert (about["frames"], about["ticks"], about["ticks_left_over"], about["gaps"]) == (70, 70, 0, [])
    settings = about["settings"]
    assert (settings["clip"], settings["stride"], settings["fps"], settings["crops"]) == (None, 8, 25.0, 1)
    assert settings["padding"] == "zeros before the first tick and after the last"
    assert (settings["weights_sha256"], settings["precision"], settings["flow"]) == (
        {"rgb": "0" * 64},
        "float32",
        None,
    )
    with open_video(videos / "3.mp4") as video:
        alone = extract(video, FeatureRows(engines_for(PRESETS["dense"]), PRESETS["dense"]))
    np.testing.assert_array_equal(rows, alone.by_stream["rgb"][:, 0])


BOTH = ("rgb", "flow")
SHAPES: dict[str, dict[str, tuple[int, ...]]] = {
    "dense": {".npy": (7, 2 * SIZE)},
    "thumos": {".npy": (12, 2 * SIZE)},
    "activitynet": {".npy": (3, 2 * SIZE)},
    "video-features": {"_rgb.npy": (1, SIZE), "_flow.npy": (1, SIZE)},
    "captioning": {"_rgb.npy": (2, SIZE), "_flow.npy": (2, SIZE)},
    "anomaly": {".npy": (3, 10, 2 * SIZE)},
    "segmentation": {".npy": (2 * SIZE, 60)},
}
"""Of a video with 60 frames at 25 a second, by preset: the ending of each file, and its shape. SIZE is 1024 in the real
network, so that two streams have the 2048 that readers expect."""


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_have_the_names_and_shapes_that_their_readers_expect(
    videos: Path, tmp_path: Path, preset: str
) -> None:
    """RGB comes first; reading them is done as the public readers do it."""
    convention = PRESETS[preset]
    out = tmp_path / "out"
    run(videos / "2.mp4", out, convention, BOTH)
    found = {path.name.removeprefix("2"): np.load(path) for path in out.glob("*.npy")}
    assert {name: array.shape for name, array in found.items()} == SHAPES[preset]
    with open_video(videos / "2.mp4") as video:
        alone = extract(video, FeatureRows(engines_for(convention, BOTH), convention, flow="dis"))
    halves = [stored(alone, [stream], convention) for stream in BOTH]
    if convention.separate:
        np.testing.assert_array_equal(found["_rgb.npy"], halves[0])
        np.testing.assert_array_equal(found["_flow.npy"], halves[1])
    else:
        axis = 0 if convention.layout == "columns" else -1
        np.testing.assert_array_equal(found[".npy"], np.concatenate(halves, axis=axis))
    READERS[preset](out, "2")


def read_rows(out: Path, name: str) -> None:
    """ActionFormer's and TriDet's: (T, C) -> (C, T); row i is at (stride i + clip / 2) / fps."""
    rows = np.load(out / f"{name}.npy").astype(np.float32)
    assert rows.transpose().shape[0] == 2 * SIZE
    about = json.loads((out / f"{name}.json").read_text())
    stride, clip = about["settings"]["stride"], about["settings"]["clip"] or 16
    middles = [(start + end) / 2 for start, end in zip(about["start_s"], about["end_s"], strict=True)]
    assert middles[:-1] == pytest.approx([(stride * i + clip / 2) / 25 for i in range(len(rows) - 1)])


def read_stacks(out: Path, name: str) -> None:
    """BMT's: `{id}_rgb.npy` and `{id}_flow.npy` of one shape, 1024 wide."""
    rgb, flow = (np.load(out / f"{name}_{stream}.npy") for stream in BOTH)
    assert rgb.shape == flow.shape
    assert rgb.shape[1] == SIZE


def read_crops(out: Path, name: str) -> None:
    """RTFM's: (T, 10, C) -> (10, T, C), each crop by itself into 32 segments."""
    crops = np.load(out / f"{name}.npy", allow_pickle=True).transpose(1, 0, 2)
    assert [crop.shape[1] for crop in crops] == [2 * SIZE] * 10


def read_frames(out: Path, name: str) -> None:
    """MS-TCN's and ASFormer's: (2048, T), as many columns as there are lines in the ground truth."""
    features = np.load(out / f"{name}.npy")
    assert min(features.shape[1], 60) == 60
    assert features[:, ::2].shape == (2 * SIZE, 30)


READERS: dict[str, Callable[[Path, str], None]] = {
    "dense": read_rows,
    "thumos": read_rows,
    "activitynet": read_rows,
    "video-features": read_stacks,
    "captioning": read_stacks,
    "anomaly": read_crops,
    "segmentation": read_frames,
}


def test_half_precision_and_the_other_layout(videos: Path, tmp_path: Path) -> None:
    run(videos / "2.mp4", tmp_path, Convention(16, 16, dtype="float16", layout="columns"))
    features = np.load(tmp_path / "2.npy")
    assert (features.shape, features.dtype) == ((SIZE, 3), np.float16)
    assert features.flags.c_contiguous


def test_a_second_run_computes_nothing_and_other_settings_are_refused(videos: Path, tmp_path: Path) -> None:
    run(videos / "0.mp4", tmp_path)
    before = contents(tmp_path)
    done, told = run(videos / "0.mp4", tmp_path)
    assert done["0.mp4"].was_there
    assert told.seconds == 0
    refused, _ = run(videos / "0.mp4", tmp_path, Convention(16, 16))
    assert "0.json was made with other settings (clip None, not 16); name another --out" in str(
        refused["0.mp4"].error
    )
    (tmp_path / "1.json").write_text("{}")
    refused, _ = run(videos / "1.mp4", tmp_path)
    assert "1.json is not of these features; name another --out" in str(refused["1.mp4"].error)
    assert contents(tmp_path) == before | {"1.json": b"{}"}


def test_features_without_their_facts_are_made_again(videos: Path, tmp_path: Path) -> None:
    """A run that is killed between the two has not written the .json."""
    run(videos / "0.mp4", tmp_path)
    wanted = contents(tmp_path)
    (tmp_path / "0.json").unlink()
    (tmp_path / "0.npy").write_bytes(b"half")
    done, _ = run(videos / "0.mp4", tmp_path)
    assert not done["0.mp4"].was_there
    assert contents(tmp_path) == wanted


def test_what_a_killed_run_left_half_written_is_removed(videos: Path, tmp_path: Path) -> None:
    dead = Claim(tmp_path / "0", 1)
    dead.path.write_text("another-machine one 1\n")
    dead.scratch("0.npy").write_bytes(b"half")
    now = [0.0]
    claims = Claims(lambda: now.append(now[-1] + 61) or now[-1])  # a minute passes with each look
    done, _ = run(videos / "0.mp4", tmp_path, claims=claims)
    assert done["0.mp4"].rows == 4
    assert sorted(os.listdir(tmp_path)) == ["0.json", "0.npy"]


def test_a_video_that_another_run_works_on_is_waited_for(videos: Path, tmp_path: Path) -> None:
    """Until that run is done; the others come first."""
    other = Claim(tmp_path / "1", 1)
    other.path.write_text("another-machine one 1\n")
    told = Told()
    convention = PRESETS["dense"]
    waiting = archive(convention, told)
    finished, _ = run(videos / "1.mp4", tmp_path / "elsewhere")
    assert finished

    class Finishing(Claims):
        looks = 0

        def take(self, stem: Path) -> Claim | None:
            if stem.name == "1":
                self.looks += 1
                if self.looks == 5:
                    assert [Path(one.target.source).name for one in told.all] == ["0.mp4", "2.mp4", "3.mp4"]
                    for name in ("1.npy", "1.json"):
                        shutil.copy(tmp_path / "elsewhere" / name, tmp_path / name)
                    other.path.unlink()
            return super().take(stem)

    with Finishing() as claims:
        done = waiting.run(targets([str(videos / f"{i}.mp4") for i in range(4)], tmp_path), 1, claims)
    assert [one.target.stem.name for one in done if one.was_there] == ["1"]


class Odd(Claim):
    """A claim under which something happens when the features are about to be written."""

    happens: Callable[[str], Path]

    def scratch(self, name: str) -> Path:
        return Odd.happens(name)


class OddClaims(Claims):
    def take(self, stem: Path) -> Claim | None:
        claim = super().take(stem)
        return None if claim is None else Odd(claim.stem, claim.number)

    def release(self, claim: Claim) -> None:
        super().release(Claim(claim.stem, claim.number))


def test_an_owner_that_was_taken_for_dead_finds_the_work_done(videos: Path, tmp_path: Path) -> None:
    """The newer owner has removed what the older one was writing, and both have the same features."""
    run(videos / "0.mp4", tmp_path / "elsewhere")

    def other_run_is_done(name: str) -> Path:
        for each in ("0.npy", "0.json"):
            shutil.copy(tmp_path / "elsewhere" / each, tmp_path / each)
        return tmp_path / "removed" / "0.npy"

    Odd.happens = staticmethod(other_run_is_done)
    done, _ = run(videos / "0.mp4", tmp_path, claims=OddClaims())
    assert done["0.mp4"].was_there
    assert done["0.mp4"].error is None


def test_stopping_leaves_nothing_half_done_and_the_next_run_goes_on(videos: Path, tmp_path: Path) -> None:
    told = Told()
    convention = PRESETS["dense"]
    stopped = archive(convention, told)
    told.done = lambda done: stopped.stop()  # type: ignore[method-assign]
    with Claims() as claims, pytest.raises(Stopped):
        stopped.run(targets([str(videos)], tmp_path / "out"), 1, claims)
    names = sorted(os.listdir(tmp_path / "out"))
    assert names == ["0.json", "0.npy"]
    done, _ = run(videos, tmp_path / "out")
    assert done["0.mp4"].was_there
    run(videos, tmp_path / "whole")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_an_error_that_nobody_expected_ends_the_run(videos: Path, tmp_path: Path) -> None:
    def broken(name: str) -> Path:
        raise ZeroDivisionError

    Odd.happens = staticmethod(broken)
    with pytest.raises(ZeroDivisionError):
        run(videos, tmp_path / "out", claims=OddClaims())
    assert os.listdir(tmp_path / "out") == []


def test_what_the_features_are_is_written_last(videos: Path, tmp_path: Path) -> None:
    """Whoever sees the .json may read the arrays."""
    convention = PRESETS["video-features"]
    seen: dict[str, list[str]] = {}

    def watched(name: str) -> Path:
        seen.setdefault(name, sorted(os.listdir(tmp_path)))
        return tmp_path / f".{name}.part"

    Odd.happens = staticmethod(watched)
    done, _ = run(videos / "0.mp4", tmp_path, convention, BOTH, claims=OddClaims())
    assert done["0.mp4"].error is None
    assert list(seen) == ["0_rgb.npy", "0_flow.npy", "0.json"]
    assert {"0_rgb.npy", "0_flow.npy"} <= set(seen["0.json"])
    assert "0.json" not in seen["0.json"]
    assert sorted(os.listdir(tmp_path)) == ["0.json", "0_flow.npy", "0_rgb.npy"]


class LateClaims(Claims):
    """Another run finishes between the look at the .json and the claim."""

    def __init__(self, finish: Callable[[], None]) -> None:
        super().__init__()
        self._finish = finish

    def take(self, stem: Path) -> Claim | None:
        self._finish()
        return super().take(stem)


def test_what_another_run_finished_just_now_is_not_made_again(videos: Path, tmp_path: Path) -> None:
    run(videos / "0.mp4", tmp_path / "elsewhere")

    def finish() -> None:
        for name in ("0.npy", "0.json"):
            shutil.copy(tmp_path / "elsewhere" / name, tmp_path / name)

    done, told = run(videos / "0.mp4", tmp_path, claims=LateClaims(finish))
    assert done["0.mp4"].was_there
    assert told.seconds == 0


def test_a_full_disk_is_one_line_and_leaves_no_half_file(tmp_path: Path, videos: Path) -> None:
    features = extract(
        open_video(videos / "0.mp4"), FeatureRows(engines_for(PRESETS["dense"]), PRESETS["dense"])
    )
    claim = Claim(tmp_path / "gone" / "0", 1)
    target = Target(str(videos / "0.mp4"), tmp_path / "gone" / "0")
    settings = Settings(PRESETS["dense"], None, "dis").facts(facts_of(engines_for(PRESETS["dense"])))
    with pytest.raises(
        OutputError, match=r"0.npy: cannot be written: No such file or directory; free space or name"
    ):
        save(features, target, PRESETS["dense"], settings, claim)
    assert not is_done(target, settings)


KILLED = """
import sys
from pathlib import Path
from tests.realtime.features.test_archive import *
done, _ = run(Path(sys.argv[1]), Path(sys.argv[2]), threads=1)
print(sorted(name for name, one in done.items() if not one.was_there and one.error is None), flush=True)
"""


def started(videos: Path, out: Path) -> subprocess.Popen[str]:
    root = Path(__file__).parents[3]
    return subprocess.Popen(
        [sys.executable, "-c", KILLED, videos, out],
        stdout=subprocess.PIPE, text=True, cwd=root, env=os.environ | {"PYTHONPATH": str(root)},
    )  # fmt: skip


def test_runs_that_are_killed_and_runs_that_share_a_folder_give_what_one_run_gives(tmp_path: Path) -> None:
    """Two processes on one folder of 12 videos, one killed as soon as it has written something, and started again."""
    folder, out = tmp_path / "videos", tmp_path / "out"
    folder.mkdir()
    for i in range(12):
        write_clip(folder / f"{i}.mp4", every(Fraction(1, 25), 40 + i))
    one, two = started(folder, out), started(folder, out)
    until_s = time.monotonic() + 60
    while not list(out.glob("*.npy")) and time.monotonic() < until_s:
        time.sleep(0.005)
    one.send_signal(signal.SIGKILL)
    one.communicate()
    three = started(folder, out)
    made = [eval(process.communicate(timeout=100)[0]) for process in (two, three)]
    assert (two.returncode, three.returncode) == (0, 0)
    assert not set(made[0]) & set(made[1])
    run(folder, tmp_path / "whole")
    assert contents(out) == contents(tmp_path / "whole")


def test_a_video_of_parts_that_are_all_too_short_says_so(tmp_path: Path) -> None:
    times = [*every(Fraction(1, 25), 12), *(10 + t for t in every(Fraction(1, 25), 12))]
    write_clip(tmp_path / "parts.mp4", times)
    done, _ = run(tmp_path / "parts.mp4", tmp_path / "out", Convention(16, 16))
    assert "none of its 2 parts between gaps is as long as a clip; take a shorter --clip" in str(
        done["parts.mp4"].error
    )


def test_settings_that_were_never_written_are_no_features(tmp_path: Path) -> None:
    target = Target("a.mp4", tmp_path / "a")
    assert not is_done(target, {"clip": 16})
    target.facts.write_text('{"settings": {"clip": 16, "more": 1}}')
    assert is_done(target, {"clip": 16})
    with pytest.raises(UsageError, match="clip 16, not 64"):
        is_done(target, {"clip": 64})


@pytest.mark.weights
def test_trained_features_are_those_of_the_network_in_torch(clips: Path, tmp_path: Path) -> None:
    """Clips of 16 frames at a real video's own rate, float32, through files, against PyTorch."""
    import torch

    from engines.backends.pytorch import network
    from engines.load import Bulk, EngineOptions, engines_of
    from engines.nets.i3d import I3D, to_video
    from engines.weights.fetch import fetch, has_weights, load_weights
    from engines.weights.store import find_model
    from realtime.pictures import centre_crop, resize_short_side

    if not has_weights("kinetics", "rgb"):
        fetch("kinetics")
    convention = Convention(16, 40, None)
    options = EngineOptions("openvino", "float32", "window", "rgb")
    engines = engines_of(find_model("kinetics"), options, bulk=Bulk(16))
    todo = targets([str(clips / "v_Punch_g03_c01.avi")], tmp_path)
    with Claims() as claims:
        computes = Here(engines.by_stream, Settings(convention, None, "tvl1"))
        Archive(computes, Told()).run(todo, 1, claims)
    found = np.load(tmp_path / "v_Punch_g03_c01.npy")
    with open_video(clips / "v_Punch_g03_c01.avi") as video:
        ticks = np.stack([centre_crop(resize_short_side(frame.rgb, 256), 224, 224) for frame in video])
    net = network(load_weights("kinetics", "rgb")[1], I3D)
    assert len(found) == 3
    for row, start in zip(found, (0, 40, 80), strict=True):
        with torch.inference_mode():
            video_of = to_video(torch.from_numpy(ticks[None, start : start + 16].copy()), torch.float32)
            wanted = net.avg_pool(net.trunk(video_of)).mean((0, 2, 3, 4)).numpy()
        np.testing.assert_allclose(row, wanted, rtol=0, atol=1e-4)
