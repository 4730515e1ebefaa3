"""One source on its way to the page: read, recognised, and shown to all who look at it."""

import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict
from threading import Event as Flag
from threading import Lock
from typing import Any, Literal

from engines.load import Engines
from realtime.clock import Stopwatch
from realtime.errors import I3DLiveError
from realtime.flow.colour import flow_picture
from realtime.pictures import to_jpeg
from realtime.pump import End, Idle, Mailbox, Pace, Source, mailbox_for, read_or_idle
from realtime.recognizer import Recognizer
from realtime.sources.reconnect import Reconnecting
from realtime.stages.events import EventOptions
from realtime.threads import Worker, beside
from realtime.types import Frame, Prediction
from realtime.view.broadcast import Latest
from realtime.view.browser_camera import BrowserCamera, Shown
from realtime.view.page_state import Board, State, step_seconds
from realtime.view.recorder import Recorder
from realtime.view.settings import Settings

Phase = Literal["opening", "waiting", "engine", "running", "ended", "failed"]
"""`waiting`: the source is open and its first frame has not come. `engine`: frames are here, and the engine is being made ready."""

WIDEST_PX = 1280
"""Pictures for the page are made smaller than this."""
JPEG_QUALITY = 82
FULL_COLOUR_PX = 8.0
"""px a tick that are shown in full colour; a fixed scale, so that calm and haste look different."""
QUIET_S = 0.25
"""The page is told at every answer, and otherwise this often."""
COST_EVERY_S = 1.0


class Channel:
    """Runs from the moment it is made until `stop`, the end of its source, or a failure. Its thread never waits for a page.

    `picture`: JPEG of the newest frame. `flow`: JPEG of the newest flow. `state`: what `Board` says, and the phase.
    """

    def __init__(
        self,
        name: str,
        open_source: Callable[[], Source],
        settings: Settings,
        load: Callable[[Settings], Engines],
        *,
        engine_lock: Lock,
        released: Callable[[], None] = lambda: None,
    ) -> None:
        """`load`: engines for settings, from a store that all channels share; they are used under `engine_lock`.
        `released`: called once, when nothing of the source is held any more."""
        self.name = name
        self.picture: Latest[bytes] = Latest()
        self.flow: Latest[bytes] = Latest()
        self.state: Latest[State] = Latest()
        self.phase: Phase = "opening"
        self._open_source, self._load, self._released = open_source, load, released
        self._engine_lock = engine_lock
        self._settings = settings
        self._note = self._engine_note = ""
        self._stopping = Flag()
        self._source: Source | None = None
        self._recorder: Recorder | None = None
        self._board = Board()
        self._recognizer: Recognizer | None = None
        self._stopwatch = Stopwatch()
        self._mailbox: Mailbox | None = None
        self._pace: Pace | None = None
        self._level_steps = 0
        self._seen: deque[tuple[int, float]] = deque(maxlen=256)
        self._cost: State = {}
        self._told_s = self._cost_s = 0.0
        self._tell()
        self._worker = Worker(self._run)

    @property
    def running(self) -> bool:
        return self._worker.running

    @property
    def camera(self) -> BrowserCamera | None:
        """Where a page's pictures go, if they come from a page."""
        return self._source if isinstance(self._source, BrowserCamera) else None

    def apply(self, settings: Settings) -> None:
        """From any thread: with the next frame a new recogniser goes on with these."""
        self._settings = settings

    def record(self, recorder: Recorder) -> None:
        """From any thread: clips of what comes from now on; one recorder at a time."""
        before, self._recorder = self._recorder, recorder
        if before is not None:
            before.stop()

    def shown(self, number: int) -> None:
        """From any thread: a page shows state `number`."""
        self._seen.append((number, time.monotonic()))

    def stop(self) -> None:
        """From any thread; does not wait. `join` does."""
        self._stopping.set()
        source = self._source
        if source is not None:
            source.close()

    def join(self, timeout_s: float) -> bool:
        return self._worker.join(timeout_s)

    def _run(self) -> None:
        try:
            self._source = source = self._open_source()
            self._follow(source)
        except I3DLiveError as error:
            self._enter("failed", str(error))
        except Exception as error:
            # The other channels and the page live on; what it was goes to stderr with its traceback.
            self._enter("failed", f"{self.name}: stopped by a fault of this program ({type(error).__name__})")
            raise
        finally:
            if self._recorder is not None:
                self._recorder.stop()
            self._released()

    def _follow(self, source: Source) -> None:
        """From the first frame to the last."""
        self._enter("waiting")
        shown = Shown(source, self._show)
        if self._stopping.is_set():
            source.close()
        used: Settings | None = None
        self._mailbox = mailbox_for(shown)
        for _, item, _ in read_or_idle([shown], [self._mailbox], QUIET_S):
            if isinstance(item, End):
                self._finish(item)
                return
            if isinstance(item, Idle):
                self._tell()
                continue
            if used != self._settings:
                used = self._settings
                self._renew(used)
            if self._recognizer is not None:
                self._push(item)

    def _renew(self, settings: Settings) -> None:
        """A recogniser for these settings. Where that cannot be, the one there was goes on and the page is told why."""
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
                stopwatch=self._timed,
                beside=beside,
            )
            if self._recognizer is not None:
                self._board.outputs(self._recognizer.flush())
                self._board.retire(self._recognizer)
            self._recognizer, self._engine_note = recognizer, engines.reason
            self._pace = Pace(recognizer) if self._source is not None and self._source.live else None
            self._enter("running")
        except I3DLiveError as error:
            if self._recognizer is None:
                raise
            self._enter("running", str(error))

    @contextmanager
    def _timed(self, stage: str) -> Any:
        """Engines are shared and run one step at a time; waiting for one's turn is not the engine's time."""
        turn: AbstractContextManager[Any] = self._engine_lock if stage.endswith("engine") else nullcontext()
        with turn, self._stopwatch(stage):
            yield

    def _push(self, frame: Frame) -> None:
        assert self._recognizer is not None
        if self._pace is not None:
            self._level_steps += self._pace.before(frame)
        while self._seen:
            self._board.latencies.shown(*self._seen.popleft())
        start_s = time.monotonic()
        before = dict(self._stopwatch.seconds)
        self._board.frame(frame, start_s)
        outputs = self._recognizer.push(frame)
        end_s = time.monotonic()
        self._board.worked(end_s - start_s, end_s)
        self._board.outputs(outputs)
        if self.flow.watched and self._recognizer.flow_field is not None:
            picture = flow_picture(self._recognizer.flow_field, FULL_COLOUR_PX)
            self.flow.publish(to_jpeg(picture, WIDEST_PX, JPEG_QUALITY))
        answered = any(isinstance(item, Prediction) for item in outputs)
        if outputs or end_s - self._told_s > QUIET_S:
            number = self._tell()
            if answered:
                self._expect_shown(number, frame, step_seconds(self._stopwatch, before))

    def _expect_shown(self, number: int, frame: Frame, seconds: tuple[float, float]) -> None:
        answer = self._board.answer
        if answer is not None:
            newest_s, at_s = float(frame.pts), time.monotonic()
            self._board.latencies.answer(number, answer.end_s, newest_s, *seconds, at_s)

    def _finish(self, end: End) -> None:
        if self._recognizer is not None and not self._stopping.is_set():
            self._board.outputs(self._recognizer.flush())
        if end.error is None:
            self._enter("ended")
        elif isinstance(end.error, I3DLiveError):
            self._enter("failed", str(end.error))
        else:
            raise end.error

    def _enter(self, phase: Phase, note: str = "") -> None:
        self.phase, self._note = phase, note
        self._cost_s = 0.0
        self._tell()

    def _tell(self) -> int:
        now_s = time.monotonic()
        if now_s - self._cost_s >= COST_EVERY_S:
            self._cost, self._cost_s = self._board.cost(self._recognizer, self._late()), now_s
        self._told_s = now_s
        state = self._board.state(self._recognizer, self._settings)
        state |= {"source": self.name, "phase": self.phase, "note": self._note, "cost": self._cost}
        state |= {
            "engine": self._engine_note,
            "browser": self.camera is not None,
            "taken_ms": self._taken_ms(),
        }
        state |= {
            "level": self._pace.ladder.level.name if self._pace else "all",
            "level_steps": self._level_steps,
        }
        state |= {
            "connection": self._connection(),
            "recording": self._recorder.state() if self._recorder else None,
        }
        return self.state.publish(state)

    def _late(self) -> dict[str, int]:
        """Frames that never reached the recogniser, by cause."""
        late = {"too slow here": self._mailbox.dropped if self._mailbox else 0}
        return late if self.camera is None else late | {"came late": self.camera.late}

    def _connection(self) -> State | None:
        """Of a source that is opened again when it is lost."""
        return asdict(self._source.connection) if isinstance(self._source, Reconnecting) else None

    def _taken_ms(self) -> float | None:
        """By the page's own clock: when the last frame was taken that the newest answer speaks of."""
        answer, camera = self._board.answer, self.camera
        return None if answer is None or camera is None else camera.taken_ms(answer.end_s)

    def _show(self, frame: Frame) -> None:
        """In the reader's thread, so that pictures go on while an engine works."""
        if self._recorder is not None:
            self._recorder.frame(frame)
        if self.picture.watched:
            self.picture.publish(to_jpeg(frame.rgb, WIDEST_PX, JPEG_QUALITY))
