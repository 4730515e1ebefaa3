"""Zones in the page: drawn there in px of the picture that it shows, kept in px of the source. Only here one becomes
the other."""

import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from realtime.errors import UsageError
from realtime.stages.live_zones import LiveZones
from realtime.stages.where import stored
from realtime.types import Picture, Prediction
from realtime.view.page_state import State, hex_colour, shown_box
from realtime.zones import Zone

EDGES = ("x", "y", "width", "height")


def zones_state(zones: LiveZones, answers: Mapping[str, Prediction], picture: Picture) -> list[State]:
    """Each zone as the page shows it: its box in px of the upright picture, None if it lies outside, and its newest
    prediction, if there is one. `answers`: the newest predictions by the name of the zone."""
    return [
        {"name": zone.name, "box": _box(zone, picture), "answer": _answer(answers.get(zone.name))}
        for zone in zones.now
    ]


def put_zone(zones: LiveZones, name: str, given: Any, picture: Picture) -> None:
    """Add or move a zone as a page wants it: an object of x, y, width and height in px of the picture that it shows,
    `of`, the width and height of that if the source may have others by now, and, for a new name, `was`, the one before.
    What else a zone has does not change.

    Raises UsageError for anything else, and for a zone that cannot be.
    """
    if not isinstance(given, dict) or not given.keys() <= {*EDGES, "of", "was"}:
        raise UsageError(f"a zone is an object of {', '.join(EDGES)}; load the page again")
    x, y, width, height = _in_source([given.get(edge) for edge in EDGES], given.get("of"), picture, name)
    before = next((zone for zone in zones.now if zone.name == given.get("was", name)), None)
    zone = Zone(name, x, y, width, height)
    if before is not None:
        zone = replace(before, name=name, x=x, y=y, width=width, height=height, percent=False)
    _swap(zones, before, zone)


def _swap(zones: LiveZones, before: Zone | None, zone: Zone) -> None:
    """`zone` in place of the one before; if that cannot be, it stays."""
    if before is None or before.name == zone.name:
        zones.put(zone)
        return
    zones.remove(before.name)
    try:
        zones.put(zone)
    except UsageError:
        zones.put(before)
        raise


def _in_source(box: list[Any], of: Any, picture: Picture, name: str) -> tuple[int, int, int, int]:
    """x, y, width and height in px of the source, cut at the edge of its picture."""
    numbers = _numbers(box)
    if len(numbers) != len(EDGES):
        raise UsageError(f"a zone is an object of {', '.join(EDGES)}, each a number; load the page again")
    size_px = _numbers([*picture.size_px[::-1]] if of is None else of)
    if len(size_px) != 2 or min(size_px) < (of is not None):
        raise UsageError("the size 'of' a zone's picture is [width, height] in px; load the page again")
    if 0 in picture.size_px:
        raise UsageError(f"zone {name[:60]!r}: there is no picture yet; draw a zone once it is there")
    across, down = picture.size_px[1] / size_px[0], picture.size_px[0] / size_px[1]
    x, y, width, height = numbers
    x, y, width, height = stored((x * across, y * down, width * across, height * down), picture)
    wide, high = picture.stored_px
    left, right = (round(min(max(edge, 0), wide)) for edge in (x, x + width))
    top, bottom = (round(min(max(edge, 0), high)) for edge in (y, y + height))
    return left, top, max(right - left, 0), max(bottom - top, 0)


def _numbers(given: Any) -> list[float]:
    """Those of a list that are finite numbers; none of anything else."""
    listed = given if isinstance(given, list) else []
    return [float(each) for each in listed if type(each) in (int, float) and abs(each) <= sys.float_info.max]


def _box(zone: Zone, picture: Picture) -> list[float] | None:
    try:
        return shown_box(zone.in_px(picture.stored_px), picture)
    except UsageError:  # the camera now delivers smaller pictures
        return None


def _answer(prediction: Prediction | None) -> State | None:
    if prediction is None:
        return None
    return {
        "label": prediction.label,
        "p": round(prediction.probability, 6),
        "settled": prediction.settled,
        "colour": hex_colour(prediction.label),
    }
