"""The one driver behind files, cameras, the page, `doctor` and library calls: from sources to logs and sinks.

A session pushes frames to a recogniser and reports the outputs; `take_turns` delivers the frames of several sessions as
they come. `figures` holds what each session has processed, produced and cost.
"""

import time
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict
from typing import Protocol

from realtime.clock import StageName, Stopwatch
from realtime.errors import I3DLiveError
from realtime.outputs.log import Line, connection_line, level_line, output_line, summary_line
from realtime.reader_threads import End, Mailbox, Pace, Source, mailbox_for, read_or_idle
from realtime.recognizer import Counts, Output, Recognizer
from realtime.sources.reconnect import Connection, Reconnecting
from realtime.stages.live_zones import LiveZones
from realtime.types import Figures, Frame

IDLE_S = 1.0
WHOLE, STOPPED = "end of the video", "stopped"  # normal ends


class Sink(Protocol):
    """Receives each frame, then the outputs that it completed."""

    def push(self, item: Frame | Output) -> None:
        """The next frame or output."""

    def close(self) -> None:
        """Nothing follows: finish the file."""


class Session:
    """One source, its recogniser and its sinks. `write` gets each line of the log, `progress` the media seconds
    done."""

    def __init__(
        self,
        video: Source,
        recognizer: Recognizer | None,
        *,
        name: str | None = None,
        write: Callable[[Line], None] = lambda line: None,
        sinks: Sequence[Sink] = (),
        stopwatch: Stopwatch | None = None,
        progress: Callable[[float], None] = lambda media_s: None,
        now_s: Callable[[], float] = time.monotonic,
        renew: Callable[[], Recognizer | None] = lambda: None,
        frames: Source | None = None,
        left_out: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        """`recognizer`: None if `renew` gives the first one. `name`: of the source, for each of its lines. `now_s`: the
        clock of `Frame.taken_s`. `renew`: called before each frame; if it returns a recogniser, that one takes over
        from this frame on. `frames`: read in place of `video`, such as it at another pace. `left_out`: of `Figures`."""
        self.video, self.frames, self.name = video, video if frames is None else frames, name
        self.stopwatch = stopwatch or Stopwatch()
        self.mailbox = mailbox_for(video, now_s)  # where frames wait
        self.recognizer: Recognizer | None = None
        self.pace: Pace | None = None
        """For a live source: what the recogniser leaves out when it is late. None: nothing."""
        self.level_steps: Counter[str] = Counter()
        """How often the pace changed to each level."""
        self.last_frame_s = self._start_s = now_s()
        """When the newest frame was pushed."""
        self.ended: str | None = None
        """Why nothing follows."""
        self._write, self._sinks, self._progress, self._now_s = write, sinks, progress, now_s
        self._renew, self._left_out = renew, left_out
        self._media_s = self._busy_s = 0.0
        self._counts_before, self._unseen_before = Counts(), 0
        """Totals of the recognisers before this one."""
        if recognizer is not None:
            self._use(recognizer)

    def push(self, frame: Frame) -> None:
        """The next frame."""
        self.look()
        renewed = self._renew()
        if renewed is not None:
            self._use(renewed)
        assert self.recognizer is not None
        if self.pace is not None and self.pace.before(frame):
            self._tell_level(self.pace, float(frame.pts))
        began_s = self._now_s()
        outputs = self.recognizer.push(frame)
        with self.stopwatch(StageName.OUTPUTS):
            self.last_frame_s = self._now_s()
            self._busy_s += self.last_frame_s - began_s
            self._media_s = float(frame.pts + frame.duration)
            self._progress(self._media_s)
            self._tell_sinks(frame)
            self._emit(outputs, frame.taken_s)

    def look(self) -> None:
        """Report a connection that was lost or is back. Call about once a second, even while no frames come."""
        while self.ended is None and isinstance(self.video, Reconnecting) and self.video.changes:
            self.write(connection_line(self.video.changes.popleft(), self._media_s))

    def end(self, ended: str) -> None:
        """Flush, report the end with its reason `ended`, and close. Calling it again does nothing."""
        if self.ended is not None:
            return
        self.ended = ended
        try:
            with ExitStack() as stack:
                for sink in self._sinks:
                    stack.callback(sink.close)
                if self.recognizer is not None:
                    self._emit(self.recognizer.flush(whole=ended != STOPPED), None)
        except I3DLiveError as error:
            self.ended = str(error) if ended in (WHOLE, STOPPED) else ended
            raise
        finally:
            self.write(summary_line(self.figures()))

    def write(self, line: Line) -> None:
        """Write a line of the log, with the name of the source if it has one."""
        self._write(line if self.name is None else {"kind": line["kind"], "name": self.name} | line)

    @property
    def connection(self) -> Connection | None:
        """State of the connection; None if the source ends when it is lost."""
        return self.video.connection if isinstance(self.video, Reconnecting) else None

    @property
    def zones(self) -> LiveZones | None:
        """The zones of the source; None before there is a recogniser. May be changed from any thread."""
        return None if self.recognizer is None else self.recognizer.zones

    def figures(self) -> Figures:
        """Counts and times of the source so far. May be called from any thread."""
        mailbox, pace, connection = self.mailbox, self.pace, self.connection
        counts, unseen = self._totals()
        flow = self.recognizer.flow_health if self.recognizer else None
        rest = self.recognizer.rest if self.recognizer else None
        counted = asdict(counts)
        del counted["frames"], counted["idle_frames"]
        waiting = mailbox.received - mailbox.dropped - counts.frames
        return Figures(
            frames=mailbox.received,
            used=counts.ticks - counts.repeated_ticks - counts.idle_frames,
            dropped={
                "faster than the model's rate": unseen,
                "nothing moved": counts.idle_frames,
                "late": mailbox.dropped,
                "stopped": 0 if self.ended is None else waiting,
            },
            left_out={name: count for name, count in self._left_out().items() if count},
            corrupt_packets=self.video.corrupt_packets,
            **counted,
            resting_since_s=None if rest is None else float(rest.since),
            reconnects=connection.reconnects if connection else 0,
            level_steps=dict(self.level_steps),
            stage_s=dict(self.stopwatch.seconds),
            busy_s=self._busy_s,
            media_s=self._media_s,
            wall_s=self._now_s() - self._start_s,
            flow=None if flow is None else flow.report(),
            waiting=len(mailbox),
            lag_s=pace.lag_s if pace else 0.0,
            level=pace.ladder.level.name if pace else "all",
            steps_down=pace.ladder.place if pace else 0,
            lost=None if connection is None or connection.up else connection.reason,
            last_frame_s=self.last_frame_s,
            ended=self.ended,
            failed=self.ended not in (None, WHOLE, STOPPED),
        )

    def _use(self, recognizer: Recognizer) -> None:
        """Switch to this recogniser, after the one before it was flushed."""
        if self.recognizer is not None:
            self._emit(self.recognizer.flush(), None)
            self._counts_before, self._unseen_before = self._totals()
        self.recognizer = recognizer
        self.pace = Pace(recognizer, self._now_s) if self.video.live else None

    def _totals(self) -> tuple[Counts, int]:
        """Counts of all recognisers so far, and the frames that no tick showed."""
        if self.recognizer is None:
            return self._counts_before, self._unseen_before
        before = asdict(self._counts_before)
        counts = {name: count + before[name] for name, count in asdict(self.recognizer.counts).items()}
        return Counts(**counts), self._unseen_before + self.recognizer.unseen_frames

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


def run_sessions(
    sessions: list[Session],
    failed: Callable[[Session, Exception], None] = lambda session, error: None,
    after_turn: Callable[[], None] = lambda: None,
) -> list[Exception]:
    """Run all sources to their ends, in turns. One that fails ends alone: `failed` is called immediately, and the
    errors are returned.

    `after_turn` is called at least every second; it may append sessions and end others. However it ends (a stop, a
    full disk), each log gets its summary and each file is closed first.
    """
    errors: list[Exception] = []

    def keep(session: Session, error: Exception) -> None:
        errors.append(error)
        failed(session, error)

    ended = STOPPED
    try:
        for _ in take_turns(sessions, keep):
            after_turn()
    except I3DLiveError as error:
        ended = str(error)
        raise
    finally:
        end_all(sessions, ended)
    return errors


def take_turns(
    sessions: list[Session], failed: Callable[[Session, Exception], None], *, idle_s: float = IDLE_S
) -> Generator[None]:
    """Drive all sessions to their ends. Yields after each frame, after each end, and after `idle_s` without either.

    Sessions that are appended meanwhile take part. A session that fails is ended and passed to `failed`. A caller that
    stops early has to end the sessions itself.
    """
    begun: list[Session] = []

    def joining() -> list[tuple[Source, Mailbox]]:
        new = sessions[len(begun) :]
        begun.extend(new)
        return [(session.frames, session.mailbox) for session in new]

    with closing(read_or_idle([], [], idle_s, joining)) as items:
        for place, item, _ in items:
            if isinstance(item, Frame):
                sessions[place].push(item)
            elif isinstance(item, End):
                _end(sessions[place], item, failed)
            for session in sessions:
                session.look()
            yield


def _end(session: Session, end: End, failed: Callable[[Session, Exception], None]) -> None:
    error = end.error
    if error is None:
        session.end(STOPPED if end.stopped else WHOLE)
        return
    if not isinstance(error, Exception):
        raise error
    known = isinstance(error, I3DLiveError)
    session.end(str(error) if known else f"a fault of this program ({type(error).__name__})")
    failed(session, error)


def end_all(sessions: Sequence[Session], ended: str) -> None:
    """End every session, even where one of them cannot."""
    with ExitStack() as stack:
        for session in sessions:
            stack.callback(session.end, ended)
