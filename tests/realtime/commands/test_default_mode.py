"""One default mode everywhere, but for the page."""

import inspect

import pytest

from engines import load_engines
from engines.spec import DEFAULT_MODE
from realtime.view.settings import Settings
from tests.support.command_line import understood


@pytest.mark.parametrize(
    "verb", [["run", "a.mp4"], ["doctor"], ["build"], ["check"], ["bundle", "--out", "folder"]]
)
def test_every_command_takes_the_same(verb: list[str]) -> None:
    assert understood(verb)[1]["mode"] == DEFAULT_MODE


def test_so_does_the_library() -> None:
    assert inspect.signature(load_engines).parameters["mode"].default == DEFAULT_MODE


def test_the_page_starts_with_one_that_reacts_fast() -> None:
    assert understood(["view"])[1]["mode"] == Settings.mode == "preview"
