"""A model is looked up once, where a command begins: what is in its model.json is passed down from there."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import pytest

from engines.load import Engines, choose_streams
from engines.weights.fetch import fetch
from realtime.commands.prepare import PREPARE
from tests.engines.conftest import made_set, own_cache, tiny_network  # noqa: F401
from tests.support.command_line import invoke_with
from tests.support.made_clips import every, write_clip
from tests.support.made_weights import MadeSet

_watching: list[list[Path]] = []


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and _watching and isinstance(arguments[0], str):
        _watching[-1].append(Path(arguments[0]))


sys.addaudithook(_note)


@contextmanager
def opened() -> Iterator[list[Path]]:
    """The files that Python opens within the block."""
    _watching.append([])
    yield _watching[-1]
    _watching.pop()


def reads(paths: list[Path], model: str) -> int:
    return sum(path.parts[-2:] == (model, "model.json") for path in paths)


def test_a_run_reads_the_description_of_its_model_once(
    engines: Callable[..., Engines],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    engines("continual")  # so that it is built
    clip = write_clip(tmp_path / "clip.mp4", every(Fraction(1, 25), 70))
    monkeypatch.chdir(tmp_path)
    arguments = ("run", clip, "--model", "kinetics", "--backend", "openvino", "--precision", "float32")
    with opened() as paths:
        code, _, err = invoke_with(capsys)(*arguments, "--streams", "rgb")
    assert (code, err) == (0, "")
    assert reads(paths, "kinetics") == 1


@pytest.mark.usefixtures("own_cache", "tiny_network")
def test_the_choice_of_a_model_reads_its_description_once(made_set: MadeSet) -> None:  # noqa: F811
    fetch("imagenet-kinetics", public={"imagenet-kinetics": made_set.table})
    with opened() as paths:
        model = PREPARE.model(None, "auto")
        assert choose_streams(model, "auto")[0] == ("rgb", "flow")
        assert [model.weights(stream).name for stream in ("rgb", "flow")] == ["imagenet-kinetics"] * 2
    assert reads(paths, "imagenet-kinetics") == 1
