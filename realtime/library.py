"""The calls for programs: a session of one source whose predictions, events and gaps come back to the caller."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing

from realtime.reader_threads import Source
from realtime.recognizer import Output, Recognizer
from realtime.session import Session
from realtime.turns import take_turns
from realtime.types import Frame, Prediction


class _Kept:
    """Sink that keeps outputs until they are taken."""

    def __init__(self) -> None:
        self._outputs: deque[Output] = deque()

    def push(self, item: Frame | Output) -> None:
        if not isinstance(item, Frame):
            self._outputs.append(item)

    def close(self) -> None:
        """Outputs that were kept can still be taken."""

    def take(self) -> Iterator[Output]:
        while self._outputs:
            yield self._outputs.popleft()


def outputs(video: Source, recognizer: Recognizer) -> Iterator[Output]:
    """Predictions, events and gaps of a video as they become certain.

    Files wait for the recogniser. When it falls behind a live source, frames are dropped and it does less work; see
    `realtime.overload`. Errors of the video are raised after the predictions of the frames before them.
    """
    kept, errors = _Kept(), list[Exception]()
    session = Session(video, recognizer, sinks=[kept])
    with closing(take_turns([session], failed=lambda _, error: errors.append(error))) as turns:
        for _ in turns:
            yield from kept.take()
    for error in errors:
        raise error


def stream(video: Source, recognizer: Recognizer) -> Iterator[Prediction]:
    """The predictions among `outputs`."""
    return (output for output in outputs(video, recognizer) if isinstance(output, Prediction))


def watch(video: Source, recognizer: Recognizer, tell: Callable[[Output], object]) -> None:
    """Call `tell` with each of `outputs` until the video ends."""
    for output in outputs(video, recognizer):
        tell(output)
