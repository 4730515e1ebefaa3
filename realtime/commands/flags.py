"""Options as dataclasses, flattened into the flags of a command, and filled from them."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from dataclasses import Field, dataclass, field, fields, is_dataclass, replace
from functools import wraps
from typing import Annotated, Any, TypeVar, cast, get_args, get_type_hints

import typer

T = TypeVar("T")
FLAG = inspect.Parameter.KEYWORD_ONLY


@dataclass(frozen=True)
class Only:
    """`Annotated[Options, Only(("stride",))]`: fields that this command has flags for. The others keep their
    defaults."""

    names: tuple[str, ...]
    help: Mapping[str, str] = field(default_factory=dict)
    """Help specific to this command, by field name."""


@dataclass(frozen=True)
class Given:
    """What was typed, by field name; it overrides the file."""

    values: Mapping[str, Any] = field(default_factory=dict)

    def over(self, options: T, said: Mapping[str, Any]) -> T:
        """The options with the values from a file, by field name, overridden by what was typed."""
        return cast(T, _filled(options, {**said, **self.values}))


def flat(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command in Typer's form: a parameter whose default is a dataclass is replaced by one flag for each field.

    A field describes its flag by `Annotated[..., typer.Option(...)]`, or, in a package that does not import Typer, by
    metadata: the keywords of `typer.Option`, and "flag" if its name differs from the field's. Nested dataclasses are
    flattened too. A keyword-only parameter is not a flag: `Given` gets what was typed, any other the `obj` of Typer's
    context, if the program was called with one.
    """
    hints = get_type_hints(command, include_extras=True)
    flags = [inspect.Parameter("context", FLAG, annotation=typer.Context)]
    groups: dict[str, Any] = {}
    doors: list[str] = []
    typed: list[str] = []
    for name, parameter in inspect.signature(command).parameters.items():
        if parameter.kind is FLAG:
            (typed if hints[name] is Given else doors).append(name)
        elif is_dataclass(parameter.default):
            groups[name] = parameter.default
            flags += _flags(parameter.default, *getattr(hints[name], "__metadata__", ()))
        else:
            flags.append(parameter.replace(kind=FLAG, annotation=hints[name]))
    plain = hints.keys() - groups.keys()

    @wraps(command)
    def called(context: typer.Context, **given: Any) -> Any:
        arguments = {name: value for name, value in given.items() if name in plain}
        arguments |= {name: _filled(options, given) for name, options in groups.items()}
        if context.obj is not None:
            arguments |= dict.fromkeys(doors, context.obj)
        return command(**arguments, **dict.fromkeys(typed, Given(_typed(context, given))))

    called.__annotations__ = {flag.name: flag.annotation for flag in flags}
    called.__signature__ = inspect.Signature(flags)  # type: ignore[attr-defined]
    return called


def keys(options: Any) -> Iterator[tuple[str, inspect.Parameter]]:
    """Each flag of the options with its name in a file: as on the command line, but with _ instead of -."""
    for parameter in _flags(options):
        _, info = get_args(parameter.annotation)
        # In `Annotated`, what Typer calls the default is the first name.
        flag = info.default.partition("/")[0] if isinstance(info.default, str) else parameter.name
        yield flag.lstrip("-").replace("-", "_"), parameter


def _typed(context: typer.Context, given: Mapping[str, Any]) -> dict[str, Any]:
    sources = {name: context.get_parameter_source(name) for name in given}
    return {
        name: value for name, value in given.items() if getattr(sources[name], "name", "") == "COMMANDLINE"
    }


def _flags(options: Any, only: Only | None = None) -> Iterator[inspect.Parameter]:
    hints = get_type_hints(type(options), include_extras=True)
    for each in fields(options):
        default = getattr(options, each.name)
        if is_dataclass(default):
            yield from _flags(default, only)
        elif only is None or each.name in only.names:
            kind, info = _described(each, hints[each.name])
            info.help = info.help if only is None else only.help.get(each.name, info.help)
            yield inspect.Parameter(each.name, FLAG, default=default, annotation=Annotated[kind, info])


def _described(each: Field[Any], hint: Any) -> tuple[Any, Any]:
    """Type of a field, and its description for Typer."""
    if not each.metadata:
        return hint.__origin__, copy(hint.__metadata__[0])
    about = dict(each.metadata)
    names = [about.pop("flag")] if "flag" in about else []
    return hint, typer.Option(*names, **about)


def _filled(options: Any, given: Mapping[str, Any]) -> Any:
    """The options filled with the values of their flags."""
    inner = {each.name: getattr(options, each.name) for each in fields(options)}
    inner = {name: _filled(value, given) for name, value in inner.items() if is_dataclass(value)}
    return replace(options, **inner, **{e.name: given[e.name] for e in fields(options) if e.name in given})
