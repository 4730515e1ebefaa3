"""The table of `benchmarks.input`: what a frame costs before the networks."""

from typing import Any


def input_table(found: dict[str, Any]) -> list[tuple[str, ...]]:
    """Rows, the first being the header."""
    rows: list[tuple[str, ...]] = [
        (
            "the input of an RGB stream, ms of processor time a decoded frame",
            "decoding alone",
            "all, converted when decoded",
            "all, now",
            "without decoding, now by before",
            "with it",
        )
    ]
    for name, row in found["sizes"].items():
        size, fps = name.split("p")
        rows.append(
            (
                f"{size}p, {fps} frames a second",
                *(f"{row[way]:.2f}" for way in ("decode", "before", "now")),
                f"{row['ratio_without_decoding']:.2f}",
                f"{row['ratio']:.2f}",
            )
        )
    return rows
