"""From sources to logs and sinks: what each source has seen, said and cost."""

import platform
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing, suppress
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Protocol

from engines.load import Engines
from realtime.clock import Stopwatch
from realtime.errors import I3DLiveError
from realtime.outputs.log import Line, connection_line, level_line, output_line
from realtime.pump import End, Pace, mailbox_for, read_or_idle
from realtime.recognizer import Output, Recognizer
from realtime.sources.reconnect import Connection, Reconnecting
from realtime.sources.video import Video
from realtime.types import Figures, Frame

IDLE_S = 1.0
WHOLE, STOPPED = "end of the video", "stopped"
"""Ends that are nobody's fault."""
VERSIONS = ("i3d-live", "av", "numpy", "opencv-contrib-python-headless", "openvino")


class Sink(Protocol):
    """Whatever wants to see frames and answers: each frame, then what became certain with it."""

    def push(self, item: Frame | Output) -> None:
        """The next frame or answer."""

    def close(self) -> None:
        """Nothing follows: finish the file."""


class Session:
    """One source, its recogniser, and who is told. `write` takes each line of the log, `progress` the media seconds done."""

    def __init__(
        self,
        video: Video | Reconnecting,
        recognizer: Recognizer,
        *,
        name: str | None = None,
        write: Callable[[Line], None],
        sinks: Sequence[Sink] = (),
        stopwatch: Stopwatch | None = None,
        progress: Callable[[float], None] = lambda media_s: None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`name`: of the source, for each of its lines. `now_s`: the clock of `Frame.taken_s`."""
        self.video, self.recognizer, self.name = video, recognizer, name
        self.stopwatch = stopwatch or Stopwatch()
        self.mailbox = mailbox_for(video)
        """Where its frames wait."""
        self.pace = Pace(recognizer, now_s) if video.live else None
        self.level_steps: Counter[str] = Counter()
        """How often it stepped to each level of its pace."""
        self.last_frame_s = self._start_s = now_s()
        """When the newest frame was pushed."""
        self.ended: str | None = None
        """Why nothing follows."""
        self._write, self._sinks, self._progress, self._now_s = write, sinks, progress, now_s
        self._media_s = 0.0

    def push(self, frame: Frame) -> None:
        """The next frame."""
        self.look()
        if self.pace is not None and self.pace.before(frame):
            self._tell_level(self.pace, float(frame.pts))
        outputs = self.recognizer.push(frame)
        with self.stopwatch("outputs"):
            self.last_frame_s = self._now_s()
            self._media_s = float(frame.pts + frame.duration)
            self._progress(self._media_s)
            self._tell_sinks(frame)
            self._emit(outputs, frame.taken_s)

    def look(self) -> None:
        """Tell of a connection that was lost or is back. To be called about once a second, also where no frames come."""
        while isinstance(self.video, Reconnecting) and self.video.changes:
            self.write(connection_line(self.video.changes.popleft(), self._media_s))

    def end(self, ended: str) -> None:
        """Nothing follows, for the reason `ended`: say what is still to be said, and close. Closing again does nothing."""
        if self.ended is not None:
            return
        self.ended = ended
        with ExitStack() as stack:
            for sink in self._sinks:
                stack.callback(sink.close)
            self._emit(self.recognizer.flush(whole=ended != STOPPED), None)
            self.write(self._summary())

    def write(self, line: Line) -> None:
        """A line of the log, with the name of the source where it has one."""
        self._write(line if self.name is None else {"kind": line["kind"], "name": self.name} | line)

    @property
    def connection(self) -> Connection | None:
        """None where a loss is the end."""
        return self.video.connection if isinstance(self.video, Reconnecting) else None

    def figures(self) -> Figures:
        """What has become of the source so far. From any thread."""
        counts, mailbox, pace, connection = self.recognizer.counts, self.mailbox, self.pace, self.connection
        waiting = mailbox.received - mailbox.dropped - counts.frames
        return Figures(
            frames=mailbox.received,
            used=counts.ticks - counts.repeated_ticks,
            dropped={
                "faster than the model's rate": self.recognizer.unseen_frames,
                "late": mailbox.dropped,
                "stopped": 0 if self.ended is None else waiting,
            },
            corrupt_packets=self.video.corrupt_packets,
            ticks=counts.ticks,
            repeated_ticks=counts.repeated_ticks,
            steps=counts.steps,
            predictions=counts.predictions,
            events=counts.events,
            gaps=counts.gaps,
            reconnects=connection.reconnects if connection else 0,
            level_steps=dict(self.level_steps),
            stage_s=dict(self.stopwatch.seconds),
            waiting=len(mailbox),
            lag_s=pace.lag_s if pace else 0.0,
            steps_down=pace.ladder.place if pace else 0,
            lost=None if connection is None or connection.up else connection.reason,
            last_frame_s=self.last_frame_s,
            ended=self.ended,
            failed=self.ended not in (None, WHOLE, STOPPED),
        )

    def _tell_level(self, pace: Pace, media_s: float) -> None:
        self.level_steps[pace.ladder.level.name] += 1
        self.write(level_line(pace.ladder.level.name, pace.ladder.place, pace.lag_s, media_s))

    def _emit(self, outputs: list[Output], taken_s: float | None) -> None:
        for item in outputs:
            latency_ms = None if taken_s is None else (self._now_s() - taken_s) * 1000
            self.write(output_line(item, latency_ms))
            self._tell_sinks(item)

    def _tell_sinks(self, item: Frame | Output) -> None:
        for sink in self._sinks:
            sink.push(item)

    def _summary(self) -> Line:
        figures = self.figures()
        flow = self.recognizer.flow_health
        return {
            "kind": "summary",
            "frames": {
                "decoded": figures.frames,
                "used": figures.used,
                "dropped": {cause: count for cause, count in figures.dropped.items() if count},
                "corrupt_packets": figures.corrupt_packets,
            },
            "ticks": figures.ticks,
            "repeated_ticks": figures.repeated_ticks,
            "steps": figures.steps,
            "predictions": figures.predictions,
            "events": figures.events,
            "gaps": figures.gaps,
            "reconnects": figures.reconnects,
            "level_steps": dict(figures.level_steps),
            "media_s": round(self._media_s, 3),
            "wall_s": round(self._now_s() - self._start_s, 3),
            "stage_s": {stage: round(seconds, 4) for stage, seconds in figures.stage_s.items()},
            **({"flow": flow.report()} if flow is not None else {}),
            "ended": figures.ended,
        }


def run_sessions(
    sessions: Sequence[Session],
    failed: Callable[[Session, Exception], None] = lambda session, error: None,
) -> list[Exception]:
    """Run all sources to their ends, in turns. One that fails ends alone: `failed` is told at once, the errors are returned.

    Whatever ends it early (a stop, a full disk), each log gets its summary and each file is closed first.
    """
    errors: list[Exception] = []
    videos, mailboxes = [s.video for s in sessions], [s.mailbox for s in sessions]
    ended = STOPPED
    try:
        with closing(read_or_idle(videos, mailboxes, IDLE_S)) as items:
            for place, item, _ in items:
                if isinstance(item, Frame):
                    sessions[place].push(item)
                elif isinstance(item, End):
                    errors += _end(sessions[place], item, failed)
                for session in sessions:
                    session.look()
    except I3DLiveError as error:
        ended = str(error)
        raise
    finally:
        end_all(sessions, ended)
    return errors


def _end(session: Session, end: End, failed: Callable[[Session, Exception], None]) -> list[Exception]:
    """End one session; what ended it, where that was an error."""
    error = end.error
    if error is None:
        session.end(STOPPED if end.stopped else WHOLE)
        return []
    if not isinstance(error, Exception):
        raise error
    known = isinstance(error, I3DLiveError)
    session.end(str(error) if known else f"a fault of this program ({type(error).__name__})")
    failed(session, error)
    return [error]


def end_all(sessions: Sequence[Session], ended: str) -> None:
    """End every session, even where one of them cannot."""
    with ExitStack() as stack:
        for session in sessions:
            stack.callback(session.end, ended)


def session_line(video: Video | Reconnecting, engines: Engines, recognizer: Recognizer) -> Line:
    """The first line of a log."""
    engine = next(iter(engines.by_stream.values()))
    return {
        "kind": "session",
        "source": video.name,
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
        "model": engine.weights.name,
        "engine": {"backend": engine.backend, "precision": engine.precision, "device": engine.device},
        "streams": list(recognizer.streams),
        "note": engines.reason,
        "mode": recognizer.mode,
        "stride_ticks": recognizer.stride_ticks,
        "smooth": recognizer.smooth,
        "fps": float(engine.spec.fps),
        "versions": {"python": platform.python_version()} | versions(),
    }


def versions() -> dict[str, str]:
    """Of the packages that shape an answer; a bundle runs with fewer of them."""
    found = {}
    for name in VERSIONS:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
