"""`i3d-live evaluate`: how often a model is right on an annotated dataset."""

import json
import sys
from itertools import count
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from engines.extras import require
from engines.load import Bulk, Engines
from engines.training.accuracy import (
    Report,
    class_rows,
    columns_of,
    confusion_picture,
    reports,
    score_clips,
    summary_rows,
)
from engines.training.datasets import and_more, read_dataset
from realtime.commands.flags import Only
from realtime.commands.options import WHOLE_CLIPS, ModelOptions
from realtime.commands.prepare import PREPARE, Prepare
from realtime.commands.progress import telling
from realtime.commands.tables import print_table
from realtime.errors import one_line
from realtime.features.whole_clip import clip_logits
from realtime.outputs.apart import check_apart


def evaluate(
    dataset: Annotated[
        Path,
        typer.Argument(
            metavar="DATASET",
            help="Kinetics CSV, or folder: of UCF-101, of HMDB-51, or with a subfolder for each class.",
        ),
    ],
    split: Annotated[str, typer.Option(help="train, val or test.")] = "test",
    fold: Annotated[int, typer.Option(min=1, max=3, help="Of UCF-101's and HMDB-51's three.")] = 1,
    videos: Annotated[Path | None, typer.Option(help="Folder of the videos, if they are elsewhere.")] = None,
    picture: Annotated[
        Path | None, typer.Option(help="Write the confusion matrix as a picture (.png, .svg, .pdf).")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a stream instead of tables.")
    ] = False,
    model: Annotated[ModelOptions, Only(WHOLE_CLIPS)] = ModelOptions(),
    *,
    prepare: Prepare = PREPARE,
) -> None:
    """Classify every clip of a split and count: top-1, top-5, each class; RGB, flow and both, as in the paper's
    tables."""
    if picture:
        require("--picture", "matplotlib", "teach")
    check_apart([dataset], {"--picture": picture})
    found = read_dataset(dataset, split, fold, videos)
    check_apart([clip.path for clip in found.clips], {"--picture": picture})
    engines = prepare.engines(model.for_whole_clips(), bulk=Bulk())
    columns = columns_of(found.labels, engines.labels)
    print(f"i3d-live: {found.kind}, {split}: {len(found.clips)} clips; {engines.reason}", file=sys.stderr)
    if found.missing:
        print(
            f"i3d-live: {len(found.missing)} annotated videos are not there and do not count: "
            f"{and_more(list(found.missing))}",
            file=sys.stderr,
        )
    with telling() as tell:
        done = count(1)
        scores = score_clips(
            found.clips,
            lambda path: logits(path, engines),
            columns,
            lambda: tell("clips", next(done), len(found.clips)),
        )
    for path, why in scores.unread:
        print(f"i3d-live: left out {one_line(path.name)}: {why}", file=sys.stderr)
    every = reports(scores)
    if picture:
        confusion_picture(every[-1], found.labels, picture)
    if as_json:
        for one in every:
            print(json.dumps(line(one, found.labels)))
        return
    print_table(summary_rows(every))
    print()
    print_table(class_rows(every, found.labels))


def logits(path: Path, engines: Engines) -> dict[str, NDArray[np.float32]]:
    """By stream, the mean logits over the whole clip."""
    return clip_logits(str(path), engines.by_stream)[0]


def line(one: Report, labels: tuple[str, ...]) -> dict[str, Any]:
    """As `--json` prints it; accuracies from 0 to 1, null for a class without clips."""
    per_class = {
        label: None if np.isnan(share) else round(float(share), 4)
        for label, share in zip(labels, one.per_class, strict=True)
    }
    return {
        "stream": one.stream,
        "clips": one.clips,
        "top1": round(one.top1, 4),
        "top5": round(one.top5, 4),
        "per_class": per_class,
    }
