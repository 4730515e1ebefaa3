"""`i3d-live teach`: your own actions from a folder of clips."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engines.load import EngineOptions
from engines.spec import Streams
from realtime.commands.flags import Only
from realtime.commands.options import Layers, model_names
from realtime.commands.prepare import PREPARE, Prepare
from realtime.commands.progress import telling
from realtime.commands.tables import print_table
from realtime.errors import one_line

if TYPE_CHECKING:
    from realtime.teaching.lesson import Lesson


def teach(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="With a subfolder of clips for each class.")
    ],
    name: Annotated[str, typer.Option(help="Of the new model, for --model.")],
    base: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            autocompletion=model_names,
            help="Model whose features are used; default: with --replace, that of the old model; else as for run.",
        ),
    ] = None,
    streams: Annotated[
        Streams, typer.Option(help="Streams to use; auto: flow only where it helps.")
    ] = "auto",
    engine: Annotated[EngineOptions, Only(("backend",))] = EngineOptions(),
    finetune: Annotated[
        Layers | None,
        typer.Option(help="Then fine-tune the last blocks or all of the network, on a GPU."),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite the model of that name.")] = False,
    *,
    prepare: Prepare = PREPARE,
) -> None:
    """Learn to tell your own actions apart, from about ten clips of each. If interrupted, it continues where it was."""
    from engines.extras import BRINGS, require
    from engines.training.datasets import not_videos
    from realtime.commands.train import check_installed
    from realtime.teaching.lesson import check_name
    from realtime.teaching.lesson import teach as learn

    check_name(name, replace=replace)
    for package in BRINGS["teach"]:
        require("teaching", package, "teach")
    if finetune:
        check_installed()
    base = chosen_base(base, name, streams, prepare)
    with telling() as tell:
        lesson = learn(
            folder, name, base=base, streams=streams, backend=engine.backend, replace=replace, tell=tell,
            layers=finetune,
        )  # fmt: skip
    if left_out := not_videos(folder.glob("*/**/*")):
        print(f"i3d-live: {left_out}", file=sys.stderr)
    show(lesson)


def chosen_base(base: str | None, name: str, streams: Streams, prepare: Prepare) -> str:
    """The base that was named; else that of the model to be replaced, so that only the clips change."""
    from realtime.teaching.lesson import base_of

    if base is None and (base := base_of(name)) is not None:
        print(f"i3d-live: weights {base}: {name} was taught on them before", file=sys.stderr)
    if base is not None:
        return prepare.named(base, "rgb").name
    # Flow can start from RGB weights, so a set without flow is enough.
    return prepare.model(None, "rgb" if streams == "rgb" else "auto").name


def show(lesson: "Lesson") -> None:
    """Print accuracy and confusions on stdout, and problems on stderr."""
    from engines.training.accuracy import class_rows
    from engines.weights.store import model_dir
    from realtime.teaching.lesson import PICTURE

    for path, why in lesson.unread:
        print(f"i3d-live: left out {one_line(f'{path.parent.name}/{path.name}')}: {why}", file=sys.stderr)
    found, (low, high) = lesson.report, lesson.range
    print(
        f"{lesson.right} of {found.clips} clips right, each judged by a head that had not seen it: {found.top1:.0%}, "
        f"most likely between {low:.0%} and {high:.0%}"
    )
    print("tried: " + ", ".join(f"{what} {right}" for what, right in lesson.trials.items()))
    print_table(class_rows([found], lesson.labels))
    for modality, tuned in lesson.tuned.items():
        before, after = tuned.before, tuned.after
        print(
            f"{modality} fine-tuned ({tuned.layers}): {after.right} of {tuned.held_out} clips held out right, {before.right}"
            f" before; loss {before.loss:.3f} -> {after.loss:.3f}: {'kept' if tuned.better else 'not kept, as it was is better'}."
            " All figures above are of the network as it was."
        )
    for line in lesson.cautions:
        print(f"i3d-live: {line}", file=sys.stderr)
    if lesson.ready:
        print(f"{lesson.ready} clips were known from before")
    print(f"what is taken for what: {model_dir(lesson.name) / PICTURE}")
    print(f"try it: i3d-live run VIDEO --model {lesson.name}")
