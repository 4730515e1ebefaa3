"""The features of one video: computed here, or by whatever else has the interface of `Computes`."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from threading import Event
from typing import Any, Protocol

from engines.engine import Engine
from realtime.features.extract import FeatureRows, Features, extract
from realtime.features.files import Settings
from realtime.features.remote_files import local_copy
from realtime.outputs.feature_files import facts_of
from realtime.reader_threads import read_ahead
from realtime.sources.open import open_video
from realtime.types import Frame, Submit
from realtime.worker_threads import immediately, until

Advance = Callable[[float, float], None]
"""Is told of so many seconds of video more, and of their share of the whole; 0 if its length is not known."""
OfVideo = Callable[[str, Advance, Event], Features]
"""The features of a video, named by its path or address. Raises I3DLiveError, and Stopped once the event is set."""


class Computes(Protocol):
    """Computes features for several threads."""

    @property
    def settings(self) -> Settings:
        """What shapes the features, besides the video and the engines."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """Of the engines, as the .json of features has them: `facts_of`."""

    def turn(self) -> AbstractContextManager[OfVideo]:
        """Waits until there is something free to compute with, and keeps it."""


class Here:
    """Computes in the threads that ask for it."""

    def __init__(
        self, engines: Mapping[str, Engine], settings: Settings, submit: Submit = immediately
    ) -> None:
        """`engines`, `submit`: as for `FeatureRows`; threads share them."""
        self.settings, self.facts = settings, facts_of(engines)
        self._engines, self._submit = engines, submit

    def turn(self) -> AbstractContextManager[OfVideo]:
        return nullcontext(self.features)

    def features(self, source: str, advance: Advance, stopping: Event) -> Features:
        """See `OfVideo`."""
        settings = self.settings
        stage = FeatureRows(self._engines, settings.convention, flow=settings.flow, submit=self._submit)
        media_s = share = 0.0

        def watched(frames: Iterator[Frame]) -> Iterator[Frame]:
            nonlocal media_s, share
            for frame in until(stopping, frames):
                yield frame
                more_s = max(0.0, float(frame.pts + frame.duration) - media_s)
                part = min(more_s / video.duration_s, 1 - share) if video.duration_s else 0.0
                media_s, share = media_s + more_s, share + part
                advance(more_s, part)

        with local_copy(source) as path, open_video(path) as video, closing(read_ahead(video)) as frames:
            return extract(watched(frames), stage)
