"""The sessions of a run: started from a plan, and changed when the plan changes."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from engines.load import Engines, Trunks
from engines.spec import StreamSpec
from realtime.clock import Stopwatch
from realtime.commands.options import ModelOptions, RecognizerOptions
from realtime.commands.outputs import (
    LogOptions,
    OutputOptions,
    Write,
    check_announced,
    check_drawn,
    check_outputs,
)
from realtime.commands.prepare import Prepare
from realtime.commands.sinks import SourceOutputs
from realtime.commands.sources import Named, Opened, rate
from realtime.errors import SourceError, UsageError
from realtime.outputs.log import session_line
from realtime.session import STOPPED, Session, Sink
from realtime.sources.address import STALL_LIMIT_S, parse_source
from realtime.stages.region import parse_region
from realtime.stages.zone_predictions import check_seen
from realtime.worker_threads import submit
from realtime.zones import Zone, check_names

if TYPE_CHECKING:
    from realtime.outputs.metrics import Metrics

FILE_STALL_S = 60.0
"""A file that delivers no frame for this long counts as stalled."""


@dataclass(frozen=True)
class Plan:
    """What to run: the sources, and the options for all of them."""

    sources: tuple[Named, ...]
    log: LogOptions
    outputs: OutputOptions
    model: ModelOptions
    look: RecognizerOptions

    def zone_models(self) -> list[str]:
        """The models that zones name, sorted."""
        zones = [*self.look.zones(), *(zone for named in self.sources for zone in named.zones)]
        return sorted({zone.model for zone in zones if zone.model is not None})

    def check(self) -> None:
        """To be called before anything is opened. Raises BadParameter or UsageError for an invalid plan."""
        self.look.check()
        check_announced(self.outputs)
        check_drawn(len(self.sources), self.outputs)
        check_outputs([named.text for named in self.sources], self.log, self.outputs)
        for named in self.sources:
            named.how.opener()


def standing(look: RecognizerOptions, named: Named) -> RecognizerOptions:
    """The options for this source: if its rate is stated, a picture shown that long is not a gap."""
    fps = rate(named.how.fps)
    return look if fps is None else replace(look, max_gap=max(look.max_gap, float(2 / fps)))


def zones_of(look: RecognizerOptions, source: Opened, spec: StreamSpec) -> list[Zone]:
    """The zones read from the cells of a source: its own and those for all sources. Raises UsageError for one that
    extends outside its picture, or that the network does not see at all."""
    zones = [*source.named.zones, *look.zones()]
    check_names([zone.name for zone in zones])
    if source.video.picture is not None:
        for zone in zones:
            check_seen(zone, source.video.picture, parse_region(look.region), spec)
    return zones


@dataclass(frozen=True)
class Loaded:
    """Engines of a plan."""

    engines: Engines
    models: Mapping[str, Engines]
    """By name, of the other models that zones name."""
    trunks: Trunks
    threads: int = 1
    """How many may step them at a time."""

    @property
    def every(self) -> list[Engines]:
        return [self.engines, *self.models.values()]


def load(prepare: Prepare, plan: Plan, before: Loaded | None = None, *, threads: int = 1) -> Loaded:
    """`before`: engines for the same model options, which are kept. `threads`: how many will step the engines at a
    time, each on its share of the cores: best where there are several cameras."""
    if before is None:
        trunks: Trunks = {}
        engines = prepare.engines(plan.model, concurrent=True, trunks=trunks, threads=threads)
        before = Loaded(engines, {}, trunks, threads)
    models = {}
    for name in plan.zone_models():
        models[name] = before.models.get(name) or prepare.engines(
            replace(plan.model, model=name), concurrent=True, trunks=before.trunks, threads=threads
        )
    return replace(before, models=models)


class Sessions:
    """One for each source. All calls except `stop` come from one thread."""

    def __init__(
        self,
        plan: Plan,
        prepare: Prepare,
        loaded: Loaded,
        write: Write,
        server: "Metrics | None",
        progress: Callable[[float], None],
        lines_left_out: Callable[[str], dict[str, int]] = lambda name: {},
        more_sinks: Callable[[str | None], Sequence[Sink]] = lambda name: (),
    ) -> None:
        """`lines_left_out`: of a source, by the output that was too slow for them. `more_sinks`: of a source, besides
        those of the plan."""
        self._plan, self._prepare, self._loaded = plan, prepare, loaded
        self._write, self._server, self._progress = write, server, progress
        self._lines_left_out, self._more_sinks = lines_left_out, more_sinks
        self._running: dict[Named, Session] = {}
        self._stopped = False
        self.every: list[Session] = []
        """As `run_sessions` takes them, including those that have ended."""
        self.failures: list[Exception] = []
        """Why sources of a later plan could not be opened."""

    @property
    def threads(self) -> int:
        """How many frames may be in work at a time."""
        return self._loaded.threads

    def begin(self, source: Opened) -> None:
        """Start the session of an open source and write its first line."""
        stopwatch = Stopwatch()
        look = standing(self._plan.look, source.named)
        engines = self._loaded.engines
        zones = zones_of(look, source, next(iter(engines.by_stream.values())).spec)
        several = (
            self._loaded.threads > 1
        )  # then each source has a core, and nothing is gained by sharing it out
        recognizer = look.recognizer(
            engines, stopwatch, zones, self._loaded.models, submit=None if several else submit
        )
        outputs = SourceOutputs(self._plan.outputs, source.video, recognizer, source.name)
        session = Session(
            source.video,
            recognizer,
            name=source.name,
            write=self._write,
            sinks=[*outputs.sinks, *self._more_sinks(source.name)],
            left_out=lambda: outputs.left_out() | self._lines_left_out(source.name or ""),
            stopwatch=stopwatch,
            progress=self._progress,
            priority=source.named.priority,
        )
        session.write(session_line(source.video, engines, recognizer))
        self.every.append(session)
        self._running[source.named] = session
        if self._server:
            stall_s = STALL_LIMIT_S.get(source.kind, FILE_STALL_S)
            self._server.watch(source.name or source.video.name, session.figures, stall_s, recognizer.zones)

    def stop(self) -> None:
        """End all sessions and start no more. May be called from a signal handler."""
        self._stopped = True
        for session in tuple(self._running.values()):
            session.mailbox.stop()

    def follow(self, plan: Plan) -> None:
        """Switch to another plan: sources that it leaves out or changes end; new and changed ones begin.

        If the plan as a whole cannot be run, raises the reason before anything is changed.
        """
        if self._stopped:
            return
        plan.check()
        before = self._plan
        if (
            plan.outputs.annotate
            or plan.outputs.timeline
            or before.outputs.annotate
            or before.outputs.timeline
        ):
            raise UsageError("a picture or video of the whole cannot go on; leave out annotate and timeline")
        kept = self._loaded if plan.model == before.model else None
        loaded = load(self._prepare, plan, kept, threads=self.threads)
        plan.look.recognizer(loaded.engines, Stopwatch())  # raises for labels that the model does not have
        same = plan.look == before.look and loaded.engines is self._loaded.engines
        if (plan.log, plan.outputs) != (before.log, before.outputs):
            print("i3d-live: [output] has changed, which takes effect at the next start", file=sys.stderr)
        self._plan = replace(plan, log=before.log, outputs=before.outputs)
        self._loaded = loaded
        ended = [named for named in self._running if not same or named not in plan.sources]
        for named in ended:
            self._end(named)
        going_on = len(self._running)
        self._open([named for named in plan.sources if named not in self._running])
        begun = len(self._running) - going_on
        print(f"i3d-live: read again: {len(ended)} ended, {begun} began, {going_on} go on", file=sys.stderr)

    def _end(self, named: Named) -> None:
        session = self._running.pop(named)
        session.mailbox.stop()
        session.video.close()
        session.end(STOPPED)
        if self._server:
            self._server.forget(session.name or session.video.name)

    def _open(self, sources: list[Named]) -> None:
        """Open those that can be. Cameras open in the threads that read them, so that the others need not wait."""
        for named in sources:
            try:
                video = named.open(may_be_away=True, later=True, keep_packets=self._plan.outputs.keep_packets)
            except (SourceError, UsageError) as error:
                print(f"i3d-live: {named.name}: {error}", file=sys.stderr)
                self.failures.append(error)
            else:
                self.begin(Opened(named, parse_source(named.text).kind, video))
