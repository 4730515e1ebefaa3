"""A source, its recogniser and its sinks: behind files, cameras, the page, `doctor` and library calls.

A session pushes frames to a recogniser and reports the outputs; `realtime.turns` delivers the frames of several
sessions. `figures` holds what each session has processed, produced and cost.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any, Protocol

from realtime.clock import StageName, Stopwatch
from realtime.errors import I3DLiveError
from realtime.outputs.log import Line, connection_line, level_line, output_line, summary_line
from realtime.overload import PAUSE_S
from realtime.reader_threads import Pace, Source, mailbox_for
from realtime.recognizer import Counts, Output, Recognizer
from realtime.sources.reconnect import Connection, Reconnecting
from realtime.stages.live_zones import LiveZones
from realtime.types import Figures, Frame

Start = Callable[..., "Future[list[Output]]"]
"""Begins a call with its arguments, here or in another thread."""
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
        priority: int = 0,
    ) -> None:
        """`recognizer`: None if `renew` gives the first one. `name`: of the source, for each of its lines. `now_s`: the
        clock of `Frame.taken_s`. `renew`: called before each frame; if it returns a recogniser, that one takes over
        from this frame on. `frames`: read in place of `video`, such as it at another pace. `left_out`: of `Figures`.
        `priority`: the less important of several sessions give way first where not all can keep up."""
        self.video, self.frames, self.name = video, video if frames is None else frames, name
        self.priority = priority
        self._beside: Sequence[Session] | None = None
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
        self._begun: tuple[Frame | None, Future[list[Output]]] | None = None
        """The frame that is being looked at; None: the end."""
        self._media_s = self._busy_s = 0.0
        self._counts_before, self._unseen_before = Counts(), 0
        """Totals of the recognisers before this one."""
        if recognizer is not None:
            self._use(recognizer)

    def share(self, beside: "Sequence[Session]") -> None:
        """From now on it has the cores together with these sessions, itself among them. Call before its first frame."""
        self._beside = beside
        self._set_pace()

    def push(self, frame: Frame) -> None:
        """The next frame."""
        self.begin(frame, here)
        self.finish()

    def begin(self, frame: Frame, start: Start) -> None:
        """Have the recogniser look at the next frame; `finish` follows, before anything else."""
        self.look()
        renewed = self._renew()
        if renewed is not None:
            self._use(renewed)
        assert self.recognizer is not None
        if self.pace is not None and self.pace.before(frame):
            self._tell_level(self.pace, float(frame.pts))
        if self.pace is not None and self.pace.pause():
            self.mailbox.skip(PAUSE_S)
        self._begun = frame, start(self._timed, self.recognizer, frame)

    def begin_end(self, ended: str, start: Start) -> None:
        """Have the recogniser finish; `finish` follows. `ended`: why nothing follows."""
        self.ended = ended
        flushed = start(self.recognizer.flush, whole=ended != STOPPED) if self.recognizer else here(list)
        self._begun = None, flushed

    @property
    def busy(self) -> bool:
        """Whether something was begun and not finished."""
        return self._begun is not None

    @property
    def found(self) -> bool:
        """Whether `finish` need not wait."""
        return self._begun is not None and self._begun[1].done()

    def finish(self) -> None:
        """Report what the recogniser found in what was begun, if anything was."""
        if self._begun is None:
            return
        (frame, outputs), self._begun = self._begun, None
        if frame is None:
            self._close(outputs)
            return
        found = outputs.result()
        with self.stopwatch(StageName.OUTPUTS):
            self.last_frame_s = self._now_s()
            self._media_s = float(frame.pts + frame.duration)
            self._progress(self._media_s)
            self._tell_sinks(frame)
            self._emit(found, frame.taken_s)

    def _timed(self, recognizer: Recognizer, frame: Frame) -> list[Output]:
        began_s = self._now_s()
        outputs = recognizer.push(frame)
        self._busy_s += self._now_s() - began_s
        return outputs

    def look(self) -> None:
        """Report a connection that was lost or is back. Call about once a second, even while no frames come."""
        while self.ended is None and isinstance(self.video, Reconnecting) and self.video.changes:
            self.write(connection_line(self.video.changes.popleft(), self._media_s))

    def end(self, ended: str) -> None:
        """Flush, report the end with its reason `ended`, and close. Calling it again does nothing."""
        try:
            self.finish()
        finally:
            if self.ended is None:
                self.begin_end(ended, here)
                self.finish()

    def _close(self, outputs: "Future[list[Output]]") -> None:
        try:
            with ExitStack() as stack:
                for sink in self._sinks:
                    stack.callback(sink.close)
                self._emit(outputs.result(), None)
        except I3DLiveError as error:
            self.ended = str(error) if self.ended in (WHOLE, STOPPED) else self.ended
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
        self._set_pace()

    def _set_pace(self) -> None:
        self.pace = None
        if self.recognizer is not None and self.video.live:
            gives_way = None if self._beside is None else self._gives_way
            self.pace = Pace(self.recognizer, self._now_s, gives_way)

    def _gives_way(self, now_s: float) -> bool:
        """Whether it is the one to leave out work next: of those that are late the least important, of these the one
        that does most, and of these the one whose last pause is longest ago. Then the others wait for the effect."""
        assert self.pace is not None
        mine = self.priority, self.pace.ladder.place, self.pace.paused_s
        return not any(
            pace.settling(now_s)
            or (pace.late(now_s) and (each.priority, pace.ladder.place, pace.paused_s) < mine)
            for each in self._beside or ()
            if each is not self and (pace := each.pace) is not None
        )

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


def here(call: Callable[..., list[Output]], *arguments: Any, **named: Any) -> "Future[list[Output]]":
    """A `Start` that computes before it returns."""
    done: Future[list[Output]] = Future()
    try:
        done.set_result(call(*arguments, **named))
    except BaseException as error:  # raised by whoever asks for the result
        done.set_exception(error)
    return done
