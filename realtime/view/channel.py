"""One source shown on the page: a session in its own thread, with the page as its sink."""

import math
from collections import deque
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from threading import Event as Flag
from typing import Literal

from engines.load import Engines
from realtime.clock import Clock, Stopwatch
from realtime.errors import I3DLiveError
from realtime.reader_threads import Source
from realtime.recognizer import Recognizer
from realtime.session import Session
from realtime.stages.events import EventOptions
from realtime.stages.live_zones import LiveZones
from realtime.turns import take_turns
from realtime.types import Figures
from realtime.view.browser_camera import BrowserCamera, Shown
from realtime.view.glow import glow_state
from realtime.view.latest_value import Latest
from realtime.view.page_state import CAME_LATE, Board, State, step_seconds
from realtime.view.pictures import Pictures
from realtime.view.recorder import Recorder
from realtime.view.settings import Settings
from realtime.view.zones import put_zone, zones_state
from realtime.worker_threads import Worker, submit

Phase = Literal["opening", "waiting", "engine", "running", "ended", "failed"]
"""`waiting`: the source is open and its first frame has not arrived. `engine`: frames arrive while the engine is being
prepared."""

QUIET_S = 0.25
"""The page gets a message at every prediction, and otherwise at this interval."""
COST_EVERY_S = 1.0


class Channel:
    """Runs from its creation until `stop`, the end of its source, or a failure. Its thread never waits for a page.

    `picture`: JPEG of the newest frame. `flow`: JPEG of the newest flow. `state`: the message of `Board`, and the
    phase.
    """

    def __init__(
        self,
        name: str,
        open_source: Callable[[], Source],
        settings: Settings,
        load: Callable[[Settings], Engines],
        *,
        released: Callable[[], None] = lambda: None,
        zones: LiveZones | None = None,
        idle_s: float | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`load`: engines for settings, from a store that all channels share. `released`: called once, when the source
        has been let go. `zones`: of the source, if it had some before. `idle_s`: as in `Recognizer`. `clock`: that of
        `Frame.taken_s`."""
        self.name = name
        self.picture: Latest[bytes] = Latest()
        self.flow: Latest[bytes] = Latest()
        self.state: Latest[State] = Latest()
        self.zones = zones or LiveZones()
        """May be changed from any thread; they outlast a change of settings."""
        self.phase: Phase = "opening"
        self._open_source, self._load, self._released = open_source, load, released
        self._clock, self._idle_s = clock or Clock(), idle_s
        self._settings = settings
        self._used: Settings | None = None
        self._note = self._engine_note = ""
        self._stopping = Flag()
        self._source: Source | None = None
        self._recorder: Recorder | None = None
        self._board = Board()
        self._session: Session | None = None
        self._stopwatch = Stopwatch()
        self._figures = Figures()
        self._seen: deque[tuple[int, float]] = deque(maxlen=256)
        self._asked: dict[object, str] = {}
        self._cost: State = {}
        self._told_s = self._cost_s = -math.inf
        self._tell()
        self._worker = Worker(self._run)

    @property
    def running(self) -> bool:
        return self._worker.running

    @property
    def camera(self) -> BrowserCamera | None:
        """Takes a page's pictures, if the source is a page's webcam."""
        return self._source if isinstance(self._source, BrowserCamera) else None

    def apply(self, settings: Settings) -> None:
        """From any thread: from the next frame on a new recogniser uses these."""
        self._settings = settings

    def record(self, recorder: Recorder) -> None:
        """From any thread: record clips from now on; one recorder at a time."""
        before, self._recorder = self._recorder, recorder
        if before is not None:
            before.stop()

    def shown(self, number: int) -> None:
        """From any thread: a page shows state `number`."""
        self._seen.append((number, self._clock.now_s()))

    def ask(self, viewer: object, label: str) -> None:
        """From one thread at a time: `viewer`, a page, also wants to see where `label` is. "": no longer."""
        others = {who: what for who, what in self._asked.items() if who is not viewer}
        self._asked = others | ({viewer: label} if label else {})
        self._tell_at_end()

    def put_zone(self, name: str, given: object) -> None:
        """From any thread: add, move or rename a zone as a page wants it; see `realtime.view.zones.put_zone`."""
        put_zone(self.zones, name, given, self._board.picture)
        self._tell_at_end()

    def remove_zone(self, name: str) -> None:
        """From any thread. Raises UsageError if there is no zone of that name."""
        self.zones.remove(name)
        self._tell_at_end()

    def stop(self) -> None:
        """From any thread; does not wait. `join` does."""
        self._stopping.set()
        session, source = self._session, self._source
        if session is not None:
            session.mailbox.stop()
        if source is not None:
            source.close()

    def join(self, timeout_s: float) -> bool:
        return self._worker.join(timeout_s)

    def _run(self) -> None:
        try:
            self._source = source = self._open_source()
            self._follow(source)
            self._enter("ended")
        except I3DLiveError as error:
            self._enter("failed", str(error))
        except Exception as error:
            # The other channels and the page continue; the traceback goes to stderr.
            self._enter("failed", f"{self.name}: stopped by a fault of this program ({type(error).__name__})")
            raise
        finally:
            if self._recorder is not None:
                self._recorder.stop()
            self._released()

    def _follow(self, source: Source) -> None:
        """From the first frame to the last."""
        with Pictures(self.picture, self.flow, lambda: self._recorder, live=source.live) as pictures:
            self._session = session = Session(
                source,
                None,
                sinks=[self._board],
                stopwatch=self._stopwatch,
                now_s=self._clock.now_s,
                renew=self._renew,
                frames=Shown(source, pictures.show, self._clock),
                left_out=pictures.left_out,
            )
            self._enter("waiting")
            if self._stopping.is_set():
                session.mailbox.stop()
            with closing(take_turns([session], _fail, idle_s=QUIET_S)) as turns:
                for _ in turns:
                    self._after_turn(session, pictures)

    def _renew(self) -> Recognizer | None:
        """A recogniser for new settings. If that is impossible, the previous one continues and the page is told why."""
        settings = self._settings
        if settings == self._used:
            return None
        self._used = settings
        self._enter("engine")
        try:
            engines = self._load(settings)
            recognizer = Recognizer(
                engines.by_stream,
                stride_ticks=settings.stride,
                smooth=settings.smooth,
                events=EventOptions(settings.on, settings.off, settings.min_event),
                region=settings.region,
                watch=settings.watch or None,
                several=settings.several,
                zones=self.zones,
                idle_s=self._idle_s,
                stopwatch=self._stopwatch,
                submit=submit,
            )
        except I3DLiveError as error:
            if self._session is None or self._session.recognizer is None:
                raise
            self._enter("running", str(error))
            return None
        self._engine_note = engines.reason
        self._enter("running")
        return recognizer

    def _after_turn(self, session: Session, pictures: Pictures) -> None:
        """Called after each frame, or some time without one."""
        before, self._figures = self._figures, session.figures()
        while self._seen:
            self._board.latencies.shown(*self._seen.popleft())
        field = session.recognizer.flow_field if session.recognizer else None
        if self._figures.ticks > before.ticks and field is not None:
            pictures.show_flow(field)
        news, predicted = self._board.take_news()
        news |= self._figures.level != before.level
        if news or self._clock.now_s() - self._told_s >= QUIET_S:
            number = self._tell()
            if predicted:
                seconds = step_seconds(before.stage_s, self._figures.stage_s)
                self._board.expect_shown(number, *seconds, self._clock.now_s())

    def _enter(self, phase: Phase, note: str = "") -> None:
        self.phase, self._note = phase, note
        self._cost_s = -math.inf
        self._tell()

    def _tell(self) -> int:
        session, now_s = self._session, self._clock.now_s()
        figures = self._with_late_pictures(Figures() if session is None else session.figures())
        if now_s - self._cost_s >= COST_EVERY_S:
            self._cost, self._cost_s = self._board.cost(figures, now_s), now_s
        self._told_s = now_s
        recognizer = None if session is None else session.recognizer
        state = self._board.state(recognizer.open_event if recognizer else None, self._settings)
        state |= {"source": self.name, "phase": self.phase, "note": self._note, "cost": self._cost}
        state |= {
            "engine": self._engine_note,
            "browser": self.camera is not None,
            "taken_ms": self._taken_ms(),
        }
        shown = [] if self._board.answer is None else [label for label, _ in self._board.answer.top]
        state |= {"where": glow_state(recognizer, dict.fromkeys([*shown, *self._asked.values()]))}
        state |= {"zone_changes": self.zones.changed}
        state |= {"zones": zones_state(self.zones, self._board.in_zones, self._board.picture)}
        state |= {
            "level": figures.level,
            "level_steps": sum(figures.level_steps.values()),
            "resting_since_s": figures.resting_since_s,
        }
        state |= {
            "connection": None if session is None else _connection(session, figures),
            "recording": self._recorder.state() if self._recorder else None,
        }
        return self.state.publish(state)

    def _tell_at_end(self) -> None:
        """After the end of the source its thread, which tells the page of everything else, is gone."""
        if not self.running:
            self._tell()

    def _with_late_pictures(self, figures: Figures) -> Figures:
        """Pictures of a page's camera that arrived too late to be read count as dropped frames, too."""
        if self.camera is None:
            return figures
        late = self.camera.late
        return replace(figures, frames=figures.frames + late, dropped={**figures.dropped, CAME_LATE: late})

    def _taken_ms(self) -> float | None:
        """Capture time, by the page's clock, of the last frame that the newest prediction covers."""
        answer, camera = self._board.answer, self.camera
        return None if answer is None or camera is None else camera.taken_ms(answer.end_s)


def _fail(session: Session, error: Exception) -> None:
    raise error


def _connection(session: Session, figures: Figures) -> State | None:
    """The connection, for a source that is opened again when it is lost."""
    if session.connection is None:
        return None
    return {"up": figures.lost is None, "reconnects": figures.reconnects, "reason": figures.lost or ""}
