"""Features that the workers of a cluster compute."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Event
from typing import Any

from realtime.cluster.workers import Workers
from realtime.features.compute import Advance, OfVideo
from realtime.features.extract import Features
from realtime.features.files import Settings
from realtime.features.remote_files import absolute


class OnCluster:
    """See `realtime.features.compute.Computes`."""

    def __init__(self, workers: Workers, settings: Settings, facts: Mapping[str, Any]) -> None:
        self.settings, self.facts = settings, facts
        self._workers = workers

    @contextmanager
    def turn(self) -> Iterator[OfVideo]:
        with self._workers.turn() as turn:

            def of_video(source: str, advance: Advance, stopping: Event) -> Features:
                path = absolute(source)
                features, media_s = turn.result(source, lambda actor: actor.features.remote(path), stopping)
                advance(media_s, 1.0)
                found: Features = features
                return found

            yield of_video
