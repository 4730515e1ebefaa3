"""The pictures and videos of one source, by the options that name them: each is made on a thread of its own."""

import os
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

from realtime.commands.outputs import MB, OutputOptions
from realtime.errors import OutputError
from realtime.outputs.clip_folder import CLIP, SNAPSHOT, ClipFolder, file_prefix
from realtime.outputs.queued import LIMITS, Limit, Queued
from realtime.outputs.queued import Sink as AnySink
from realtime.outputs.video_file import VideoWriter
from realtime.recognizer import Output, Recognizer
from realtime.session import Sink
from realtime.sources.reconnect import Reconnecting
from realtime.sources.video import Video
from realtime.types import Event, Frame


class Only:
    """Sink: passes on what is wanted."""

    def __init__(self, wanted: Callable[[Frame | Output], bool], sink: Sink) -> None:
        self._wanted, self._sink = wanted, sink

    def push(self, item: Frame | Output) -> None:
        if self._wanted(item):
            self._sink.push(item)

    def close(self) -> None:
        self._sink.close()


class TimelinePicture:
    """Sink: the timeline, drawn when the source ends."""

    def __init__(self, path: Path, labels: tuple[str, ...], title: str, caption: str) -> None:
        from realtime.outputs.timeline import Timeline

        if path.suffix.lower() != ".png":
            raise OutputError(f"cannot write {path}: a timeline is written as .png; name it so")
        check_writable(path)
        self._path, self._title, self._caption = path, title, caption
        self._timeline = Timeline(labels)

    def push(self, item: Frame | Output) -> None:
        self._timeline.push(item)

    def close(self) -> None:
        self._timeline.save(self._path, title=self._title, caption=self._caption)


class SourceOutputs:
    """The sinks that were asked for, for one source. Making them raises OutputError where one cannot be written."""

    def __init__(
        self, options: OutputOptions, video: Video | Reconnecting, recognizer: Recognizer, name: str | None
    ) -> None:
        """`name`: of the source, for the names of its clips."""
        self.sinks: list[Sink] = []
        self._queues: list[Queued] = []
        self._live, self._started = video.live, datetime.now()
        caption = f"{' + '.join(recognizer.streams)}, weights: {recognizer.model}"
        try:
            if options.timeline is not None:
                title = Path(video.name).name
                picture = partial(TimelinePicture, options.timeline, recognizer.labels, title, caption)
                self.sinks.append(self._queued("--timeline", picture))
            if options.annotate is not None:
                annotate = partial(annotator, options.annotate, video.size_px, caption, recognizer)
                self.sinks.append(self._queued("--annotate", annotate))
            if options.save_clips is not None:
                folder = ClipFolder(options.save_clips, CLIP, options.clips_mb * MB, name, self._started)
                self.sinks.append(self._clips(folder, recognizer))
            if options.save_snapshots is not None:
                folder = ClipFolder(
                    options.save_snapshots, SNAPSHOT, options.clips_mb * MB, name, self._started
                )
                self.sinks.append(self._snapshots(folder, recognizer))
            if options.features is not None:
                self.sinks.append(self._features(options.features, video.name, recognizer, name))
        except BaseException:
            for queue in self._queues:
                queue.abandon()
            raise

    def left_out(self) -> dict[str, int]:
        """Frames and predictions that an output was too slow for, by the option that asked for it."""
        return {queue.name: queue.left_out.total() for queue in self._queues}

    def _queued(self, name: str, make: Callable[[], AnySink], limits: Sequence[Limit] = LIMITS) -> Queued:
        queue = Queued(name, make, wait=not self._live, limits=limits)
        self._queues.append(queue)
        return queue

    def _clips(self, folder: ClipFolder, recognizer: Recognizer) -> Sink:
        from realtime.outputs.event_clips import PASSED, EventClips, WithOpenEvents

        make = partial(EventClips, folder, VideoWriter, recognizer.delay_s)
        clips = self._queued("--save-clips", make, (*LIMITS, PASSED))
        return Only(_clipped, WithOpenEvents(clips, lambda: recognizer.open_events))

    def _snapshots(self, folder: ClipFolder, recognizer: Recognizer) -> Sink:
        from realtime.outputs.event_clips import WithOpenEvents
        from realtime.outputs.snapshots import Snapshots, sparse

        saved = self._queued("--save-snapshots", partial(Snapshots, folder, recognizer.delay_s))
        return Only(_pictured, WithOpenEvents(saved, lambda: recognizer.open_events, sparse()))

    def _features(self, folder: Path, source: str, recognizer: Recognizer, name: str | None) -> Sink:
        from realtime.outputs.feature_files import WithFeatures, feature_files

        recognizer.features.wanted = True
        prefix = file_prefix(name, self._started)
        engines = recognizer.features.engines

        def make() -> AnySink:
            return feature_files(folder, prefix, source, engines)

        return WithFeatures(self._queued("--features", make), recognizer.features.take)


def annotator(path: Path, size_px: tuple[int, int], caption: str, recognizer: Recognizer) -> Sink:
    """The annotated video."""
    from realtime.outputs.annotated_video import Annotator

    check_writable(path)
    return Annotator(
        VideoWriter(path, size_px),
        caption=caption,
        zones=lambda: recognizer.zones.now,
        squares=recognizer.seen_squares,
    )


def check_writable(path: Path) -> None:
    """Raises OutputError now for what would be found out at the end."""
    if not os.path.isdir(path.parent):
        raise OutputError(f"cannot write {path}: the folder {path.parent} does not exist; make it first")
    if not os.access(path if os.path.exists(path) else path.parent, os.W_OK):
        raise OutputError(f"cannot write {path}: no permission; name a path that can be written")


def _clipped(item: Frame | Output) -> bool:
    return isinstance(item, Frame | Event) and _pictured(item)


def _pictured(item: Frame | Output) -> bool:
    """Whether it is not about one of several actions, whose events are not saved."""
    return not isinstance(item, Event) or item.id is None
