"""The watcher of a node: `run`, with cameras that come and go, whose lines wait until they are in the log."""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from typing import Any

from engines.weights.store import Model
from realtime.cluster.connect import check_code, not_nice
from realtime.commands.outputs import LogOptions, Write, together, webhook_writer
from realtime.commands.prepare import Prepare
from realtime.commands.run import mqtt_of
from realtime.commands.sessions import Loaded, Plan, Sessions, load
from realtime.errors import EngineError, I3DLiveError, UsageError, one_line
from realtime.fleet.orders import Line, Numbered, Orders, Report, Watched
from realtime.pictures import to_jpeg
from realtime.recognizer import Output
from realtime.session import Session, Sink
from realtime.turns import run_sessions
from realtime.types import Frame
from realtime.worker_threads import cores

KEPT_LINES = 100_000
"""While nobody writes them: hours of a few cameras."""
LEASE_S, ANSWERED_WITHIN_S = 3.0, 5.0
"""A watcher that hears nothing for so long asks, every second, whether its node still belongs to the cluster; if not,
or if it gets no answer within the other time, it stops, as others watch its cameras by then."""
ASKED_EVERY_S = 1.0
LOAD_OVER_S, LOAD_FROM_S, LOAD_WEIGHT = 4.0, 5.0, 0.3
"""What a camera costs is measured over so long, not before it has run for so long, as a mean in which the newest value
has this weight: it catches up first, and other programs start now and then."""
IDLE_S = 0.05
LONGEST_PX, JPEG_QUALITY = 320, 75


@dataclass(frozen=True)
class Settings:
    """Of a site, besides its cameras."""

    plan: Plan
    """Without sources and without a log; with the names of the models."""
    models: Mapping[str, Any]
    """By name: a `ModelCopy` of each."""


@dataclass
class Kept:
    """What a watcher knows of a camera."""

    term: int
    number: int = 0
    label: str | None = None
    event: str | None = None
    error: str | None = None
    session: Session | None = None
    cores: float = 0.0
    busy_s: float = 0.0
    """Seconds that were worked for it, when costs were measured last."""


class Installed(Prepare):
    """Models that came with the orders."""

    def __init__(self, models: Mapping[str, Any]) -> None:
        self.models = models

    def named(self, name: str, streams: str) -> Model:
        from realtime.cluster.model_copy import installed

        return installed(self.models[name])


class Watcher:
    """One for each node. `tell` comes from the supervisor, four times a second."""

    def __init__(self, code: str, belongs: Callable[[], bool]) -> None:
        """`code`: the supervisor's. `belongs`: whether this node is part of the cluster; may take long, or raise."""
        not_nice()
        self._belongs = belongs
        self._error: str | None = None
        self._fit = True
        """Whether this machine has the same program."""
        try:
            check_code(code)
        except EngineError as error:
            self._error, self._fit = str(error), False
        self._orders: Orders | None = None
        self._heard_s = time.monotonic()
        self._lock = threading.Lock()
        self._kept: dict[str, Kept] = {}
        """Cameras that run here, or whose lines are not written yet."""
        self._lines: deque[Numbered] = deque()
        self._prepare = Installed({})
        self._sessions: Sessions | None = None
        self._running: dict[str, int] = {}
        """Cameras that have had a session since they were ordered, and their terms."""
        self._obeyed = 0
        """Version of the site that runs, or could not be begun."""
        self._measured = time.monotonic(), time.process_time()
        """When costs were measured last, and the processor time of this process by then."""
        self._pictures: dict[str, Newest] = {}
        threading.Thread(target=self._work, name="i3d-live watcher", daemon=True).start()
        threading.Thread(target=self._keep_lease, name="i3d-live lease", daemon=True).start()

    def tell(self, orders: Orders) -> Report:
        """Do so from now on. Returns immediately, with all that is new."""
        with self._lock:
            before = self._orders
            if not orders.known:
                orders = replace(orders, terms=before.terms if before else {})
            if before is None or orders.site.version >= before.site.version:
                self._orders = orders
            self._heard_s = time.monotonic()
            self._forget_written(orders.written)
            self._measure()
            cameras = {name: self._watched(kept) for name, kept in self._kept.items()}
            assert self._orders is not None
            newer = self._orders.site if self._orders.site.version > orders.site.version else None
            return Report(newer, cameras, tuple(self._lines), self._sessions is not None, self._error)

    def thumbnail(self, camera: str) -> bytes | None:
        """The newest picture of a camera, as JPEG."""
        frame = self._pictures[camera].frame if camera in self._pictures else None
        return None if frame is None else to_jpeg(frame.rgb, LONGEST_PX, JPEG_QUALITY)

    def _forget_written(self, written: Mapping[str, tuple[int, int]]) -> None:
        self._lines = deque(
            each for each in self._lines if (each.term, each.number) > written.get(each.camera, (0, 0))
        )
        waiting = {each.camera for each in self._lines}
        wanted = self._orders.terms if self._orders else {}
        for name in [name for name in self._kept if name not in waiting]:
            if name not in self._running and name not in wanted:
                del self._kept[name]
                self._pictures.pop(name, None)

    def _watched(self, kept: Kept) -> Watched:
        figures = kept.session.figures() if kept.session else None
        ended = figures.ended if figures is not None and figures.failed else None
        return Watched(kept.term, figures, kept.cores, kept.label, kept.event, kept.error or ended)

    def _measure(self) -> None:
        """What each camera costs: of the processor time of this process, its share of the time that was worked."""
        now_s, cpu_s = time.monotonic(), time.process_time()
        then_s, then_cpu_s = self._measured
        if now_s - then_s < LOAD_OVER_S:
            return
        self._measured = now_s, cpu_s
        figures = {name: kept.session.figures() for name, kept in self._kept.items() if kept.session}
        worked: dict[str, float] = {
            name: each.busy_s - self._kept[name].busy_s for name, each in figures.items()
        }
        for name, each in figures.items():
            kept = self._kept[name]
            kept.busy_s = each.busy_s
            if each.wall_s > LOAD_FROM_S + LOAD_OVER_S and sum(worked.values()) > 0:
                share = worked[name] / sum(worked.values())
                cores = (cpu_s - then_cpu_s) / (now_s - then_s) * share
                kept.cores += (LOAD_WEIGHT if kept.cores else 1.0) * (cores - kept.cores)

    def _write(self, line: Line) -> None:
        """A line of a session."""
        with self._lock:
            kept = self._kept[line["name"]]
            kept.number += 1
            if line["kind"] == "prediction" and "zone" not in line:
                kept.label = line["label"]
            elif line["kind"] == "event":
                kept.event = line["label"]
            self._lines.append(Numbered(line["name"], kept.term, kept.number, time.time(), line))
            if len(self._lines) > KEPT_LINES:
                self._leave_out()

    def _leave_out(self) -> None:
        """The oldest prediction; events only once there is nothing else."""
        for each in self._lines:
            if each.line["kind"] == "prediction":
                self._lines.remove(each)
                return
        self._lines.popleft()

    def _work(self) -> None:
        with ExitStack() as stack:
            while True:
                try:
                    self._obey(stack)
                    if self._sessions is None or not self._sessions.every:
                        time.sleep(IDLE_S)
                        continue
                    run_sessions(
                        self._sessions.every, self._failed, lambda: self._obey(stack), self._sessions.threads
                    )
                    self._sessions.every.clear()
                except I3DLiveError as error:
                    self._error = one_line(str(error))
                    time.sleep(1.0)

    def _obey(self, stack: ExitStack) -> None:
        """Make what runs what was ordered."""
        orders = self._orders
        if orders is None or not self._fit:
            return
        wanted = dict(orders.terms)
        if orders.site.version != self._obeyed:
            self._obeyed, self._error = orders.site.version, None
            self._prepare.models = orders.site.settings.models
        elif wanted == self._running or (self._sessions is None and self._error is not None):
            return
        if self._sessions is None:
            self._begin(orders.site.settings.plan, stack)
        keep = {name: term for name, term in self._running.items() if wanted.get(name) == term}
        for terms in (keep, wanted) if keep != self._running else (wanted,):
            self._follow(orders, terms)

    def _begin(self, plan: Plan, stack: ExitStack) -> None:
        plan = replace(plan, log=LogOptions(), sources=())
        loaded: Loaded = load(self._prepare, plan, threads=cores())
        writers: list[Write] = [self._write]
        if mqtt := mqtt_of(stack, plan, [True], True):
            writers.append(mqtt.push)
        if plan.outputs.webhook:
            writers.append(webhook_writer(stack, plan.outputs.webhook))
        self._sessions = Sessions(
            plan, self._prepare, loaded, together(writers), None, lambda media_s: None, more_sinks=self._sinks
        )

    def _follow(self, orders: Orders, terms: Mapping[str, int]) -> None:
        """Watch these cameras, as the site says it now. Where that cannot be, they go on as they did."""
        assert self._sessions is not None
        site = orders.site
        with self._lock:
            for name, term in terms.items():
                if name not in self._kept or self._kept[name].term != term:
                    newest = orders.written.get(name, (0, 0))  # numbers of the same term go on
                    self._kept[name] = Kept(term, newest[1] if newest[0] == term else 0)
        sources = tuple(site.cameras[name] for name in terms if name in site.cameras)
        refused: str | None = None
        try:
            self._sessions.follow(replace(site.settings.plan, log=LogOptions(), sources=sources))
        except (I3DLiveError, UsageError) as error:
            refused = one_line(str(error))
        self._running = dict(terms)
        running = {session.name: session for session in self._sessions.every if session.ended is None}
        why = [one_line(str(error)) for error in self._sessions.failures[-1:]]
        with self._lock:
            for name in terms:
                kept, session = self._kept[name], running.get(name)
                if session is not kept.session:
                    kept.session, kept.busy_s = session, 0.0
                if refused or session is not None:
                    kept.error = refused
                elif kept.error is None:
                    kept.error = next(iter(why), "cannot be opened")

    def _failed(self, session: Session, error: Exception) -> None:
        with self._lock:
            if session.name in self._kept:
                self._kept[session.name].error = one_line(str(error))

    def _sinks(self, name: str | None) -> list[Sink]:
        picture = self._pictures[name or ""] = Newest()
        return [picture]

    def _keep_lease(self) -> None:
        while True:
            time.sleep(ASKED_EVERY_S)
            if time.monotonic() - self._heard_s > LEASE_S and not self._still_belongs():
                with self._lock:
                    if self._orders is not None:
                        self._orders = replace(self._orders, terms={})

    def _still_belongs(self) -> bool:
        found: list[bool] = []

        def ask() -> None:
            with suppress(Exception):  # whatever Ray raises without its head
                found.append(self._belongs())

        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        asking.join(ANSWERED_WITHIN_S)
        return found == [True]


class Newest:
    """Sink: keeps the newest frame."""

    frame: Frame | None = None

    def push(self, item: Frame | Output) -> None:
        if isinstance(item, Frame):
            self.frame = item

    def close(self) -> None:
        pass
