"""The tables of `benchmarks.where` and `benchmarks.zones`: how well places, several actions and zones are recognised,
and what zones cost."""

from typing import Any


def where(found: dict[str, Any]) -> list[tuple[str, ...]]:
    """Rows, the first being the header."""
    rows = found["rows"]
    return [
        ("counted", *rows),
        *((told, *(count(row) for row in rows.values())) for told, count in COUNTED.items()),
    ]


def zones(found: dict[str, Any]) -> list[tuple[str, ...]]:
    """Rows, the first being the header."""
    return [
        (
            f"8 ticks of RGB, {found['precision']}",
            "median",
            "over none",
            "over none, time of the processor",
            "lines of the log",
        ),
        *(
            (
                name,
                f"{found[name]['chunk_ms']:.1f} ms",
                f"{100 * found[name]['cost']:+.1f} %",
                f"{100 * found[name]['cost_of_processor']:+.1f} %",
                f"{found[name]['lines_ms']:.2f} ms",
            )
            for name in ("none", "16 zones", "several actions", "an own zone")
        ),
    ]


def _of(part: int, whole: int) -> str:
    return f"{part} of {whole} ({100 * part / whole:.0f} %)"


def _a_minute(events: int, minutes: float) -> str:
    return f"{events / minutes:.1f}"


COUNTED = {
    "pairs side by side: both found": lambda row: _of(row["pairs"]["all"], row["pairs"]["predictions"]),
    "... where both are going on": lambda row: _of(row["pairs"]["all_going"], row["pairs"]["going"]),
    "... one of the two found": lambda row: _of(row["pairs"]["found"], 2 * row["pairs"]["predictions"]),
    "... events of other actions, a minute": lambda row: _a_minute(
        row["pairs"]["extra_events"], row["pairs"]["seconds"] / 60
    ),
    "... boxes in the right half": lambda row: _of(row["pairs"]["right_boxes"], row["pairs"]["boxes"]),
    "... zones of three columns named rightly": lambda row: _of(
        row["pairs"]["right_zones"], row["pairs"]["zones"]
    ),
    "... ... where its action is going on": lambda row: _of(
        row["pairs"]["right_zones_going"], row["pairs"]["zones_going"]
    ),
    "four in quarters: one of the four found": lambda row: _of(
        row["quarters"]["found"], 4 * row["quarters"]["predictions"]
    ),
    "... events of other actions in quarters, a minute": lambda row: _a_minute(
        row["quarters"]["extra_events"], row["quarters"]["seconds"] / 60
    ),
    "single clips: action found": lambda row: _of(row["singles"]["found"], row["singles"]["predictions"]),
    "... events of other actions, the longest": lambda row: (
        f"{row['singles']['extra_events']}, {row['singles']['longest_extra_s']} s"
    ),
    "scenes without an action, events a minute: whole picture": lambda row: _a_minute(
        row["stills"]["whole"], row["stills"]["minutes"]
    ),
    "... several actions": lambda row: _a_minute(row["stills"]["several"], row["stills"]["minutes"]),
    "... a zone of three columns": lambda row: _a_minute(
        row["stills"]["zones"] / 2, row["stills"]["minutes"]
    ),
}
