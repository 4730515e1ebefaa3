"""One source from its first frame to its summary: the pump, the sinks, and what they have to be told."""

import platform
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from importlib.metadata import version
from typing import Protocol

from engines.build import Engines
from realtime.clock import Stopwatch
from realtime.errors import I3DLiveError
from realtime.pump import Reader, pump
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


class Session:
    """Runs one video through a recogniser into a log and sinks. `run` once; everything is closed when it returns.

    `write` takes each log line after the first; `progress` is told the media seconds that are done.
    """

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
        self._video, self._recognizer = video, recognizer
        self._write, self._sinks = write, sinks
        self._stopwatch = stopwatch or Stopwatch()
        self._progress = progress
        self._media_s = 0.0

    def run(self) -> None:
        """To the end of the video. Whatever ends it early, the sinks are closed and the summary is written first."""
        start_s = time.perf_counter()
        reader = Reader(self._video)
        ended = "end of the video"
        try:
            with reader:
                for frame, outputs in pump(reader, self._recognizer):
                    self._pass_on(frame, outputs)
        except KeyboardInterrupt:
            ended = "stopped"
            raise
        except I3DLiveError as error:
            ended = str(error)
            for item in self._recognizer.flush():
                self._emit(item, None)
            raise
        except BrokenPipeError:
            ended = ""
            raise
        finally:
            self._close(ended, reader, time.perf_counter() - start_s)

    def _pass_on(self, frame: Frame | None, outputs: list[Output]) -> None:
        with self._stopwatch("outputs"):
            if frame is not None:
                self._media_s = float(frame.pts + frame.duration)
                self._progress(self._media_s)
                self._tell_sinks(frame)
            for item in outputs:
                self._emit(item, frame)

    def _emit(self, item: Output, frame: Frame | None) -> None:
        taken_s = None if frame is None else frame.taken_s
        self._write(output_line(item, None if taken_s is None else (time.monotonic() - taken_s) * 1000))
        self._tell_sinks(item)

    def _tell_sinks(self, item: Frame | Output) -> None:
        for sink in self._sinks:
            sink.push(item)

    def _close(self, ended: str, reader: Reader, wall_s: float) -> None:
        try:
            if ended:
                self._write(self._summary(ended, reader, wall_s))
        finally:
            for sink in self._sinks:
                sink.close()

    def _summary(self, ended: str, reader: Reader, wall_s: float) -> Line:
        counts, unseen = self._recognizer.counts, self._recognizer.unseen_frames
        late = reader.mailbox.dropped
        unread = counts.frames - counts.ticks + counts.repeated_ticks - unseen
        dropped: Mapping[str, int] = {
            "faster than the model's rate": unseen,
            "late": late,
            "unfinished": unread,
        }
        return {
            "kind": "summary",
            "frames": {
                "decoded": counts.frames + late,
                "used": counts.ticks - counts.repeated_ticks,
                "dropped": {cause: count for cause, count in dropped.items() if count},
                "corrupt_packets": self._video.corrupt_packets,
            },
            "ticks": counts.ticks,
            "repeated_ticks": counts.repeated_ticks,
            "steps": counts.steps,
            "predictions": counts.predictions,
            "events": counts.events,
            "gaps": counts.gaps,
            "media_s": round(self._media_s, 3),
            "wall_s": round(wall_s, 3),
            "stage_s": {stage: round(s, 4) for stage, s in self._stopwatch.seconds.items()},
            "ended": ended,
        }
