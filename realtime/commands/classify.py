"""`i3d-live classify`: the paper's test procedure, one prediction a file."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from glob import glob
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from engines.load import Bulk, Engines
from engines.spec import Weights
from engines.training.datasets import VIDEO_SUFFIXES, not_videos
from realtime.commands.cluster import MOST_VIDEOS_UNDER_WAY, Cluster, workers_of
from realtime.commands.flags import Only
from realtime.commands.options import WHOLE_CLIPS, ModelOptions
from realtime.commands.prepare import PREPARE, Prepare
from realtime.commands.sources import SourceOptions
from realtime.errors import SourceError
from realtime.features.conventions import PRESETS
from realtime.features.files import Settings
from realtime.features.remote_files import absolute, is_remote, local_copy, videos_at, without_scheme
from realtime.features.whole_clip import clip_logits
from realtime.outputs.log import as_json
from realtime.stages.fuse import fuse, softmax
from realtime.worker_threads import cores, several

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class Answer:
    """The prediction for one file."""

    file: str
    seconds: float
    weights: str
    top: tuple[tuple[str, float, float], ...]
    """The five most likely: label, logit, probability."""

    def line(self) -> dict[str, Any]:
        """As `--json` prints it."""
        top = [{"label": name, "logit": round(x, 4), "probability": round(p, 5)} for name, x, p in self.top]
        return {"file": self.file, "seconds": round(self.seconds, 3), "weights": self.weights, "top": top}


def classify(
    files: Annotated[list[str], typer.Argument(metavar="FILE", help="Files, folders and globs.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a file instead of a table.")
    ] = False,
    model: Annotated[ModelOptions, Only(WHOLE_CLIPS)] = ModelOptions(),
    source: Annotated[SourceOptions, Only(("square_pixels", "decode"))] = SourceOptions(),
    cluster: Cluster = None,
    *,
    prepare: Prepare = PREPARE,
) -> None:
    """Say what each video shows as a whole: the network sees all of it, and logits are averaged over time."""
    paths = list(expand(files))
    require_readable(paths, source)
    report = JsonReport() if as_json or not sys.stdout.isatty() else TableReport(len(paths))
    computing = here if cluster is None else there
    failed = 0
    with ExitStack() as stack:
        options = model.for_whole_clips()
        of_file, threads = stack.enter_context(computing(options, paths, source, cluster or "", prepare))
        stack.enter_context(report)
        for answer in stack.enter_context(several(of_file, paths, threads)):
            try:
                report.add(answer())
            except SourceError as error:
                failed += 1
                report.failed(str(error))
    if failed:
        raise typer.Exit(1)


OfFile = Callable[[str, Event], Answer]
"""The prediction for one file. Raises SourceError, and Stopped once the event is set."""


@contextmanager
def here(
    options: ModelOptions, paths: Sequence[str], source: SourceOptions, cluster: str, prepare: Prepare
) -> Iterator[tuple[OfFile, int]]:
    """On this machine: how to classify a file, and how many at a time."""
    threads = min(cores(), len(paths))
    engines = prepare.engines(options, bulk=Bulk(), threads=threads)
    print(f"i3d-live: {engines.reason}", file=sys.stderr)

    def of_file(path: str, stopping: Event) -> Answer:
        return classify_file(path, engines, source, stopping=stopping)

    yield of_file, threads


@contextmanager
def there(
    options: ModelOptions, paths: Sequence[str], source: SourceOptions, cluster: str, prepare: Prepare
) -> Iterator[tuple[OfFile, int]]:
    """On a cluster, likewise."""
    settings = Settings(PRESETS["dense"], None, "tvl1")
    with workers_of(cluster, options, settings, None, paths[0], prepare) as workers:
        hello = workers.first()

        def of_file(path: str, stopping: Event) -> Answer:
            seen = absolute(path)
            with workers.turn(stopping) as turn:
                logits, length = turn.result(
                    path,
                    lambda actor: actor.logits.remote(seen, source.square_pixels, source.decode),
                    stopping,
                )
            return answer_of(path, logits, length / hello.fps, hello.weights)

        yield of_file, min(len(paths), MOST_VIDEOS_UNDER_WAY)


def require_readable(paths: Sequence[str], source: SourceOptions) -> None:
    """Raises SourceError if not one of them can be opened: then no engine is loaded for it."""
    errors = []
    for path in paths:
        try:
            if is_remote(path):
                return
            with source.opener()(path):
                return
        except SourceError as error:
            errors.append(error)
    *others, last = errors
    for other in others:
        print(f"i3d-live: {other}", file=sys.stderr)
    raise last


def expand(given: list[str]) -> Iterator[str]:
    """Files as they are, the videos in a folder, the matches of a pattern; in order."""
    for text in map(without_scheme, given):
        if is_remote(text):
            yield from (address for address, _ in videos_at(text))
        elif os.path.isdir(text):
            try:
                inside = list(Path(text).iterdir())
            except OSError as error:
                raise SourceError(
                    f"{text}: cannot be read ({error.strerror}); give a folder that can"
                ) from error
            found = sorted(str(p) for p in inside if p.suffix.lower() in VIDEO_SUFFIXES)
            if not found:
                raise SourceError(
                    f"no videos in the folder {text}; it must hold some of {', '.join(sorted(VIDEO_SUFFIXES))}"
                )
            if left_out := not_videos(inside):
                print(f"i3d-live: {left_out}", file=sys.stderr)
            yield from found
        elif not os.path.lexists(text) and (matches := sorted(glob(text, recursive=True))):
            yield from matches
        else:
            yield text


def classify_file(
    path: str, engines: Engines, source: SourceOptions = SourceOptions(), *, stopping: Event | None = None
) -> Answer:
    """The prediction for one file. Raises: as `clip_logits`."""
    with local_copy(path) as copy:
        logits, length = clip_logits(
            copy,
            engines.by_stream,
            square_pixels=source.square_pixels,
            decode=source.decode,
            stopping=stopping,
        )
    first = next(iter(engines.by_stream.values()))
    return answer_of(path, logits, length / first.spec.fps, first.weights)


def answer_of(
    path: str, logits: Mapping[str, NDArray[np.float32]], length_s: Fraction, weights: Weights
) -> Answer:
    """`logits`: by stream, means over the whole file."""
    fused = fuse(logits, dict.fromkeys(logits, 1.0))
    probabilities = softmax(fused)
    top = tuple((weights.labels[i], float(fused[i]), float(probabilities[i])) for i in np.argsort(-fused)[:5])
    return Answer(path, float(length_s), weights.name, top)


class JsonReport:
    """One JSON object a line, as soon as it is known."""

    def __enter__(self) -> "JsonReport":
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def add(self, answer: Answer) -> None:
        print(as_json(answer.line(), sys.stdout.encoding or "utf-8"), flush=True)

    def failed(self, message: str) -> None:
        print(f"i3d-live: {message}", file=sys.stderr)


class TableReport:
    """A progress bar, then a table."""

    def __init__(self, count: int, console: "Console | None" = None) -> None:
        """`console`: by default on stdout."""
        from rich.console import Console
        from rich.progress import Progress
        from rich.table import Table

        self._console = console or Console()
        self._table = Table("file", "seconds", "action", "probability", "next", box=None, pad_edge=False)
        self._progress = Progress(console=self._console, transient=True)
        self._task = self._progress.add_task("classifying", total=count)

    def __enter__(self) -> "TableReport":
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()
        self._console.print(self._table)

    def add(self, answer: Answer) -> None:
        from rich.text import Text

        label, _, probability = answer.top[0]
        others = ", ".join(f"{name} {p:.2f}" for name, _, p in answer.top[1:3])
        file, action, next_ = Text(Path(answer.file).name), Text(label, "bold"), Text(others, "dim")
        self._table.add_row(file, f"{answer.seconds:.2f}", action, f"{probability:.3f}", next_)
        self._progress.advance(self._task)

    def failed(self, message: str) -> None:
        from rich.text import Text

        self._progress.console.print(Text(message, "red"))
        self._progress.advance(self._task)
