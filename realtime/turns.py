"""Whose turn it is: drives sessions to their ends, each frame when it is the most urgent.

    reader thread, one a source      this thread                            threads for steps
    for frame in video: put ──────→  earliest deadline: session.begin ────→ recognizer.push
                                     lines, sinks:      session.finish ←──── what it found

Every frame is due equally soon after it was taken, so the one that has waited longest comes first; those of less
important sessions count as taken later. A session has one frame in work at a time, so its outputs are the same with any
number of threads, and one that is slow holds up no other as long as a thread is left.
"""

import math
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import Any

from realtime.errors import I3DLiveError
from realtime.reader_threads import End, Reader
from realtime.session import STOPPED, WHOLE, Session, Start, here

IDLE_S = 1.0
START_S = 3.0
"""How long the start of a stream takes: 64 ticks, and some time for the camera to answer."""
GIVES_WAY_S = 0.5
"""A frame counts as taken so much later for each step of importance that is above its own: when all are late, the less
important are the first to be too late (`realtime.overload.LATE_S`)."""


def run_sessions(
    sessions: list[Session],
    failed: Callable[[Session, Exception], None] = lambda session, error: None,
    after_turn: Callable[[], None] = lambda: None,
    threads: int = 1,
) -> list[Exception]:
    """Run all sources to their ends. One that fails ends alone: `failed` is called immediately, and the errors are
    returned.

    `after_turn` is called at least every second; it may append sessions and end others. However it ends (a stop, a
    full disk), each log gets its summary and each file is closed first.
    """
    errors: list[Exception] = []

    def keep(session: Session, error: Exception) -> None:
        errors.append(error)
        failed(session, error)

    ended = STOPPED
    try:
        for _ in take_turns(sessions, keep, threads=threads):
            after_turn()
    except I3DLiveError as error:
        ended = str(error)
        raise
    finally:
        end_all(sessions, ended)
    return errors


def take_turns(
    sessions: list[Session],
    failed: Callable[[Session, Exception], None],
    *,
    threads: int = 1,
    idle_s: float = IDLE_S,
) -> Generator[None]:
    """Drive all sessions to their ends. Yields after each frame, after each end, and after `idle_s` without either.

    `threads`: how many frames, of different sessions, are in work at a time; one alone is looked at in the caller's
    thread. Sessions that are appended meanwhile take part. A session that fails is ended and passed to `failed`. A
    caller that stops early has to end the sessions itself.
    """
    changed = threading.Condition()
    going: list[Session] = []
    ends: dict[Session, End] = {}
    begun, starts = 0, Starts(threads)
    with ExitStack() as stack:
        start = here if threads == 1 else stack.enter_context(closing(Threads(threads, changed))).start
        while True:
            for session in sessions[begun:]:
                if session.video.live and not starts.may():
                    break
                session.mailbox.changed = changed
                if threads > 1:
                    session.share(going)
                stack.enter_context(Reader(session.frames, session.mailbox))
                going.append(session)
                begun += 1
            if not going and begun == len(sessions):
                return
            with changed:
                wait_s = idle_s if begun == len(sessions) else min(idle_s, START_S / threads / 10)
                next_one = changed.wait_for(lambda: _next(going, threads), wait_s)
            if next_one is not None:
                going.remove(next_one)
                _turn(next_one, start, ends)
                if next_one.busy or next_one.ended is None:
                    going.append(next_one)  # of equally urgent ones, the first in the list comes next
                else:
                    _tell_end(next_one, ends.pop(next_one, None), failed)
            for session in sessions:
                session.look()
            if next_one is None or not next_one.busy:
                yield


class Starts:
    """When live sources may begin: one after another, because the first steps of a stream cost twice the usual work."""

    def __init__(self, threads: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._apart_s = START_S / threads if threads > 1 else 0.0
        self._clock = clock
        self._last_s = -math.inf

    def may(self) -> bool:
        """Whether one begins now."""
        now_s = self._clock()
        if now_s - self._last_s < self._apart_s:
            return False
        self._last_s = now_s
        return True


class Threads:
    """Threads for the steps of several sessions."""

    def __init__(self, count: int, changed: threading.Condition) -> None:
        """`changed`: notified whenever one is free again."""
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="i3d-live step")
        self._changed = changed

    def start(self, call: Callable[..., Any], *arguments: Any, **named: Any) -> "Future[Any]":
        begun = self._pool.submit(call, *arguments, **named)
        begun.add_done_callback(self._tell)
        return begun

    def close(self) -> None:
        """Waits for what was begun."""
        self._pool.shutdown()

    def _tell(self, _: "Future[Any]") -> None:
        with self._changed:
            self._changed.notify_all()


def _next(going: Sequence[Session], threads: int) -> Session | None:
    """A session that has found something; else, if a thread is free, the one with the most urgent frame or end."""
    for session in going:
        if session.found:
            return session
    if sum(session.busy for session in going) >= threads:
        return None
    steps = {priority: i for i, priority in enumerate(sorted({s.priority for s in going}, reverse=True))}
    waiting = [session for session in going if session.mailbox.ready and not session.busy]
    return min(
        waiting,
        key=lambda session: session.mailbox.since_s + GIVES_WAY_S * steps[session.priority],
        default=None,
    )


def _turn(session: Session, start: Start, ends: dict[Session, End]) -> None:
    """Report what was found, or begin with the next frame or the end. `ends`: as they came."""
    if session.busy:
        session.finish()
        return
    item = session.mailbox.take()
    if isinstance(item, End):
        ends[session] = item
        if session.ended is None:
            session.begin_end(_why(item), start)
    elif item is not None:
        session.begin(item, start)
    if start is here:
        session.finish()


def _why(end: End) -> str:
    """It ended."""
    error = end.error
    if error is None:
        return STOPPED if end.stopped else WHOLE
    if not isinstance(error, Exception):
        raise error
    return (
        str(error) if isinstance(error, I3DLiveError) else f"a fault of this program ({type(error).__name__})"
    )


def _tell_end(session: Session, end: End | None, failed: Callable[[Session, Exception], None]) -> None:
    if end is not None and isinstance(end.error, Exception):
        failed(session, end.error)


def end_all(sessions: Sequence[Session], ended: str) -> None:
    """End every session, even where one of them cannot."""
    with ExitStack() as stack:
        for session in sessions:
            stack.callback(session.end, ended)
