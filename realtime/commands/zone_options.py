"""Zones of a site file: each is a text as after `--zone NAME=`, or a table that says more."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from realtime.site.check import Schema
from realtime.zones import FORM, Zone, ZoneTerms, parse_zone

PROBABILITY = {"type": "number", "minimum": 0, "maximum": 1}
TEXT = {
    "type": "string",
    "$comment": f'"{FORM}", or a table {{ at = "x,y,width,height", on = 0.6 }}',
}
TABLE: Schema = {
    "type": "object",
    "required": ["at"],
    "additionalProperties": False,
    "properties": {
        "at": {"type": "string", "$comment": f'"{FORM}"'},
        "own": {"type": "boolean", "description": "The network looks at it by itself, as at another camera."},
        "model": {"type": "string", "description": "Another model looks at it, by itself."},
        "on": PROBABILITY | {"description": "Probability at which an event begins."},
        "off": PROBABILITY | {"description": "Probability below which it ends."},
        "min_event": {"type": "number", "minimum": 0, "description": "Shortest event, in seconds."},
        "smooth": {"type": "integer", "minimum": 1, "description": "Predictions to average."},
        "watch": {
            "type": "array",
            "items": {"type": "string"},
            "minItems": 1,
            "description": "Choose among these labels.",
        },
    },
}
"""What it leaves out is as for its camera."""


def zones_schema() -> dict[str, Any]:
    """JSON schema of a camera's zones, by name."""
    return {
        "type": "object",
        "description": f'NAME = "{FORM}", or a table.',
        "additionalProperties": {"anyOf": [TEXT, TABLE]},
    }


def zone_of(name: str, said: str | Mapping[str, Any]) -> Zone:
    """A zone of a site file that fits the schema. Raises UsageError for an invalid name, number or size."""
    if isinstance(said, str):
        return parse_zone(name, said)
    terms = {each.name: said[each.name] for each in fields(ZoneTerms) if each.name in said}
    if "watch" in terms:
        terms["watch"] = tuple(terms["watch"])
    zone = parse_zone(name, said["at"], ZoneTerms(**terms))
    model = said.get("model", zone.model)
    return replace(zone, own=said.get("own", zone.own or model is not None), model=model)
