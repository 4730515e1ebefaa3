"""Tables of many cameras on one machine, and of where a step's time goes."""

from typing import Any

Rows = list[tuple[str, ...]]


def cameras(found: dict[str, Any]) -> Rows:
    rows: Rows = [
        (
            f"live H.264 cameras at 25 frames a second, mode `{found['mode']}`",
            "most without a drop",
            "tried for",
            "frames",
            "prediction after its frame: p50, p90, p95, p99",
            "cores used",
        )
    ]
    for name, row in found["rows"].items():
        best = row["best"]
        if best["cameras"]:
            delays = ", ".join(f"{best['delay_s'][p]:.2f}" for p in ("p50", "p90", "p95", "p99"))
            told = (
                f"{best['seconds']:.0f} s",
                f"{best['frames']:,}",
                f"{delays} s",
                f"{best['cores_used']:.2f}",
            )
        else:
            told = "", "", "", ""
        rows.append((name, str(best["cameras"]), *told))
    return rows


def step_profile(found: dict[str, Any]) -> Rows:
    kinds = ("convolutions", "moving", "sums", "pools")
    rows: Rows = [("a step of RGB, `continual`, one thread", "form", "step", *kinds)]
    for precision, row in found["found"].items():
        shares = (f"{100 * row['shares'].get(kind, 0.0):.0f} %" for kind in kinds)
        rows.append((precision, row["form"], f"{row['step_ms']:.0f} ms", *shares))
    return rows
