"""The tables of what runs for long, or needs a browser."""

from typing import Any

Rows = list[tuple[str, ...]]
"""The first row is the header."""


def soak(found: dict[str, Any]) -> Rows:
    rows: Rows = [("long runs", "frames decoded", "dropped as late", "not accounted for", "memory grew by")]
    names = {
        "compressed": "{media_hours:.0f} h of video in {wall_s:.0f} s",
        "rtsp": "{seconds:.0f} s of an RTSP camera; the longest wait of a frame {lag_max_s:.1f} s",
        "killed": "a server killed {kills} times; watched again within {recovery_max_s:.1f} s",
    }
    for part, said in names.items():
        if part in found:
            row = found[part]
            growth = f"{row['memory_growth']:.2%}" if "memory_growth" in row else ""
            late, lost = row["dropped"].get("late", 0), row["not_accounted_for"]
            rows.append((said.format(**row), f"{row['decoded']:,}", f"{late:,}", str(lost), growth))
    return rows


def view(found: dict[str, Any]) -> Rows:
    label, source = found["webcam"]["frame_to_label"], found["server_source"]
    return [
        (f"the live view, `{found['mode']}`; {found['shared_with_chromium']}", "measured"),
        ("a webcam's frame until its label is on the page: median", f"{label['median_ms'] / 1000:.1f} s"),
        ("the same: 95th percentile", f"{label['p95_ms'] / 1000:.1f} s"),
        (f"a camera of {source['source_fps']} frames a second: shown", f"{source['shown_fps']:.1f} a second"),
    ]
