"""Does a cluster cost anything, and how much faster are more workers? Features of the same videos, each way.

    python -m benchmarks.cluster [--quick]      results/cluster.json

Each run is `i3d-live features`, from when its engines are ready to the last file: without a cluster, and on a Ray
cluster of one node with 1, 2 and 4 workers. All on this machine, in turns. The features must be the same bytes.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import card
from benchmarks.features import Silent
from benchmarks.material import RGB_MODEL, write_video
from engines.load import Bulk, EngineOptions, engines_of
from engines.weights.fetch import fetch
from engines.weights.store import find_model
from realtime.cluster.compute import OnCluster
from realtime.cluster.connect import this_code
from realtime.cluster.model_copy import copy_of
from realtime.cluster.worker import Recipe
from realtime.cluster.workers import CALLS, Workers
from realtime.features.archive import Archive
from realtime.features.claims import Claims
from realtime.features.compute import Computes, Here
from realtime.features.conventions import PRESETS
from realtime.features.files import Settings
from realtime.features.targets import targets
from realtime.pictures import resize_on_one_thread
from realtime.worker_threads import cores

VIDEOS, SECONDS, SIZE_PX = 12, 10.0, (340, 256)
WORKERS = (1, 2, 4)
ROUNDS = 3
SETTINGS = Settings(PRESETS["dense"], "dense", "tvl1")
OPTIONS = EngineOptions("openvino", "bfloat16", "continual", "rgb")
Contents = dict[str, bytes]


def run(videos: Path, computes: Computes, threads: int) -> tuple[float, Contents]:
    """Seconds, and what was written."""
    with tempfile.TemporaryDirectory() as out, Claims() as claims:
        todo = targets([str(videos)], Path(out))
        start_s = time.perf_counter()
        Archive(computes, Silent()).run(todo, threads, claims)
        wall_s = time.perf_counter() - start_s
        return wall_s, {path.name: path.read_bytes() for path in Path(out).iterdir()}


def recipe() -> Recipe:
    return Recipe(this_code(), copy_of(find_model(RGB_MODEL), "rgb"), OPTIONS, SETTINGS, None)


def on_cluster(videos: Path, count: int) -> tuple[float, Contents]:
    """With so many workers, once all are ready."""
    with Workers(recipe(), count, lambda text: None) as workers:
        hello = workers.first()
        while workers.ready < count:
            time.sleep(0.1)
        computes = OnCluster(workers, SETTINGS, hello.facts)
        run(videos / "00.mp4", computes, 1)  # warm
        return run(videos, computes, CALLS * count)


def here(videos: Path, threads: int) -> tuple[float, Contents]:
    """Without a cluster."""
    engines = engines_of(find_model(RGB_MODEL), OPTIONS, bulk=Bulk(), threads=threads)
    computes = Here(engines.by_stream, SETTINGS)
    run(videos / "00.mp4", computes, 1)  # warm
    return run(videos, computes, threads)


def measured(videos: Path) -> dict[str, Any]:
    ways: dict[str, Callable[[], tuple[float, Contents]]] = {
        "no cluster, 1 at a time": lambda: here(videos, 1),
        f"no cluster, {cores()} at a time": lambda: here(videos, cores()),
    }
    ways |= {f"{n} workers": lambda n=n: on_cluster(videos, n) for n in WORKERS}  # type: ignore[misc]
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    written: Contents | None = None
    for _ in range(ROUNDS):
        for name, way in ways.items():
            wall_s, found = way()
            card.verify(f"same bytes, {name}", float(found != (written or found)), at_most=0)
            written = found
            seconds[name].append(wall_s)
            print(f"{name}: {wall_s:.2f} s", file=sys.stderr)
    return {name: statistics.median(found) for name, found in seconds.items()}


@contextmanager
def videos_and_cluster(count: int) -> Iterator[Path]:
    """A folder of so many videos, and a Ray cluster of one node, for the time of the block."""
    import ray

    fetch(RGB_MODEL)
    resize_on_one_thread()
    with tempfile.TemporaryDirectory() as folder:
        videos = Path(folder) / "videos"
        videos.mkdir()
        write_video(videos / "00.mp4", SIZE_PX, SECONDS)
        for i in range(1, count):
            os.link(videos / "00.mp4", videos / f"{i:02}.mp4")
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        ray.init(
            "local", num_cpus=max(WORKERS), include_dashboard=False, log_to_driver=False, logging_level=40
        )
        yield videos
        ray.shutdown()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="four videos; the results are not stored")
    quick = parser.parse_args().quick
    count = 4 if quick else VIDEOS
    with videos_and_cluster(count) as videos:
        seconds = measured(videos)
    figures = {"videos": count, "seconds": SECONDS, "size_px": SIZE_PX, "wall_s": seconds}
    if not quick:
        card.report("cluster", figures)


if __name__ == "__main__":
    main()
