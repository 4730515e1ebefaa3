"""The site file as options: each flag of `run` and `view` has its key in one of four tables."""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from inspect import Parameter
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import typer

from realtime.commands.flags import Given, keys
from realtime.commands.options import ModelOptions, RecognizerOptions
from realtime.commands.outputs import LogOptions, OutputOptions, check_announced, check_drawn
from realtime.commands.server import ServerOptions
from realtime.commands.sources import Named, SourceOptions
from realtime.commands.zone_options import zone_of, zones_schema
from realtime.errors import SourceError, UsageError
from realtime.site.address import address_of
from realtime.site.check import Mistake, Schema, mistakes
from realtime.site.secrets import filled
from realtime.site.text import Place, SiteText
from realtime.sources.address import parse_source
from realtime.stages.looks import Terms
from realtime.zones import Zone, check_names

SUFFIX = ".toml"
TABLES: dict[str, tuple[Any, ...]] = {
    "camera": (SourceOptions(),),
    "recognition": (ModelOptions(), RecognizerOptions()),
    "output": (LogOptions(), OutputOptions()),
    "page": (ServerOptions(),),
}
"""The options whose flags are the keys of each table. The first occurs once per camera; `page` is for `view` only."""
MAY_BE_SECRET = ("mqtt", "webhook")
"""Keys whose `${NAME}` comes from the environment, besides a camera's address."""
_JSON = {int: "integer", float: "number", bool: "boolean", str: "string", Path: "string"}


def flags_of(table: str) -> dict[str, Parameter]:
    """The flags that are keys of a table, by key."""
    return {key: parameter for options in TABLES[table] for key, parameter in keys(options)}


@dataclass(frozen=True)
class Site:
    """What a site file says, apart from flags that were typed."""

    cameras: tuple[Named, ...]
    said: Mapping[str, Any]
    """Values of all tables except `camera`, by the names of the options' fields."""


def site_path(sources: list[str]) -> Path | None:
    """The site file, if one was given. Raises UsageError for one together with other sources."""
    found = [source for source in sources if source.endswith(SUFFIX)]
    if found and len(sources) > 1:
        raise UsageError(
            f"{found[0]}: a site file names all sources; give it alone, and add the others to it"
        )
    return Path(found[0]) if found else None


def read_site(path: Path, given: Given = Given(), environment: Mapping[str, str] = os.environ) -> Site:
    """Raises UsageError that names the first mistake and counts the others."""
    text = SiteText(path)
    site, found = _read(text, given, environment)
    if site is None:
        more = f" (and {len(found) - 1} more: i3d-live site check {path})" if len(found) > 1 else ""
        raise UsageError(f"{text.at(found[0].place)}: {found[0].text}{more}")
    return site


def all_mistakes(path: Path, environment: Mapping[str, str] = os.environ) -> list[str]:
    """One line for each."""
    text = SiteText(path)
    return [f"{text.at(each.place)}: {each.text}" for each in _read(text, Given(), environment)[1]]


def _read(text: SiteText, given: Given, environment: Mapping[str, str]) -> tuple[Site | None, list[Mistake]]:
    found = list(mistakes(text.tables, schema()))
    if found:
        return None, found
    folder, cameras = text.path.parent, []
    for number, table in enumerate(text.tables["camera"]):
        try:
            cameras.append(_camera(table, folder, given, environment, ("camera", number)))
        except _Wrong as error:
            found.append(error.mistake)
    said: dict[str, Any] = {}
    for name in list(TABLES)[1:]:
        said |= _said(name, text.tables.get(name, {}), folder)
    found += _names_twice(cameras)
    for place, check in _checks(cameras, said, given, environment):
        try:
            check()
        except (UsageError, typer.BadParameter) as error:
            found.append(Mistake(place, str(error)))
    if not found:
        said |= {key: filled(said[key], environment) for key in MAY_BE_SECRET if key in said}
    return (None if found else Site(tuple(cameras), said)), found


class _Wrong(Exception):
    def __init__(self, place: Place, error: Exception) -> None:
        self.mistake = Mistake(place, str(error))


def _camera(
    table: Mapping[str, Any], folder: Path, given: Given, environment: Mapping[str, str], place: Place
) -> Named:
    """Raises _Wrong for its first mistake."""
    key: tuple[str, ...] = ("address",)
    try:
        address = address_of(table, folder, environment)
        with suppress(SourceError):  # it may exist by the time of the run
            parse_source(address)
        key = ("fps",)
        how = given.over(SourceOptions(), _said("camera", table, folder))
        how.opener()
        key = ("zones",)
        check_names(tuple(table.get("zones", {})))
        zones: list[Zone] = []
        for name, at in table.get("zones", {}).items():
            key = ("zones", name)
            zones.append(zone_of(name, at))
    except (UsageError, typer.BadParameter) as error:
        raise _Wrong((*place, *key), error) from error
    return Named(address, table["name"], how, tuple(zones), table.get("priority", 0))


def _said(table: str, values: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Values by the names of the options' fields. Paths are relative to the folder of the site file."""
    said = {}
    for key, parameter in flags_of(table).items():
        if key in values:
            path = Path in _kinds(parameter)
            said[parameter.name] = folder / values[key] if path else values[key]
    return said


def _names_twice(cameras: list[Named]) -> Iterator[Mistake]:
    names = [camera.name for camera in cameras]
    for number, name in enumerate(names):
        if name in names[:number]:
            text = f"{name}: two cameras of that name; give each its own"
            yield Mistake(("camera", number, "name"), text)


def _checks(
    cameras: list[Named], said: Mapping[str, Any], given: Given, environment: Mapping[str, str]
) -> Iterator[tuple[Place, Any]]:
    """Checks that a schema cannot express, each with its place in the file."""
    look, outputs = given.over(RecognizerOptions(), said), given.over(OutputOptions(), said)
    yield ("recognition", "off"), look.check_events
    yield ("recognition", "region"), look.check_region
    for number, camera in enumerate(cameras):
        for zone in camera.zones:
            terms = Terms(1, look.events, None)
            yield ("camera", number, "zones", zone.name), partial(terms.of, zone)
    yield ("output", "annotate"), lambda: check_drawn(len(cameras), outputs)
    if outputs.metrics is not None:
        from realtime.outputs.metrics import listen_at  # it imports prometheus_client

        yield ("output", "metrics"), lambda: listen_at(str(outputs.metrics))
    yield ("output", "home_assistant"), lambda: check_announced(outputs)
    for key in MAY_BE_SECRET:
        if key in said:
            yield ("output", key), partial(filled, said[key], environment)


def schema() -> dict[str, Any]:
    """The JSON schema of a site file."""
    tables = {name: _table(name) for name in TABLES}
    camera = tables.pop("camera")
    text = {"type": "string"}
    camera["properties"] = {
        "name": text | {"pattern": r"^[A-Za-z0-9][\w.-]*$", "$comment": 'a name such as "door", without spaces'},
        "address": text | {"description": "As for run. ${NAME} is taken from the environment."},
        "address_file": text | {"description": "File whose first line is the address."},
        "password_file": text | {"description": "File whose first line is the password of the address's user."},
        "zones": zones_schema(),
        "priority": {
            "type": "integer",
            "description": "The higher, the more important: where not all can keep up, the others leave out work first.",
        },
    } | camera["properties"]  # fmt: skip
    camera["required"] = ["name"]
    cameras = {"type": "array", "minItems": 1, "items": camera, "$comment": "at least one table [[camera]]"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "i3d-live site file",
        "type": "object",
        "properties": {"camera": cameras} | tables,
        "required": ["camera"],
        "additionalProperties": False,
    }


def _table(name: str) -> dict[str, Any]:
    properties = {key: property_of(parameter) for key, parameter in flags_of(name).items()}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def property_of(parameter: Parameter) -> Schema:
    """JSON schema of one flag."""
    info = get_args(parameter.annotation)[1]
    kind = _kinds(parameter)[0]
    found: dict[str, Any] = {"description": info.help}
    if get_origin(kind) is list:
        return found | {"type": "array", "items": {"type": "string"}}
    if get_origin(kind) is Literal:
        return found | {"type": _JSON[type(get_args(kind)[0])], "enum": list(get_args(kind))}
    found["type"] = _JSON[kind]
    limits = {"minimum": info.min, "maximum": info.max}
    return found | {name: limit for name, limit in limits.items() if limit is not None}


def _kinds(parameter: Parameter) -> tuple[Any, ...]:
    """The types that its flag may have, except None."""
    kind = get_args(parameter.annotation)[0]
    if get_origin(kind) in (Literal, list):
        return (kind,)
    return tuple(each for each in get_args(kind) or (kind,) if each is not type(None))
