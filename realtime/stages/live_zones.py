"""Zones that come, move and go while a source runs."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

from engines.spec import StreamSpec
from realtime.errors import UsageError
from realtime.stages.looks import Looks
from realtime.stages.region import Region
from realtime.stages.zone_predictions import check_seen
from realtime.types import Picture
from realtime.zones import Zone, ZoneRemoved, check_names


@dataclass(frozen=True)
class Sight:
    """What zones are checked against."""

    picture: Picture | None
    """None before the first frame: places cannot be checked yet."""
    region: Region
    spec: StreamSpec
    looks: Looks

    def check(self, zone: Zone) -> None:
        """Raises UsageError for a zone that cannot be."""
        self.looks.check(zone)
        if self.picture is not None:
            check_seen(zone, self.picture, self.region, self.spec)


class LiveZones:
    """The zones of one source. Everything may be called from any thread.

    Changes are queued: the recogniser takes them between two frames, in order. Recognisers that follow one another,
    as when settings change, may share them.
    """

    def __init__(self, zones: Sequence[Zone] = ()) -> None:
        """Raises UsageError for too many zones, and for names that cannot be told apart."""
        check_names([zone.name for zone in zones])
        self._lock = Lock()
        self._now = tuple(zones)
        self._changes: deque[Zone | ZoneRemoved] = deque()
        self._changed = 0
        self._sight: Sight | None = None

    @property
    def now(self) -> tuple[Zone, ...]:
        """The zones in force, those included that the recogniser has not taken yet."""
        return self._now

    @property
    def changed(self) -> int:
        """How often they have changed. If it is read before `now`, that holds all of these changes."""
        return self._changed

    def put(self, zone: Zone) -> None:
        """Add a zone, or replace the one of that name: its open event ends, and the zone keeps its place in `now`.

        Raises UsageError for one zone too many, for a name that cannot be told apart from another, for a model that is
        not loaded and labels that it does not have, and, once a frame has come, for a zone that extends outside the
        picture or that the network does not see.
        """
        with self._lock:
            others = {each.name: each for each in self._now}
            zones = tuple((others | {zone.name: zone}).values())
            check_names([each.name for each in zones])
            if self._sight is not None:
                self._sight.check(zone)
            self._now = zones
            self._changed += 1
            self._changes.append(zone)

    def remove(self, name: str) -> None:
        """Its open event ends. Raises UsageError if there is no zone of that name."""
        with self._lock:
            zones = tuple(zone for zone in self._now if zone.name != name)
            if zones == self._now:
                names = ", ".join(zone.name for zone in zones)
                raise UsageError(
                    f"no zone {name[:60]!r} to remove; "
                    + (f"name one of {names}" if names else "there is none at all")
                )
            self._now = zones
            self._changed += 1
            self._changes.append(ZoneRemoved(name))

    def seen_in(self, sight: Sight) -> None:
        """Zones to come are checked against this: the recogniser says so when it is made, and when the picture changes
        its size."""
        self._sight = sight

    def begin(self) -> list[Zone]:
        """For the first frame of a recogniser: all zones in force. What came before is not taken again."""
        with self._lock:
            self._changes.clear()
            return list(self._now)

    def take(self) -> list[Zone | ZoneRemoved]:
        """For every other frame: what has changed since the last one, in order."""
        with self._lock:
            changes = list(self._changes)
            self._changes.clear()
            return changes
