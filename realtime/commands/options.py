"""Options that several commands share, as dataclasses; `realtime.commands.flags` makes flags of them.

Which engines: `engines.load.EngineOptions`. Sources and outputs: next to the code that opens and writes them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Annotated, Literal

import typer

from engines.load import EngineOptions, Engines
from realtime.clock import Stopwatch
from realtime.recognizer import DEFAULT_STRIDE_TICKS, Recognizer
from realtime.stages.events import EventOptions
from realtime.stages.idle import LEAST_S
from realtime.stages.region import parse_region
from realtime.types import FlowRegion, Submit
from realtime.worker_threads import submit
from realtime.zones import Zone, check_names, parse_zone

Layers = Literal["last", "all"]
FlowName = Literal["tvl1", "tvl1-cuda", "opencv-tvl1", "dis"]


def model_names() -> list[str]:
    """For shell completion."""
    from engines.weights.public_sets import PUBLIC
    from engines.weights.store import stored_names

    return sorted({*PUBLIC, *stored_names()})


@dataclass(frozen=True)
class ModelOptions:
    """Which weights, and which engines of them."""

    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            autocompletion=model_names,
            help="Weights to use, see i3d-live weights list; default: the best here, else to fetch.",
        ),
    ] = None
    engine: EngineOptions = EngineOptions()

    def for_whole_clips(self) -> "ModelOptions":
        """The same options in the mode that computes each tick of a clip once."""
        return replace(self, engine=replace(self.engine, mode="continual"))


WHOLE_CLIPS = ("model", "backend", "precision", "streams")
"""The options of a command that takes clips as a whole; it always runs in `continual` mode."""


@dataclass(frozen=True)
class FlowOptions:
    """How optical flow is computed."""

    method: Annotated[
        FlowName,
        typer.Option(
            "--flow", metavar="METHOD", help="How flow is computed: tvl1, tvl1-cuda, opencv-tvl1, dis."
        ),
    ] = "tvl1"
    flow_region: Annotated[
        FlowRegion,
        typer.Option(help="Flow of the central square, or of the whole frame."),
    ] = "square"


@dataclass(frozen=True)
class RecognizerOptions:
    """What a recogniser looks at, and how it makes predictions and events."""

    stride: Annotated[int, typer.Option(min=1, help="Ticks (of 1/25 s) between windows.")] = (
        DEFAULT_STRIDE_TICKS
    )
    smooth: Annotated[
        int | None, typer.Option(min=1, help="Predictions to average; default 1 in window mode, else 3.")
    ] = None
    events: EventOptions = EventOptions()
    region: Annotated[str, typer.Option(help="Look only at x,y,width,height in px; or full.")] = ""
    """See `realtime.stages.region.parse_region`."""
    motion: FlowOptions = FlowOptions()
    watch: Annotated[list[str] | None, typer.Option(help="Choose among these labels; repeat it.")] = None
    heat: Annotated[
        bool, typer.Option("--heat", help="Log what the label scores in each cell of the picture.")
    ] = False
    several: Annotated[
        bool, typer.Option("--several", help="Tell all actions in the picture, each with its own events.")
    ] = False
    zone: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=x,y,width,height",
            help="Predictions of this part too, in px or %; with :own from its own pass; repeat it.",
        ),
    ] = None
    idle: Annotated[
        float | None,
        typer.Option(min=LEAST_S, metavar="SECONDS", help="Rest when nothing has moved for this long."),
    ] = None
    max_gap: Annotated[float, typer.Option(min=0, help="Seconds without frames that end a window.")] = 1.0

    def check(self) -> None:
        """Raises BadParameter or UsageError for options that are invalid."""
        self.check_events()
        self.check_region()
        self.zones()

    def check_events(self) -> None:
        """Raises BadParameter if an event would end above the probability at which it begins."""
        on, off = self.events.on, self.events.off
        if off > on:
            raise typer.BadParameter(f"{off} is above --on {on}; it must be at most that", param_hint="--off")

    def check_region(self) -> None:
        """Raises UsageError for text that is no region."""
        parse_region(self.region)

    def zones(self) -> tuple[Zone, ...]:
        """Those of all sources. Raises UsageError for what is no zone, and for names that cannot be told apart."""
        named = [text.partition("=") for text in self.zone or ()]
        check_names([name.strip() for name, _, _ in named])
        return tuple(parse_zone(name.strip(), at) for name, _, at in named)

    def recognizer(
        self,
        engines: Engines,
        stopwatch: Stopwatch,
        zones: Sequence[Zone] = (),
        models: Mapping[str, Engines] | None = None,
        submit: Submit | None = submit,
    ) -> Recognizer:
        """A new recogniser with these options. `models`: those that zones name. `submit`: as `Recognizer` has it.
        Raises UsageError for labels that a model does not have."""
        return Recognizer(
            engines.by_stream,
            stride_ticks=self.stride,
            smooth=self.smooth,
            events=self.events,
            max_gap=Fraction(self.max_gap).limit_denominator(1000),
            idle_s=self.idle,
            flow=self.motion.method,
            flow_region=self.motion.flow_region,
            region=parse_region(self.region),
            watch=self.watch or None,
            heat=self.heat,
            several=self.several,
            zones=zones,
            models={name: each.by_stream for name, each in (models or {}).items()},
            stopwatch=stopwatch,
            submit=submit,
        )
