"""Checks the contents of a site file against a JSON schema, and says for each mistake what is allowed instead.

Supports the part of JSON schema that `realtime.commands.site_options` uses, and words its findings for people.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from realtime.site.text import Place

Schema = Mapping[str, Any]
TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}


@dataclass(frozen=True)
class Mistake:
    """What is wrong, where, and what is allowed."""

    place: Place
    text: str


def mistakes(value: Any, schema: Schema, place: Place = ()) -> Iterator[Mistake]:
    """All mistakes, in the order of the file."""
    kinds = [each for each in schema.get("anyOf", [schema]) if _is(value, each)]
    if not kinds:
        yield Mistake(place, f"{_name(place)} cannot be {_shown(value)}; give {allowed(schema)}")
    elif kinds[0]["type"] == "object":
        yield from _in_table(value, kinds[0], place)
    elif kinds[0]["type"] == "array":
        if len(value) < kinds[0].get("minItems", 0):
            yield Mistake(place, f"{_name(place)} is empty; give {allowed(kinds[0])}")
        for number, each in enumerate(value):
            yield from mistakes(each, kinds[0]["items"], (*place, number))


def allowed(schema: Schema) -> str:
    """What a value may be, in words."""
    if "anyOf" in schema:
        return " or ".join(allowed(each) for each in schema["anyOf"])
    if "enum" in schema:
        return "one of " + ", ".join(str(each) for each in schema["enum"])
    if "$comment" in schema:
        return str(schema["$comment"])
    if schema["type"] == "array":
        return 'a list of texts, as in ["one", "two"]'
    names = {"string": "a text in quotes", "boolean": "true or false", "object": "a table"}
    if schema["type"] in names:
        return names[schema["type"]]
    kind = "a whole number" if schema["type"] == "integer" else "a number"
    least, most = schema.get("minimum"), schema.get("maximum")
    if most is not None:
        return f"{kind} from {least} to {most}"
    return kind if least is None else f"{kind} of at least {least}"


def _in_table(table: Mapping[str, Any], schema: Schema, place: Place) -> Iterator[Mistake]:
    known, others = schema.get("properties", {}), schema.get("additionalProperties", False)
    for key in schema.get("required", []):
        if key not in table:
            yield Mistake(place, f"{key} is missing; give {allowed(known[key])}")
    for key, value in table.items():
        if key in known:
            yield from mistakes(value, known[key], (*place, key))
        elif others:
            yield from mistakes(value, others, (*place, key))
        else:
            near = get_close_matches(key, known, n=1)
            advice = f"did you mean {near[0]}? " if near else ""
            yield Mistake((*place, key), f"{key} is not known here; {advice}There may be {', '.join(known)}")


def _is(value: Any, schema: Schema) -> bool:
    wanted = TYPES[schema["type"]]
    if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
        return False
    if "enum" in schema:
        return value in schema["enum"]
    if "pattern" in schema:
        return re.search(schema["pattern"], str(value)) is not None
    if schema["type"] in ("integer", "number"):
        return schema.get("minimum", value) <= value <= schema.get("maximum", value)  # type: ignore[no-any-return]
    return True


def _name(place: Place) -> str:
    """The last name in it: an index into a list is not a name."""
    return str(next((part for part in reversed(place) if isinstance(part, str)), "the file"))


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "a list"
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
