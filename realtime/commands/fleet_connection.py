"""The cluster, reached through a process of its own: Ray ends every process whose cluster has gone, and the page of the
fleet is to outlive that and say so."""

import itertools
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from realtime.commands.fleet import in_cluster, required
from realtime.errors import EngineError, I3DLiveError, one_line

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    Pipe = Connection[Any, Any]
    """To the other process go a number and a camera's name, or None for the status; at the end None. Back come that
    number and the answer or an I3DLiveError; None and an error are its last words."""
    Serve = Callable[["Pipe"], None]

STATUS_WITHIN_S = 5.0
FIRST_STATUS_WITHIN_S = 60.0
PICTURE_WITHIN_S = 3.0
AGAIN_AFTER_S = 5.0
"""From one start of the process to the next."""
ENDS_WITHIN_S = 3.0
QUESTIONS_AT_ONCE = 6


class FleetConnection:
    """The fleet, for the page. Whenever the other process has ended, the next question for the status starts it
    again."""

    def __init__(self, serve: "Serve", now_s: Callable[[], float] = time.monotonic) -> None:
        """`serve`: what the other process does; it must be importable there."""
        self._serve, self._now_s = serve, now_s
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._link: Link | None = None
        self._problem: I3DLiveError | None = None
        """Why the last process ended."""
        self._again_at_s = float("-inf")
        self._status: Future[Any] | None = None
        """The one that is awaited: while it is late, no other is asked for."""

    def status(self, within_s: float = STATUS_WITHIN_S) -> Mapping[str, Any]:
        """Not to be called by two threads at the same time. Raises I3DLiveError if the fleet does not answer."""
        if self._status is None:
            self._status = self._ask(None)
        try:
            found: Mapping[str, Any] = self._status.result(within_s)
        except TimeoutError as error:
            raise EngineError(
                f"the fleet has not answered for {within_s:.0f} s; see whether the head of the cluster is running"
            ) from error
        except I3DLiveError:
            self._status = None
            raise
        self._status = None
        return found

    def thumbnail(self, name: str) -> bytes | None:
        """None also if it takes too long, or there is no connection."""
        if self._link is None:
            return None
        try:
            found: bytes | None = self._ask(name).result(PICTURE_WITHIN_S + 1.0)
        except (TimeoutError, I3DLiveError):
            return None
        return found

    def close(self) -> None:
        """End the other process."""
        with self._lock:
            link, self._link = self._link, None
        if link is not None:
            link.close()

    def _ask(self, name: str | None) -> "Future[Any]":
        with self._lock:
            if self._link is None:
                self._start()
            assert self._link is not None
            return self._link.ask(next(self._numbers), name)

    def _start(self) -> None:
        if self._problem is not None and self._now_s() < self._again_at_s:
            raise self._problem
        self._again_at_s = self._now_s() + AGAIN_AFTER_S
        self._link = Link(self._serve, self._ended)

    def _ended(self, link: "Link", why: I3DLiveError) -> None:
        with self._lock:
            self._problem = why
            if self._link is link:
                self._link = None


class Link:
    """To one process, until it ends."""

    def __init__(self, serve: "Serve", ended: "Callable[[Link, I3DLiveError], None]") -> None:
        """`ended`: called from another thread."""
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=serve, args=(theirs,), name="i3d-live fleet connection", daemon=True
        )
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # Ctrl-C is for this process alone
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        self._ended = ended
        self._waiting: dict[int, Future[Any]] = {}
        self._over: I3DLiveError | None = None
        self._lock = threading.Lock()
        threading.Thread(target=self._read, name="i3d-live fleet answers", daemon=True).start()

    def ask(self, number: int, name: str | None) -> "Future[Any]":
        """The answer; an error if the process ends before."""
        future: Future[Any] = Future()
        with self._lock:
            if self._over is not None:
                future.set_exception(self._over)
                return future
            self._waiting[number] = future
            with suppress(OSError):  # it has just ended; the other thread says so
                self._pipe.send((number, name))
        return future

    def close(self) -> None:
        with suppress(OSError):
            self._pipe.send(None)
        self._process.join(ENDS_WITHIN_S)
        self._process.kill()

    def _read(self) -> None:
        last: I3DLiveError = EngineError("the connection to the cluster has ended; see whether it is running")
        try:
            while True:
                number, answer = self._pipe.recv()
                if number is None:
                    last = answer
                else:
                    _settle(self._waiting.pop(number), answer)
        except (EOFError, OSError):
            pass
        with self._lock:
            self._over = last
        self._ended(self, last)
        for future in self._waiting.values():
            _settle(future, last)


def _settle(future: "Future[Any]", answer: Any) -> None:
    if isinstance(answer, I3DLiveError):
        future.set_exception(answer)
    else:
        future.set_result(answer)


# In the other process


def answer_from(cluster: str, pipe: "Pipe") -> None:
    """Pass questions on to the supervisor of a cluster's fleet, until the pipe is closed or Ray ends this process."""
    nowhere = os.open(os.devnull, os.O_WRONLY)  # Ray writes to the terminal when its cluster goes
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    try:
        with in_cluster(cluster):
            answer_all(pipe, RayFleet(required()))
            os._exit(0)  # Ray's own way waits for the cluster, which may have gone
    except I3DLiveError as error:
        pipe.send((None, error))


def answer_all(pipe: "Pipe", fleet: Any) -> None:
    """Answer what comes out of the pipe, several questions at the same time. `fleet`: a `view.fleet_answers.Fleet`."""
    lock = threading.Lock()

    def answer(number: int, name: str | None) -> None:
        found: Any
        try:
            found = fleet.status() if name is None else fleet.thumbnail(name)
        except I3DLiveError as error:
            found = error
        except Exception as error:
            found = EngineError(f"the supervisor of the fleet failed; see Ray's logs: {one_line(str(error))}")
        with lock:
            pipe.send((number, found))

    threads = ThreadPoolExecutor(QUESTIONS_AT_ONCE)
    try:
        while (asked := pipe.recv()) is not None:
            threads.submit(answer, *asked)
    except EOFError:
        pass  # the other process was killed


class RayFleet:
    """The supervisor. Where it has ended, the one that was started since is looked for."""

    def __init__(self, actor: Any) -> None:
        """`actor`: the supervisor."""
        self._actor = actor

    def status(self) -> Mapping[str, Any]:
        """Raises EngineError if the supervisor has ended."""
        import ray

        if self._actor is None:
            self._actor = required()
        try:
            found: Mapping[str, Any] = ray.get(self._actor.status.remote())
        except ray.exceptions.RayActorError as error:
            self._actor = None
            raise EngineError(
                "the supervisor of the fleet does not answer; see Ray's logs, or start a fleet: i3d-live fleet site.toml"
            ) from error
        return found

    def thumbnail(self, name: str) -> bytes | None:
        """None also if it takes too long."""
        import ray

        actor = self._actor
        if actor is None:
            return None
        try:
            found: bytes | None = ray.get(actor.thumbnail.remote(name), timeout=PICTURE_WITHIN_S)
        except ray.exceptions.RayError:
            return None
        return found
