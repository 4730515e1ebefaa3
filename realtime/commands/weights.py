"""`i3d-live weights`: trained weights, from the public places or from a file."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from engines.spec import Modality
from realtime.commands.prepare import PREPARE, Prepare
from realtime.commands.progress import fetching

StreamOption = Annotated[
    Modality | None, typer.Option("--stream", help="rgb or flow; default: all there is.")
]


def list_weights(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a model.")] = False,
) -> None:
    """Show the models that are stored here or can be fetched."""
    from engines.weights.fetch import list_models

    for model in list_models():
        if as_json:
            print(json.dumps(asdict(model)))
            continue
        print(f"{model.name}: {model.architecture}, {model.summary}")
        for stream in model.streams:
            stored = f"sha256 {stream.sha256[:12]}" if stream.sha256 else "not fetched"
            print(f"  {stream.modality:<4}  {stored:<20} {stream.licence:<14} {stream.source}")


def fetch(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="imagenet-kinetics (rgb and flow), kinetics (rgb), or flow (of the former); default: the best available.",
        ),
    ] = None,
    stream: StreamOption = None,
    *,
    prepare: Prepare = PREPARE,
) -> None:
    """Fetch a public set of weights into the cache folder. What is there already is not fetched again."""
    from engines.weights.fetch import fetch as fetch_set

    if name == "flow":
        name, stream = "imagenet-kinetics", "flow"
    if name is None:
        print(prepare.best_set(stream or "auto", again=True))
        return
    with fetching() as progress:
        model = fetch_set(name, stream, progress)
    print(f"{model.name}: {model.summary}")


def import_weights(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Flax pickle, .pt or .pth state dict, or safetensors.")
    ],
    name: Annotated[
        str | None, typer.Option(help="Name of the model to put it under; public files know theirs.")
    ] = None,
    stream: StreamOption = None,
    labels: Annotated[
        Path | None, typer.Option(help="One class a line; default for 400 classes: Kinetics-400's.")
    ] = None,
) -> None:
    """Store weights from a file as a model, checked tensor by tensor."""
    from engines.weights.fetch import import_file

    weights = import_file(file, name=name, modality=stream, labels=labels)
    print(f"{weights.name}: {weights.modality}, {len(weights.labels)} classes, sha256 {weights.sha256[:12]}")
