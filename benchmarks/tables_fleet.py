"""The tables of `benchmarks.fleet_sim`, a simulation, and of `benchmarks.fleet_memory`."""

from typing import Any

Rows = list[tuple[str, ...]]


def fleet_costs(found: dict[str, Any]) -> Rows:
    costs, counts = found["costs"], list(next(iter(found["nodes_needed"].values())))
    cores = found["assumed"]["node_cores"]
    head = ("a 720p camera of 25 frames a second", "cores: works", "rests", "a core", "2 cores held")
    rows = [(*head, *(f"{int(count):,}: nodes of {cores:.0f}" for count in counts))]
    for kind, cost in costs["by_kind"].items():
        held = costs["held"].get(kind)
        told = f"{held['cameras']} ({100 * held['share']:.0f} %)" if held else "not tried"
        figures = (
            f"{cost['works']:.2f}",
            f"{cost['rests']:.2f}",
            f"{found['rules']['full'] / cost['works']:.1f}",
        )
        needed = found["nodes_needed"][kind].values()
        rows.append((kind, *figures, told, *(str(count) for count in needed)))
    return rows


HEAD = (
    "nodes",
    "used: placed, now, at most",
    "highest by mean load",
    "moves an hour",
    "unwatched, a camera and day",
    "watched",
    "after a death: median, worst",
    "waiting, most",
)


def fleet_sim(found: dict[str, Any]) -> Rows:
    """One row for each kind and number of cameras."""
    rows = [("simulated cameras", *HEAD, "`decide`: median, 95th percentile, first")]
    for kind, of_kind in found["rows"].items():
        for row in of_kind:
            times_ms = row["decide_ms"]["median_ms"], row["decide_ms"]["p95_ms"], row["first_ms"]
            took = ", ".join(f"{ms:.1f}" for ms in times_ms) + " ms"
            rows.append((f"{row['cameras']:,}, {kind}, {row['days']:.0f} days", *_cells(row), took))
    return rows


def fleet_varied(found: dict[str, Any]) -> Rows:
    """One row for each assumption that is changed."""
    first = next(iter(found["varied"].values()))
    rows = [(f"simulated: {first['cameras']} cameras, both streams, bfloat16", *HEAD)]
    return rows + [(name, *_cells(row)) for name, row in found["varied"].items()]


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    recovered = row["recovered_s"]
    told = (
        "none died"
        if recovered["median"] is None
        else f"{recovered['median']:.0f}, {recovered['worst']:.0f} s"
    )
    return (
        str(row["nodes"]),
        ", ".join(f"{100 * row[share]:.0f} %" for share in ("filled", "used", "used_most")),
        f"{row['highest_by_mean']:.2f}",
        f"{row['moves_an_hour']:.2f}",
        f"{row['unwatched_s_a_camera_and_day']:.1f} s",
        f"{100 * row['watched']:.3f} %",
        told,
        str(row["waiting_most"]),
    )


def fleet_memory(found: dict[str, Any]) -> Rows:
    """Rows, the first being the header."""
    what = f"live 720p25 cameras in one process, RGB alone, `{found['mode']}`, {found['precision']}"
    rows = [(what, "peak memory"), *((count, f"{mb} MB") for count, mb in found["peak_mb"].items())]
    return [*rows, ("a further camera, on average", f"{found['further_mb']} MB")]
