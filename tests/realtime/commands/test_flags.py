"""Options that are dataclasses become flags, and flags become those dataclasses again."""

from dataclasses import dataclass, field
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from realtime.commands.flags import Given, Only, flat, keys


@dataclass(frozen=True)
class Inner:
    """Knows nothing of Typer."""

    low: int = field(default=1, metadata={"min": 0, "help": "The least."})
    high_s: float = field(default=2.0, metadata={"flag": "--high", "help": "The most."})


@dataclass(frozen=True)
class Outer:
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Its name.")] = None
    inner: Inner = Inner()
    often: Annotated[list[str] | None, typer.Option(help="Again and again.")] = None


HERE = Inner(high_s=3.0)
OUTER, INNER, NOTHING = Outer(), Inner(), Given()


def called(*arguments: str, obj: object = None) -> tuple[object, ...]:
    """What the command got."""
    got: list[tuple[object, ...]] = []

    def command(
        what: Annotated[str, typer.Argument()],
        outer: Annotated[Outer, Only(("name", "often", "high_s"), {"name": "Another help."})] = OUTER,
        *,
        door: str = "closed",
    ) -> None:
        """Does it."""
        got.append((what, outer, door))

    app = typer.Typer(rich_markup_mode=None)
    app.command()(flat(command))
    result = CliRunner().invoke(app, [*arguments], obj=obj)
    return got[0] if got else (result.exit_code, result.output)


def test_what_is_not_given_keeps_its_default() -> None:
    assert called("x") == ("x", OUTER, "closed")


def test_what_is_given_is_filled_in_however_deep_it_lies() -> None:
    given = called("x", "--high", "4", "--name", "n", "--often", "a", "--often", "b", obj="open")
    assert given == ("x", Outer("n", Inner(high_s=4.0), ["a", "b"]), "open")


def test_only_what_a_command_takes_is_a_flag_of_it() -> None:
    code, said = called("x", "--low", "3")
    assert code == 2
    assert "--low" in str(said)
    _, said = called("--help")
    for text in ("--high", "The most.", "[default: 2.0]", "--name NAME", "Another help."):
        assert text in str(said)
    assert "Its name." not in str(said)
    assert "--door" not in str(said)


def test_the_default_of_the_command_is_that_of_its_flags() -> None:
    got: list[Inner] = []

    def command(inner: Inner = HERE) -> None:
        got.append(inner)

    app = typer.Typer(rich_markup_mode=None)
    app.command()(flat(command))
    assert CliRunner().invoke(app, ["--low", "7"]).exit_code == 0
    assert got == [Inner(7, 3.0)]
    assert "x>=0" in CliRunner().invoke(app, ["--help"]).output


def test_a_name_that_is_taken_twice_is_refused() -> None:
    def command(low: int, inner: Inner = INNER) -> None:
        pass

    with pytest.raises(ValueError, match="duplicate parameter name"):
        flat(command)


def test_what_was_typed_is_told_from_what_is_a_default() -> None:
    got: list[Given] = []

    def command(outer: Outer = OUTER, *, given: Given = NOTHING) -> None:
        got.append(given)

    app = typer.Typer(rich_markup_mode=None)
    app.command()(flat(command))
    assert CliRunner().invoke(app, ["--low", "1", "--name", "n"], obj="door").exit_code == 0
    assert got == [Given({"low": 1, "name": "n"})]
    assert got[0].over(OUTER, {"low": 7, "high_s": 8.0}) == Outer("n", Inner(1, 8.0))


def test_flags_have_their_names_in_a_file() -> None:
    assert [(key, flag.name) for key, flag in keys(OUTER)] == [
        ("name", "name"),
        ("low", "low"),
        ("high", "high_s"),
        ("often", "often"),
    ]
