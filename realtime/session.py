"""From sources to logs and sinks: what each source has seen, said and cost."""

import platform
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import datetime
from importlib.metadata import version
from typing import Protocol

from engines.build import Engines
from realtime.clock import Stopwatch
from realtime.errors import I3DLiveError
from realtime.pump import End, Mailbox, read_all
from realtime.recognizer import Output, Recognizer
from realtime.sinks.log import Line, output_line
from realtime.source import Video
from realtime.types import Frame

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
        video: Video,
        recognizer: Recognizer,
        *,
        write: Callable[[Line], None],
        sinks: Sequence[Sink] = (),
        stopwatch: Stopwatch | None = None,
        progress: Callable[[float], None] = lambda media_s: None,
    ) -> None:
        self.video, self.recognizer = video, recognizer
        self._write, self._sinks = write, sinks
        self._stopwatch = stopwatch or Stopwatch()
        self._progress = progress
        self._start_s = time.perf_counter()
        self._media_s = 0.0
        self._late = 0
        self._closed = False

    def push(self, frame: Frame, mailbox: Mailbox) -> None:
        """The next frame; `mailbox` is where it waited."""
        self._late = mailbox.dropped
        outputs = self.recognizer.push(frame)
        with self._stopwatch("outputs"):
            self._media_s = float(frame.pts + frame.duration)
            self._progress(self._media_s)
            self._tell_sinks(frame)
            self._emit(outputs, frame.taken_s)

    def end(self, ended: str) -> None:
        """Nothing follows, for the reason `ended`: say what is still to be said, and close. Closing again does nothing."""
        if self._closed:
            return
        self._closed = True
        with ExitStack() as stack:
            for sink in self._sinks:
                stack.callback(sink.close)
            self._emit(self.recognizer.flush(), None)
            self._write(self._summary(ended))

    def _emit(self, outputs: list[Output], taken_s: float | None) -> None:
        for item in outputs:
            latency_ms = None if taken_s is None else (time.monotonic() - taken_s) * 1000
            self._write(output_line(item, latency_ms))
            self._tell_sinks(item)

    def _tell_sinks(self, item: Frame | Output) -> None:
        for sink in self._sinks:
            sink.push(item)

    def _summary(self, ended: str) -> Line:
        counts = self.recognizer.counts
        dropped = {"faster than the model's rate": self.recognizer.unseen_frames, "late": self._late}
        flow = self.recognizer.flow_health
        return {
            "kind": "summary",
            "frames": {
                "decoded": counts.frames + self._late,
                "used": counts.ticks - counts.repeated_ticks,
                "dropped": {cause: count for cause, count in dropped.items() if count},
                "corrupt_packets": self.video.corrupt_packets,
            },
            "ticks": counts.ticks,
            "repeated_ticks": counts.repeated_ticks,
            "steps": counts.steps,
            "predictions": counts.predictions,
            "events": counts.events,
            "gaps": counts.gaps,
            "media_s": round(self._media_s, 3),
            "wall_s": round(time.perf_counter() - self._start_s, 3),
            "stage_s": {stage: round(s, 4) for stage, s in self._stopwatch.seconds.items()},
            **({"flow": flow.report()} if flow is not None else {}),
            "ended": ended,
        }


def run_sessions(sessions: Sequence[Session]) -> list[I3DLiveError]:
    """Run all sources to their ends, in turns. One that fails ends alone; the errors are returned.

    Whatever ends it early (Ctrl-C, a full disk), each log gets its summary and each file is closed first.
    """
    errors: list[I3DLiveError] = []
    ended = "stopped"
    try:
        for place, item, mailbox in read_all([session.video for session in sessions]):
            session = sessions[place]
            if not isinstance(item, End):
                session.push(item, mailbox)
            elif item.error is None:
                session.end("end of the video")
            elif isinstance(item.error, I3DLiveError):
                session.end(str(item.error))
                errors.append(item.error)
            else:
                raise item.error
    except I3DLiveError as error:
        ended = str(error)
        raise
    finally:
        end_all(sessions, ended)
    return errors


def end_all(sessions: Sequence[Session], ended: str) -> None:
    """End every session, even where one of them cannot."""
    with ExitStack() as stack:
        for session in sessions:
            stack.callback(session.end, ended)


def session_line(video: Video, engines: Engines, recognizer: Recognizer) -> Line:
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
        "versions": {"python": platform.python_version()} | {name: version(name) for name in VERSIONS},
    }
