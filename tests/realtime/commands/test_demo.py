"""The first run, and which weights every command takes where none are named."""

import json
from fractions import Fraction
from pathlib import Path

import pytest

from engines.cache_folder import sha256_of
from engines.load import Engines
from engines.weights.best_set import Choice
from engines.weights.demo_clips import KnownClip
from engines.weights.download import WebFile, git_blob_id
from engines.weights.fetch import fetch
from engines.weights.public_sets import PublicSets
from engines.weights.store import Model, model_dir
from realtime.commands import demo, teach
from realtime.commands.prepare import PREPARE, Prepare
from realtime.commands.verdict import verdict
from realtime.errors import UsageError
from realtime.teaching.lesson import REPORT, base_of
from tests.engines.conftest import made_set, own_cache, tiny_network  # noqa: F401
from tests.support.command_line import Doubles, invoke_with
from tests.support.doubles import SawTicks
from tests.support.made_clips import every, write_clip
from tests.support.made_weights import MadeSet

pytestmark = pytest.mark.usefixtures("own_cache", "tiny_network")
FPS25 = Fraction(1, 25)


@pytest.fixture
def sets(made_set: MadeSet) -> PublicSets:  # noqa: F811
    return {"kinetics": {"rgb": made_set.table["rgb"]}, "imagenet-kinetics": made_set.table}


@pytest.fixture
def doubles() -> Doubles:
    return Doubles(Engines(SawTicks(), None, "double, made for a test"))


def known(site: MadeSet, tmp_path: Path, label: str) -> KnownClip:
    path = write_clip(tmp_path / "clip.mp4", every(FPS25, 70))
    site.server.files["/clip.mp4"] = path.read_bytes()
    source = WebFile(f"{site.server.address}/clip.mp4", git_blob_id(path), "free", sha256_of(path))
    return KnownClip(source, label)


def test_the_demo_says_what_it_took_what_it_saw_and_whether_that_is_right(
    made_set: MadeSet,  # noqa: F811
    sets: PublicSets,
    doubles: Doubles,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for label, says in [
        ("last", "That is right."),
        ("tai chi", "wrong: this clip shows tai chi."),
    ]:
        out = tmp_path / label
        demo.show(out, sets, [known(made_set, tmp_path, label)], doubles)
        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == "weights imagenet-kinetics: both streams, 74.2 % top-1"
        assert lines[1] == f"clip {label}: from 127.0.0.1"
        seen = verdict(map(json.loads, (out / "predictions.jsonl").read_text().splitlines()))
        assert seen is not None
        assert seen.label == "last"
        (said,) = [line for line in lines if line.startswith(str(seen))]
        assert said.endswith(says)
        assert {p.name for p in out.iterdir()} == {"predictions.jsonl", "annotated.mp4", "timeline.png"}
    assert doubles.asked == ["imagenet-kinetics"] * 2


def test_the_demo_tries_again_for_the_better_set(
    made_set: MadeSet,  # noqa: F811
    sets: PublicSets,
    doubles: Doubles,
    tmp_path: Path,
) -> None:
    fetch("kinetics", public=sets)
    demo.show(tmp_path / "out", sets, [known(made_set, tmp_path, "count")], doubles)
    assert doubles.asked == ["imagenet-kinetics"]


def test_a_folder_that_cannot_be_made_is_an_error_before_anything_is_fetched(
    made_set: MadeSet,  # noqa: F811
    sets: PublicSets,
    tmp_path: Path,
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Exception, match=r"cannot make the folder .*file/out: Not a directory"):
        demo.show(tmp_path / "file" / "out", sets)
    assert made_set.server.requests == []


# Without --model


def test_the_choice_is_one_line_on_stderr(sets: PublicSets, capsys: pytest.CaptureFixture[str]) -> None:
    fetch("kinetics", public=sets)
    assert PREPARE.model(None, "auto").name == "kinetics"
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        "i3d-live: weights kinetics: RGB alone, 68.4 % top-1; imagenet-kinetics has both streams, 74.2 % top-1: "
        "i3d-live weights fetch imagenet-kinetics\n"
    )
    assert PREPARE.model("kinetics", "auto").name == "kinetics"
    assert PREPARE.model("mine", "auto").name == "mine"
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "clip.mp4"],
        ["classify", "clip.mp4"],
        ["doctor", "clip.mp4"],
        ["view", "--port", "0"],
        ["build"],
        ["check"],
        ["bundle", "--out", "edge"],
        ["evaluate", "data"],
        ["teach", "data", "--name", "mine"],
    ],
    ids=lambda arguments: arguments[0],
)
@pytest.mark.parametrize("streams", ["auto", "rgb"])
def test_every_command_takes_the_best_set(
    arguments: list[str],
    streams: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if arguments[0] == "view":
        pytest.importorskip("gradio")

    class Refused(Prepare):
        def model(self, name: str | None, streams: str) -> Model:
            raise UsageError(f"chosen: {name} {streams}")

    monkeypatch.chdir(tmp_path)
    for label in ("jump", "run"):
        (tmp_path / "data" / label).mkdir(parents=True)
        write_clip(tmp_path / "data" / label / "a.mp4", every(FPS25, 3))
    write_clip(tmp_path / "clip.mp4", every(FPS25, 70))
    code, _, err = invoke_with(capsys, Refused())(*arguments, "--streams", streams)
    assert (code, err) == (2, f"i3d-live: chosen: None {streams}\n")


@pytest.mark.parametrize(("stream", "streams"), [([], "auto"), (["--stream", "rgb"], "rgb")])
def test_weights_fetch_without_a_name_gets_the_best(
    stream: list[str], streams: str, capsys: pytest.CaptureFixture[str]
) -> None:
    class Best(Prepare):
        def best_set(self, streams: str, *, again: bool = False) -> Choice:
            return Choice(Model("kinetics", None), f"{streams} {again}")

    _, out, _ = invoke_with(capsys, Best())("weights", "fetch", *stream)
    assert out == f"weights kinetics: {streams} True\n"


def test_a_model_that_is_taught_again_keeps_its_base(capsys: pytest.CaptureFixture[str]) -> None:
    class Best(Prepare):
        def model(self, name: str | None, streams: str) -> Model:
            return Model(f"best for {streams}", None)

        def named(self, name: str, streams: str) -> Model:
            return Model(name, None)

    best = Best()
    assert teach.chosen_base("named", "mine", "auto", best) == "named"
    assert teach.chosen_base(None, "mine", "flow", best) == "best for auto"
    assert teach.chosen_base(None, "mine", "rgb", best) == "best for rgb"
    model_dir("mine").mkdir(parents=True)
    for report, base in [('{"base": "kinetics"}', "kinetics"), ("{", None), ("[]", None), ("{}", None)]:
        (model_dir("mine") / REPORT).write_text(report)
        assert base_of("mine") == base
    (model_dir("mine") / REPORT).write_text('{"base": "kinetics"}')
    capsys.readouterr()
    assert teach.chosen_base(None, "mine", "auto", best) == "kinetics"
    assert capsys.readouterr().err == "i3d-live: weights kinetics: mine was taught on them before\n"
