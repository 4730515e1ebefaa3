"""`i3d-live weights`: trained weights, from the public places or from a file."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from engines.spec import Modality
from realtime.commands.options import StreamsName
from realtime.commands.progress import fetching

app = typer.Typer(help="Trained weights: what there is, fetch them, import your own.", no_args_is_help=True)

StreamOption = Annotated[
    Modality | None, typer.Option("--stream", help="rgb or flow; default: all there is.")
]


@app.command("list", epilog="Example:  i3d-live weights list")
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


@app.command(epilog="Example:  i3d-live weights fetch flow")
def fetch(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="imagenet-kinetics (rgb and flow), kinetics (rgb), or flow (of the former); default: the best to be had.",
        ),
    ] = None,
    stream: StreamOption = None,
) -> None:
    """Fetch a public set of weights into the cache folder. What is there already is not fetched again."""
    from engines.weights.best_set import choose_set
    from engines.weights.fetch import fetch as fetch_set

    if name == "flow":
        name, stream = "imagenet-kinetics", "flow"
    with fetching() as progress:
        if name is None:
            print(choose_set(stream or "auto", again=True, progress=progress))
            return
        model = fetch_set(name, stream, progress)
    print(f"{model.name}: {model.summary}")


@app.command("import", epilog="Example:  i3d-live weights import mine.pt --name mine --labels mine.txt")
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


def chosen_model(model: str | None, streams: StreamsName) -> str:
    """The model that was named, or the best public set, with a line that says which and why; fetched where it is missing."""
    if model is not None:
        fetch_if_missing(model, streams)
        return model
    from engines.weights.best_set import choose_set

    with fetching() as progress:
        choice = choose_set(streams.value, progress=progress)
    print(f"i3d-live: {choice}", file=sys.stderr)
    return choice.name


def fetch_if_missing(model: str, streams: StreamsName) -> None:
    """`kinetics` comes by itself where it is named; others are asked for with `weights fetch`, since they are large."""
    from engines.weights.fetch import fetch as fetch_set
    from engines.weights.fetch import has_weights

    if (
        model == "kinetics"
        and streams in (StreamsName.auto, StreamsName.rgb)
        and not has_weights(model, "rgb")
    ):
        with fetching() as progress:
            fetch_set(model, "rgb", progress)
