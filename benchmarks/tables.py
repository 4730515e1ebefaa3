"""The figures of README.md, the tables of docs/benchmarks.md and docs/sizing.md: from the files in benchmarks/results.

    python -m benchmarks.tables      writes each between its marks: <!-- benchmarks NAME --> ... <!-- end -->

A mark without a result stays empty. Under each table are the machine, the versions, the date and the command.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.card import RESULTS, ROOT
from benchmarks.tables_cameras import cameras, step_profile
from benchmarks.tables_cluster import cluster, fleet
from benchmarks.tables_features import features, of_archive
from benchmarks.tables_fleet import fleet_costs, fleet_memory, fleet_sim, fleet_varied
from benchmarks.tables_idle import idle
from benchmarks.tables_input import input_table
from benchmarks.tables_long import soak, view
from benchmarks.tables_where import where, zones

README, PAGE, SIZING = ROOT / "README.md", ROOT / "docs" / "benchmarks.md", ROOT / "docs" / "sizing.md"
PLACE = re.compile(r"(<!-- benchmarks (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
TOLD_VERSIONS = ("openvino", "torch", "opencv-contrib-python-headless", "numba")
PICTURES = {"reaction": ("reaction.png", "Cost of each mode against its reaction to a change of action")}
"""Pictures that the same commands draw."""
Rows = list[tuple[str, ...]]
"""The first row is the header."""


def written(text: str, results: Path = RESULTS) -> str:
    """The page with the text between its marks replaced according to the results."""
    return PLACE.sub(lambda found: found[1] + block(found[2], results) + found[4], text)


def block(name: str, results: Path) -> str:
    result = result_of(name)
    path = results / f"{result}.json"
    if not path.exists():
        return ""
    document = json.loads(path.read_text())
    if name in SENTENCES:
        return f"{SENTENCES[name](document)}\n"
    head, *rows = (TABLES | OTHERS | README_TABLES | SIZING_TABLES)[name](document)
    told = caption(result, document["machine"])
    if name in README_TABLES and (archive := results / "features.json").exists():
        beside = json.loads(archive.read_text())
        rows.append(of_archive(beside))
        told += f"\n{caption('features', beside['machine'])}"
    lines = [head, tuple("---" for _ in head), *rows]
    table = "\n".join(f"| {' | '.join(row)} |" for row in lines)
    picture = f"![{PICTURES[name][1]}]({PICTURES[name][0]})\n\n" if name in PICTURES else ""
    return f"{picture}{table}\n\n{told}\n"


def result_of(name: str) -> str:
    """The result that a table or sentence comes from."""
    if name in README_TABLES or name in SENTENCES:
        return OF_README
    return OF_SIMULATED if name in SIMULATED else name


def caption(name: str, machine: dict[str, Any]) -> str:
    versions = machine["versions"]
    told = ", ".join(
        f"{package.removesuffix('-contrib-python-headless')} {versions[package]}"
        for package in TOLD_VERSIONS
        if package in versions
    )
    gpu = f", {machine['gpu']}" if "gpu" in machine else ""
    where = f"{machine['cpu']}, {machine['cores']} cores{gpu}, {machine['date']}"
    simulated = "Simulated by " if name == OF_SIMULATED else ""
    return f"<sub>{simulated}`python -m benchmarks.{name}`: {where}; {told}.</sub>"


def faster(times: float) -> str:
    """Speed-up in words: `times` is the baseline's time divided by this one."""
    if times <= 1:
        return "baseline" if times == 1 else f"{times:.1f}x the speed"
    return f"{times:.{1 if times < 10 else 0}f}x faster"


def percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def seconds(ms: float) -> str:
    return f"{ms / 1000:.2f} s"


def latency(found: dict[str, Any]) -> Rows:
    given, start = found["input_1080p30"], found["start_up"]
    decoded = f"{given['frames_per_s']:.0f} frames a second, {given['times_real_time']:.1f}x real time"
    rows: Rows = [
        ("one RGB stream, mode `window`", ""),
        ("decode, resample, resize and crop 1080p30 H.264", decoded),
    ]
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
            "speed",
            "share of the cores' float32 rate",
            "speed on cores without a common cache",
        )
    ]
    far = found["far"]["ratio"] if found["far"] else {}
    rows += [
        (
            name.replace(".", ", "),
            f"{times['median_ms']:.0f} ms",
            faster(found["ratio"][name]),
            f"{found['share_of_float32_rate'][name]:.2f}",
            faster(far[name]) if name in far else "",
        )
        for name, times in found["times"].items()
    ]
    return rows


def end_to_end(found: dict[str, Any]) -> Rows:
    what = "a file, both streams, TV-L1, log, mode `continual`"
    rows: Rows = [(what, "share of real time", "largest stages", "peak memory")]
    for name, run in found["runs"].items():
        largest = sorted(run["stages"].items(), key=lambda item: -item[1])[:3]
        stages = ", ".join(f"{stage} {percent(share)}" for stage, share in largest)
        rows.append((name, f"{run['load']:.2f}", stages, f"{run['peak_memory_mb']} MB"))
    ratios = ", ".join(
        f"{precision} is {faster(ratio)}" for precision, ratio in found["ratio_to_usual_by_precision"].items()
    )
    usual = found["usual"]
    note = f"measured for {usual['stride']['repeats']} strides; {ratios}"
    return [
        *rows,
        ("720p, baseline: eager PyTorch windows, OpenCV's DualTVL1", f"{usual['load']:.1f}", note, ""),
    ]


def peers(found: dict[str, Any]) -> Rows:
    rows: Rows = [("a prediction every 0.32 s, without decoding", "ms", "share of real time", "speed")]
    return rows + [peer(name, row) for name, row in found["ways"].items()]


def peer(name: str, row: dict[str, float]) -> tuple[str, ...]:
    return name, f"{row['ms']:.0f}", f"{row['load']:.2f}", faster(row["usual_over_it"])


def five(found: dict[str, Any]) -> Rows:
    """The rows of `peers` that README shows."""
    rows: Rows = [
        ("a prediction every 0.32 s, without decoding", "ms per prediction", "share of real time", "speed")
    ]
    return rows + [peer(said, found["ways"][name]) for name, said in FIVE.items()]


def figures(found: dict[str, Any]) -> str:
    """The two figures at the top of README, in the default precision."""
    way, cores = found["ways"]["ours continual bfloat16, our TV-L1"], found["machine"]["cores"]
    return (
        f"Both streams together take **{percent(way['load'])} of real time on {cores} CPU cores**,"
        f" **{faster(way['usual_over_it'])}** than sliding windows in eager PyTorch."
    )


def reaction(found: dict[str, Any]) -> Rows:
    head = "mode|predictions averaged|reaction, median|changes seen|false changes a minute|engine, share of real time"
    rows: Rows = [tuple(head.split("|"))]
    rows += [
        (
            row["mode"],
            str(row["smooth"]),
            "none" if row["reaction_s"] is None else f"{row['reaction_s']:.1f} s",
            f"{row['reached']} of {row['splices']}",
            f"{row['false_changes_a_minute']:.0f}",
            f"{row['cost']:.2f}",
        )
        for row in found["rows"]
    ]
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


Tables = dict[str, Callable[[dict[str, Any]], Rows]]
TABLES: Tables = {
    table.__name__: table
    for table in (engines, latency, flow, end_to_end, peers, reaction, cameras, bundle, growth)
}  # fmt: skip
"""Tables of what `make bench` and `make bench-long` measure."""
OTHERS: Tables = {
    table.__name__: table
    for table in (soak, step_profile, view, where, zones, idle, features, cluster, fleet)
} | {"input": input_table}
"""Tables of what takes hours or a browser."""
README_TABLES: Tables = {"five": five}
SIMULATED: Tables = {table.__name__: table for table in (fleet_costs, fleet_sim, fleet_varied)}
OF_SIMULATED = "fleet_sim"
SIZING_TABLES: Tables = SIMULATED | {"fleet_memory": fleet_memory}
SENTENCES: dict[str, Callable[[dict[str, Any]], str]] = {"figures": figures}
OF_README = "peers"
"""The result that README's figures come from."""
FIVE = {
    "eager window, DualTVL1": "both streams, baseline: eager PyTorch, sliding windows, OpenCV's DualTVL1",
    "X3D-M, RGB alone": "X3D-M (a small network, RGB alone), eager PyTorch",
    "ours continual float32, our TV-L1": "both streams here, float32",
    "ours continual bfloat16, our TV-L1": "both streams here, bfloat16",
    "ours continual int8, our TV-L1": "both streams here, int8",
}


if __name__ == "__main__":
    for page in (README, PAGE, SIZING):
        page.write_text(written(page.read_text(encoding="utf-8")), encoding="utf-8")
