"""Several runs, on one machine or on many, share the work on one folder: each claims a file before it begins.

A claim is a file beside the features, `.NAME.claim-1`, which only one run can create. Its owner touches it every few
seconds. Where that stops, the claim is dead, and whoever creates `.NAME.claim-2` goes on in its place: no lock is
needed, and an owner that was only asleep does no harm, as both write the same features.
"""

import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from realtime.errors import OutputError, reason_of

BEAT_S = 5.0
"""From one touch of a claim to the next."""
DEAD_AFTER_S = 60.0
"""A claim that was not touched for this long is dead, at once if its process was on this machine and is gone. Longer
than a network's file system may show an old time of a file."""


@dataclass(frozen=True)
class Claim:
    """The right to work on a file."""

    stem: Path
    """Path of its features, without the ending."""
    number: int

    @property
    def path(self) -> Path:
        return self.stem.with_name(f".{self.stem.name}.claim-{self.number}")

    def scratch(self, name: str) -> Path:
        """Where a file of this name is written before it is complete."""
        return self.stem.with_name(f".{name}.{self.number}.part")

    @property
    def before(self) -> "Claim | None":
        """The one that it took over from."""
        return Claim(self.stem, self.number - 1) if self.number > 1 else None


class Claims:
    """The claims of this run; a context manager, as a thread keeps them alive."""

    def __init__(
        self,
        now_s: Callable[[], float] = time.monotonic,
        beat_s: float = BEAT_S,
        dead_after_s: float = DEAD_AFTER_S,
    ) -> None:
        self._now_s, self._beat_s, self._dead_after_s = now_s, beat_s, dead_after_s
        self._held: set[Claim] = set()
        self._seen: dict[Path, tuple[float, float]] = {}
        """Of other runs' claims: when they were touched, by the file system's clock, and when we saw that, by ours. The
        two clocks are never compared: they may belong to two machines."""
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="i3d-live claims", daemon=True)

    def __enter__(self) -> "Claims":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._closing.set()
        self._thread.join()
        for claim in tuple(self._held):
            self.release(claim)

    def take(self, stem: Path) -> Claim | None:
        """A claim on these features; None while another run has one that is alive."""
        newest = _newest(stem)
        if newest is not None and not self._dead(newest):
            return None
        claim = Claim(stem, 1 if newest is None else newest.number + 1)
        try:
            stem.parent.mkdir(parents=True, exist_ok=True)
            with open(claim.path, "x") as file:
                file.write(_owner())
        except FileExistsError:
            return None
        except OSError as error:
            raise OutputError(
                f"{claim.path}: cannot be written: {reason_of(error)}; name another --out"
            ) from error
        with self._lock:
            self._held.add(claim)
        return claim

    def release(self, claim: Claim) -> None:
        """The work is done, or given up. A claim that was taken over in the meantime is its new owner's to remove."""
        with self._lock:
            self._held.discard(claim)
        if _newest(claim.stem) != claim:
            return
        each: Claim | None = claim
        while each is not None:
            each.path.unlink(missing_ok=True)
            each = each.before

    def _dead(self, claim: Claim) -> bool:
        try:
            touched_s = claim.path.stat().st_mtime
            owner = claim.path.read_text()
        except OSError:
            return False  # it was just removed
        if _gone(owner):
            return True
        now_s = self._now_s()
        known_s, since_s = self._seen.setdefault(claim.path, (touched_s, now_s))
        if known_s != touched_s:
            self._seen[claim.path] = touched_s, now_s
            return False
        return now_s - since_s >= self._dead_after_s

    def _beat(self) -> None:
        while not self._closing.wait(self._beat_s):
            with self._lock:
                held = tuple(self._held)
            for claim in held:
                try:
                    os.utime(claim.path)
                except OSError:  # another run took it for dead and is done
                    continue


def _newest(stem: Path) -> Claim | None:
    found, claim = None, Claim(stem, 1)
    while claim.path.exists():
        found, claim = claim, Claim(stem, claim.number + 1)
    return found


def _owner() -> str:
    return f"{this_machine()} {os.getpid()}\n"


def this_machine() -> str:
    """This machine, and where containers number their processes each for themselves, this container."""
    try:
        processes = os.readlink("/proc/self/ns/pid")
    except OSError:
        processes = "one"
    return f"{socket.gethostname()} {processes}"


def _gone(owner: str) -> bool:
    """Whether it was a process of this machine that has ended."""
    machine, _, pid = owner.strip().rpartition(" ")
    if sys.platform == "win32" or machine != this_machine() or not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
