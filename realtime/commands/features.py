"""`i3d-live features`: rows of features of many videos, for other programs to learn from."""

import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engines.errors import UsageError
from engines.load import Bulk, Engines
from engines.spec import Mode
from realtime.commands.flags import Only
from realtime.commands.options import WHOLE_CLIPS, FlowOptions, ModelOptions
from realtime.commands.prepare import PREPARE, Prepare
from realtime.commands.sources import rate
from realtime.errors import one_line
from realtime.features.archive import Archive, Done
from realtime.features.claims import Claims
from realtime.features.compute import Here
from realtime.features.conventions import PRESETS, Convention, Layout, NumberType
from realtime.features.files import Settings
from realtime.features.targets import shard, targets
from realtime.pictures import resize_on_one_thread
from realtime.signals import stop_on_signals
from realtime.worker_threads import Stopped, cores, immediately, submit

if TYPE_CHECKING:
    from rich.console import Console

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
    out: Annotated[Path, typer.Option(help="Folder for the features: a .npy and a .json a video.")],
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
    several runs on one folder share the work."""
    convention = by_hand.over(preset)
    todo = shard(targets(sources, out), share.shard)
    if not todo:
        print("i3d-live: this part has no videos", file=sys.stderr)
        return
    threads = min(share.jobs or cores(), len(todo))
    mode: Mode = "continual" if convention.clip is None else "window"
    options = replace(model, engine=replace(model.engine, mode=mode))
    engines = prepare.engines(options, bulk=Bulk(threads, convention.clip))
    print(f"i3d-live: {engines.reason}", file=sys.stderr)
    tell_of_streams(engines, preset)
    by_name = next((name for name, each in PRESETS.items() if each == convention), None)
    settings = Settings(convention, by_name, flow.method)
    begun_s = time.monotonic()
    with Progress(len(todo)) as report:
        alone = threads >= cores()
        if alone:
            resize_on_one_thread()
        how = immediately if alone else submit
        archive = Archive(Here(engines.for_threads().by_stream, settings, how), report)
        with Claims() as claims, stop_on_signals([archive.stop]) as came:
            try:
                done = archive.run(todo, threads, claims)
            except Stopped as stopped:
                raise KeyboardInterrupt from stopped
            assert not came
    summary(done, out, time.monotonic() - begun_s)


def tell_of_streams(engines: Engines, preset: str | None) -> None:
    """Readers of two streams expect 2048 numbers a row."""
    if preset not in (None, "dense") and len(engines.by_stream) == 1:
        (only,) = engines.by_stream
        print(
            f"i3d-live: rows have the 1024 numbers of {only} alone; readers that expect RGB and flow need a model "
            "with both, see i3d-live weights list",
            file=sys.stderr,
        )


def summary(done: Sequence[Done], out: Path, wall_s: float) -> None:
    """What became of the videos, on stderr. Exits with 1 if there are some without features."""
    made = [one for one in done if one.error is None and not one.was_there]
    failed = sorted((one for one in done if one.error is not None), key=lambda one: one.target.source)
    media_s = sum(one.media_s for one in made)
    rate_text = f", {media_s / wall_s:.1f} times as fast as they play" if made and wall_s else ""
    print(
        f"{len(made)} of {len(done)} videos: {sum(one.rows for one in made)} rows from {media_s:.0f} s of video in "
        f"{wall_s:.0f} s{rate_text}; in {out}",
        file=sys.stderr,
    )
    if there := sum(one.was_there for one in done):
        print(f"{there} were there already, or made by another run", file=sys.stderr)
    if left := [one for one in made if one.left_over_ticks]:
        ticks = sum(one.left_over_ticks for one in left)
        print(f"{ticks} ticks of {len(left)} videos are in no row, as they fill no clip", file=sys.stderr)
    if failed:
        print(f"{len(failed)} failed:", file=sys.stderr)
        for one in failed:
            print(f"  {one_line(one.error or '')}", file=sys.stderr)
        raise typer.Exit(1)


class Progress:
    """On a terminal, a bar with the rate and the time left; else a line for each video that is done."""

    def __init__(self, count: int, console: "Console | None" = None) -> None:
        """`console`: by default on stderr."""
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        self._console = console or Console(stderr=True, highlight=False)
        self._bars = Bars(
            MofNCompleteColumn(),
            TextColumn("videos"),
            BarColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._bars.add_task("", total=count, rate="")
        self._lock = threading.Lock()
        self._count, self._done, self._media_s = count, 0, 0.0
        self._begun_s = time.monotonic()

    def __enter__(self) -> "Progress":
        self._bars.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bars.stop()

    @property
    def completed(self) -> float:
        """Videos, and parts of them."""
        return self._bars.tasks[0].completed

    def advance(self, seconds: float, share: float) -> None:
        with self._lock:
            self._media_s += seconds
            wall_s = time.monotonic() - self._begun_s
            self._bars.advance(self._task, share)
            self._bars.update(
                self._task, rate=f"{self._media_s / max(wall_s, 0.1):.1f} times as fast as it plays"
            )

    def done(self, done: Done) -> None:
        from rich.text import Text

        with self._lock:
            self._done += 1
            self._bars.advance(self._task, 1 - done.share)
            if done.was_there:
                return
            name = Path(done.target.source).name
            line = (
                f"{self._done}/{self._count} {name}: {done.rows} rows" if done.error is None else done.error
            )
            style = "" if done.error is None else "red"
            self._console.print(Text(one_line(line), style), soft_wrap=True)
