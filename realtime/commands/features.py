"""`i3d-live features`: rows of features of many videos, for other programs to learn from."""

import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from engines.errors import UsageError
from engines.load import Bulk
from engines.spec import Mode
from realtime.commands.archive_report import Progress, summary
from realtime.commands.cluster import MOST_VIDEOS_UNDER_WAY, Cluster, workers_of
from realtime.commands.flags import Only
from realtime.commands.options import WHOLE_CLIPS, FlowOptions, ModelOptions
from realtime.commands.prepare import PREPARE, Prepare
from realtime.commands.sources import rate
from realtime.features.archive import Archive, Done
from realtime.features.claims import Claims
from realtime.features.compute import Computes, Here
from realtime.features.conventions import PRESETS, Convention, Layout, NumberType
from realtime.features.files import Settings
from realtime.features.place import Folder, Place, Store
from realtime.features.remote_files import is_remote, without_scheme
from realtime.features.targets import Target, shard, targets
from realtime.pictures import resize_on_one_thread
from realtime.signals import stop_on_signals
from realtime.worker_threads import Stopped, cores, immediately, submit

LEAST_CLIP = 10
"""The network's last pool needs two positions."""
CROPS = (1, 5, 10)


def preset_names() -> list[str]:
    """For shell completion."""
    return list(PRESETS)


@dataclass(frozen=True)
class ByHand:
    """What differs from the preset."""

    clip: Annotated[int | None, typer.Option(min=LEAST_CLIP, help="Ticks that a row looks at.")] = None
    stride: Annotated[
        int | None, typer.Option(min=1, help="Ticks from row to row; default: those of a clip.")
    ] = None
    fps: Annotated[
        str | None, typer.Option(metavar="RATE", help="Ticks a second; own: the video's own frames.")
    ] = None
    crops: Annotated[int | None, typer.Option(help="1: the centre; 5: and corners; 10: and mirrored.")] = None
    layout: Annotated[Layout | None, typer.Option(help="rows: (rows, numbers); columns: the other way.")] = (
        None
    )
    separate: Annotated[
        bool | None, typer.Option("--separate/--joined", help="A file for each stream, or one for both.")
    ] = None
    dtype: Annotated[NumberType | None, typer.Option(help="float32 or float16.")] = None

    def over(self, preset: str | None) -> Convention:
        """The preset with these changes. Raises UsageError for what does not go together."""
        if preset is not None and preset not in PRESETS:
            raise UsageError(f"preset {preset!r} is not known; choose one of {', '.join(PRESETS)}")
        base = PRESETS[preset or "dense"]
        given = {name: value for name, value in vars(self).items() if value is not None and name != "fps"}
        if self.clip is not None:
            given.setdefault("stride", self.clip if base.clip is None else base.stride)
        if self.fps is not None:
            given["fps"] = None if self.fps == "own" else rate(self.fps)
        made = replace(base, **given)
        check(made)
        return made


@dataclass(frozen=True)
class Share:
    """How the work is shared."""

    jobs: Annotated[int | None, typer.Option(min=1, help="Videos at a time; default: one a core.")] = None
    shard: Annotated[str | None, typer.Option(metavar="I/N", help="Only the I-th of N parts, from 1 on.")] = (
        None
    )
    cluster: Cluster = None


def check(convention: Convention) -> None:
    """Raises UsageError for what does not go together."""
    if convention.crops not in CROPS:
        raise UsageError(f"--crops {convention.crops}: choose 1, 5 or 10")
    if convention.clip is None and convention.stride != PRESETS["dense"].stride:
        raise UsageError(f"dense rows are 8 ticks apart, not {convention.stride}; give --clip for windows")
    if convention.crops > 1 and convention.layout == "columns":
        raise UsageError(f"columns are of one crop; leave out --layout columns or --crops {convention.crops}")


def features(
    sources: Annotated[
        list[str], typer.Argument(metavar="SOURCE", help="Files, folders, patterns, and lists (.txt).")
    ],
    out: Annotated[str, typer.Option(metavar="FOLDER", help="For the features: a .npy and a .json a video.")],
    preset: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", autocompletion=preset_names, help=f"{', '.join(PRESETS)}; default: dense."
        ),
    ] = None,
    by_hand: ByHand = ByHand(),
    share: Share = Share(),
    flow: Annotated[FlowOptions, Only(("method",))] = FlowOptions(),
    model: Annotated[ModelOptions, Only(WHOLE_CLIPS)] = ModelOptions(),
    *,
    prepare: Prepare = PREPARE,
) -> None:
    """Write the features of many videos, as other programs read them. If interrupted, it continues where it was;
    several runs on one folder share the work. SOURCE and --out may be addresses such as s3://bucket/folder."""
    convention = by_hand.over(preset)
    by_name = next((name for name, each in PRESETS.items() if each == convention), None)
    settings = Settings(convention, by_name, flow.method)
    mode: Mode = "continual" if convention.clip is None else "window"
    options = replace(model, engine=replace(model.engine, mode=mode))
    with destination(without_scheme(out)) as (folder, place), ExitStack() as stack:
        todo = shard(targets(sources, folder), share.shard)
        if not todo:
            print("i3d-live: this part has no videos", file=sys.stderr)
            return
        computing = computing_here if share.cluster is None else computing_there
        work = stack.enter_context(computing(options, settings, share, todo, prepare))
        tell_of_streams(work.computes.facts["weights_sha256"], preset)
        begun_s = time.monotonic()
        done = run(work, todo, place)
    summary(done, out, time.monotonic() - begun_s)


@dataclass(frozen=True)
class Work:
    """What computes."""

    computes: Computes
    threads: int
    stop: Callable[[], None] = lambda: None
    """To be called besides `Archive.stop`."""


@contextmanager
def destination(out: str) -> Iterator[tuple[Path, Place]]:
    """The folder that features are written to, and where they go then."""
    if not is_remote(out):
        yield Path(out), Folder()
        return
    with tempfile.TemporaryDirectory(prefix="i3d-live-") as folder:
        yield Path(folder), Store(out, Path(folder))


@contextmanager
def computing_here(
    options: ModelOptions, settings: Settings, share: Share, todo: Sequence[Target], prepare: Prepare
) -> Iterator[Work]:
    """With the cores of this machine."""
    threads = min(share.jobs or cores(), len(todo))
    engines = prepare.engines(options, bulk=Bulk(settings.convention.clip), threads=threads)
    print(f"i3d-live: {engines.reason}", file=sys.stderr)
    alone = threads >= cores()
    if alone:
        resize_on_one_thread()
    how = immediately if alone else submit
    yield Work(Here(engines.by_stream, settings, how), threads)


@contextmanager
def computing_there(
    options: ModelOptions, settings: Settings, share: Share, todo: Sequence[Target], prepare: Prepare
) -> Iterator[Work]:
    """With the cores of a cluster."""
    from realtime.cluster.compute import OnCluster

    with workers_of(share.cluster or "", options, settings, share.jobs, todo[0].source, prepare) as workers:
        facts = workers.first().facts
        yield Work(OnCluster(workers, settings, facts), min(len(todo), MOST_VIDEOS_UNDER_WAY), workers.stop)


def run(work: Work, todo: Sequence[Target], place: Place) -> list[Done]:
    """What became of each video. Raises KeyboardInterrupt if it was stopped."""
    with Progress(len(todo)) as report:
        archive = Archive(work.computes, report, place)
        with Claims() as claims, stop_on_signals([archive.stop, work.stop]) as came:
            try:
                done = archive.run(todo, work.threads, claims)
            except Stopped as stopped:
                raise KeyboardInterrupt from stopped
            assert not came
    return done


def tell_of_streams(streams: Collection[str], preset: str | None) -> None:
    """Readers of two streams expect 2048 numbers a row."""
    if preset not in (None, "dense") and len(streams) == 1:
        (only,) = streams
        print(
            f"i3d-live: rows have the 1024 numbers of {only} alone; readers that expect RGB and flow need a model "
            "with both, see i3d-live weights list",
            file=sys.stderr,
        )
