"""Where the answers of a run go, by the options that name them."""

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from realtime.errors import OutputError
from realtime.outputs.log import Line, Log
from realtime.outputs.rotating_log import RotatedLog
from realtime.outputs.video_file import VideoWriter
from realtime.recognizer import Output, Recognizer
from realtime.session import Sink
from realtime.sources.reconnect import Reconnecting
from realtime.sources.video import Video
from realtime.types import Frame

if TYPE_CHECKING:
    from realtime.outputs.metrics import Metrics

Write = Callable[[Line], None]
MB = 1_000_000


class TimelinePicture:
    """Sink: the timeline, drawn when the source ends."""

    def __init__(self, path: Path, labels: tuple[str, ...], title: str, caption: str) -> None:
        from realtime.outputs.timeline import Timeline

        check_writable(path)
        self._path, self._title, self._caption = path, title, caption
        self._timeline = Timeline(labels)

    def push(self, item: Frame | Output) -> None:
        if not isinstance(item, Frame):
            self._timeline.push(item)

    def close(self) -> None:
        self._timeline.save(self._path, title=self._title, caption=self._caption)


def check_writable(path: Path) -> None:
    """Raises OutputError now for what would be found out at the end."""
    if not path.parent.is_dir():
        raise OutputError(f"cannot write {path}: the folder {path.parent} does not exist; make it first")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise OutputError(f"cannot write {path}: no permission; name a path that can be written")


def picture_sinks(
    video: Video | Reconnecting, recognizer: Recognizer, annotate: Path | None, timeline: Path | None
) -> list[Sink]:
    """The pictures that were asked for."""
    caption = f"{' + '.join(recognizer.streams)}, weights: {recognizer.model}"
    sinks: list[Sink] = []
    if timeline is not None:
        sinks.append(TimelinePicture(timeline, recognizer.labels, Path(video.name).name, caption))
    if annotate is not None:
        from realtime.outputs.annotated_video import Annotator

        check_writable(annotate)
        sinks.append(Annotator(VideoWriter(annotate, video.size_px), caption=caption))
    return sinks


def clips_sink(folder: Path, recognizer: Recognizer, name: str | None, largest_mb: int) -> Sink:
    """Each event as a video."""
    from realtime.outputs.event_clips import EventClips

    return EventClips(
        folder,
        VideoWriter,
        lambda: recognizer.open_event,
        delay_s=recognizer.delay_s,
        largest_bytes=largest_mb * MB,
        name=name,
    )


def log_writer(
    stack: ExitStack, path: Path, largest_mb: int | None, longest_h: float | None, keep: int
) -> Write:
    """The log; in parts where a limit is given."""
    if largest_mb is None and longest_h is None:
        return stack.enter_context(Log(path)).write
    longest = timedelta.max if longest_h is None else timedelta(hours=longest_h)
    largest_bytes = float("inf") if largest_mb is None else largest_mb * MB
    return stack.enter_context(
        RotatedLog(path, largest_bytes=largest_bytes, longest=longest, keep=keep)
    ).write


def mqtt_writer(stack: ExitStack, url: str) -> Write:
    """A broker; says on stderr what it did not take in the end."""
    from realtime.outputs.mqtt import Mqtt

    mqtt = stack.enter_context(Mqtt(url))
    stack.callback(_tell_lost, lambda: mqtt.lost)
    return mqtt.write


def metrics_server(stack: ExitStack, where: str) -> "Metrics":
    """Says on stderr where it listens."""
    from realtime.outputs.metrics import Metrics, listen_at

    host, port = listen_at(where)
    metrics = stack.enter_context(Metrics(host, port))
    print(f"metrics at http://{host}:{metrics.port}/metrics, health at /health", file=sys.stderr)
    return metrics


def together(writers: Sequence[Write]) -> Write:
    """Each line to all of them."""

    def write(line: Line) -> None:
        for writer in writers:
            writer(line)

    return write


def _tell_lost(lost: Callable[[], int]) -> None:
    if lost():
        print(f"i3d-live: {lost()} MQTT messages were lost while the broker was away", file=sys.stderr)
