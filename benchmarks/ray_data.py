"""Are the cluster's own workers as fast as Ray Data? Features of the same videos, both ways, in turns.

    pip install pyarrow pandas && python -m benchmarks.ray_data [--quick]      results/ray_data.json

The same actors (`realtime.cluster.worker.Worker`) once as `features --cluster` runs them, and once in an actor pool of
`ray.data.Dataset.map`. Time is from when the engines are ready to the last video's features. Ray Data's are not even
written to files.
"""

import argparse
import pickle
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import card
from benchmarks.cluster import ROUNDS, SECONDS, VIDEOS, on_cluster, recipe, videos_and_cluster
from realtime.cluster.worker import Recipe, Worker

COUNTS = (1, 2)


class Compute:
    """What Ray Data calls for each row, in an actor."""

    def __init__(self, recipe: Recipe) -> None:
        self._worker = Worker(recipe)
        self._worker.begin()
        self._ready_s = time.time()

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        features, _ = self._worker.features(row["path"])
        return {"features": pickle.dumps(features), "ready_s": self._ready_s}


def through_ray_data(videos: Path, count: int) -> float:
    """Seconds, with so many actors."""
    import ray.data

    paths = [{"path": str(path)} for path in sorted(videos.iterdir())]
    rows = ray.data.from_items(paths, override_num_blocks=len(paths)).map(
        Compute,
        fn_constructor_args=(recipe(),),
        compute=ray.data.ActorPoolStrategy(size=count),
        num_cpus=1,
    )
    found = [(pickle.loads(row["features"]), row["ready_s"]) for row in rows.iter_rows()]
    ended_s = time.time()
    assert len(found) == len(paths)
    return ended_s - max(ready_s for _, ready_s in found)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="four videos; the results are not stored")
    quick = parser.parse_args().quick
    of_videos = 4 if quick else VIDEOS
    seconds: dict[str, list[float]] = {}
    with videos_and_cluster(of_videos) as videos:
        for _ in range(1 if quick else ROUNDS):
            for count in COUNTS:
                seconds.setdefault(f"own workers, {count}", []).append(on_cluster(videos, count)[0])
                seconds.setdefault(f"Ray Data, {count}", []).append(through_ray_data(videos, count))
                print({name: round(found[-1], 2) for name, found in seconds.items()}, file=sys.stderr)
    wall_s = {name: statistics.median(found) for name, found in seconds.items()}
    if not quick:
        card.report("ray_data", {"videos": of_videos, "seconds": SECONDS, "wall_s": wall_s})


if __name__ == "__main__":
    main()
