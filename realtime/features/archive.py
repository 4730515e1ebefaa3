"""The features of many videos: a few at a time, each claimed first, and none twice."""

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Protocol

from realtime.errors import I3DLiveError, UsageError
from realtime.features.claims import Claim, Claims
from realtime.features.compute import Computes, OfVideo
from realtime.features.extract import Features
from realtime.features.files import is_done, save
from realtime.features.place import Folder, Place
from realtime.features.targets import Target
from realtime.worker_threads import Stopped

LOOK_AGAIN_S = 1.0
FOLDER = Folder()


@dataclass(frozen=True)
class Done:
    """What became of a video."""

    target: Target
    rows: int = 0
    media_s: float = 0.0
    """Seconds of video that were read."""
    left_over_ticks: int = 0
    error: str | None = None
    """Why there are no features."""
    was_there: bool = False
    """They were there already, or another run has made them."""
    share: float = 0.0
    """How much of it `Report.advance` was told of."""


class Report(Protocol):
    """Is told what goes on, from several threads."""

    def advance(self, seconds: float, share: float) -> None:
        """So many seconds of video more have been read, which are this share of the whole; 0 if its length is not
        known."""

    def done(self, done: Done) -> None:
        """A video is done, or has failed."""


class Archive:
    """The features of many videos."""

    def __init__(
        self,
        computes: Computes,
        report: Report,
        place: Place = FOLDER,
        look_again_s: float = LOOK_AGAIN_S,
    ) -> None:
        """`place`: where the features go in the end. `look_again_s`: between two looks at the videos that other runs
        work on."""
        self._computes, self._report, self._place = computes, report, place
        self._look_again_s = look_again_s
        self._facts = computes.settings.facts(computes.facts)
        self._stopping = threading.Event()

    def stop(self) -> None:
        """End soon: videos that are not done stay as they are. From any thread."""
        self._stopping.set()

    def run(self, targets: Sequence[Target], threads: int, claims: Claims) -> list[Done]:
        """What became of each video, in no particular order. Raises Stopped after `stop`."""
        todo = _Todo(targets, self._look_again_s)
        done: list[Done] = []

        def work() -> None:
            for target in todo.each(self._stopping):
                with self._computes.turn() as of_video:
                    found = self._try(target, claims, of_video)
                if found is None:
                    todo.later(target)
                else:
                    done.append(found)
                    self._report.done(found)

        with ThreadPoolExecutor(threads, thread_name_prefix="i3d-live features") as pool:
            try:
                working = [pool.submit(work) for _ in range(threads)]
                for one in as_completed(working):
                    one.result()
            except BaseException:
                self.stop()
                raise
        if len(done) < len(targets):
            raise Stopped
        return done

    def _try(self, target: Target, claims: Claims, of_video: OfVideo) -> Done | None:
        """None where another run works on it."""
        claim: Claim | None = None
        try:
            if self._is_done(target):
                return Done(target, was_there=True)
            if (claim := claims.take(target.stem)) is None:
                return None
            if self._is_done(target):  # in the meantime
                return Done(target, was_there=True)
            return self._made(target, claim, of_video)
        except I3DLiveError as error:
            return self._failed(target, error)
        finally:
            if claim is not None:
                claims.release(claim)

    def _is_done(self, target: Target) -> bool:
        self._place.fetch(target)
        return is_done(target, self._facts)

    def _made(self, target: Target, claim: Claim, of_video: OfVideo) -> Done:
        media_s = share = 0.0

        def advance(more_s: float, part: float) -> None:
            nonlocal media_s, share
            media_s, share = media_s + more_s, share + part
            self._report.advance(more_s, part)

        features = of_video(target.source, advance, self._stopping)
        if not features.spans:
            raise I3DLiveError(f"{target.source}: {_too_short(features)}")
        files = save(features, target, self._computes.settings.convention, self._facts, claim)
        self._place.publish(target, files)
        return Done(target, len(features.spans), media_s, features.counts.left_over, share=share)

    def _failed(self, target: Target, error: I3DLiveError) -> Done:
        """An owner that was taken for dead finds that another run is done."""
        try:
            if self._is_done(target):
                return Done(target, was_there=True)
        except UsageError as other:
            error = other
        return Done(target, error=str(error))


def _too_short(features: Features) -> str:
    return f"none of its {len(features.counts.gaps) + 1} parts between gaps is as long as a clip; take a shorter --clip"


class _Todo:
    """The videos that are left, for several threads."""

    def __init__(self, targets: Sequence[Target], look_again_s: float) -> None:
        self._look_again_s = look_again_s
        self._now, self._later = deque(targets), deque[Target]()
        self._lock = threading.Lock()

    def each(self, stopping: threading.Event) -> Iterator[Target]:
        """Until none is left: those that other runs work on come last, again and again."""
        while not stopping.is_set():
            with self._lock:
                again = not self._now
                left = self._later if again else self._now
                if not left:
                    return
                target = left.popleft()
            if again:
                stopping.wait(self._look_again_s)
            yield target

    def later(self, target: Target) -> None:
        with self._lock:
            self._later.append(target)
