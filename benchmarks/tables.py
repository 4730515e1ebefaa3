"""The tables of README.md, from the files in benchmarks/results.

    python -m benchmarks.tables      writes each between its marks: <!-- benchmarks NAME --> ... <!-- end -->

A mark whose result is not there stays empty. Under each table stand the machine, the versions, the date and the command.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

README = Path(__file__).parent.parent / "README.md"
RESULTS = Path(__file__).parent / "results"
PLACE = re.compile(r"(<!-- benchmarks (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
TOLD_VERSIONS = ("openvino", "torch", "opencv-contrib-python-headless", "numba")
PICTURES = {"reaction": ("docs/reaction.png", "Cost of each mode against its reaction to a change of action")}
"""Drawn by the same command, beside the table."""
Rows = list[tuple[str, ...]]
"""The first is the head."""


def written(text: str, results: Path = RESULTS) -> str:
    """README with the tables as the results want them."""
    return PLACE.sub(lambda found: found[1] + block(found[2], results) + found[4], text)


def block(name: str, results: Path) -> str:
    path = results / f"{name}.json"
    if not path.exists():
        return ""
    document = json.loads(path.read_text())
    head, *rows = TABLES[name](document)
    lines = [head, tuple("---" for _ in head), *rows]
    table = "\n".join(f"| {' | '.join(row)} |" for row in lines)
    picture = f"![{PICTURES[name][1]}]({PICTURES[name][0]})\n\n" if name in PICTURES else ""
    return f"{picture}{table}\n\n{caption(name, document['machine'])}\n"


def caption(name: str, machine: dict[str, Any]) -> str:
    versions = machine["versions"]
    told = ", ".join(
        f"{package.removesuffix('-contrib-python-headless')} {versions[package]}"
        for package in TOLD_VERSIONS
        if package in versions
    )
    gpu = f", {machine['gpu']}" if "gpu" in machine else ""
    where = f"{machine['cpu']}, {machine['cores']} cores{gpu}, {machine['date']}"
    return f"<sub>`python -m benchmarks.{name}`: {where}; {told}.</sub>"


def percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def seconds(ms: float) -> str:
    return f"{ms / 1000:.2f} s"


def latency(found: dict[str, Any]) -> Rows:
    given, start = found["input_1080p30"], found["start_up"]
    rows: Rows = [("one RGB stream, mode `window`", "")]
    rows.append(
        (
            "decode, resample, resize and crop 1080p30 H.264",
            f"{given['frames_per_s']:.0f} frames a second, {given['times_real_time']:.1f} x real time",
        )
    )
    rows += [
        (f"a window of 64 frames, {name.replace('.', ', ')}", seconds(row["median_ms"]))
        for name, row in found["window_rgb"].items()
    ]
    rows += [
        (
            f"first prediction of `run`, engine in the cache, {name.partition('.')[2]}",
            f"{row['first_prediction_s']:.1f} s after the process starts, of which the engine takes"
            f" {row['of_that_engine_s']:.1f} s",
        )
        for name, row in start.items()
    ]
    return rows


def flow(found: dict[str, Any]) -> Rows:
    ratio = found["energy_ratio"]
    return [
        ("TV-L1, one core, 256 x 256 px", "ours", "OpenCV's DualTVL1, its defaults"),
        ("a field, median", f"{found['tvl1_ms']['median_ms']:.1f} ms", f"{found['opencv_ms']['median_ms']:.0f} ms"),
        (
            "energy that both minimise: median, 90th percentile, worst",
            f"{ratio['median']:.3f}, {ratio['p90']:.3f}, {ratio['max']:.3f}",
            "1",
        ),
        ("a stream of 25 fields a second, of two cores", percent(found["load_two_cores"]), ""),
    ]  # fmt: skip


def engines(found: dict[str, Any]) -> Rows:
    rows: Rows = [
        (
            "8 new ticks (0.32 s) of one RGB stream",
            "median",
            "the usual takes",
            "of the float32 rate of the cores",
            "on cores far from each other",
        )
    ]
    far = found["far"]["ratio"] if found["far"] else {}
    rows += [
        (
            name.replace(".", ", "),
            f"{times['median_ms']:.0f} ms",
            f"{found['ratio'][name]:.1f} x as long",
            f"{found['share_of_float32_rate'][name]:.2f}",
            f"{far[name]:.1f} x" if name in far else "",
        )
        for name, times in found["times"].items()
    ]
    return rows


def end_to_end(found: dict[str, Any]) -> Rows:
    rows: Rows = [
        (
            "a file, both streams, TV-L1, log, mode `continual`",
            "of real time",
            "largest stages",
            "peak memory",
        )
    ]
    for name, run in found["runs"].items():
        largest = sorted(run["stages"].items(), key=lambda item: -item[1])[:3]
        stages = ", ".join(f"{stage} {percent(share)}" for stage, share in largest)
        rows.append((name, f"{run['load']:.2f}", stages, f"{run['peak_memory_mb']} MB"))
    ratios = ", ".join(
        f"{ratio:.0f} x ours in {precision}"
        for precision, ratio in found["ratio_to_usual_by_precision"].items()
    )
    usual = found["usual"]
    note = f"measured for {usual['stride']['repeats']} strides; {ratios}"
    return [
        *rows,
        ("720p, the usual: eager PyTorch windows, OpenCV's DualTVL1", f"{usual['load']:.1f}", note, ""),
    ]


def peers(found: dict[str, Any]) -> Rows:
    rows: Rows = [("an answer every 0.32 s, without decoding", "ms", "of real time", "the usual takes")]
    rows += [
        (name, f"{row['ms']:.0f}", f"{row['load']:.2f}", f"{row['usual_over_it']:.1f} x as long")
        for name, row in found["ways"].items()
    ]
    return rows


def reaction(found: dict[str, Any]) -> Rows:
    head = (
        "mode",
        "answers averaged",
        "reaction, median",
        "changes seen",
        "false changes a minute",
        "engine, of real time",
    )
    return [
        head,
        *(
            (
                row["mode"],
                str(row["smooth"]),
                "none" if row["reaction_s"] is None else f"{row['reaction_s']:.1f} s",
                f"{row['reached']} of {row['splices']}",
                f"{row['false_changes_a_minute']:.0f}",
                f"{row['cost']:.2f}",
            )
            for row in found["rows"]
        ),
    ]


def cameras(found: dict[str, Any]) -> Rows:
    rows: Rows = [
        (f"live {found['size']} cameras before the first drop, mode `{found['mode']}`", "cameras", "each tried for")
    ]  # fmt: skip
    for name, row in found["found"].items():
        rows.append((name, str(row["cameras"]), f"{row['trials'][0]['seconds']:.0f} s"))
    return rows


def bundle(found: dict[str, Any]) -> Rows:
    return [
        ("a bundle, RGB on the processor", "measured", "goal"),
        ("bundle", f"{found['bundle_mb']:.0f} MB", f"{found['goals']['bundle_mb']:.0f} MB"),
        ("environment that it needs", f"{found['environment_mb']:.0f} MB", ""),
        (
            "start-up until frames are taken, median",
            f"{found['start_s']['median']:.1f} s",
            f"{found['goals']['start_s']:.1f} s",
        ),
        ("peak memory", f"{found['peak_mb']['largest']:.0f} MB", f"{found['goals']['peak_mb']:.0f} MB"),
    ]


def growth(found: dict[str, Any]) -> Rows:
    length, sizes, many = found["length"], found["resolution"], found["cameras"]

    def row(what: str, rows: dict[str, Any], field: str) -> tuple[str, str]:
        return what, ", ".join(f"{name}: {values[field]:.0f}" for name, values in rows.items())

    strides = found["stride_ms_a_second"].items()
    return [
        ("what it grows with", "ms"),
        (
            f"a step of `continual`, early and late in {length['steps']} steps",
            f"{length['early']['median_ms']:.0f}, {length['late']['median_ms']:.0f};"
            f" memory x {length['memory_growth']:.3f}",
        ),
        row("window in ticks, eager PyTorch", found["window"], "median_ms"),
        ("stride, a second of video", ", ".join(f"{name}: {ms:.0f}" for name, ms in strides)),
        row("size of a frame", sizes, "ms_a_frame"),
        row("streams in one call, each", many, "ms_a_stream"),
        row("classes, eager PyTorch", found["classes"], "median_ms"),
    ]


TABLES: dict[str, Callable[[dict[str, Any]], Rows]] = {
    table.__name__: table
    for table in (engines, latency, flow, end_to_end, peers, reaction, cameras, bundle, growth)
}  # fmt: skip


if __name__ == "__main__":
    README.write_text(written(README.read_text(encoding="utf-8")), encoding="utf-8")
