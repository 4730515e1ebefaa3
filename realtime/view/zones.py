"""Zones in the page: drawn there in px of the picture that it shows, kept in px of the source. Only here one becomes
the other."""

import math
from collections.abc import Mapping
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
    """Add or move a zone as a page wants it: an object of x, y, width and height in px of the picture that it shows
    and, for a new name, `was`, the one before.

    Raises UsageError for anything else, and for a zone that cannot be.
    """
    if not isinstance(given, dict) or not given.keys() <= {*EDGES, "was"}:
        raise UsageError(f"a zone is an object of {', '.join(EDGES)}; load the page again")
    zone = _zone(name, [given.get(edge) for edge in EDGES], picture)
    was = [each for each in zones.now if each.name == given.get("was") != name]
    for each in was:
        zones.remove(each.name)
    try:
        zones.put(zone)
    except UsageError:
        for each in was:
            zones.put(each)
        raise


def _zone(name: str, box: list[Any], picture: Picture) -> Zone:
    numbers = [float(edge) for edge in box if type(edge) in (int, float) and math.isfinite(edge)]
    if len(numbers) != len(EDGES):
        raise UsageError(f"a zone is an object of {', '.join(EDGES)}, each a number; load the page again")
    if 0 in picture.size_px:
        raise UsageError("there is no picture yet; draw a zone once it is there")
    left, top, width, height = stored((numbers[0], numbers[1], numbers[2], numbers[3]), picture)
    wide, high = picture.stored_px
    right, bottom = (
        round(min(max(edge, 0), most)) for edge, most in ((left + width, wide), (top + height, high))
    )
    left, top = (round(min(max(edge, 0), most)) for edge, most in ((left, wide), (top, high)))
    return Zone(name, left, top, max(right - left, 0), max(bottom - top, 0))


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
