"""The table of `benchmarks.idle`: what resting saves while nothing moves."""

from typing import Any


def idle(found: dict[str, Any]) -> list[tuple[str, ...]]:
    """Rows, the first being the header."""
    day = found["day"]
    rows = [
        (f"`--idle {found['idle_s']:.0f}`, RGB, `continual`, {found['precision']}", "measured"),
        (
            f"three cameras, {day['media_s'] / 60:.1f} minutes, of which {day['resting_s'] / 60:.1f} are rests: "
            "processor time of the engine saved",
            f"{100 * day['engine_share_saved']:.0f} % ({100 * day['steps_share_saved']:.0f} % of its steps)",
        ),
        ("... events of actions found, of those without `--idle`", f"{day['events_found']:.0f} of {day['events_without']:.0f}"),
        ("... furthest that the start of one is off", f"{day['start_off_s']:.2f} s"),
        (
            "... events of the still pictures, without and with `--idle`",
            f"{day['events_of_stills_without']:.0f} and {day['events_of_stills_with']:.0f}",
        ),
        ("... false wake-ups", f"{day['false_wake_ups']:.0f}"),
        ("processor time of the measure of motion, a tick", f"{day['motion_ms_a_tick']:.2f} ms"),
    ]  # fmt: skip
    return rows + [
        (
            f"still pictures, {kind}, {row['minutes']:.0f} minutes: false wake-ups, largest measure (1 wakes)",
            f"{row['false_wake_ups']}, {row['largest']:.2f}",
        )
        for kind, row in found["stills"].items()
    ]
