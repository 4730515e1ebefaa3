"""The tables of `benchmarks.cluster` and `benchmarks.fleet`."""

from typing import Any

Rows = list[tuple[str, ...]]


def cluster(found: dict[str, Any]) -> Rows:
    """The first row is the header."""
    width, height = found["size_px"]
    what = f"features of {found['videos']} files of {found['seconds']:.0f} s, {width} x {height} px, RGB, bfloat16"
    wall_s = found["wall_s"]
    rows: Rows = [(what, "seconds", "against no cluster, as many at a time", "efficiency of each worker")]
    one_s = wall_s["1 workers"]
    for name, seconds in wall_s.items():
        count = int("".join(each for each in name if each.isdigit()))
        alone = wall_s.get(f"no cluster, {count} at a time") if count > 1 else None
        against = f"{seconds / alone - 1:+.1%}" if alone and "workers" in name else ""
        efficiency = f"{one_s / seconds / count:.0%}" if "workers" in name else ""
        said = {
            "1 workers": "one worker, on one core",
            "no cluster, 1 at a time": "no cluster, one at a time on all cores",
        }.get(name, name)
        rows.append((said, f"{seconds:.1f}", against, efficiency))
    return rows


def fleet(found: dict[str, Any]) -> Rows:
    """The first row is the header."""
    again, supervisor, cut, slow = found["answer_again_s"], found["supervisor"], found["cut"], found["slow"]
    return [
        (
            f"{found['cameras']} cameras, {found['nodes']} nodes of one machine, RGB, {found['precision']}",
            "measured",
        ),
        (
            f"{found['kills']} nodes killed, {found['cameras_moved']} cameras moved: answer again, median",
            f"{again['median']:.1f} s",
        ),
        ("the same: worst", f"{again['worst']:.1f} s"),
        (
            f"supervisor killed {supervisor['kills']} times: cameras that noticed",
            str(supervisor["cameras_that_noticed"]),
        ),
        ("the same: the log stood still for, worst", f"{supervisor['log_stood_still_worst_s']:.1f} s"),
        (
            f"a node cut off for {cut['seconds']:.0f} s: its cameras answer again, worst",
            f"{cut['answer_again_worst_s']:.1f} s",
        ),
        ("the same: once it is back, watches them too for at most", f"{cut['twice_for_at_most_s']:.1f} s"),
        (
            "a node slowed down by busy loops gives up a camera after",
            f"{slow['gave_up_a_camera_after_s']:.1f} s",
        ),
        (
            f"lines of the log: {found['lines']:,}; lost, doubled",
            f"{found['lines_lost']}, {found['lines_doubled']}",
        ),
    ]
