"""Workers on a cluster for the commands that take `--cluster`."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from realtime.commands.options import ModelOptions
from realtime.commands.prepare import Prepare
from realtime.commands.progress import waiting
from realtime.features.files import Settings

if TYPE_CHECKING:
    from realtime.cluster.workers import Workers

Cluster = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        metavar="ADDRESS",
        help="Compute on a Ray cluster: auto, HOST:PORT of its head, or local.",
    ),
]


MOST_VIDEOS_UNDER_WAY = 512
"""By all workers together."""


@contextmanager
def workers_of(
    address: str,
    options: ModelOptions,
    settings: Settings,
    most: int | None,
    sample: str,
    prepare: Prepare,
) -> Iterator["Workers"]:
    """The workers of a cluster, the first of them ready. `most`: of them. `sample`: one of the videos."""
    from realtime.cluster.connect import connected, this_code
    from realtime.cluster.model_copy import copy_of
    from realtime.cluster.worker import Recipe
    from realtime.cluster.workers import Workers

    with connected(address):
        model = prepare.model(options.model, options.engine.streams)
        copy = copy_of(model, options.engine.streams)
        seen = os.path.abspath(sample) if os.path.exists(sample) else None
        recipe = Recipe(this_code(), copy, options.engine, settings, seen)
        with Workers(recipe, most, lambda text: print(f"i3d-live: {text}", file=sys.stderr)) as workers:
            with waiting("Waiting for the first worker; the first time, its engine is built"):
                hello = workers.first()
            print(f"i3d-live: on {address}: {hello.reason}", file=sys.stderr)
            yield workers
