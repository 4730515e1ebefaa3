"""The rows of the timeline: which events stand in which, and in which colour."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from realtime.outputs.overlay import PALETTE, label_colour
from realtime.outputs.text import Colour
from realtime.types import Event, of_whole

OTHERS: Colour = (153, 153, 153)
MOST_PARTS = 24
"""Rows for zones and for several actions: those with the longest events have their own."""
MOST_LANES = 3
"""Actions that go on at the same time in a row stand one below the other, in so many lanes at most."""


@dataclass(frozen=True)
class Row:
    """A row of bars."""

    name: str
    colour: Colour
    events: Sequence[Event]


def rows_of(names: Sequence[str], events: Sequence[Event]) -> list[Row]:
    """First those of the whole picture: a row for each of `names`, and one for all others. Then those of several
    actions, a row for each label; then those of zones, a row for each zone and label."""
    palette = dict(zip(names, colours(names), strict=True))
    whole: dict[str, list[Event]] = {name: [] for name in names}
    others: list[Event] = []
    parts: dict[tuple[str, str], list[Event]] = defaultdict(list)
    for event in events:
        if of_whole(event):
            whole.get(event.label, others).append(event)
        else:
            parts[event.zone or "", event.label].append(event)
    longest = sorted(parts, key=lambda part: -sum(event.end_s - event.start_s for event in parts[part]))
    rows = [Row(name, palette[name], found) for name, found in whole.items()]
    if others:
        rows.append(Row("other actions", OTHERS, others))
    for zone, label in sorted(longest[:MOST_PARTS], key=lambda part: (part[0], longest.index(part))):
        name = f"{zone}: {label}" if zone else f"one of several: {label}"
        rows.append(Row(name, palette.get(label, label_colour(label)), parts[zone, label]))
    rest = [event for part in longest[MOST_PARTS:] for event in parts[part]]
    return [*rows, Row("other parts", OTHERS, rest)] if rest else rows


def colours(names: Sequence[str]) -> list[Colour]:
    """The colours of the annotated video; if two classes share one, the second gets the next free colour."""
    free, out = list(PALETTE), []
    for name in names:
        colour = label_colour(name)
        while colour not in free:
            colour = PALETTE[(PALETTE.index(colour) + 1) % len(PALETTE)]
        free.remove(colour)
        out.append(colour)
    return out


def lanes(events: Sequence[Event]) -> list[int]:
    """The lane of each event: 0, unless another one goes on there."""
    ends_s = [float("-inf")] * MOST_LANES
    out = [0] * len(events)
    for place in sorted(range(len(events)), key=lambda i: events[i].start_s):
        free = [lane for lane in range(MOST_LANES) if ends_s[lane] <= events[place].start_s]
        out[place] = free[0] if free else MOST_LANES - 1
        ends_s[out[place]] = max(ends_s[out[place]], events[place].end_s)
    return out
