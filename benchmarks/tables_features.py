"""The table of `benchmarks.features`, and README's row from it."""

from typing import Any

NAMES = {
    "usual 64/8": "baseline: eager PyTorch, windows of 64 every 8",
    "usual 16/4": "baseline: eager PyTorch, windows of 16 every 4",
    "live step": "for comparison: a step of `run`, without decoding",
    "dense": "`--preset dense`",
    "windows 16/4": "`--clip 16 --stride 4`",
}
OVER = {"dense": "usual 64/8", "windows 16/4": "usual 16/4"}
"""What each replaces."""


def features(found: dict[str, Any]) -> list[tuple[str, ...]]:
    """Rows, the first being the header."""
    places = list(found["ms_for_8_ticks"])
    width, height = found["size_px"]
    what = (
        f"8 ticks (0.32 s) of {found['videos']} files of {found['seconds']:.0f} s, {width} x {height} px, RGB"
    )
    rows = [(what, *(part for where in places for part in (f"{where} cores", "speed")))]
    for name in found["ms_for_8_ticks"][places[0]]:
        kind, said = said_of(name)
        cells = []
        for where in places:
            ms = found["ms_for_8_ticks"][where]
            over = OVER.get(kind)
            cells += [f"{ms[name]:.0f} ms", f"{ms[over] / ms[name]:.1f}x faster" if over else ""]
        rows.append((said, *cells))
    return rows


def said_of(name: str) -> tuple[str, str]:
    """What a row is of, and its text."""
    if name in NAMES:
        return name, NAMES[name]
    kind, _, precision = name.rpartition(" ")
    return kind, f"{NAMES[kind]}, {precision}"


def of_archive(found: dict[str, Any]) -> tuple[str, ...]:
    """README's row, in the default precision."""
    where = next(iter(found["ms_for_8_ticks"]))
    ms = found["ms_for_8_ticks"][where]
    own_ms = ms["dense bfloat16"]
    times = ms["usual 64/8"] / own_ms
    what = "features of files here, RGB alone, bfloat16, with decoding"
    return (
        what,
        f"{own_ms:.0f}",
        f"{own_ms / 320:.2f}",
        f"{times:.0f}x faster than RGB alone in eager windows",
    )
