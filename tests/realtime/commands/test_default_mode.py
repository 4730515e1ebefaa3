"""One default mode everywhere, except on the page."""

import inspect

import pytest

from engines import load_engines
from engines.spec import DEFAULT_MODE
from realtime.view.settings import Settings
from tests.support.command_line import understood


@pytest.mark.parametrize(
    "verb", [["run", "a.mp4"], ["doctor"], ["build"], ["check"], ["bundle", "--out", "folder"]]
)
def test_every_command_has_the_same_default_mode(verb: list[str]) -> None:
    assert understood(verb)[1]["mode"] == DEFAULT_MODE


def test_the_library_has_the_same_default_mode() -> None:
    assert inspect.signature(load_engines).parameters["mode"].default == DEFAULT_MODE


def test_the_page_starts_with_a_mode_that_reacts_fast() -> None:
    assert understood(["view"])[1]["mode"] == Settings.mode == "preview"
