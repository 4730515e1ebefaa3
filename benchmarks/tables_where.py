"""The table of `benchmarks.where`: how well places, several actions and zones are recognised."""

from typing import Any


def where(found: dict[str, Any]) -> list[tuple[str, ...]]:
    """Rows, the first being the header."""
    pairs, singles, stills = found["pairs"], found["singles"], found["stills"]
    wanted = 2 * pairs["predictions"]
    minutes = stills["minutes"]
    return [
        ("clips of known actions, predictions after which ...", "counted"),
        (
            "pairs side by side: actions found, both found, others claimed",
            f"{pairs['found']} of {wanted}, {pairs['all']} of {pairs['predictions']}, {pairs['extra']}",
        ),
        (
            "pairs: boxes of actions in the right half",
            f"{pairs['right_boxes']} of {pairs['boxes']}",
        ),
        (
            "pairs: zones of three columns with the label of their half",
            f"{pairs['right_zones']} of {pairs['zones']}",
        ),
        (
            "single clips: action found, others claimed",
            f"{singles['found']} of {singles['predictions']}, {singles['extra']}",
        ),
        (
            f"{stills['scenes']} scenes without an action: events a minute of the whole picture, of several actions, of"
            " two zones",
            ", ".join(f"{stills[kind] / minutes:.0f}" for kind in ("whole", "several", "zones")),
        ),
    ]
