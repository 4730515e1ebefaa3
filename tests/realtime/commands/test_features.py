"""`i3d-live features` as a user types it."""

import io
import json
import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import typer
from rich.console import Console
from rich.text import Text

from engines.backends import pytorch as torch_backend
from engines.errors import UsageError
from engines.load import Bulk, Engines
from realtime.commands.features import ByHand, Progress
from realtime.commands.options import ModelOptions
from realtime.features.archive import Done
from realtime.features.conventions import PRESETS, Convention
from realtime.features.targets import Target
from tests.support.command_line import Doubles, Invoke, invoke_with
from tests.support.made_clips import every, write_clip
from tests.support.networks import plan, random_tensors, small_engine, small_spec

TENSORS = random_tensors(3)


class Small(Doubles):
    """Real engines of a small network, of the mode and the window that are asked for."""

    def __init__(self) -> None:
        super().__init__(Engines(None, None, "small, made for a test"))
        self.bulk: list[tuple[Bulk, int]] = []
        """With how many threads."""

    def engines(
        self,
        options: ModelOptions,
        *arguments: object,
        bulk: Bulk | None = None,
        threads: int = 1,
        **how: object,
    ) -> Engines:  # type: ignore[override]
        assert bulk is not None
        self.bulk.append((bulk, threads))
        if options.engine.mode == "continual":
            return replace(self.made, rgb=small_engine(TENSORS, "continual"))
        spec = replace(small_spec(3), window_ticks=bulk.window_ticks or 64)
        return replace(self.made, rgb=torch_backend.load(replace(plan("window"), spec=spec), None, TENSORS))


@pytest.fixture
def small() -> Small:
    return Small()


@pytest.fixture
def invoke(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, small: Small
) -> Invoke:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "videos").mkdir()
    for i, count in enumerate((50, 40)):
        write_clip(tmp_path / f"videos/{i}.mp4", every(Fraction(1, 25), count))
    return invoke_with(capsys, small)


def test_a_folder_of_videos_becomes_a_folder_of_features(invoke: Invoke, small: Small) -> None:
    code, out, err = invoke("features", "videos", "--out", "features", "--preset", "activitynet")
    assert (code, out) == (0, "")
    assert sorted(os.listdir("features")) == ["0.json", "0.npy", "1.json", "1.npy"]
    assert np.load("features/0.npy").shape == (3, 128)
    lines = err.splitlines()
    assert "rows have the 1024 numbers of rgb alone; readers that expect RGB and flow need a model" in err
    assert {line for line in lines if "/2 " in line} in (
        {"1/2 0.mp4: 3 rows", "2/2 1.mp4: 2 rows"},
        {"1/2 1.mp4: 2 rows", "2/2 0.mp4: 3 rows"},
    )
    assert "2 of 2 videos: 5 rows from 4 s of video in " in lines[-2]
    assert lines[-2].endswith("times as fast as they play; in features")
    assert lines[-1] == "10 ticks of 2 videos are in no row, as they fill no clip"
    assert small.bulk == [(Bulk(16), min(2, len(os.sched_getaffinity(0))))]
    code, out, err = invoke("features", "videos", "--out", "features", "--preset", "activitynet")
    assert (code, err.splitlines()[-1]) == (0, "2 were there already, or made by another run")


def test_a_video_that_fails_is_named_with_its_reason_and_the_others_are_done(invoke: Invoke) -> None:
    Path("videos/bad.mp4").write_bytes(b"not a video")
    Path("list.txt").write_text("videos\ngone.mp4\n")
    code, _, err = invoke("features", "list.txt", "--out", "features")
    assert code == 1
    lines = err.splitlines()
    assert lines[-3] == "2 failed:"
    assert lines[-2].startswith("  gone.mp4: no such file")
    assert lines[-1].startswith("  videos/bad.mp4: cannot be opened")
    assert {path.name for path in Path("features").glob("*.npy")} == {"0.npy", "1.npy"}


def test_by_hand(invoke: Invoke, small: Small) -> None:
    code, _, _ = invoke(
        "features", "videos/0.mp4", "--out", "f", "--clip", "20", "--stride", "10", "--crops", "5",
        "--fps", "own", "--dtype", "float16", "--jobs", "1", "--flow", "dis",
    )  # fmt: skip
    assert code == 0
    found = np.load("f/0.npy")
    assert (found.shape, found.dtype) == ((4, 5, 128), np.float16)
    assert small.bulk == [(Bulk(20), 1)]
    settings = json.loads(Path("f/0.json").read_text())["settings"]
    assert (settings["preset"], settings["clip"], settings["fps"]) == (None, 20, "own")


def test_shards_share_the_videos(invoke: Invoke) -> None:
    for part in ("1/2", "2/2"):
        assert invoke("features", "videos", "--out", part[0], "--shard", part)[0] == 0
    assert [sorted(os.listdir(folder)) for folder in "12"] == [["0.json", "0.npy"], ["1.json", "1.npy"]]
    code, _, err = invoke("features", "videos/0.mp4", "--out", "3", "--shard", "2/2")
    assert (code, err) == (0, "i3d-live: this part has no videos\n")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--preset", "thumos14"], "preset 'thumos14' is not known; choose one of dense, thumos,"),
        (["--stride", "4"], "dense rows are 8 ticks apart, not 4; give --clip for windows"),
        (["--clip", "9"], "should be greater than or equal to 10"),
        (["--crops", "3"], "--crops 3: choose 1, 5 or 10"),
        (["--crops", "5", "--layout", "columns"], "columns are of one crop"),
        (["--fps", "fast"], "'fast' is not a rate; give frames a second"),
        (["--shard", "2"], "give i/n, the i-th of n parts"),
    ],
)
def test_what_cannot_be_is_one_line_before_anything_is_loaded(
    invoke: Invoke, small: Small, options: list[str], message: str
) -> None:
    code, _, err = invoke("features", "videos", "--out", "features", *options)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1
    assert small.bulk == []
    assert not os.path.exists("features")


def test_what_is_given_by_hand_changes_the_preset() -> None:
    assert ByHand().over(None) == PRESETS["dense"]
    assert ByHand(clip=32).over(None) == Convention(32, 32)
    assert ByHand(clip=32).over("thumos") == replace(PRESETS["thumos"], clip=32)
    assert ByHand(stride=2, fps="25").over("thumos") == replace(PRESETS["thumos"], stride=2, fps=Fraction(25))
    assert ByHand(separate=True, dtype="float16").over("anomaly") == replace(
        PRESETS["anomaly"], separate=True, dtype="float16"
    )
    assert not ByHand(separate=False).over("captioning").separate
    with pytest.raises((UsageError, typer.BadParameter)):
        ByHand(fps="0").over(None)


def test_the_bar_moves_within_a_video_and_ends_at_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal; the rate and the time that is left are beside it."""
    monkeypatch.setenv("TERM", "xterm")  # without one, rich draws no progress
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    with Progress(2, console) as progress:
        progress.advance(5.0, 0.5)
        halfway = progress.completed
        progress.advance(5.0, 0.5)
        progress.done(Done(Target("a [left].mp4", Path("out/a")), rows=3, media_s=10.0, share=1.0))
        progress.done(Done(Target("b.mp4", Path("out/b")), error="b.mp4: cannot be opened"))
        assert (halfway, progress.completed) == (0.5, 2.0)
    assert isinstance(console.file, io.StringIO)
    shown = Text.from_ansi(console.file.getvalue()).plain
    assert "1/2 a [left].mp4: 3 rows" in shown
    assert "b.mp4: cannot be opened" in shown
    assert "times as fast as it plays" in shown
