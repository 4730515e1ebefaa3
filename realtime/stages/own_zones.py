"""Zones that the network looks at by themselves: far and small places, and places for another model.

Each is a crop with a row of stages of its own, with its own state, as if it were another camera; the engines are the
same for all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from realtime.overload import Level
from realtime.stages.dropped_frames import Dropped
from realtime.stages.events import OpenEvent
from realtime.stages.looks import Looks, Stages
from realtime.stages.row import Row
from realtime.stages.where import Part
from realtime.types import Gap, Image, Tick
from realtime.zones import Zone, ZoneRemoved


@dataclass(eq=False)
class OwnZone:
    """One of them."""

    zone: Zone
    stages: Stages
    row: Row
    since: int | None = None
    """The first tick that was seen at this place."""
    next: Zone | None = None
    """What it is to become."""


class OwnZones:
    """Stage: what the row of the whole picture gets; out come predictions, events and gaps of each own zone.

    A zone that is replaced holds still until it has been at its place for `still_ticks`, because a crop that moves
    looks like motion. Then it jumps: its section ends, a gap is told, and it starts over at the new place.
    """

    def __init__(self, looks: Looks, fps: Fraction, still_ticks: int) -> None:
        """`fps`: ticks a second."""
        self._looks, self._fps, self._still_ticks = looks, fps, still_ticks
        self._zones: dict[str, OwnZone] = {}
        self._level: Level | None = None
        self._steps = 0

    @property
    def steps(self) -> int:
        """Times that the engines have run for own zones."""
        return self._steps + sum(each.stages.engines.steps for each in self._zones.values())

    @property
    def open_events(self) -> list[OpenEvent]:
        """What is going on in each zone."""
        going = (each.stages.events.current for each in self._zones.values())
        return [event for event in going if event is not None]

    def reset(self) -> None:
        """Forget all ticks; the zones stay."""
        for each in self._zones.values():
            each.row.reset()
            each.since = None

    def push(self, item: Any) -> list[Any]:
        if isinstance(item, Zone):
            return self._put(item) if item.own else self._remove(item.name)
        if isinstance(item, ZoneRemoved):
            return self._remove(item.name)
        if isinstance(item, Level):
            self._level = item
        out: list[Any] = []
        for each in self._zones.values():
            if isinstance(item, Tick):
                out += self._jumped(each, item)
            out += _told(each.row.push(item))
        return out

    def flush(self) -> list[Any]:
        """End of the stream or of a section."""
        return [out for each in self._zones.values() for out in _told(each.row.flush())]

    def views(self, tick: Tick) -> dict[Part, Sequence[Image]]:
        """Of each own zone, its part of the frame, resized."""
        return {each.zone: each.stages.inputs.views(tick) for each in self._zones.values()}

    def _put(self, zone: Zone) -> list[Any]:
        before = self._zones.get(zone.name)
        if before is None:
            self._zones[zone.name] = self._begun(zone)
        else:
            before.next = None if zone == before.zone else zone
        return []

    def _remove(self, name: str) -> list[Any]:
        each = self._zones.pop(name, None)
        return [] if each is None else self._ended(each)

    def _jumped(self, each: OwnZone, tick: Tick) -> list[Any]:
        """The zone at its new place, if it is time."""
        if each.since is None:
            each.since = tick.index
        if each.next is None or tick.index - each.since < self._still_ticks:
            return []
        out, begun = self._ended(each), self._begun(each.next)
        each.zone, each.stages, each.row = begun.zone, begun.stages, begun.row
        each.next, each.since = None, tick.index
        at = Fraction(tick.index) / self._fps
        return [*out, Gap(at, at, "zone moved", zone=each.zone.name)]

    def _begun(self, zone: Zone) -> OwnZone:
        stages = self._looks.at(zone, self._looks.terms.of(zone), zone.name)
        row = Row(stages.inputs, stages.spans, stages.engines, stages.predictions, stages.events)
        if self._level is not None:
            row.push(self._level)
        return OwnZone(zone, stages, row)

    def _ended(self, each: OwnZone) -> list[Any]:
        out = _told(each.row.flush())
        self._steps += each.stages.engines.steps
        return out


def _told(items: list[Any]) -> list[Any]:
    """Without the message that predictions pass on to zones that are read from their cells."""
    return [item for item in items if not isinstance(item, Dropped)]
